"""Candles: the shape of bars."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import (
    CLOSE,
    HIGH,
    INF,
    LOW,
    OPEN,
    Cells,
    Values,
    feature,
    window,
)
from aitb_nautilus.features.windows.sums import sum_cells, window_sum
from aitb_nautilus.features.windows.values import limited, quotient, swap


@feature(
    family="candle",
    unit="fraction of the range",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def candle_body(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the body of the bar beside its range: the balance of power.

    Formula
    -------
    (C - O) / (H - L); 0 without a range

    References
    ----------
    Livshin (2001), Balance of market power, Technical Analysis of Stocks and Commodities 19.
    """
    return quotient(x[CLOSE] - x[OPEN], x[HIGH] - x[LOW], 0.0)


@feature(
    family="candle",
    unit="fraction of the range",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, 1.0),
)
def upper_wick(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the wick above the body beside the range.

    Formula
    -------
    (H - max(O, C)) / (H - L); 0 without a range

    References
    ----------
    Nison (1991), Japanese candlestick charting techniques.
    """
    return quotient(x[HIGH] - max(x[OPEN], x[CLOSE]), x[HIGH] - x[LOW], 0.0)


@feature(
    family="candle",
    unit="fraction of the range",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, 1.0),
)
def lower_wick(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the wick below the body beside the range.

    Formula
    -------
    (min(O, C) - L) / (H - L); 0 without a range

    References
    ----------
    Nison (1991), Japanese candlestick charting techniques.
    """
    return quotient(min(x[OPEN], x[CLOSE]) - x[LOW], x[HIGH] - x[LOW], 0.0)


@feature(
    family="candle",
    unit="fraction of the range",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(-1.0, 1.0),
)
def close_location(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return where in its range the bar closed: -1 on the low, 1 on the high.

    Formula
    -------
    (2 C - H - L) / (H - L); 0 without a range

    References
    ----------
    Close location value of Chaikin; Achelis (2001), Technical analysis from A to Z.
    """
    place = quotient(2.0 * x[CLOSE] - x[HIGH] - x[LOW], x[HIGH] - x[LOW], 0.0)
    return limited(place, -1.0, 1.0)


@feature(
    family="candle",
    unit="log return",
    warmup=lambda: 2,
    cells=lambda: 1,
    bounds=(-INF, INF),
)
def open_gap(s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return how far the bar opened from the close before.

    Formula
    -------
    ln(O / C[1])

    References
    ----------
    Definition.
    """
    return math.log(x[OPEN] / swap(s, 0, x[CLOSE]))


@feature(
    family="candle",
    unit="log return",
    warmup=lambda: 1,
    cells=lambda: 0,
    bounds=(0.0, INF),
)
def bar_range(_s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return the range of the bar.

    Formula
    -------
    ln(H / L)

    References
    ----------
    Alizadeh, Brandt and Diebold (2002), Range-based estimation of stochastic volatility models.
    """
    return math.log(x[HIGH] / x[LOW])


@feature(
    family="candle",
    unit="fraction",
    warmup=lambda: 2,
    cells=lambda: 2,
    bounds=(-1.0, 1.0),
)
def bar_overlap(s: Cells, _p: Values, x: Values, _y: Values, _k: int) -> float:
    """Return how much the bar shares with the one before: 1 all of it, negative a gap between them.

    Formula
    -------
    (min(H, H[1]) - max(L, L[1])) / (max(H, H[1]) - min(L, L[1])); 1 if both are one price

    References
    ----------
    Inside and outside bars as one number; Crabel (1990), Day trading with short term price
    patterns.
    """
    high = swap(s, 0, x[HIGH])
    low = swap(s, 1, x[LOW])
    shared = min(x[HIGH], high) - max(x[LOW], low)
    return quotient(shared, max(x[HIGH], high) - min(x[LOW], low), 1.0)


@feature(
    family="candle",
    unit="fraction of the ranges",
    parameters=(window(1, example=10),),
    warmup=lambda n: n,
    cells=lambda n: 2 * sum_cells(n),
    bounds=(-1.0, 1.0),
)
def body_balance(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the bodies of n bars beside their ranges.

    Formula
    -------
    sum(C - O) / sum(H - L) over n bars; 0 without a range

    References
    ----------
    Relative vigor of Ehlers (2002), Technical Analysis of Stocks and Commodities 20, as sums.
    """
    n = int(p[0])
    bodies = window_sum(s, 0, n, x[CLOSE] - x[OPEN], k)
    ranges = window_sum(s, sum_cells(n), n, x[HIGH] - x[LOW], k)
    return limited(quotient(bodies, ranges, 0.0), -1.0, 1.0)


@feature(
    family="candle",
    unit="fraction of the ranges",
    parameters=(window(1, example=10),),
    warmup=lambda n: n,
    cells=lambda n: 2 * sum_cells(n),
    bounds=(-1.0, 1.0),
)
def wick_balance(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether lows (above 0) or highs (below 0) were refused in the last n bars.

    Formula
    -------
    sum(lower wick - upper wick) / sum(H - L) over n bars; 0 without a range

    References
    ----------
    Nison (1991), Japanese candlestick charting techniques.
    """
    n = int(p[0])
    lower = min(x[OPEN], x[CLOSE]) - x[LOW]
    upper = x[HIGH] - max(x[OPEN], x[CLOSE])
    wicks = window_sum(s, 0, n, lower - upper, k)
    ranges = window_sum(s, sum_cells(n), n, x[HIGH] - x[LOW], k)
    return limited(quotient(wicks, ranges, 0.0), -1.0, 1.0)
