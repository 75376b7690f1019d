"""Volatility from the ranges of bars: high and low tell more than two closes."""

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
from aitb_nautilus.features.windows.averages import wilder, wilder_cells, wilder_depth
from aitb_nautilus.features.windows.moments import spread_cells, window_spread
from aitb_nautilus.features.windows.sums import sum_cells, window_sum
from aitb_nautilus.features.windows.values import quotient, swap, true_range

LN2 = 0.6931471805599453

_PER_BAR = "log return a bar, standard deviation"


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(0.0, INF),
)
def parkinson(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility seen in high and low.

    Formula
    -------
    sqrt(mean(ln(H / L)^2) / (4 ln 2)) over n bars

    References
    ----------
    Parkinson (1980), The extreme value method for estimating the variance of the rate of return,
    Journal of Business 53.
    """
    n = int(p[0])
    span = math.log(x[HIGH] / x[LOW])
    return math.sqrt(window_sum(s, 0, n, span * span, k) / (4.0 * LN2 * n))


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(0.0, INF),
)
def garman_klass(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility seen in open, high, low and close.

    Formula
    -------
    sqrt(mean(ln(H / L)^2 / 2 - (2 ln 2 - 1) ln(C / O)^2)) over n bars

    References
    ----------
    Garman and Klass (1980), On the estimation of security price volatilities from historical data,
    Journal of Business 53.
    """
    n = int(p[0])
    span = math.log(x[HIGH] / x[LOW])
    body = math.log(x[CLOSE] / x[OPEN])
    variance = 0.5 * span * span - (2.0 * LN2 - 1.0) * body * body
    return math.sqrt(max(0.0, window_sum(s, 0, n, variance, k)) / n)


def _rogers_satchell(x: Values) -> float:
    """Return one bar's variance; it is >= 0 and knows no drift."""
    up = math.log(x[HIGH] / x[CLOSE]) * math.log(x[HIGH] / x[OPEN])
    return up + math.log(x[LOW] / x[CLOSE]) * math.log(x[LOW] / x[OPEN])


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(1),),
    warmup=lambda n: n,
    cells=sum_cells,
    bounds=(0.0, INF),
)
def rogers_satchell(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility seen inside bars, whatever the drift.

    Formula
    -------
    sqrt(mean(ln(H / C) ln(H / O) + ln(L / C) ln(L / O))) over n bars

    References
    ----------
    Rogers and Satchell (1991), Estimating variance from high, low and closing prices, Annals of
    Applied Probability 1.
    """
    n = int(p[0])
    return math.sqrt(window_sum(s, 0, n, _rogers_satchell(x), k) / n)


@feature(
    family="volatility",
    unit=_PER_BAR,
    parameters=(window(2),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + 2 * spread_cells(n) + sum_cells(n),
    bounds=(0.0, INF),
)
def yang_zhang(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the volatility of gaps and of bars together, whatever the drift.

    Formula
    -------
    sqrt(var(ln(O / C[1])) + w var(ln(C / O)) + (1 - w) RS^2) over n bars, sample variances,
    w = 0.34 / (1.34 + (n + 1) / (n - 1)), RS as in rogers_satchell

    References
    ----------
    Yang and Zhang (2000), Drift independent volatility estimation based on high, low, open and
    close prices, Journal of Business 73.
    """
    n = int(p[0])
    before = swap(s, 0, x[CLOSE])
    gap = math.log(x[OPEN] / before)
    gaps = window_spread(s, 1, n, gap, k)[1] / (n - 1)
    bodies = window_spread(s, 1 + spread_cells(n), n, math.log(x[CLOSE] / x[OPEN]), k)[1] / (n - 1)
    inside = window_sum(s, 1 + 2 * spread_cells(n), n, _rogers_satchell(x), k) / n
    w = 0.34 / (1.34 + (n + 1.0) / (n - 1.0))
    return math.sqrt(gaps + w * bodies + (1.0 - w) * inside)


@feature(
    family="volatility",
    unit="quote currency",
    parameters=(window(1, example=14, text="bars of the average", most=700),),
    warmup=lambda n: wilder_depth(n) + 1,
    cells=lambda n: 1 + wilder_cells(n),
    bounds=(0.0, INF),
    price_power=1,
)
def atr(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the average true range, in money: for stops rather than for models.

    Formula
    -------
    Wilder average over n of TR = max(H, C[1]) - min(L, C[1])

    References
    ----------
    Wilder (1978), New concepts in technical trading systems, ch. 3.
    """
    return wilder(s, 1, int(p[0]), true_range(x, swap(s, 0, x[CLOSE])), k)


@feature(
    family="volatility",
    unit="percent of the close",
    parameters=(window(1, example=14, text="bars of the average", most=700),),
    warmup=lambda n: wilder_depth(n) + 1,
    cells=lambda n: 1 + wilder_cells(n),
    bounds=(0.0, INF),
)
def natr(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the average true range beside the price.

    Formula
    -------
    100 ATR / C

    References
    ----------
    Forman (2006), Cross-market evaluations with normalized average true range, Technical Analysis
    of Stocks and Commodities 24.
    """
    span = true_range(x, swap(s, 0, x[CLOSE]))
    return 100.0 * wilder(s, 1, int(p[0]), span, k) / x[CLOSE]


@feature(
    family="volatility",
    unit="usual ranges",
    parameters=(window(1),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + sum_cells(n),
    bounds=lambda n: (0.0, n),
)
def range_ratio(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the true range of the last bar beside the usual one.

    Formula
    -------
    TR / mean(TR) over n bars, TR = max(H, C[1]) - min(L, C[1]); 1 if nothing moved

    References
    ----------
    Range expansion; Crabel (1990), Day trading with short term price patterns.
    """
    n = int(p[0])
    span = true_range(x, swap(s, 0, x[CLOSE]))
    return min(float(n), quotient(span, window_sum(s, 1, n, span, k) / n, 1.0))
