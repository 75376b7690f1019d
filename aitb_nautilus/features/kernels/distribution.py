"""Volatility: the shape of the returns."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, Cells, Values, feature, window
from aitb_nautilus.features.windows.moments import four_moments_cells, window_four_moments
from aitb_nautilus.features.windows.pairs import correlation_of, pair_cells, window_pairs
from aitb_nautilus.features.windows.values import limited, log_change, swap

# Returns that differ by less than 1e-12 differ by rounding; their shape means nothing.
LEAST_VARIANCE = 1e-24


@feature(
    family="volatility",
    unit="none",
    parameters=(window(3, example=120),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + four_moments_cells(n),
    bounds=lambda n: (-math.sqrt(n), math.sqrt(n)),
)
def skewness(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the skewness of the returns.

    Formula
    -------
    mean(d^3) / mean(d^2)^1.5, d = r - mean(r), r = ln(C / C[1]) over n bars; 0 if they do not
    differ

    References
    ----------
    Fisher-Pearson coefficient; Amaya et al. (2015), Does realized skewness predict the
    cross-section of equity returns?
    """
    n = int(p[0])
    _, m2, m3, _ = window_four_moments(s, 1, n, log_change(s, 0, x[CLOSE]), k)
    if m2 <= LEAST_VARIANCE * n:
        return 0.0
    most = math.sqrt(float(n))
    return limited(most * m3 / (m2 * math.sqrt(m2)), -most, most)


@feature(
    family="volatility",
    unit="none",
    parameters=(window(4, example=120),),
    warmup=lambda n: n + 1,
    cells=lambda n: 1 + four_moments_cells(n),
    bounds=lambda n: (-2.0, n),
)
def kurtosis(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return the excess kurtosis of the returns: 0 for a normal distribution.

    Formula
    -------
    mean(d^4) / mean(d^2)^2 - 3, d = r - mean(r), r = ln(C / C[1]) over n bars; 0 if they do not
    differ

    References
    ----------
    Pearson; Amaya et al. (2015), Does realized skewness predict the cross-section of equity
    returns?
    """
    n = int(p[0])
    _, m2, _, m4 = window_four_moments(s, 1, n, log_change(s, 0, x[CLOSE]), k)
    if m2 <= LEAST_VARIANCE * n:
        return 0.0
    return limited(n * m4 / (m2 * m2) - 3.0, -2.0, float(n))


@feature(
    family="volatility",
    unit="correlation",
    parameters=(window(3, example=120),),
    warmup=lambda n: n + 2,
    cells=lambda n: 2 + pair_cells(n),
    bounds=(-1.0, 1.0),
)
def volatility_clustering(s: Cells, p: Values, x: Values, _y: Values, k: int) -> float:
    """Return whether large moves follow large moves.

    Formula
    -------
    correlation of |r| with |r[1]|, r = ln(C / C[1]) over n bars; 0 if one side does not vary

    References
    ----------
    Ding, Granger and Engle (1993), A long memory property of stock market returns and a new model.
    """
    size = abs(log_change(s, 0, x[CLOSE]))
    figures = window_pairs(s, 2, int(p[0]), size, swap(s, 1, size), k)
    return correlation_of(figures[2], figures[3], figures[4])
