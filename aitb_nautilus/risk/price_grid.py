"""Prices on the grid of ticks, rounded to the side that is asked for."""

from __future__ import annotations

import math
from decimal import Decimal

__all__ = ["on_grid"]

_NEARLY = 1e-6
"""Of a tick: so near to the grid, a price is on it, and only float arithmetic took it off."""


def on_grid(price: float, tick: Decimal, *, up: bool) -> float:
    """Return a price on the grid of ticks, rounded up or down.

    What float arithmetic alone took off the grid is put back onto it.

    >>> on_grid(99.00000000000001, Decimal("0.1"), up=True)
    99.0
    >>> on_grid(99.01, Decimal("0.1"), up=True)
    99.1
    """
    steps = price / float(tick)
    nearest = round(steps)
    if abs(steps - nearest) > _NEARLY:
        nearest = math.ceil(steps) if up else math.floor(steps)
    return float(nearest * tick)
