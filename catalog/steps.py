"""The interval of recorded bars, found from their times."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from aitb_nautilus.market.bars import Interval, TimeArray

__all__ = ["Stretch", "find_interval", "stretches", "unique_times"]

# So many equal steps in a row are an interval of its own. Shorter rows of equal steps happen in
# sparse series, where minutes without a trade have no bar.
_MIN_STEPS = 20


class Stretch(msgspec.Struct, frozen=True):
    """Times that follow each other in one interval, but for gaps.

    Parameters
    ----------
    interval
        Length of the bars.
    first_ns, last_ns
        First and last stamp, both included.
    """

    interval: Interval
    first_ns: int
    last_ns: int


def unique_times(ts: TimeArray) -> TimeArray:
    """Return times in order, each once; a recording that is in order costs only a look."""
    return ts if (ts[1:] > ts[:-1]).all() else np.unique(ts)


def find_interval(ts: TimeArray) -> Interval | None:
    """Return the interval that most steps between times have, or None for fewer than two times.

    Parameters
    ----------
    ts
        (n,) int64, in order, each once.

    Raises
    ------
    ValueError
        If that step is no interval; see `Interval.of_ns`.
    """
    if len(ts) < 2:
        return None
    steps, counts = np.unique(np.diff(ts), return_counts=True)
    return Interval.of_ns(int(steps[np.argmax(counts)]))


def stretches(ts: TimeArray) -> Sequence[Stretch]:
    """Return where the interval changes: one stretch if it never does.

    Where the interval becomes shorter or longer, the last bar before the change may be of either
    length. It belongs to neither stretch.

    Parameters
    ----------
    ts
        (n,) int64, in order, each once.

    Returns
    -------
    list of Stretch
        Empty if no interval has twenty steps in a row.
    """
    steps = np.diff(ts)
    if not len(steps):
        return []
    begins = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    lengths = np.diff(np.r_[begins, len(steps)])
    runs: list[tuple[int, int, int]] = []  # step, first row, last row
    for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
        step = int(steps[begin])
        if length < _MIN_STEPS:
            continue
        if runs and runs[-1][0] == step:
            runs[-1] = (step, runs[-1][1], begin + length)
        else:
            runs.append((step, begin, begin + length))
    found = []
    for i, (step, first, last) in enumerate(runs):
        begin = first + 1 if i and runs[i - 1][2] == first else first
        end = last - 1 if i + 1 < len(runs) and runs[i + 1][1] == last else last
        found.append(
            Stretch(
                Interval.of_ns(step),
                int(ts[0 if i == 0 else begin]),
                int(ts[-1 if i + 1 == len(runs) else end]),
            )
        )
    return found
