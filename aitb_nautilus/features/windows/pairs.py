"""Means, variances and the covariance of the last n pairs of values.

References
----------
Chan, Golub and LeVeque (1979), as in `aitb_nautilus.features.windows.moments`; the covariance joins
by the same formula (Pébay 2008).
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import Cells
from aitb_nautilus.features.windows.sums import block_place

__all__ = ["correlation_of", "pair_cells", "window_pairs"]


def pair_cells(n: int) -> int:
    """Return the cells of `window_pairs`."""
    return 5 * n + 6


def _add_pair(s: Cells, o: int, count: int, x: float, y: float) -> None:
    """Add a pair to the figures of `count` pairs that stand at o to o + 4."""
    dx = x - s[o]
    dy = y - s[o + 1]
    s[o] += dx / (count + 1)
    s[o + 1] += dy / (count + 1)
    s[o + 2] += dx * (x - s[o])
    s[o + 3] += dy * (y - s[o + 1])
    s[o + 4] += dx * (y - s[o + 1])


def window_pairs(
    s: Cells, o: int, n: int, x: float, y: float, k: int
) -> tuple[float, float, float, float, float]:
    """Return means and sums of products of distances from them, of the last n pairs.

    Returns
    -------
    tuple
        Mean of x, mean of y, sum of (x - mean)^2, of (y - mean)^2, of their product.
    """
    i = block_place(s, o, n, k)
    h = o + 1
    if i == 0:
        s[h] = x
        s[h + 1] = y
        s[h + 2] = 0.0
        s[h + 3] = 0.0
        s[h + 4] = 0.0
    else:
        _add_pair(s, h, i, x, y)
    b = o + 6
    s[b + 5 * i] = x
    s[b + 5 * i + 1] = y
    if i == n - 1:
        _close_pairs(s, b, n)
        return s[h], s[h + 1], s[h + 2], s[h + 3], s[h + 4]
    t = b + 5 * (i + 1)
    dx = s[t] - s[h]
    dy = s[t + 1] - s[h + 1]
    w = (n - 1 - i) / n
    a = w * (i + 1)
    return (
        s[h] + dx * w,
        s[h + 1] + dy * w,
        s[h + 2] + s[t + 2] + dx * dx * a,
        s[h + 3] + s[t + 3] + dy * dy * a,
        s[h + 4] + s[t + 4] + dx * dy * a,
    )


def _close_pairs(s: Cells, b: int, n: int) -> None:
    """Turn the n pairs of a closed block into the figures from each place to its end."""
    last = b + 5 * (n - 1)
    s[last + 2] = 0.0
    s[last + 3] = 0.0
    s[last + 4] = 0.0
    for j in range(n - 2, -1, -1):
        t = b + 5 * j
        x = s[t]
        y = s[t + 1]
        for c in range(5):
            s[t + c] = s[t + 5 + c]
        _add_pair(s, t, n - 1 - j, x, y)


def correlation_of(mxx: float, myy: float, mxy: float) -> float:
    """Return the correlation in [-1, 1] of sums of products; 0 if one side does not move."""
    if mxx <= 0.0 or myy <= 0.0:
        return 0.0
    r = mxy / (math.sqrt(mxx) * math.sqrt(myy))
    return min(1.0, max(-1.0, r))
