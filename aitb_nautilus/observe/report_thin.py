"""Make long series short without losing what the eye looks for.

A year of one-minute bars has half a million rows, a screen two thousand columns. Curves keep, of
every stretch of equal length, the rows with the lowest and the highest value of each curve; a kept
value is exact. Bars are joined into longer bars.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["join_bars", "thin_curves"]

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]


def thin_curves(curves: list[Floats], max_rows: int, keep: list[int]) -> Ints:
    """Return which rows to keep, (m,) int64 ascending, m <= max_rows plus those in `keep`.

    Parameters
    ----------
    curves
        Series of one length n > 0; the extremes of each are kept.
    max_rows
        At least 2 rows a curve.
    keep
        Rows that are always kept, beside the first and the last.
    """
    n = len(curves[0])
    if n <= max_rows:
        return np.arange(n, dtype=np.int64)
    stretches = max_rows // (2 * len(curves))
    first = np.linspace(0, n, stretches, endpoint=False).astype(np.int64)
    rows = [np.asarray([0, n - 1, *keep], dtype=np.int64)]
    for curve in curves:
        rows.append(_rows_equal_to(curve, first, np.minimum.reduceat(curve, first)))
        rows.append(_rows_equal_to(curve, first, np.maximum.reduceat(curve, first)))
    return np.unique(np.concatenate(rows))


def join_bars(
    ts: Ints, bars: tuple[Floats, Floats, Floats, Floats], max_rows: int
) -> tuple[Ints, tuple[Floats, Floats, Floats, Floats], int]:
    """Join consecutive bars so that at most `max_rows` are left.

    Parameters
    ----------
    ts
        Close times, (n,) int64 ns.
    bars
        Open, high, low and close, (n,) each.
    max_rows
        > 0.

    Returns
    -------
    tuple
        Close times, bars, and how many bars were joined into one.
    """
    n = len(ts)
    step = max(1, -(-n // max_rows))
    if step == 1:
        return ts, bars, 1
    open_, high, low, close = bars
    first = np.arange(0, n, step)
    last = np.minimum(first + step, n) - 1
    joined = (
        open_[first],
        np.maximum.reduceat(high, first),
        np.minimum.reduceat(low, first),
        close[last],
    )
    return ts[last], joined, step


def _rows_equal_to(curve: Floats, first: Ints, values: Floats) -> Ints:
    """Return, of each stretch, the first row that has the stretch's value."""
    lengths = np.diff(np.append(first, len(curve)))
    hits = np.nonzero(curve == np.repeat(values, lengths))[0]
    stretch = np.searchsorted(first, hits, side="right") - 1
    _, once = np.unique(stretch, return_index=True)
    return np.asarray(hits[once], dtype=np.int64)
