"""Trend: price beside its averages, and the straight line through it."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, INF, Cells, Values, feature, window
from aitb_nautilus.features.windows.averages import ema, ema_cells, ema_depth
from aitb_nautilus.features.windows.pairs import correlation_of, pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import sum_cells, window_sum
from aitb_nautilus.features.windows.values import swap

_FAST = window(1, example=12, name="fast", text="bars of the fast average", most=2000)
_SLOW = window(2, example=26, name="slow", text="bars of the slow average", most=2000)


def _not_faster(fast: int, slow: int, *_: int) -> str | None:
    return None if fast < slow else f"fast was {fast}, must be less than slow, {slow}"


@feature(
    family="trend",
    unit="fraction of the average",
    parameters=(window(2, example=20),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(-1.0, INF),
)
def sma_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies from its simple average.

    Formula
    -------
    C / mean(C) - 1 over n bars

    References
    ----------
    Brock, Lakonishok and LeBaron (1992), Simple technical trading rules and the stochastic
    properties of stock returns.
    """
    n = int(p[0])
    return x[CLOSE] / (window_sum(s, 0, n, x[CLOSE], k) / n) - 1.0


@feature(
    family="trend",
    unit="fraction of the slow average",
    parameters=(
        window(1, example=10, name="fast", text="bars of the fast average"),
        window(2, example=50, name="slow", text="bars of the slow average"),
    ),
    refuses=_not_faster,
    warmup=lambda _fast, slow: slow,
    cells=lambda fast, slow: sum_cells(fast) + sum_cells(slow),
    bounds=(-1.0, INF),
)
def sma_cross(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far a fast simple average lies from a slow one.

    Formula
    -------
    mean(C over fast) / mean(C over slow) - 1

    References
    ----------
    Brock, Lakonishok and LeBaron (1992), Simple technical trading rules and the stochastic
    properties of stock returns.
    """
    fast = int(p[0])
    slow = int(p[1])
    near = window_sum(s, 0, fast, x[CLOSE], k) / fast
    far = window_sum(s, sum_cells(fast), slow, x[CLOSE], k) / slow
    return near / far - 1.0


@feature(
    family="trend",
    unit="fraction of the average",
    parameters=(window(1, example=20, text="bars of the average", most=2000),),
    warmup=ema_depth,
    cells=ema_cells,
    bounds=(-1.0, INF),
)
def ema_distance(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies from its exponential average.

    Formula
    -------
    C / EMA(C, n) - 1

    References
    ----------
    Exponential average with weight 2 / (n + 1): Appel (2005), Technical analysis.
    """
    return x[CLOSE] / ema(s, 0, int(p[0]), x[CLOSE], k) - 1.0


@feature(
    family="trend",
    unit="fraction of the slow average",
    parameters=(_FAST, _SLOW),
    refuses=_not_faster,
    warmup=lambda _fast, slow: ema_depth(slow),
    cells=lambda fast, slow: ema_cells(fast) + ema_cells(slow),
    bounds=(-1.0, INF),
)
def ema_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far a fast exponential average lies from a slow one.

    Formula
    -------
    EMA(C, fast) / EMA(C, slow) - 1; a hundredth of the percentage price oscillator

    References
    ----------
    Appel (2005), Technical analysis: power tools for active investors.
    """
    fast = int(p[0])
    near = ema(s, 0, fast, x[CLOSE], k)
    return near / ema(s, ema_cells(fast), int(p[1]), x[CLOSE], k) - 1.0


@feature(
    family="trend",
    unit="fraction of the close",
    parameters=(
        _FAST,
        _SLOW,
        window(1, example=9, name="signal", text="bars of the signal's average", most=2000),
    ),
    refuses=_not_faster,
    warmup=lambda _fast, slow, signal: ema_depth(slow) + ema_depth(signal) - 1,
    cells=lambda fast, slow, signal: ema_cells(fast) + ema_cells(slow) + ema_cells(signal),
    bounds=(-INF, INF),
)
def macd_histogram(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the histogram of MACD: how fast the averages part.

    Formula
    -------
    (M - EMA(M, signal)) / C, M = EMA(C, fast) - EMA(C, slow)

    References
    ----------
    Appel (2005), Technical analysis: power tools for active investors.
    """
    fast = int(p[0])
    slow = int(p[1])
    far = ema_cells(fast)
    macd = ema(s, 0, fast, x[CLOSE], k) - ema(s, far, slow, x[CLOSE], k)
    return (macd - ema(s, far + ema_cells(slow), int(p[2]), macd, k)) / x[CLOSE]


@feature(
    family="trend",
    unit="change a bar, fraction",
    parameters=(window(1, example=15, text="bars of each average", most=600),),
    warmup=lambda n: 3 * ema_depth(n) - 1,
    cells=lambda n: 3 * ema_cells(n) + 1,
    bounds=(-1.0, INF),
)
def trix(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the change of a triple exponential average in one bar.

    Formula
    -------
    E / E[1] - 1, E = EMA(EMA(EMA(C, n), n), n)

    References
    ----------
    Hutson (1983), Good TRIX, Technical Analysis of Stocks and Commodities 1.
    """
    n = int(p[0])
    size = ema_cells(n)
    once = ema(s, 1, n, x[CLOSE], k)
    twice = ema(s, 1 + size, n, once, k)
    thrice = ema(s, 1 + 2 * size, n, twice, k)
    return thrice / swap(s, 0, thrice) - 1.0


@feature(
    family="trend",
    unit="log return a bar",
    parameters=(window(3, example=30),),
    warmup=lambda n: n,
    cells=pair_cells,
    bounds=(-INF, INF),
)
def linear_slope(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the slope of the straight line through the log closes.

    Formula
    -------
    cov(ln C, t) / var(t) over n bars, t = bars

    References
    ----------
    Least squares; Clenow (2015), Stocks on the move.
    """
    figures = window_pairs(s, 0, int(p[0]), math.log(x[CLOSE]), float(k), k)
    return figures[4] / figures[3]


@feature(
    family="trend",
    unit="correlation",
    parameters=(window(3, example=30),),
    warmup=lambda n: n,
    cells=pair_cells,
    bounds=(-1.0, 1.0),
)
def trend_correlation(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how straight the price went, and in which direction.

    Formula
    -------
    correlation of ln C with time over n bars; its square is the R^2 of the straight line

    References
    ----------
    Least squares; Clenow (2015), Stocks on the move.
    """
    figures = window_pairs(s, 0, int(p[0]), math.log(x[CLOSE]), float(k), k)
    return correlation_of(figures[2], figures[3], figures[4])
