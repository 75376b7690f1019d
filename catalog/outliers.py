"""Prices that stand out: jumps and spikes far beyond what was usual around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import BarFrame, FloatArray

__all__ = ["OUTLIER_RULE", "outliers"]

_BLOCK = 1000
_TIMES = 30.0
_FLOOR = 1e-4

OUTLIER_RULE = (
    f"a move from close to close, or a wick, of more than {_TIMES:g} times the median move of the "
    f"{_BLOCK} bars around it (at least 1 basis point; after a gap, times the root of its length)"
)
"""What counts as an outlier, in words."""


def outliers(bars: BarFrame, interval_ns: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Return bars that move or reach out of all proportion.

    The scale is the median absolute log return of blocks of bars, the largest of a block and its
    two neighbours, so that the begin of a wild day is not measured by a calm night.

    Parameters
    ----------
    bars
        In order, each time once, all values finite, prices above 0.
    interval_ns
        Length of the bars.

    Returns
    -------
    rows
        Of the bars that stand out, (k,) int64.
    moves
        Their largest log move: from the close before, or the wick beyond open and close, (k,).
    """
    n = len(bars)
    if n < 3:
        return np.empty(0, np.int64), np.empty(0)
    log_close = np.log(bars.close)
    steps = np.diff(bars.ts_close) / interval_ns
    returns = np.r_[0.0, np.diff(log_close) / np.sqrt(np.maximum(steps, 1.0))]
    top = np.log(bars.high / np.maximum(bars.open, bars.close))
    bottom = np.log(np.minimum(bars.open, bars.close) / bars.low)
    move = np.maximum.reduce([np.abs(returns), top, bottom])
    rows = np.flatnonzero(move > _TIMES * _scale(returns))
    largest = np.where(
        np.abs(returns) >= np.maximum(top, bottom), returns, np.where(top >= bottom, top, -bottom)
    )
    return rows, largest[rows]


def _scale(returns: FloatArray) -> FloatArray:
    n = len(returns)
    count = -(-n // _BLOCK)
    padded = np.full(count * _BLOCK, np.nan)
    padded[:n] = np.abs(returns)
    medians = np.nanmedian(padded.reshape(count, _BLOCK), axis=1)
    around = np.pad(medians, 1, mode="edge")
    wide = np.maximum.reduce([around[:-2], around[1:-1], around[2:]])
    scale: FloatArray = np.repeat(np.maximum(wide, _FLOOR), _BLOCK)[:n]
    return scale
