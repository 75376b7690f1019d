"""Exponential averages with a finite memory.

The textbook average e += a (x - e) remembers its first value for ever: two runs that began on
different bars never agree to the bit, and one wild bar leaves a trace in all that follow. Here the
recursion begins anew on each bar, from the value `depth` bars ago. What is left out weighs
(1 - a)^depth, less than 1e-12, for the depths below; so the value equals the textbook's (and
TA-Lib's) to twelve digits, and depends on `depth` bars alone.

Beginning anew on each bar costs nothing extra: the average over two adjacent stretches is the
average of the later one plus (1 - a)^m times (average of the earlier one - first value of the later
one), m being the length of the later stretch.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

from aitb_nautilus.features.kernel import Cells
from aitb_nautilus.features.windows.sums import block_place

__all__ = [
    "average_cells",
    "ema",
    "ema_cells",
    "ema_depth",
    "wilder",
    "wilder_cells",
    "wilder_depth",
]


def ema_depth(n: int) -> int:
    """Return the bars that an `ema` of n looks at: (1 - 2 / (n + 1))^depth < e^-28 = 7e-13."""
    return 14 * (n + 1)


def wilder_depth(n: int) -> int:
    """Return the bars that a `wilder` average of n looks at: (1 - 1 / n)^depth < e^-28 = 7e-13."""
    return 28 * n


def average_cells(depth: int) -> int:
    """Return the cells of `finite_average`."""
    return depth + 4


def ema_cells(n: int) -> int:
    """Return the cells of `ema`."""
    return average_cells(ema_depth(n))


def wilder_cells(n: int) -> int:
    """Return the cells of `wilder`."""
    return average_cells(wilder_depth(n))


def finite_average(s: Cells, o: int, depth: int, a: float, x: float, k: int) -> float:
    """Return e after e += a (x - e) over the last `depth` values, begun at the oldest of them."""
    i = block_place(s, o, depth, k)
    h = o + 1
    b = o + 4
    keep = 1.0 - a
    if i == 0:
        s[h] = x
        s[h + 1] = keep
        s[h + 2] = x
    else:
        s[h] += a * (x - s[h])
        s[h + 1] *= keep
    s[b + i] = x
    if i == depth - 1:
        weight = keep
        later = x
        total = x
        for j in range(i - 1, -1, -1):
            value = s[b + j]
            total += weight * (value - later)
            weight *= keep
            later = value
            s[b + j] = total
        return s[h]
    return s[h] + s[h + 1] * (s[b + i + 1] - s[h + 2])


def ema(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return the exponential average with a = 2 / (n + 1)."""
    return finite_average(s, o, ema_depth(n), 2.0 / (n + 1), x, k)


def wilder(s: Cells, o: int, n: int, x: float, k: int) -> float:
    """Return Wilder's average, exponential with a = 1 / n."""
    return finite_average(s, o, wilder_depth(n), 1.0 / n, x, k)
