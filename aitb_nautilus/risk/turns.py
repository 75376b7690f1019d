"""What opens waits until the close before it has ended.

A live venue is told of two commands over a network, and may take the second one first. An entry
that overtakes the close before it meets the old position, and the close is then refused as
reduce-only with nothing to reduce: flat, where the strategy wanted to turn around. So an opening
order is held while an exit at the market is on its way in its instrument. Exits never wait.

A simulated exchange keeps the order of its commands; a back-test has no turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.tape import Tape

__all__ = ["Turns"]


class _Held(NamedTuple):
    client_order_id: str
    until: int
    send: Callable[[], None]
    give_up: Callable[[], None]


class Turns:
    """Hold opening orders while a close is on its way.

    Parameters
    ----------
    ledger
        Of the trader; only read.
    patience_ns
        An order that was held so long is not sent any more: it was decided on what was known then.
    tape
        Of the node: that something was given up is a matter of the clock.
    """

    def __init__(self, ledger: Ledger, patience_ns: int, tape: Tape | None = None) -> None:
        self._tape = Tape() if tape is None else tape
        self._ledger = ledger
        self._patience_ns = patience_ns
        self._held: dict[tuple[str, str], list[_Held]] = {}

    def must_wait(self, strategy_id: str, instrument_id: str) -> bool:
        """Return whether an exit at the market of the strategy is on its way in the instrument."""
        return (strategy_id, instrument_id) in self._held or any(
            o.is_exit and o.kind == "MARKET" and o.strategy_id == strategy_id
            for o in self._ledger.open_orders(instrument_id)
        )

    def take(
        self, order: Order, ts: int, send: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        """Send an opening order, now or once the close has ended; give up if that takes too long.

        Parameters
        ----------
        ts
            Now, ns UTC, by the clock of `expire`.
        """
        if not self.must_wait(order.strategy_id, order.instrument_id):
            send()
            return
        held = self._held.setdefault((order.strategy_id, order.instrument_id), [])
        held.append(_Held(order.client_order_id, ts + self._patience_ns, send, give_up))

    def holds(self, client_order_id: str) -> bool:
        """Return whether an order waits here, and the venue knows nothing of it."""
        return any(
            one.client_order_id == client_order_id for held in self._held.values() for one in held
        )

    def take_back(self, client_order_id: str) -> bool:
        """Never send an order that waits; return whether one of that id did."""
        for key, held in list(self._held.items()):
            kept = [one for one in held if one.client_order_id != client_order_id]
            if len(kept) == len(held):
                continue
            if kept:
                self._held[key] = kept
            else:
                del self._held[key]
            return True
        return False

    def go_on(self, strategy_id: str, instrument_id: str) -> None:
        """Send what waited, if the close before it has ended."""
        held = self._held.pop((strategy_id, instrument_id), None)
        if held is None:
            return
        if self.must_wait(strategy_id, instrument_id):
            self._held[strategy_id, instrument_id] = held
            return
        for one in held:
            one.send()

    def expire(self, ts: int) -> None:
        """Give up what has waited too long; now, ns UTC."""
        if not any(ts >= one.until for held in self._held.values() for one in held):
            return
        self._tape.heard("expire", "", ts)
        for key, held in list(self._held.items()):
            late = [one for one in held if ts >= one.until]
            kept = [one for one in held if ts < one.until]
            if kept:
                self._held[key] = kept
            elif late:
                del self._held[key]
            for one in late:
                one.give_up()
