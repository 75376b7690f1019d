"""Price: how far it moved, and where it stands in its recent range."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import (
    CLOSE,
    HIGH,
    INF,
    LOW,
    Cells,
    Values,
    feature,
    window,
)
from aitb_nautilus.features.windows.sums import (
    delay,
    delay_cells,
    extreme_cells,
    sum_cells,
    window_max,
    window_min,
    window_sum,
)
from aitb_nautilus.features.windows.values import log_change, quotient


@feature(
    family="price",
    unit="log return",
    parameters=(window(1, example=5, text="bars back"),),
    warmup=lambda n: n + 1,
    cells=delay_cells,
    bounds=(-INF, INF),
)
def log_return(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close moved in n bars.

    Formula
    -------
    ln(C / C[n])

    References
    ----------
    Definition.
    """
    return math.log(x[CLOSE] / delay(s, 0, int(p[0]), x[CLOSE], k))


@feature(
    family="price",
    unit="log return",
    parameters=(window(1, example=10, text="bars of each half"),),
    warmup=lambda n: 2 * n + 1,
    cells=lambda n: 2 * delay_cells(n),
    bounds=(-INF, INF),
)
def acceleration(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return by how much the last n bars moved more than the n before them.

    Formula
    -------
    ln(C / C[n]) - ln(C[n] / C[2n])

    References
    ----------
    Second difference of the log price.
    """
    n = int(p[0])
    middle = delay(s, 0, n, x[CLOSE], k)
    first = delay(s, delay_cells(n), n, middle, k)
    return math.log(x[CLOSE] / middle) - math.log(middle / first)


@feature(
    family="price",
    unit="usual moves",
    parameters=(window(2, example=60),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + sum_cells(n),
    bounds=lambda n: (-math.sqrt(n), math.sqrt(n)),
)
def return_shock(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the last move in units of the usual move.

    Formula
    -------
    r / sqrt(mean(r^2)), r = ln(C / C[1]), mean over n bars; 0 if nothing moved

    References
    ----------
    Return standardised by realised volatility: Andersen et al. (2001), The distribution of realized
    stock return volatility.
    """
    n = int(p[0])
    r = log_change(s, 0, x[CLOSE])
    return quotient(r, math.sqrt(window_sum(s, 1, n, r * r, k) / n), 0.0)


@feature(
    family="price",
    unit="fraction of the high",
    parameters=(window(1, example=60),),
    warmup=lambda n: n,
    cells=extreme_cells,
    bounds=(-1.0, 0.0),
)
def distance_from_high(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies under the highest high.

    Formula
    -------
    C / max(H) - 1 over n bars

    References
    ----------
    George and Hwang (2004), The 52-week high and momentum investing.
    """
    return x[CLOSE] / window_max(s, 0, int(p[0]), x[HIGH], k) - 1.0


@feature(
    family="price",
    unit="fraction of the low",
    parameters=(window(1, example=60),),
    warmup=lambda n: n,
    cells=extreme_cells,
    bounds=(0.0, INF),
)
def distance_from_low(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return how far the close lies above the lowest low.

    Formula
    -------
    C / min(L) - 1 over n bars

    References
    ----------
    George and Hwang (2004), The 52-week high and momentum investing.
    """
    return x[CLOSE] / window_min(s, 0, int(p[0]), x[LOW], k) - 1.0


@feature(
    family="price",
    unit="fraction of the range",
    parameters=(window(1, example=20),),
    warmup=lambda n: n,
    cells=lambda n: 2 * extreme_cells(n),
    bounds=(0.0, 1.0),
)
def range_position(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return where the close stands between the lowest low and the highest high.

    Formula
    -------
    (C - min(L)) / (max(H) - min(L)) over n bars; 0.5 if they are equal

    References
    ----------
    Donchian channel; 100 times it is the raw stochastic %K of Lane (1984).
    """
    n = int(p[0])
    high = window_max(s, 0, n, x[HIGH], k)
    low = window_min(s, extreme_cells(n), n, x[LOW], k)
    return quotient(x[CLOSE] - low, high - low, 0.5)
