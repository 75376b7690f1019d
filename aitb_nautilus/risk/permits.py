"""What the guard allowed, and whether the engine's new and changed orders match it.

The engine makes orders by itself as well: for a market exit, and for every call of its own methods
around the guard. Each order that it reports must match a permit; the first that does not is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import msgspec

from aitb_nautilus.messages import OrderUpdate, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["Permit", "Permits"]


class Permit(msgspec.Struct, frozen=True, gc=False):
    """What one order may look like when the engine reports it."""

    instrument_id: str
    side: Side
    quantity: Decimal
    reduce_only: bool


class Permits:
    """Remember what was allowed, and compare it with what the engine reports.

    Parameters
    ----------
    ledger
        The trader's ledger; only read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._given: dict[str, Permit] = {}
        self._confirmed: set[str] = set()
        self._emulated: set[str] = set()
        self._modifying: set[str] = set()
        self._exiting: set[str] = set()
        self._sent_before: set[str] = set()

    def give(self, client_order_id: str, permit: Permit) -> None:
        """Remember what may be sent under an id."""
        self._given[client_order_id] = permit

    def is_known(self, client_order_id: str) -> bool:
        """Return whether a permit was given for an id."""
        return client_order_id in self._given or client_order_id in self._ledger.orders

    def remember_sent(self, client_order_ids: Iterable[str]) -> None:
        """Take the ids that the journal says were sent before this node began."""
        self._sent_before.update(client_order_ids)

    def expect_again(self) -> None:
        """Expect the engine to report once each order that is open in a ledger that was rebuilt."""
        for order in self._ledger.every_open_order():
            self.give(
                order.client_order_id,
                Permit(order.instrument_id, order.side, order.quantity, order.reduce_only),
            )

    def is_used(self, client_order_id: str) -> bool:
        """Return whether an id was used before, allowed or not; the engine would fill it twice."""
        return (
            client_order_id in self._confirmed
            or client_order_id in self._sent_before
            or self.is_known(client_order_id)
        )

    def withdraw(self, client_order_id: str) -> None:
        """Take back a permit of an order that is not sent after all."""
        del self._given[client_order_id]

    def expect_release(self, client_order_id: str) -> None:
        """Expect the engine to make an order that it emulates once more, when it lets it go."""
        self._emulated.add(client_order_id)

    def let_go(self, client_order_id: str) -> None:
        """Expect nothing more of an order that has ended; that its id was used stays known."""
        self._emulated.discard(client_order_id)
        if client_order_id in self._confirmed:
            self._given.pop(client_order_id, None)

    def announce_exit(self, strategy_id: str) -> None:
        """Expect the engine's own reduce-only orders of a market exit of this strategy."""
        self._exiting.add(strategy_id)

    def is_exiting(self, strategy_id: str) -> bool:
        """Return whether a market exit of this strategy is under way."""
        return strategy_id in self._exiting

    def end_exit(self, strategy_id: str) -> None:
        """Expect no more orders of a market exit."""
        self._exiting.discard(strategy_id)

    @contextmanager
    def announced_modify(self, client_order_id: str) -> Iterator[None]:
        """Expect the engine to report a change of this order while the block runs."""
        self._modifying.add(client_order_id)
        try:
            yield
        finally:
            self._modifying.discard(client_order_id)

    def objection(self, client_order_id: str, order: Permit, strategy_id: str) -> str:
        """Return why an order that the engine reports was not allowed; empty if it was."""
        permit = self._given.get(client_order_id)
        seen = client_order_id in self._confirmed
        released = client_order_id in self._emulated
        known = self._ledger.orders.get(client_order_id)
        # The text that is there already: a node remembers each id as long as it runs.
        self._confirmed.add(client_order_id if known is None else known.client_order_id)
        self._emulated.discard(client_order_id)
        if seen and not released:
            return f"order {client_order_id} was sent twice; the engine fills it twice"
        if permit == order or (released and self._is_covered(client_order_id, order)):
            return ""
        if permit is not None:
            return (
                f"order {client_order_id} is {order.side} {order.quantity} {order.instrument_id}, "
                f"but {permit.side} {permit.quantity} {permit.instrument_id} was allowed"
            )
        if strategy_id in self._exiting and self._reduces(order, strategy_id):
            self._given[client_order_id] = order
            return ""
        return (
            f"{order.side} {order.quantity} {order.instrument_id} was sent around the guard: "
            f"use the intents, or self.submit_order, never the engine's own method"
        )

    def objection_to_change(self, client_order_id: str) -> str:
        """Return why a change that the engine reports was not allowed; empty if it was."""
        if client_order_id in self._modifying:
            return ""
        return _changed(client_order_id)

    def objection_to_terms(self, order: Order, update: OrderUpdate) -> str:
        """Return why new terms that the engine reports were not allowed; empty if they were.

        The engine says nothing of a change that is asked for while the order is in flight, or while
        another change is; the answer is then the first that is heard of it. A reduce-only order
        opens nothing, a trailing stop is moved by the engine itself, and terms that are older than
        those that were told come late.
        """
        late = update.ts < order.ts_terms
        if late or order.reduce_only or order.kind.startswith("TRAILING"):
            return ""
        if update.quantity is not None and update.quantity > max(order.quantity, order.asked):
            return _changed(order.client_order_id)
        terms = ((order.price, update.price), (order.trigger_price, update.trigger_price))
        moved = any(None not in pair and pair[0] != pair[1] for pair in terms)
        return _changed(order.client_order_id) if moved and not order.changes else ""

    def _is_covered(self, client_order_id: str, order: Permit) -> bool:
        """Return whether a released order is no more than its own order was allowed to be."""
        known = self._ledger.orders.get(client_order_id)
        return known is not None and (
            (order.instrument_id, order.side, order.reduce_only)
            == (known.instrument_id, known.side, known.reduce_only)
            and order.quantity <= known.quantity
        )

    def _reduces(self, order: Permit, strategy_id: str) -> bool:
        held = self._ledger.position(strategy_id, order.instrument_id).quantity
        against = held != 0 and (held > 0) != (order.side == "BUY")
        return order.reduce_only and against and order.quantity <= abs(held)


def _changed(client_order_id: str) -> str:
    return (
        f"order {client_order_id} was changed around the guard: use ModifyIntent, or "
        f"self.modify_order, never the engine's own method"
    )
