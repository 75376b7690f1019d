"""A sale waits until the coins that it sells are free.

On a spot market a resting sale locks what it would sell: a stop for all that is held leaves nothing
for a close, nor for the stop that is to take its place. The venue refuses both until the first one
is gone, and a live venue may take two commands in another order than that of their sending. So a
sale is held while others of its strategy lock its coins. One at the market cancels them, and leaves
once the venue has said that they are gone; if they have sold something meanwhile, what is left is
sold.

Nothing leaves because time has passed: as long as a venue has not said that an order is gone, that
order may sell. A second sale beside it would sell coins that are the user's. So a sale that has
waited long goes on waiting, what locks its coins is cancelled again, and its strategy is told of.

A simulated exchange keeps the order of its commands and locks nothing; a back-test has no locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.order_port import OrderTerms
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
    late
        Told of the orders that lock its coins, by their ids, each time it has waited too long.
    """

    order: Order
    cancel: Callable[[str], None]
    send: Callable[[], None]
    give_up: Callable[[str], None]
    again: Callable[[Decimal], None]
    late: Callable[[list[str]], None]


class Locks:
    """Hold sales on spot markets while their coins are locked.

    Parameters
    ----------
    ledger
        Of the trader; only read.
    lots
        Rounding rules by instrument id.
    patience_ns
        After so long what locks a sale's coins is cancelled again, and somebody is told.
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

    def concerns(self, order: Order) -> bool:
        """Return whether an order is a sale on a spot market."""
        return order.side == "SELL" and self.is_spot(order.instrument_id)

    def is_spot(self, instrument_id: str) -> bool:
        """Return whether an instrument is traded on a spot market."""
        rules = self._lots.get(instrument_id)
        return rules is not None and rules.long_only

    def objection_to_list(self, orders: Sequence[OrderTerms]) -> str:
        """Return why linked orders cannot be sent together; empty if they can.

        They leave as one, and a sale among them could not wait for its coins.
        """
        sales = [o for o in orders if o.side == "SELL" and self.is_spot(o.instrument_id)]
        if not sales or len(orders) == 1:
            return ""
        return (
            f"a list of orders holds a sale of {sales[0].instrument_id}, and a sale that rests on "
            f"a spot market locks its coins; send them one by one"
        )

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
            if sale.order.quantity > self._holding(sale.order):
                # No order event would ever set it free: of what is held, all of it is sold.
                sale.again(self._holding(sale.order))
                return
        elif sale.order.is_stop:
            for other in [s for _, s in self._held.get(key, ()) if s.order.is_stop]:
                self._drop(key, other)
                other.give_up("another one takes its place")
        if self._free(sale.order) >= sale.order.quantity:
            sale.send()
            return
        locking = self._locking(sale.order)
        if not self._may_wait(sale.order):
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
        """See to what has waited too long; now, ns UTC.

        What locks its coins is cancelled once more, also where the venue has refused that. What is
        to rest is given up only where nobody has asked for the end of anything that locks them.
        """
        late = [(key, one) for key, held in self._held.items() for one in held if ts >= one[0]]
        if not late:
            return
        self._tape.heard("expire", "", ts)
        for key, one in late:
            if one not in self._held.get(key, ()):
                continue
            sale = one[1]
            self._drop(key, sale)
            locking, closes = self._locking(sale.order), sale.order.kind == "MARKET"
            going = [o for o in locking if closes or o.kind == "MARKET" or o.ending]
            if not (going or closes):
                sale.give_up("what locks its coins is not being cancelled")
                continue
            self._held.setdefault(key, []).append((ts + self._patience_ns, sale))
            for order in going:
                if order.kind != "MARKET" and order.status == "ACCEPTED":
                    sale.cancel(order.client_order_id)
            sale.late([order.client_order_id for order in locking])

    def _may_wait(self, order: Order) -> bool:
        """Return whether the coins of a sale will be free: one at the market sees to that."""
        return order.kind == "MARKET" or any(map(_is_going, self._locking(order)))

    def _unlock(self, sale: Sale) -> None:
        """Cancel what rests and locks the coins of a sale at the market, each once."""
        if sale.order.kind != "MARKET":
            return
        for order in self._locking(sale.order):
            if order.status == "ACCEPTED" and not _is_going(order) and order.ending != "refused":
                sale.cancel(order.client_order_id)

    def _free(self, order: Order) -> Decimal:
        """Return how much of what is held no other order sells, base currency."""
        locked = sum((one.most_leaves for one in self._locking(order)), ZERO)
        return self._holding(order) - locked

    def _holding(self, order: Order) -> Decimal:
        """Return what the strategy holds of what an order sells, base currency."""
        return self._ledger.position(order.strategy_id, order.instrument_id).quantity

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
        return self._holding(order) > others

    def _locking(self, order: Order) -> list[Order]:
        """Return the other sales of the strategy that the venue knows, or will before this one.

        What is to rest lets those at the market that wait go first.
        """
        rests = order.kind != "MARKET"
        return [
            one
            for one in self._ledger.open_orders(order.instrument_id)
            if one.side == "SELL"
            and one.strategy_id == order.strategy_id
            and one is not order
            and ((rests and one.kind == "MARKET") or not self.holds(one.client_order_id))
        ]

    def _drop(self, key: _Key, sale: Sale) -> None:
        kept = [one for one in self._held[key] if one[1] is not sale]
        if kept:
            self._held[key] = kept
        else:
            del self._held[key]


def _is_going(order: Order) -> bool:
    return order.kind == "MARKET" or order.is_ending


def _key(order: Order) -> _Key:
    return order.strategy_id, order.instrument_id
