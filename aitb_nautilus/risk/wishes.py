"""A wish by itself, before any limit sees it: well formed, in whole lots, an exit or not."""

from __future__ import annotations

import math
from collections.abc import Container
from decimal import ROUND_DOWN, Decimal

from aitb_nautilus.messages import ModifyIntent, OrderIntent, Side
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["closable", "floor_to_lot", "malformed", "reduces"]


def malformed(
    known: Container[str],
    instrument_id: str,
    quantity: Decimal | None,
    price: float | None,
    trigger_price: float | None,
) -> str:
    """Return why terms are none; empty if they are.

    Parameters
    ----------
    known
        Ids of the run's instruments.
    """
    if instrument_id not in known:
        return f"{instrument_id} is not an instrument of this run"
    if quantity is None or not quantity.is_finite() or quantity <= 0:
        return f"quantity was {quantity}, must be above zero"
    for name, value in (("price", price), ("trigger_price", trigger_price)):
        if value is not None and not (math.isfinite(value) and value > 0):
            return f"{name} was {value}, must be a finite number above zero"
    return ""


def priceless(intent: ModifyIntent, order: Order) -> str:
    """Return which price a change names that the order does not have; empty if it has all."""
    for name in ("price", "trigger_price"):
        if getattr(intent, name) is not None and getattr(order, name) is None:
            return f"{name} of order {order.client_order_id} is none to change, it is {order.kind}"
    return ""


def reduces(
    ledger: Ledger,
    intent: OrderIntent,
    quantity: Decimal,
    strategy_id: str,
    replaces: Order | None,
) -> bool:
    """Return whether an order reduces what the strategy holds, after the orders before it.

    Resting reduce-only orders do not count: they die with the position.

    Parameters
    ----------
    quantity
        In whole lots.
    replaces
        The resting order that would be changed into this one, or None.
    """
    if intent.reduce_only:
        return True
    return quantity <= closable(ledger, strategy_id, intent.instrument_id, intent.side, replaces)


def closable(
    ledger: Ledger,
    strategy_id: str,
    instrument_id: str,
    side: Side,
    replaces: Order | None = None,
) -> Decimal:
    """Return what an order on one side can still close, after the orders before it; >= 0.

    Resting reduce-only orders do not count: they die with the position.
    """
    held = ledger.position(strategy_id, instrument_id).quantity
    if held == 0 or (held > 0) == (side == "BUY"):
        return ZERO
    pending = sum(
        (
            o.most_leaves
            for o in ledger.open_orders(instrument_id)
            if o.strategy_id == strategy_id
            and o.side == side
            and o is not replaces
            and (o.kind == "MARKET" or not o.reduce_only)
        ),
        ZERO,
    )
    return max(abs(held) - pending, ZERO)


def floor_to_lot(quantity: Decimal, lot: Decimal) -> Decimal:
    """Round a quantity down to whole lots."""
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot
