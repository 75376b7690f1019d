"""The filled orders of a run, each with the trade that it belongs to, and what was known then."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import Any

import msgspec

from aitb_nautilus.observe.run_folder import Run, floats, texts, times

__all__ = ["FilledOrder", "Moment", "filled_orders", "moment_of"]

_EPSILON = 1e-12
"""Quantities are exact decimals once rounded to float64; their sums are not."""
_REST_FRAC = 0.01
"""Of a fill: what was held before it counts as nothing below that."""


class FilledOrder(msgspec.Struct):
    """What one order did.

    Attributes
    ----------
    ts
        When it was sent, ns UTC.
    kind
        Such as ``MARKET``.
    wanted, quantity
        Signed: what was sent, and what filled, base currency.
    price, reference
        Averages over its fills, quote currency; the reference is what a fill's slippage counts
        from, and the price itself where a fill has none.
    fee
        Paid.
    entry_id
        Id of the order that opened the trade.
    is_exit
        Whether its first fill reduced a position.
    """

    client_order_id: str
    ts: int
    strategy_id: str
    instrument_id: str
    purpose: str
    kind: str
    wanted: float
    quantity: float
    price: float
    reference: float
    fee: float
    entry_id: str
    is_exit: bool


class Moment(msgspec.Struct, frozen=True):
    """What a run knew at a time.

    Attributes
    ----------
    order_ids
        Of all orders, filled or not.
    """

    bars: dict[str, tuple[list[int], list[tuple[float, ...]]]]
    said: dict[tuple[str, int], tuple[Any, ...]]
    order_ids: frozenset[str]

    def bar(self, instrument_id: str, ts: int) -> tuple[float, ...] | None:
        """Return time and prices of the last bar closed at a time, ns UTC."""
        stamps, values = self.bars.get(instrument_id, ([], []))
        place = bisect_right(stamps, ts)
        return (stamps[place - 1], *values[place - 1]) if place else None

    def predictions(self, instrument_id: str, ts: int) -> tuple[Any, ...]:
        """Return what models said at the last bar closed at a time, ns UTC."""
        stamps, _ = self.bars.get(instrument_id, ([], []))
        place = bisect_right(stamps, ts)
        return self.said.get((instrument_id, stamps[place - 1]), ()) if place else ()


def filled_orders(run: Run) -> dict[str, FilledOrder]:
    """Return the filled orders of a run by id, in the order of their first fills."""
    orders = run.orders
    sent: dict[str, tuple[int, float, str]] = {
        id_: (int(ts), float(quantity), kind)
        for id_, ts, quantity, kind in zip(
            texts(orders, "client_order_id"),
            times(orders, "ts"),
            floats(orders, "quantity"),
            texts(orders, "type"),
            strict=True,
        )
    }
    held: dict[tuple[str, str], float] = defaultdict(float)
    entries: dict[tuple[str, str], str] = {}
    found: dict[str, FilledOrder] = {}
    fills = run.fills.drop_columns(["ts"]).to_pylist()
    for row, at in zip(fills, times(run.fills, "ts").tolist(), strict=True):
        id_, owner = row["client_order_id"], (row["strategy_id"], row["instrument_id"])
        sign = 1.0 if row["side"] == "BUY" else -1.0
        kept = row.get("base_fee") or 0.0
        quantity, before = sign * row["quantity"] - kept, held[owner]
        # A coin that pays fees leaves rests that are too little to be sold.
        rest = _REST_FRAC * abs(quantity) if kept else _EPSILON
        reduces = abs(before) > _EPSILON and before * quantity < 0
        if abs(before) <= rest or (reduces and abs(quantity) > abs(before) + _EPSILON):
            entries[owner] = id_
        held[owner] = before + quantity
        ts, wanted, kind = sent.get(id_, (at, row["quantity"], ""))
        reference = row["reference_price"]
        reference = row["price"] if reference is None else reference
        one = found.get(id_)
        if one is None:
            one = found[id_] = FilledOrder(
                id_, ts, *owner, row["purpose"], kind, sign * wanted, 0.0, 0.0, 0.0, 0.0,
                entries[owner], reduces,
            )  # fmt: skip
        filled = one.quantity + quantity
        part = quantity / filled
        one.price += (row["price"] - one.price) * part
        one.reference += (reference - one.reference) * part
        one.quantity, one.fee = filled, one.fee + row["fee"]
    return found


def moment_of(run: Run) -> Moment:
    """Return what a run knew at each time."""
    table = run.bars
    bars: dict[str, tuple[list[int], list[tuple[float, ...]]]] = {}
    columns = [floats(table, name).tolist() for name in ("open", "high", "low", "close")]
    ids, stamps = texts(table, "instrument_id"), times(table, "ts").tolist()
    for id_, ts, *values in zip(ids, stamps, *columns, strict=True):
        own = bars.setdefault(id_, ([], []))
        own[0].append(ts)
        own[1].append(tuple(values))
    said: dict[tuple[str, int], tuple[Any, ...]] = defaultdict(tuple)
    table = run.predictions
    rows = zip(
        texts(table, "instrument_id"),
        times(table, "ts").tolist(),
        texts(table, "model"),
        floats(table, "probability").tolist(),
        strict=True,
    )
    for id_, ts, model, probability in rows:
        said[id_, ts] = (*said[id_, ts], model, probability)
    return Moment(bars, dict(said), frozenset(texts(run.orders, "client_order_id")))
