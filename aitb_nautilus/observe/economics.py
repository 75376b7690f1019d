"""Why two runs of one desk earned different amounts, priced layer by layer.

Profit is linear in fills: each is worth what it holds at the run's last price, less what it cost.
So the difference of two runs is the sum over their orders, and of an order that both sent it splits
exactly into what the quantity, the moment, the slippage and the fee made of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from aitb_nautilus.observe.economic_orders import FilledOrder, Moment, filled_orders, moment_of
from aitb_nautilus.observe.run_folder import Run, floats

__all__ = ["EconomicLayer", "Economics", "LayerAmount", "TradeEffect", "attribute"]

EconomicLayer = Literal[
    "data", "predictions", "decisions", "sizing", "exits", "time", "slippage", "partial", "fees",
    "funding", "rest",
]  # fmt: skip


class LayerAmount(msgspec.Struct, frozen=True):
    """What one layer adds to the difference, and how many orders (or payments) it concerns."""

    layer: EconomicLayer
    amount: float
    orders: int


class TradeEffect(msgspec.Struct, frozen=True):
    """What the orders of one trade, from its entry to its exits, add by layer.

    Attributes
    ----------
    entry_id
        Id of the order that opened it.
    ts
        When its first order was sent, ns UTC.
    purposes
        What its orders were for, in order.
    is_matched
        Whether both runs have its orders.
    """

    entry_id: str
    ts: int
    strategy_id: str
    instrument_id: str
    purposes: list[str]
    is_matched: bool
    layers: dict[str, float]
    amount: float


class Economics(msgspec.Struct, frozen=True):
    """The difference of two results, and what it is made of.

    Attributes
    ----------
    net_pnl, against_net_pnl
        Of the run, and of the one that it is compared with; account currency.
    difference
        The first less the second: the sum of all layers.
    layers
        ``data``: the bars differ. ``predictions``: the models said something else. ``decisions``:
        only one of them sent the order. ``sizing``: another quantity was decided. ``exits``: the
        trade was left by another exit, or on another decision. ``time``: the market stood elsewhere
        when it filled. ``slippage``: what it filled beside that. ``partial``: less of it filled.
        ``rest``: what no fill explains, such as rounding.
    matched, only, only_against
        Filled orders that both have, and that only one has.
    trades
        All that have an effect, the largest first.
    """

    run_id: str
    against_id: str
    currency: str
    net_pnl: float
    against_net_pnl: float
    difference: float
    layers: list[LayerAmount]
    matched: int
    only: int
    only_against: int
    trades: list[TradeEffect]


def attribute(run: Run, against: Run) -> Economics:
    """Attribute the difference of two results to layers.

    Parameters
    ----------
    run, against
        Two runs of the same desk, such as one on paper and its back-test.

    Returns
    -------
    Economics
        Its layers sum to its difference.

    Raises
    ------
    DataError
        If a table cannot be read.
    """
    mine, theirs = _Side(run), _Side(against)
    pairs = list(_pairs(mine.orders, theirs.orders))
    effects = [_layers_of(mine, theirs, a, b) for a, b in pairs]
    amounts: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for effect in effects:
        for layer, amount in effect.items():
            amounts[layer] += amount
            counts[layer] += amount != 0.0
    amounts["funding"] = theirs.funding - mine.funding
    counts["funding"] = mine.payments + theirs.payments
    difference = mine.net_pnl - theirs.net_pnl
    amounts["rest"] = difference - sum(amounts.values())
    return Economics(
        run.record.run_id,
        against.record.run_id,
        run.record.currency,
        mine.net_pnl,
        theirs.net_pnl,
        difference,
        [LayerAmount(name, amounts[name], counts[name]) for name in get_args(EconomicLayer)],
        sum(a is not None and b is not None for a, b in pairs),
        sum(b is None for _, b in pairs),
        sum(a is None for a, _ in pairs),
        _trades(pairs, effects),
    )


class _Side:
    """One of the two runs."""

    def __init__(self, run: Run) -> None:
        self.orders = filled_orders(run)
        self.moment = moment_of(run)
        self.marks: dict[str, float] = {}
        bars = run.bars
        ids = bars.column("instrument_id").to_pylist()
        for instrument_id, close in zip(ids, floats(bars, "close").tolist(), strict=True):
            self.marks[instrument_id] = close
        costs = run.record.costs
        self.net_pnl = 0.0 if costs is None else costs.net_pnl
        self.funding = float(floats(run.funding, "amount").sum())
        self.payments = run.funding.num_rows


type _Pair = tuple[FilledOrder | None, FilledOrder | None]


def _pairs(mine: Mapping[str, FilledOrder], theirs: Mapping[str, FilledOrder]) -> Iterator[_Pair]:
    """Yield orders that are the same decision, exits of the same trade, and what is left alone.

    An id is a hash of the decision, so equal ids are equal decisions. What answers a fill (a stop)
    has an id of that fill's; it is found by the trade that it belongs to and by what it is for.
    """
    left = {id_: order for id_, order in mine.items() if id_ not in theirs}
    right = {id_: order for id_, order in theirs.items() if id_ not in mine}
    yield from ((order, theirs[id_]) for id_, order in mine.items() if id_ in theirs)
    for with_purpose in (True, False):
        waiting: dict[tuple[str, str], list[str]] = defaultdict(list)
        for id_, order in right.items():
            if order.is_exit:
                waiting[order.entry_id, order.purpose if with_purpose else ""].append(id_)
        for id_, order in list(left.items()):
            found = waiting.get((order.entry_id, order.purpose if with_purpose else ""))
            if order.is_exit and found:
                yield left.pop(id_), right.pop(found.pop(0))
    yield from ((order, None) for order in left.values())
    yield from ((None, order) for order in right.values())


def _layers_of(
    mine: _Side, theirs: _Side, a: FilledOrder | None, b: FilledOrder | None
) -> dict[EconomicLayer, float]:
    if a is not None and b is not None:
        return _both(a, b, mine.marks, theirs.marks)
    side, other, sign = (mine, theirs, 1.0) if a is not None else (theirs, mine, -1.0)
    order = _one_of(a, b)
    value = order.quantity * (side.marks[order.instrument_id] - order.price) - order.fee
    return {_cause(order, side.moment, other.moment): sign * value}


def _one_of(a: FilledOrder | None, b: FilledOrder | None) -> FilledOrder:
    order = a or b
    assert order is not None  # noqa: S101 - a pair has at least one
    return order


def _trades(
    pairs: Sequence[_Pair], effects: Sequence[Mapping[EconomicLayer, float]]
) -> list[TradeEffect]:
    """Put the orders of a trade together: an entry alone is worth little without its exit."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, pair in enumerate(pairs):
        groups[_one_of(*pair).entry_id].append(i)
    trades = []
    for entry_id, places in groups.items():
        layers: dict[str, float] = defaultdict(float)
        for i in places:
            for layer, amount in effects[i].items():
                layers[layer] += amount
        orders = sorted((_one_of(*pairs[i]) for i in places), key=lambda order: order.ts)
        first = orders[0]
        trades.append(
            TradeEffect(
                entry_id,
                first.ts,
                first.strategy_id,
                first.instrument_id,
                [order.purpose for order in orders],
                all(None not in pairs[i] for i in places),
                {layer: amount for layer, amount in layers.items() if amount},
                sum(layers.values()),
            )
        )
    return sorted((one for one in trades if one.layers), key=lambda one: -abs(one.amount))


def _both(
    a: FilledOrder, b: FilledOrder, marks: Mapping[str, float], their_marks: Mapping[str, float]
) -> dict[EconomicLayer, float]:
    """Split the difference of an order that both runs filled.

    ``qa (Ma - pa) - qb (Mb - pb)`` is ``(qa - qb)(Ma - pa) + qb (pb - pa) + qb (Ma - Mb)``; the
    first part splits by what was wanted and what of it filled, the second by the reference price.
    """
    mark = marks[a.instrument_id]
    wanted = a.wanted - b.wanted
    worth = mark - a.price
    layers: dict[EconomicLayer, float] = {
        "sizing": wanted * worth,
        "partial": (a.quantity - b.quantity - wanted) * worth,
        "data": b.quantity * (mark - their_marks[b.instrument_id]),
        "fees": b.fee - a.fee,
    }
    is_same = a.client_order_id == b.client_order_id or a.kind != "MARKET"
    if a.purpose != b.purpose or not is_same:
        layers["exits"] = b.quantity * (b.price - a.price)
    else:
        layers["time"] = b.quantity * (b.reference - a.reference)
        layers["slippage"] = b.quantity * ((b.price - b.reference) - (a.price - a.reference))
    return layers


def _cause(order: FilledOrder, own: Moment, other: Moment) -> EconomicLayer:
    """Return the earliest layer in which two runs differ at the moment of an order."""
    here, there = (one.bar(order.instrument_id, order.ts) for one in (own, other))
    if here != there:
        return "data"
    said, told = (one.predictions(order.instrument_id, order.ts) for one in (own, other))
    if said != told:
        return "predictions"
    return "partial" if order.client_order_id in other.order_ids else "decisions"
