"""Returns of a run over days and shorter steps: how they spread, and what was foretold of them."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pyarrow as pa

from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.returns import DAY_NS, DAYS_PER_YEAR
from aitb_nautilus.observe.risk_record import HorizonRisk, Peak
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.observe.value_at_risk import (
    LEVELS,
    Method,
    ewma_deviation,
    foretell,
    steps_needed,
    tail_figures,
    window_of,
)
from aitb_nautilus.run.stretches import Stretches, length_for

__all__ = ["Steps", "TailRisk", "measure_tails"]

_MOST_STEPS = 10_000
_MOST_ROWS = 2_000
_VOLATILITY_STEPS = 20
_METHODS: tuple[Method, ...] = ("historical", "ewma")


class Steps(msgspec.Struct, frozen=True):
    """Returns of equity over steps of one length.

    Attributes
    ----------
    name
        Of the length, such as ``1d``.
    ts, returns
        End of each and its return, shape (n,).
    held
        Whether something was held in it, bool, shape (n,).
    """

    name: str
    length_ns: int
    ts: TimeArray
    returns: FloatArray
    held: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class TailRisk(msgspec.Struct, frozen=True):
    """What `measure_tails` found.

    Attributes
    ----------
    horizons
        Days first.
    volatility_of
        Of which steps the volatilities are.
    ts
        Ends of these, shape (n,).
    volatility, ewma_volatility
        Of a year, as fractions; NaN where too few steps were seen.
    table
        Following ``TABLES["tails"]``.
    """

    horizons: list[HorizonRisk]
    volatility_of: str
    ts: TimeArray
    volatility: FloatArray
    ewma_volatility: FloatArray
    table: pa.Table

    def at(self, times: TimeArray, values: FloatArray) -> FloatArray:
        """Return the last value known at each time; NaN before the first."""
        place = np.searchsorted(self.ts, times, side="right")
        known: FloatArray = np.concatenate([[np.nan], values])[place]
        return known


def measure_tails(
    ts: TimeArray, equity: FloatArray, gross: FloatArray, starting_equity: float, interval_ns: int
) -> TailRisk:
    """Return spread and tails of the returns of equity.

    Only steps in which something was held count for the tails: a forecast of nothing is no feat.

    Parameters
    ----------
    ts, equity, gross
        At the closes of all bars, shape (n,).
    interval_ns
        Of the shortest bars.
    """
    days = _steps(ts, equity, gross, starting_equity, DAY_NS)
    span = int(ts[-1]) - int(ts[0]) + interval_ns
    short = length_for(span, interval_ns, _MOST_STEPS)
    found = [days]
    if short < DAY_NS:
        found.append(_steps(ts, equity, gross, starting_equity, short))
    seen = next((s for s in found if len(s.ts) > 2 * _VOLATILITY_STEPS), found[-1])
    a_year = DAYS_PER_YEAR * DAY_NS / seen.length_ns
    foretold = next((s for s in found if s.held.sum() >= steps_needed()), None)
    return TailRisk(
        [_horizon(one) for one in found],
        seen.name,
        seen.ts,
        _rolling_deviation(seen.returns) * math.sqrt(a_year),
        _known_ewma(seen.returns) * math.sqrt(a_year),
        TABLES["tails"].empty_table() if foretold is None else _table(foretold),
    )


def _steps(
    ts: TimeArray, equity: FloatArray, gross: FloatArray, starting_equity: float, length_ns: int
) -> Steps:
    cut = Stretches(ts, length_ns)
    ends = cut.last(equity)
    before = np.concatenate([[starting_equity], ends[:-1]])
    returns = np.where(before > 0, ends / np.where(before > 0, before, 1.0) - 1, 0.0)
    carried = np.concatenate([[0.0], cut.last(gross)[:-1]])
    held = (cut.largest(gross) > 0) | (carried > 0) | (returns != 0)
    return Steps(cut.name, length_ns, cut.ends, returns, held)


def _horizon(steps: Steps) -> HorizonRisk:
    returns = steps.returns[steps.held]
    enough = len(returns) >= steps_needed()
    worst = None
    if len(returns):
        place = int(np.argmin(returns))
        at = iso(int(steps.ts[steps.held][place]))
        worst = Peak(value=max(-float(returns[place]), 0.0), ts=at)
    known = len(returns) > 1
    return HorizonRisk(
        step=steps.name,
        steps=len(returns),
        needed=steps_needed(),
        window=window_of(len(returns)),
        deviation_frac=float(np.std(returns, ddof=1)) if known else None,
        ewma_deviation_frac=float(ewma_deviation(returns, len(returns))[-1]) if known else None,
        worst=worst,
        tails=(
            [tail_figures(returns, method, level) for method in _METHODS for level in LEVELS]
            if enough
            else []
        ),
    )


def _rolling_deviation(returns: FloatArray) -> FloatArray:
    """Return the standard deviation of the last steps, at each; NaN before there are as many."""
    found = np.full(len(returns), np.nan)
    if len(returns) >= _VOLATILITY_STEPS:
        views = np.lib.stride_tricks.sliding_window_view(returns, _VOLATILITY_STEPS)
        found[_VOLATILITY_STEPS - 1 :] = views.std(axis=1, ddof=1)
    return found


def _known_ewma(returns: FloatArray) -> FloatArray:
    """Return the standard deviation foretold after each step, once enough were seen."""
    found = np.full(len(returns), np.nan)
    if len(returns) >= _VOLATILITY_STEPS:
        later = returns[_VOLATILITY_STEPS:]
        begun = float(np.mean(returns[:_VOLATILITY_STEPS] ** 2))
        first = np.concatenate([[math.sqrt(begun)], later])
        found[_VOLATILITY_STEPS - 1 :] = ewma_deviation(first, 1)[1:]
    return found


def _table(steps: Steps) -> pa.Table:
    """Return the last steps that were foretold, with each forecast."""
    returns, ts = steps.returns[steps.held], steps.ts[steps.held]
    values = [foretell(returns, m, round(1 - v, 10))[0][:-1] for m in _METHODS for v in LEVELS]
    rows = min(len(values[0]), _MOST_ROWS)
    columns = [ts[-rows:], returns[-rows:], *(one[-rows:] for one in values)]
    schema = TABLES["tails"]
    arrays = [pa.array(c).cast(field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
