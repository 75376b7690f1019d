"""Kernels that are wrong on purpose, each in a way that somebody will try one day."""

from __future__ import annotations

import math

import numpy as np

from aitb_nautilus.features.engine import FeatureRows
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.features.kernel import CLOSE, INF, VOLUME, Cells, Values, feature, window
from aitb_nautilus.features.windows.sums import delay, delay_cells, sum_cells, window_sum
from aitb_nautilus.market.bars import BarFrame
from tests.features.feature_bars import run

SHARED = np.zeros(4)


@feature(
    family="price",
    unit="quote currency",
    parameters=(window(1),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + delay_cells(n),
    bounds=(0.0, INF),
    price_power=1,
)
def drifting_sum(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return a running sum from which the oldest value is taken: its rounding errors stay."""
    n = int(p[0])
    s[0] += x[CLOSE] - delay(s, 1, n, x[CLOSE], k)
    return s[0] / n


@feature(
    family="price",
    unit="fraction",
    parameters=(window(1),),
    warmup=lambda n: 10 * n,
    cells=lambda _: 1,
    bounds=(-1.0, INF),
)
def endless_average(s: Cells, p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the distance from an exponential average that never forgets its first value."""
    s[0] = x[CLOSE] if s[0] == 0.0 else s[0] + 2.0 / (p[0] + 1.0) * (x[CLOSE] - s[0])
    return x[CLOSE] / s[0] - 1.0


@feature(
    family="price",
    unit="fraction",
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=lambda n: 2 + delay_cells(n),
    bounds=(-1.0, INF),
)
def blocks_from_the_first_bar(s: Cells, p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the distance from a mean whose order of adding hangs on where the run began."""
    n = int(p[0])
    i = int(s[0])
    s[0] = float(i + 1 if i + 1 < n else 0)
    s[2 + i] = x[CLOSE]
    total = 0.0
    for j in range(n):
        total += s[2 + j]
    return x[CLOSE] / (total / n) - 1.0


@feature(
    family="volume",
    unit="fraction",
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(0.0, INF),
)
def divides_by_zero(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volume beside its mean, which is NaN where nothing traded."""
    n = int(p[0])
    return x[VOLUME] / (window_sum(s, 0, n, x[VOLUME], k) / n)


@feature(
    family="price",
    unit="log return",
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=delay_cells,
    bounds=(-INF, INF),
)
def too_short_warmup(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return a log return as soon as n bars are there, and needs n + 1."""
    before = delay(s, 0, int(p[0]), x[CLOSE], k)
    return math.log(x[CLOSE] / before) if before > 0.0 else 0.0


@feature(
    family="price",
    unit="quote currency",
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=lambda n: n,
    bounds=(0.0, INF),
    price_power=1,
)
def writes_outside_its_cells(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return a mean with a window that needs two cells more than declared."""
    n = int(p[0])
    return window_sum(s, 0, n, x[CLOSE], k) / n


@feature(
    family="price",
    unit="fraction",
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(-1.0, 0.001),
)
def leaves_its_range(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return a distance from the mean that is larger than declared."""
    n = int(p[0])
    return x[CLOSE] / (window_sum(s, 0, n, x[CLOSE], k) / n) - 1.0


@feature(
    family="price",
    unit="quote currency",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, INF),
)
def depends_on_the_money(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return a price and declare that it has no unit of money."""
    return x[CLOSE]


@feature(
    family="price",
    unit="fraction",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, INF),
)
def raises(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return nothing but trouble where nothing traded."""
    if x[VOLUME] <= 0.0:
        raise ValueError("nothing traded")
    return 1.0


@feature(
    family="price",
    unit="quote currency",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, INF),
)
def shares_a_state(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return what the last run left in an array that all runs share."""
    before = SHARED[0]
    SHARED[0] = x[CLOSE]
    return before


@feature(family="price", unit="", warmup=lambda: 1, cells=lambda: 0, bounds=(0.0, 1.0))
def says_nothing(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Undocumented."""
    return x[CLOSE]


def uses_nothing_known(x: float) -> float:
    """Call what is not there."""
    return nowhere(x)  # type: ignore[name-defined]  # noqa: F821


def centred_on_the_whole(features: FeatureSet, *frames: BarFrame) -> FeatureRows:
    """Subtract the mean of the whole history, as a scaler fitted on everything would."""
    rows = run(features, *frames)
    if not rows.valid.any():
        return rows
    mean = rows.values[rows.valid].mean(axis=0)
    return FeatureRows(rows.ts_close, rows.values - mean, rows.valid)


def one_row_early(features: FeatureSet, *frames: BarFrame) -> FeatureRows:
    """Give each bar the row of the next one, as a shift in the wrong direction would."""
    rows = run(features, *frames)
    values = np.r_[rows.values[1:], np.full_like(rows.values[:1], np.nan)]
    return FeatureRows(rows.ts_close, values, rows.valid)


def filled_backwards(features: FeatureSet, *frames: BarFrame) -> FeatureRows:
    """Put the first valid row into the warm-up, as a careless fill would."""
    rows = run(features, *frames)
    values = rows.values.copy()
    if rows.valid.any():
        values[~rows.valid] = rows.values[rows.valid][0]
    return FeatureRows(rows.ts_close, values, rows.valid)
