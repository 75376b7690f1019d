"""Small steps that many kernels share: the previous value, returns, true range, safe quotients."""

from __future__ import annotations

import math

from aitb_nautilus.features.kernel import CLOSE, HIGH, LOW, VOLUME, Cells, Values

__all__ = [
    "SOURCES",
    "limited",
    "log_change",
    "quotient",
    "sign_of",
    "source_of",
    "swap",
    "true_range",
]

SOURCES = ("close", "open", "high", "low", "typical", "range", "volume", "turnover")
"""What `source_of` reads off a bar, by position."""


def swap(s: Cells, o: int, x: float) -> float:
    """Keep x and return what was kept before, 0.0 at first."""
    old = s[o]
    s[o] = x
    return old


def log_change(s: Cells, o: int, x: float) -> float:
    """Return ln(x / the x before); 0.0 at first. One cell."""
    old = swap(s, o, x)
    return math.log(x / old) if old > 0.0 else 0.0


def true_range(x: Values, before: float) -> float:
    """Return max(H, before) - min(L, before), before being the close of the bar before."""
    if before <= 0.0:
        return x[HIGH] - x[LOW]
    return max(x[HIGH], before) - min(x[LOW], before)


def quotient(a: float, b: float, empty: float) -> float:
    """Return a / b, or `empty` where b is not above zero: nothing traded, or nothing moved."""
    return a / b if b > 0.0 else empty


def limited(x: float, least: float, most: float) -> float:
    """Return x, put back into a range that rounding may have left."""
    return min(most, max(least, x))


def sign_of(x: float) -> float:
    """Return 1.0, 0.0 or -1.0."""
    if x > 0.0:
        return 1.0
    return -1.0 if x < 0.0 else 0.0


def source_of(x: Values, code: int) -> float:
    """Return one of `SOURCES`.

    typical is (H + L + C) / 3, range is ln(H / L), turnover is C V in quote currency.
    """
    if code < 4:
        return x[CLOSE] if code == 0 else x[code - 1]
    if code == 4:
        return (x[HIGH] + x[LOW] + x[CLOSE]) / 3.0
    if code == 5:
        return math.log(x[HIGH] / x[LOW])
    return x[VOLUME] if code == 6 else x[CLOSE] * x[VOLUME]
