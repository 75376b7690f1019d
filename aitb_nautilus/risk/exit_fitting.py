"""Exits that a strategy built itself, cut to what is left to close."""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.messages import CancelIntent, ModifyIntent
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.ledger import View

__all__ = ["fitting"]


def fitting(view: View, instrument_id: str) -> Iterator[CancelIntent | ModifyIntent]:
    """Yield what cuts a strategy's plain exits to its position, the oldest kept first.

    A venue does this with reduce-only orders; a plain one would open the other side.
    """
    held = view.quantity(instrument_id)
    room = abs(held)
    for order in view.open_orders(instrument_id):
        if not order.is_exit or order.reduce_only:
            continue
        kept = ZERO if (held > 0) == (order.side == "BUY") else min(order.leaves, room)
        room -= kept
        if kept == 0:
            yield CancelIntent(client_order_id=order.client_order_id)
        elif kept < order.leaves:
            quantity = order.filled + kept
            yield ModifyIntent(client_order_id=order.client_order_id, quantity=quantity)
