"""What the guard allowed, and whether the engine's new and changed orders match it.

The engine makes orders by itself as well: for a market exit, and for every call of its own methods
around the guard. Each order that it reports must match a permit; the first that does not is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import msgspec

from aitb_nautilus.messages import Side
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
        self._modifying: set[str] = set()
        self._exiting: set[str] = set()

    def give(self, client_order_id: str, permit: Permit) -> None:
        """Remember what may be sent under an id."""
        self._given[client_order_id] = permit

    def is_known(self, client_order_id: str) -> bool:
        """Return whether an id was used before; the engine would fill it twice."""
        return client_order_id in self._given or client_order_id in self._ledger.orders

    def announce_exit(self, strategy_id: str) -> None:
        """Expect the engine's own reduce-only orders of a market exit of this strategy."""
        self._exiting.add(strategy_id)

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
        self._confirmed.add(client_order_id)
        if seen:
            return f"order {client_order_id} was sent twice; the engine fills it twice"
        if permit == order:
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
        return (
            f"order {client_order_id} was changed around the guard: use ModifyIntent, or "
            f"self.modify_order, never the engine's own method"
        )

    def _reduces(self, order: Permit, strategy_id: str) -> bool:
        held = self._ledger.position(strategy_id, order.instrument_id).quantity
        against = held != 0 and (held > 0) != (order.side == "BUY")
        return order.reduce_only and against and order.quantity <= abs(held)
