"""What can be wrong with bars: one function a defect, each giving the rows that have it.

The same functions refuse a file at import, guard the door of the catalog, and make the report of
``aitb data check``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, TimeArray

__all__ = [
    "Rows",
    "broken_range",
    "disorder",
    "duplicates",
    "not_finite",
    "not_positive",
]

type Rows = NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")


def not_finite(bars: BarFrame) -> Rows:
    """Return the rows with a NaN or an infinity."""
    bad = np.zeros(len(bars), np.bool_)
    for name in VALUE_COLUMNS:
        bad |= ~np.isfinite(getattr(bars, name))
    return np.flatnonzero(bad)


def not_positive(bars: BarFrame) -> Rows:
    """Return the rows with a price of zero or below, or a volume below zero."""
    bad = bars.volume < 0
    for name in _PRICES:
        bad |= getattr(bars, name) <= 0
    return np.flatnonzero(bad)


def broken_range(bars: BarFrame) -> Rows:
    """Return the rows where low <= open, close <= high does not hold."""
    lowest = np.minimum(bars.open, bars.close)
    highest = np.maximum(bars.open, bars.close)
    return np.flatnonzero((bars.low > lowest) | (bars.high < highest))


def disorder(ts: TimeArray) -> Rows:
    """Return the rows that are earlier than the row before them."""
    return np.flatnonzero(ts[1:] < ts[:-1]) + 1


def duplicates(bars: BarFrame) -> tuple[Rows, Rows]:
    """Return the rows whose time was there before, in order of position.

    Returns
    -------
    equal, different
        Rows with the values of the first row of that time, and rows with other values.
    """
    order = np.argsort(bars.ts_close, kind="stable")
    ts = bars.ts_close[order]
    again = np.flatnonzero(ts[1:] == ts[:-1]) + 1
    if not len(again):
        return again, again
    first_of_run = np.flatnonzero(np.r_[True, ts[1:] != ts[:-1]])
    firsts = first_of_run[np.searchsorted(first_of_run, again, "right") - 1]
    same = bars.take(order[again]).same_values(bars.take(order[firsts]))
    return np.sort(order[again[same]]), np.sort(order[again[~same]])
