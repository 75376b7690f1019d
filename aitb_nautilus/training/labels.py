"""What a model is taught to foresee, and which bars each answer looks at.

A label of the bar that closes at t looks at the closes (and, for barriers, highs and lows) of the
bars after it, up to t + horizon. The horizon is a length of time: a missing bar in it counts as a
bar without a trade, as it does for the features. Where the data end before the horizon, or a gap
longer than the features bridge lies in it, there is no label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import BarFrame, FloatArray
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.training.settings import Label, TripleBarrierLabel

__all__ = ["Labels", "label_bars"]

_BPS = 1e-4


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of n bars.

    Attributes
    ----------
    known
        (n,) bool: whether the bar has a label. The others are meaningless where it has not.
    up
        (n,) bool: the class.
    forward
        (n,) float64: simple return from the bar's close to the end of its label, before costs.
    last_ns
        (n,) int64: end of the horizon, the last bar that the label may look at. The first is the
        bar itself.
    """

    known: NDArray[np.bool_]
    up: NDArray[np.bool_]
    forward: FloatArray
    last_ns: TimeArray


def label_bars(bars: BarFrame, label: Label, interval_ns: int, longest_gap_bars: int = 0) -> Labels:
    """Return the labels of bars.

    Parameters
    ----------
    bars
        In order.
    interval_ns
        Their length.
    longest_gap_bars
        So many missing bars in a row are bridged.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 3.
    """
    ts, close = bars.ts_close, bars.close
    cost = label.cost_bps * _BPS
    ends = ts + label.horizon_bars * interval_ns
    last = np.searchsorted(ts, ends, "right") - 1
    breaks = np.concatenate([[0], np.cumsum(np.diff(ts) > (longest_gap_bars + 1) * interval_ns)])
    known = np.zeros(len(ts), np.bool_)
    if len(ts):
        # The last bar before the end may have a long gap behind it, in which the horizon ends.
        after = np.minimum(last + 1, len(ts) - 1)
        bridged = (breaks[after] == breaks) | (ts[last] == ends)
        known = (breaks[last] == breaks[: len(ts)]) & (ends <= ts[-1]) & bridged
    if isinstance(label, TripleBarrierLabel):
        sigma = _sigma(close, label.volatility_bars) * np.sqrt(label.horizon_bars)
        known &= np.isfinite(sigma)
        upper = close * (1.0 + label.upper * sigma + cost)
        lower = close * (1.0 - label.lower * sigma)
        touched, at = _first_touch(bars, upper, lower, last, known)
        end = np.where(touched != 0, at, last)
        reached = np.where(touched > 0, upper, np.where(touched < 0, lower, close[end]))
        forward = reached / close - 1.0
        up = np.where(touched == 0, forward > cost, touched > 0)
        # Not the time of the touch: a row whose label ended early would survive a purge that takes
        # its neighbours, and the rows before a test would be those with the wildest markets.
        return Labels(known, up, forward, ends)
    forward = close[last] / close - 1.0
    return Labels(known, forward > cost, forward, ends)


def _sigma(close: FloatArray, count: int) -> FloatArray:
    """Return the standard deviation of the last `count` log returns; NaN before so many."""
    sigma = np.full(len(close), np.nan)
    returns = np.diff(np.log(close))
    if len(returns) >= count:
        windows = np.lib.stride_tricks.sliding_window_view(returns, count)
        # By chunks: the deviations of all windows at once would not fit into memory.
        for first in range(0, len(windows), 8192):
            part = windows[first : first + 8192]
            sigma[count + first : count + first + len(part)] = part.std(axis=1)
    return sigma


def _first_touch(
    bars: BarFrame,
    upper: FloatArray,
    lower: FloatArray,
    last: NDArray[np.int64],
    wanted: NDArray[np.bool_],
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return which barrier was touched first (1, -1, 0 for none), and at which bar."""
    touched = np.zeros(len(bars), np.int8)
    at = np.zeros(len(bars), np.int64)
    open_ = np.flatnonzero(wanted & (last > np.arange(len(bars))))
    step = 1
    while len(open_):
        row = open_ + step
        below = bars.low[row] <= lower[open_]
        above = (bars.high[row] >= upper[open_]) & ~below
        touched[open_] = above.astype(np.int8) - below.astype(np.int8)
        at[open_] = row
        step += 1
        open_ = open_[~(below | above) & (open_ + step <= last[open_])]
    return touched, at
