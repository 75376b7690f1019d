"""Mean and central moments of the last n values.

Welford's update inside a block and Chan's formula to join two blocks: no sum of squares from which
the square of a sum is taken, hence no loss of digits when the mean is large beside the spread.

References
----------
Welford (1962), Note on a method for calculating corrected sums of squares and products.
Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample
variances.
Pébay (2008), Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
statistical moments, SAND2008-6212.
"""

from __future__ import annotations

from aitb_nautilus.features.kernel import Cells
from aitb_nautilus.features.windows.sums import block_place

__all__ = ["four_moments_cells", "spread_cells", "window_four_moments", "window_spread"]


def spread_cells(n: int) -> int:
    """Return the cells of `window_spread`."""
    return 2 * n + 3


def window_spread(s: Cells, o: int, n: int, x: float, k: int) -> tuple[float, float]:
    """Return the mean of the last n values and the sum of squared distances from it.

    The second is 0.0 exactly if all n values are equal. Divided by n it is the population variance.
    """
    i = block_place(s, o, n, k)
    means = o + 3
    squares = o + 3 + n
    mean = s[o + 1]
    m2 = s[o + 2]
    if i == 0:
        mean = x
        m2 = 0.0
    else:
        d = x - mean
        mean += d / (i + 1)
        m2 += d * (x - mean)
    s[o + 1] = mean
    s[o + 2] = m2
    s[means + i] = x
    if i == n - 1:
        tail_mean = 0.0
        tail_m2 = 0.0
        for j in range(i, -1, -1):
            value = s[means + j]
            d = value - tail_mean
            tail_mean += d / (n - j)
            tail_m2 += d * (value - tail_mean)
            s[means + j] = tail_mean
            s[squares + j] = tail_m2
        return mean, m2
    d = s[means + i + 1] - mean
    w = (n - 1 - i) / n
    return mean + d * w, m2 + s[squares + i + 1] + d * d * w * (i + 1)


def four_moments_cells(n: int) -> int:
    """Return the cells of `window_four_moments`."""
    return 4 * n + 5


def _add(s: Cells, o: int, count: int, x: float) -> None:
    """Add a value to the moments of `count` values that stand at o to o + 3."""
    m2 = s[o + 1]
    m3 = s[o + 2]
    d = x - s[o]
    part = d / (count + 1)
    term = d * part * count
    s[o + 3] += (
        term * part * part * ((count + 1) * (count + 1) - 3 * (count + 1) + 3)
        + 6.0 * part * part * m2
        - 4.0 * part * m3
    )
    s[o + 2] = m3 + term * part * (count - 1) - 3.0 * part * m2
    s[o + 1] = m2 + term
    s[o] += part


def window_four_moments(
    s: Cells, o: int, n: int, x: float, k: int
) -> tuple[float, float, float, float]:
    """Return the mean of the last n values and the sums of distances to the powers 2, 3 and 4."""
    i = block_place(s, o, n, k)
    h = o + 1
    if i == 0:
        s[h] = x
        s[h + 1] = 0.0
        s[h + 2] = 0.0
        s[h + 3] = 0.0
    else:
        _add(s, h, i, x)
    b = o + 5
    s[b + 4 * i] = x
    mean = s[h]
    m2 = s[h + 1]
    m3 = s[h + 2]
    m4 = s[h + 3]
    if i == n - 1:
        _close(s, b, n)
        return mean, m2, m3, m4
    t = b + 4 * (i + 1)
    a = float(i + 1)
    c = float(n - 1 - i)
    d = s[t] - mean
    d_n = d / n
    joined2 = m2 + s[t + 1] + d * d_n * a * c
    joined3 = m3 + s[t + 2] + d * d_n * d_n * a * c * (a - c) + 3.0 * d_n * (a * s[t + 1] - c * m2)
    joined4 = (
        m4
        + s[t + 3]
        + d * d_n * d_n * d_n * a * c * (a * a - a * c + c * c)
        + 6.0 * d_n * d_n * (a * a * s[t + 1] + c * c * m2)
        + 4.0 * d_n * (a * s[t + 2] - c * m3)
    )
    return mean + d_n * c, joined2, joined3, joined4


def _close(s: Cells, b: int, n: int) -> None:
    """Turn the n values of a closed block into the moments from each place to its end."""
    last = b + 4 * (n - 1)
    s[last + 1] = 0.0
    s[last + 2] = 0.0
    s[last + 3] = 0.0
    for j in range(n - 2, -1, -1):
        t = b + 4 * j
        value = s[t]
        s[t] = s[t + 4]
        s[t + 1] = s[t + 5]
        s[t + 2] = s[t + 6]
        s[t + 3] = s[t + 7]
        _add(s, t, n - 1 - j, value)
