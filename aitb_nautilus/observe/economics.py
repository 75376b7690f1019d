"""Why two runs of one desk earned different amounts, priced layer by layer.

Profit is linear in fills: each is worth what it holds at the run's last price, less what it cost.
So the difference of two runs is the sum over their orders, and of an order that both sent it splits
exactly into what the quantity, the moment, the slippage and the fee made of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
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
    pairs = list(_pairs(mine, theirs))
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

    def answered(self, order: FilledOrder) -> _Key:
        """Return what an entry was for and the bar on which it was decided; None of an exit."""
        bar = self.bar_of(order)
        if order.is_exit or bar is None:
            return None
        return order.strategy_id, order.instrument_id, order.purpose, order.wanted > 0, bar

    def bar_of(self, order: FilledOrder) -> float | None:
        """Return when the last bar before an order closed, ns UTC."""
        bar = self.moment.bar(order.instrument_id, order.ts)
        return None if bar is None else bar[0]


type _Pair = tuple[FilledOrder | None, FilledOrder | None]
type _Key = tuple[object, ...] | None


def _pairs(mine: _Side, theirs: _Side) -> Iterator[_Pair]:
    """Yield orders that are the same decision, exits of the same trade, and what is left alone.

    An id is a hash of the decision, so equal ids are equal decisions. An entry whose id differs,
    because something else was wished before it, is found by the bar that it answers. What answers a
    fill (a stop) has an id of that fill's; it is found by the trade that it belongs to and by what
    it is for.
    """
    left = {id_: order for id_, order in mine.orders.items() if id_ not in theirs.orders}
    right = {id_: order for id_, order in theirs.orders.items() if id_ not in mine.orders}
    same = [(one, theirs.orders[id_]) for id_, one in mine.orders.items() if id_ in theirs.orders]
    yield from same
    their_trade = {a.entry_id: b.entry_id for a, b in same if not a.is_exit}
    for a, b in _alike(left, right, mine.answered, theirs.answered):
        their_trade[a.entry_id] = b.entry_id
        yield a, b
    for with_purpose in (True, False):

        def trade(order: FilledOrder, entry_id: str, *, by_purpose: bool = with_purpose) -> _Key:
            return (entry_id, order.purpose if by_purpose else "") if order.is_exit else None

        yield from _alike(
            left,
            right,
            lambda order: trade(order, their_trade.get(order.entry_id, order.entry_id)),
            lambda order: trade(order, order.entry_id),
        )
    yield from ((order, None) for order in left.values())
    yield from ((None, order) for order in right.values())


def _alike(
    left: dict[str, FilledOrder],
    right: dict[str, FilledOrder],
    key: Callable[[FilledOrder], _Key],
    their_key: Callable[[FilledOrder], _Key],
) -> Iterator[tuple[FilledOrder, FilledOrder]]:
    """Take out orders of equal keys, the nearest in size first; None is equal to nothing."""
    waiting: dict[_Key, list[FilledOrder]] = defaultdict(list)
    for order in right.values():
        waiting[their_key(order)].append(order)
    near = [
        (abs(order.wanted - other.wanted), order.client_order_id, other.client_order_id)
        for order in left.values()
        if (wanted := key(order)) is not None
        for other in waiting[wanted]
    ]
    for _, id_, their_id in sorted(near, key=itemgetter(0)):
        if id_ in left and their_id in right:
            yield left.pop(id_), right.pop(their_id)


def _layers_of(
    mine: _Side, theirs: _Side, a: FilledOrder | None, b: FilledOrder | None
) -> dict[EconomicLayer, float]:
    if a is not None and b is not None:
        is_same = (
            a.client_order_id == b.client_order_id
            or a.kind != "MARKET"
            or mine.bar_of(a) == theirs.bar_of(b)
        )
        return _both(a, b, mine.marks, theirs.marks, is_same=is_same)
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
    a: FilledOrder,
    b: FilledOrder,
    marks: Mapping[str, float],
    their_marks: Mapping[str, float],
    *,
    is_same: bool,
) -> dict[EconomicLayer, float]:
    """Split the difference of an order that both runs filled.

    ``is_same`` says whether one decision is behind both.
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
