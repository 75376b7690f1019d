"""What is held or pending on one side of one instrument, added up: float64, and exactly."""

from __future__ import annotations

from decimal import Decimal

from aitb_nautilus.messages import Side
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.holdings import EVERYTHING, Scope
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["one_sided_amount", "one_sided_quantity"]


def one_sided_amount(
    ledger: Ledger, scope: Scope, side: Side, instrument_id: str, leave_out: Order | None
) -> float:
    """Return what is held or pending on one side of one instrument, base currency, float64."""
    covers = None if scope is EVERYTHING else scope.covers
    total = 0.0
    for strategy_id, position in ledger.holders(instrument_id).items():
        amount = position.amount if side == "BUY" else -position.amount
        if amount > 0 and (covers is None or covers(strategy_id, instrument_id)):
            total += amount
    for order in ledger.open_orders(instrument_id):
        if order.side != side or order.reduce_only or order is leave_out:
            continue
        if covers is None or covers(order.strategy_id, instrument_id):
            total += order.most_amount
    return total


def one_sided_quantity(
    ledger: Ledger, scope: Scope, side: Side, instrument_id: str, leave_out: Order | None
) -> Decimal:
    """Return what is held or pending on one side of one instrument, base currency, exactly."""
    sign = 1 if side == "BUY" else -1
    total = ZERO
    for strategy_id, position in ledger.holders(instrument_id).items():
        if position.quantity and scope.covers(strategy_id, instrument_id):
            held = sign * position.quantity
            if held > 0:
                total += held
    for order in ledger.open_orders(instrument_id):
        if (
            order.side == side
            and not order.reduce_only
            and order is not leave_out
            and scope.covers(order.strategy_id, instrument_id)
        ):
            total += order.most_leaves
    return total
