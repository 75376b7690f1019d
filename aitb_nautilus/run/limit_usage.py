"""How near each limit was: its largest usage in each stretch of a run, as a fraction of it.

Measured afterwards, from what was held and sent. Orders that were pending are left out of
exposures, which the guard counts as well; so what was refused for them may show a usage below one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from aitb_nautilus.market.bars import BarFrame, FloatArray, TimeArray
from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.holdings import EVERYTHING, Scope, dearest
from aitb_nautilus.risk.limit_settings import RiskSettings, RuleSettings
from aitb_nautilus.risk.limits import build_limits
from aitb_nautilus.run.accounting import last_at
from aitb_nautilus.run.stretches import Held, Stretches, held_in

__all__ = ["Facts", "Usage", "not_measured", "usages"]

_DAY_NS = 86_400 * 10**9
_MINUTE_NS = 60 * 10**9

type Usage = tuple[str, float, FloatArray]
"""A limit's key, its maximum, and its largest usage in each stretch as a fraction of that."""


class Facts(msgspec.Struct, frozen=True):
    """What a run is measured by.

    Attributes
    ----------
    ts, equity
        At the closes of all bars.
    fills
        In the order of time.
    orders
        As the guard knows them, each with the time of the last that was heard of it.
    frames
        Bars by instrument id.
    """

    stretches: Stretches
    ts: TimeArray
    equity: FloatArray
    fills: Sequence[Fill]
    orders: Sequence[tuple[Order, int]]
    frames: Mapping[str, BarFrame]


def usages(settings: RiskSettings, facts: Facts, held: Held) -> Iterator[Usage]:
    """Yield the usage of every limit that can be measured; `held` is what everybody held."""
    ts, equity, stretches = facts.ts, facts.equity, facts.stretches
    yield from _any_scope(facts, held, settings, EVERYTHING, "risk")
    if (part := settings.max_concentration_frac) is not None:
        share = held.instrument / np.maximum(np.maximum(held.gross, equity), 1e-12)
        yield "risk.max_concentration_frac", part, stretches.largest(share) / part
    if (loss := settings.max_daily_loss_frac) is not None:
        first = np.flatnonzero(np.diff(ts // _DAY_NS, prepend=-1))
        begun = np.repeat(equity[first], np.diff(np.append(first, len(ts))))
        lost = 1 - equity / np.where(begun > 0, begun, np.nan)
        lost = np.nan_to_num(np.maximum(lost, 0.0), nan=1.0)
        yield "risk.max_daily_loss_frac", loss, stretches.largest(lost) / loss
    for i, rule in enumerate(settings.rules):
        named = rule.scope
        scope = Scope(named.venue or "", named.strategy or "", named.instrument or "")
        own = held_in(facts.fills, facts.frames, ts, scope.covers, stretches.last)
        yield from _any_scope(facts, own, rule, scope, f"risk.rules[{i}]")


def not_measured(settings: RiskSettings, measured: Sequence[str]) -> list[str]:
    """Return the keys of limits that are set and have no usage here; the ladder has its own."""
    keys = [one.key for one in build_limits(settings) if one.name != "drawdown"]
    return [key for key in dict.fromkeys(keys) if key not in measured]


def _any_scope(
    facts: Facts, held: Held, settings: RiskSettings | RuleSettings, scope: Scope, place: str
) -> Iterator[Usage]:
    """Yield usages of limits that stand in ``[risk]`` and in rules."""
    stretches = facts.stretches
    orders = [
        (order, end)
        for order, end in facts.orders
        if scope.covers(order.strategy_id, order.instrument_id)
    ]
    sent = [order for order, _ in orders if not order.is_exit]
    equity = np.maximum(facts.equity, 1e-12)
    for name, values in (
        ("max_position_notional", held.one_side),
        ("max_gross_notional", held.gross),
        ("max_net_notional", np.abs(held.net)),
        ("max_leverage", held.gross / equity),
    ):
        maximum = getattr(settings, name)
        if maximum is not None:
            yield f"{place}.{name}", maximum, stretches.largest(values) / maximum
    at = np.array([order.ts_sent for order in sent], np.int64)
    marks = _marks(sent, facts.frames)
    for name, values in (
        ("max_order_notional", _notionals(sent, marks)),
        ("price_band_frac", _distances(sent, marks)),
        ("max_orders_per_minute", _within_a_minute(at)),
        ("max_orders_per_day", _of_the_day(at, np.ones(len(at)))),
    ):
        maximum = getattr(settings, name)
        if maximum is not None:
            yield f"{place}.{name}", maximum, stretches.largest_of(at, values) / maximum
    if (most := settings.max_open_orders) is not None:
        times, counts = _open(orders)
        yield f"{place}.max_open_orders", most, stretches.largest_of(times, counts) / most
    if (turnover := settings.max_turnover_per_day) is not None:
        own = [f for f in facts.fills if scope.covers(f.strategy_id, f.instrument_id)]
        times = np.array([f.ts for f in own], np.int64)
        traded = _of_the_day(times, np.array([float(f.quantity) * f.price for f in own]))
        values = stretches.largest_of(times, traded)
        yield f"{place}.max_turnover_per_day", turnover, values / turnover


def _marks(orders: Sequence[Order], frames: Mapping[str, BarFrame]) -> FloatArray:
    """Return the last close when each order was sent."""
    marks = np.zeros(len(orders))
    which = np.array([order.instrument_id for order in orders], dtype=object)
    at = np.array([order.ts_sent for order in orders], np.int64)
    for instrument_id, frame in frames.items():
        own = which == instrument_id
        if own.any():
            marks[own] = last_at(frame.ts_close, frame.close, at[own], frame.open[0])
    return marks


def _notionals(orders: Sequence[Order], marks: FloatArray) -> FloatArray:
    """Return what each order was worth at most, quote currency."""
    return np.array(
        [
            float(o.quantity) * dearest(o.side, o.price, o.trigger_price, mark)
            for o, mark in zip(orders, marks.tolist(), strict=True)
        ]
    )


def _distances(orders: Sequence[Order], marks: FloatArray) -> FloatArray:
    """Return how far each order's price lay from the last one, as a fraction; 0 at the market."""
    return np.array(
        [
            max((abs(p / mark - 1) for p in (o.price, o.trigger_price) if p is not None), default=0)
            for o, mark in zip(orders, marks.tolist(), strict=True)
        ],
        np.float64,
    )


def _within_a_minute(at: TimeArray) -> FloatArray:
    """Return how many of ascending times lie in the 60 seconds that end with each."""
    first = np.searchsorted(at, at - _MINUTE_NS, side="right")
    counts: FloatArray = np.arange(1.0, len(at) + 1.0) - first
    return counts


def _of_the_day(at: TimeArray, amounts: FloatArray) -> FloatArray:
    """Return the sum of the day (UTC) so far, at each of ascending times."""
    if not len(at):
        return amounts
    sums = np.cumsum(amounts)
    first = np.flatnonzero(np.diff(at // _DAY_NS, prepend=-1))
    before = np.repeat(sums[first] - amounts[first], np.diff(np.append(first, len(at))))
    of_the_day: FloatArray = sums - before
    return of_the_day


def _open(orders: Sequence[tuple[Order, int]]) -> tuple[TimeArray, FloatArray]:
    """Return how many orders were open, at each time at which that changed."""
    begun = np.array([order.ts_sent for order, _ in orders], np.int64)
    ended = np.array([end for order, end in orders if not order.is_open], np.int64)
    times = np.concatenate([begun, ended])
    changes = np.concatenate([np.ones(len(begun)), -np.ones(len(ended))])
    # What ends at a time is gone before the next begins.
    order = np.lexsort((changes, times))
    return times[order], np.cumsum(changes[order])
