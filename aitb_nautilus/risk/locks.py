"""A sale waits until the coins that it sells are free.

On a spot market a resting sale locks what it would sell: a stop for all that is held leaves nothing
for a close, nor for the stop that is to take its place. The venue refuses both until the first one
is gone, and a live venue may take two commands in another order than that of their sending. So a
sale is held while others of its strategy lock its coins. One at the market cancels them, and leaves
once the venue has said that they are gone; if they have sold something meanwhile, what is left is
sold.

A simulated exchange keeps the order of its commands and locks nothing; a back-test has no locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.tape import Tape

__all__ = ["Locks", "Sale"]

type _Key = tuple[str, str]


class Sale(NamedTuple):
    """A sale that may have to wait.

    Attributes
    ----------
    order
        As the ledger knows it; nobody else does.
    cancel
        Cancels an order that locks its coins, by its id.
    send
        Sends it.
    give_up
        Takes it back, and says why.
    again
        Takes it back, and wishes for the same of another quantity, base currency.
    """

    order: Order
    cancel: Callable[[str], None]
    send: Callable[[], None]
    give_up: Callable[[str], None]
    again: Callable[[Decimal], None]


class Locks:
    """Hold sales on spot markets while their coins are locked.

    Parameters
    ----------
    ledger
        Of the trader; only read.
    lots
        Rounding rules by instrument id.
    patience_ns
        A resting sale that was held so long is given up; one at the market tries once more.
    tape
        Of the node: that something was given up is a matter of the clock.
    """

    def __init__(
        self, ledger: Ledger, lots: Mapping[str, LotRules], patience_ns: int, tape: Tape
    ) -> None:
        self._ledger = ledger
        self._lots = lots
        self._patience_ns = patience_ns
        self._tape = tape
        self._held: dict[_Key, list[tuple[int, Sale]]] = {}
        self._cancelled: set[str] = set()

    def concerns(self, order: Order) -> bool:
        """Return whether an order is a sale on a spot market."""
        return order.side == "SELL" and self.is_spot(order.instrument_id)

    def is_spot(self, instrument_id: str) -> bool:
        """Return whether an instrument is traded on a spot market."""
        rules = self._lots.get(instrument_id)
        return rules is not None and rules.long_only

    def note_cancel(self, client_order_id: str) -> None:
        """Note that a cancel of an order leaves: it is not sent twice."""
        self._cancelled.add(client_order_id)

    def holds(self, client_order_id: str) -> bool:
        """Return whether an order waits here, and the venue knows nothing of it."""
        return any(
            sale.order.client_order_id == client_order_id
            for held in self._held.values()
            for _, sale in held
        )

    def take(self, sale: Sale, ts: int) -> None:
        """Send a sale, now or once its coins are free.

        Parameters
        ----------
        ts
            Now, ns UTC, by the clock of `expire`.
        """
        key = _key(sale.order)
        if sale.order.kind == "MARKET":
            for other in [s for _, s in self._held.get(key, ()) if s.order.kind != "MARKET"]:
                self._drop(key, other)
                other.give_up("what it should have sold is sold at the market")
            if not self._is_left(sale.order):
                sale.give_up("all of it is being sold at the market already")
                return
        if self._free(sale.order) >= sale.order.quantity:
            sale.send()
            return
        locking = self._locking(sale.order)
        if sale.order.kind != "MARKET" and not any(map(self._is_going, locking)):
            names = ", ".join(one.client_order_id for one in locking) or "nothing is held"
            sale.give_up(f"its coins are locked by {names}: cancel that first")
            return
        self._held.setdefault(key, []).append((ts + self._patience_ns, sale))
        self._unlock(sale)

    def take_back(self, client_order_id: str) -> bool:
        """Never send a sale that waits; return whether one of that id did."""
        for key, held in list(self._held.items()):
            for _, sale in held:
                if sale.order.client_order_id == client_order_id:
                    self._drop(key, sale)
                    return True
        return False

    def go_on(self, strategy_id: str, instrument_id: str) -> None:
        """Send what waited, if its coins are free by now; what is left of it, if others sold."""
        key = (strategy_id, instrument_id)
        if key not in self._held:
            return
        self._forget_ended()
        for one in list(self._held[key]):
            sale, order = one[1], one[1].order
            if one not in self._held.get(key, ()):
                continue  # What was sent before it in this round has taken its place.
            left = self._ledger.position(strategy_id, instrument_id).quantity
            if order.quantity > left:
                self._drop(key, sale)
                if left > 0:
                    sale.again(left)
                else:
                    sale.give_up("nothing is left that it could sell")
            elif self._free(order) >= order.quantity:
                self._drop(key, sale)
                sale.send()
            else:
                self._unlock(sale)

    def expire(self, ts: int) -> None:
        """Give up what has waited too long; now, ns UTC.

        A sale at the market is not given up, it is somebody's exit: what locks it is cancelled once
        more.
        """
        late = [(key, one) for key, held in self._held.items() for one in held if ts >= one[0]]
        if not late:
            return
        self._tape.heard("expire", "", ts)
        for key, (_, sale) in late:
            self._drop(key, sale)
            for order in self._locking(sale.order):
                self._cancelled.discard(order.client_order_id)
            if sale.order.kind == "MARKET":
                self._held.setdefault(key, []).append((ts + self._patience_ns, sale))
                self._unlock(sale)
            else:
                sale.give_up("the venue has not said in time that its coins are free")

    def _unlock(self, sale: Sale) -> None:
        """Cancel what rests and locks the coins of a sale at the market, each once."""
        if sale.order.kind != "MARKET":
            return
        for order in self._locking(sale.order):
            if order.status == "ACCEPTED" and not self._is_going(order):
                sale.cancel(order.client_order_id)

    def _is_going(self, order: Order) -> bool:
        return order.kind == "MARKET" or order.client_order_id in self._cancelled

    def _free(self, order: Order) -> Decimal:
        """Return how much of what is held no other order sells, base currency."""
        held = self._ledger.position(order.strategy_id, order.instrument_id).quantity
        return held - sum((one.most_leaves for one in self._locking(order)), ZERO)

    def _is_left(self, order: Order) -> bool:
        """Return whether other sales at the market leave anything of what an order is to sell."""
        others = sum(
            (
                one.most_leaves
                for one in self._ledger.open_orders(order.instrument_id)
                if one.side == "SELL"
                and one.kind == "MARKET"
                and one.strategy_id == order.strategy_id
                and one is not order
            ),
            ZERO,
        )
        held = self._ledger.position(order.strategy_id, order.instrument_id).quantity
        return held > others

    def _locking(self, order: Order) -> list[Order]:
        """Return the other sales of the strategy that the venue knows, or soon will."""
        return [
            one
            for one in self._ledger.open_orders(order.instrument_id)
            if one.side == "SELL"
            and one.strategy_id == order.strategy_id
            and one is not order
            and not self.holds(one.client_order_id)
        ]

    def _drop(self, key: _Key, sale: Sale) -> None:
        kept = [one for one in self._held[key] if one[1] is not sale]
        if kept:
            self._held[key] = kept
        else:
            del self._held[key]

    def _forget_ended(self) -> None:
        orders = self._ledger.orders
        self._cancelled = {
            name for name in self._cancelled if name in orders and orders[name].is_open
        }


def _key(order: Order) -> _Key:
    return order.strategy_id, order.instrument_id
