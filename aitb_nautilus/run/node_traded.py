"""What a node traded, from its ledger alone: plain facts, which another thread may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import Ambiguous
from aitb_nautilus.risk.book import Order
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.run_writer import table_of
from aitb_nautilus.run.traded import Traded

__all__ = ["traded_in_node"]


def traded_in_node(
    preparation: Preparation,
    orders: Sequence[Order],
    fills: Sequence[Fill],
    balances: Mapping[str, Mapping[str, Any]] | None,
) -> Traded:
    """Return what a node traded.

    A taker's fill is compared with the price at which it was decided: the last close before it was
    sent, or the trigger of a stop.

    Parameters
    ----------
    preparation
        With the bars of the run.
    orders, fills
        Of the ledger.
    balances
        As in `Traded`.
    """
    references = {
        o.client_order_id: price
        for o in orders
        if (price := _reference(preparation, o)) is not None
    }
    own: dict[str, list[Fill]] = {}
    for fill in fills:
        own.setdefault(fill.client_order_id, []).append(fill)
    return Traded(
        fills=fills,
        orders=table_of("orders", (_row(o, own.get(o.client_order_id, [])) for o in orders)),
        purposes={o.client_order_id: o.purpose for o in orders},
        references=references,
        balances=balances,
        settles_funding=False,
        ambiguous=Ambiguous(count=0, pnl_stop_first=0.0, pnl_target_first=0.0, rule="as it came"),
        until=None,
    )


def _reference(preparation: Preparation, order: Order) -> float | None:
    if order.trigger_price is not None:
        return order.trigger_price
    frame = preparation.frames.get(order.instrument_id)
    if order.kind != "MARKET" or frame is None:
        return None
    last = int(np.searchsorted(frame.ts_close, order.ts_sent, side="right")) - 1
    return float(frame.close[last]) if last >= 0 else None


def _row(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    filled = sum(float(f.quantity) for f in fills)
    value = sum(float(f.quantity) * f.price for f in fills)
    return {
        "ts": order.ts_sent,
        "client_order_id": order.client_order_id,
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
        "side": order.side,
        "type": order.kind,
        "quantity": float(order.quantity),
        "price": order.price,
        "trigger_price": order.trigger_price,
        "reduce_only": order.reduce_only,
        "status": order.status,
        "filled_quantity": filled,
        "average_price": value / filled if filled else None,
        "purpose": order.purpose,
        "reason": order.reason or None,
        "ts_last": fills[-1].ts if fills else None,
    }
