"""Trend: whether the market goes somewhere, and where to."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, HIGH, LOW, Cells, Values, feature, window
from aitb_nautilus.features.windows.averages import wilder, wilder_cells, wilder_depth
from aitb_nautilus.features.windows.sums import (
    delay,
    delay_cells,
    extreme_cells,
    latest_max,
    latest_max_cells,
    sum_cells,
    window_max,
    window_min,
    window_sum,
)
from aitb_nautilus.features.windows.values import limited, quotient, swap, true_range


def _directional_cells(n: int) -> int:
    return 3 + 3 * wilder_cells(n)


def _directional(s: Cells, o: int, n: int, x: Values, k: int) -> tuple[float, float]:
    """Return Wilder's +DI and -DI, in percent."""
    up = x[HIGH] - swap(s, o, x[HIGH])
    down = swap(s, o + 1, x[LOW]) - x[LOW]
    span = true_range(x, swap(s, o + 2, x[CLOSE]))
    size = wilder_cells(n)
    rise = wilder(s, o + 3, n, up if up > down and up > 0.0 else 0.0, k)
    fall = wilder(s, o + 3 + size, n, down if down > up and down > 0.0 else 0.0, k)
    total = wilder(s, o + 3 + 2 * size, n, span, k)
    return 100.0 * quotient(rise, total, 0.0), 100.0 * quotient(fall, total, 0.0)


@feature(
    family="trend",
    unit="percent",
    parameters=(window(1, example=14, text="bars of each average", most=700),),
    warmup=lambda n: 2 * wilder_depth(n),
    cells=lambda n: _directional_cells(n) + wilder_cells(n),
    bounds=(0.0, 100.0),
)
def adx(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the strength of the trend, whatever its direction.

    Formula
    -------
    Wilder average over n of 100 |+DI - -DI| / (+DI + -DI)

    References
    ----------
    Wilder (1978), New concepts in technical trading systems, ch. 4.
    """
    n = int(p[0])
    plus, minus = _directional(s, 0, n, x, k)
    strength = 100.0 * quotient(abs(plus - minus), plus + minus, 0.0)
    return limited(wilder(s, _directional_cells(n), n, strength, k), 0.0, 100.0)


@feature(
    family="trend",
    unit="percent",
    parameters=(window(1, example=14, text="bars of each average", most=700),),
    warmup=lambda n: wilder_depth(n) + 1,
    cells=_directional_cells,
    bounds=(-100.0, 100.0),
)
def directional_difference(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return by how much upward movement outweighs downward movement.

    Formula
    -------
    +DI - -DI, each 100 times Wilder's average of directional movement over that of true range

    References
    ----------
    Wilder (1978), New concepts in technical trading systems, ch. 4.
    """
    plus, minus = _directional(s, 0, int(p[0]), x, k)
    return limited(plus - minus, -100.0, 100.0)


@feature(
    family="trend",
    unit="percent",
    parameters=(window(1, example=25, text="bars back"),),
    warmup=lambda n: n + 1,
    cells=lambda n: 2 * latest_max_cells(n + 1),
    bounds=(-100.0, 100.0),
)
def aroon(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether the highest high or the lowest low is the more recent.

    Formula
    -------
    100 (bars since the lowest low - bars since the highest high) / n over n + 1 bars

    References
    ----------
    Chande (1995), A time price oscillator, Technical Analysis of Stocks and Commodities 13.
    """
    n = int(p[0])
    since_high = latest_max(s, 0, n + 1, x[HIGH], k)
    since_low = latest_max(s, latest_max_cells(n + 1), n + 1, -x[LOW], k)
    return 100.0 * (since_low - since_high) / n


@feature(
    family="trend",
    unit="percent",
    parameters=(window(2, example=14),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + sum_cells(n) + 2 * extreme_cells(n),
    bounds=(0.0, 100.0),
)
def choppiness(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how much of the movement led nowhere: 0 a straight line, 100 none of it led anywhere.

    Formula
    -------
    100 ln(sum(TR) / (max(TH) - min(TL))) / ln(n), TR = TH - TL, TH = max(H, C[1]), TL = min(L,
    C[1]); 100 if nothing moved

    References
    ----------
    Choppiness index of Dreiss, with true highs and lows so that it stays within 0 and 100.
    """
    n = int(p[0])
    before = swap(s, 0, x[CLOSE])
    span = true_range(x, before)
    high = max(x[HIGH], before)
    way = window_sum(s, 1, n, span, k)
    high = window_max(s, 1 + sum_cells(n), n, high, k)
    low = window_min(s, 1 + sum_cells(n) + extreme_cells(n), n, min(x[LOW], before), k)
    if high <= low:
        return 100.0
    return limited(100.0 * math.log(way / (high - low)) / math.log(float(n)), 0.0, 100.0)


@feature(
    family="trend",
    unit="fraction of the way",
    parameters=(window(1, example=20, text="bars back"),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + delay_cells(n) + sum_cells(n),
    bounds=(-1.0, 1.0),
)
def efficiency(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how much of the way travelled was progress, with its direction.

    Formula
    -------
    (C - C[n]) / sum(|C - C[1]|) over n bars; 0 if nothing moved

    References
    ----------
    Efficiency ratio of Kaufman (1995), Smarter trading; a hundredth of Chande's momentum
    oscillator.
    """
    n = int(p[0])
    step = x[CLOSE] - swap(s, 0, x[CLOSE])
    net = x[CLOSE] - delay(s, 1, n, x[CLOSE], k)
    way = window_sum(s, 1 + delay_cells(n), n, abs(step), k)
    return limited(quotient(net, way, 0.0), -1.0, 1.0)
