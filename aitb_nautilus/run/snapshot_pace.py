"""When the tables of a run that goes on are written again: not too often, and beside no close.

They are computed from the whole run, so that each time costs more than the last, and for as long
the thread that does it shares the interpreter with the loop that answers bars.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["SnapshotPace"]

_SHARE: Final = 0.005
"""Of one processor, that snapshots take at most."""
_REST_NS: Final = 2_000_000_000
"""After a close: its bars come, and are answered."""
_SPARE: Final = 2.0
"""So many times what the last one took must be left until the next close."""


class SnapshotPace:
    """Say when the next snapshot may begin.

    Never sooner than a least time after the last one began, nor before that one took no more than
    half a percent of the time since. Never shortly after a close, nor so shortly before the next
    one that it would not be over by then; of bars that are shorter than that, half of one is left.

    Parameters
    ----------
    least_s
        From the beginning of one to that of the next, seconds.
    lengths_ns
        Of the run's bars, at least one.

    Examples
    --------
    >>> pace = SnapshotPace(60.0, [60 * 10**9])
    >>> pace.took(100.0, processor_s=3.0, seconds=5.0)
    >>> pace.is_due(160.0, 30 * 10**9), pace.is_due(700.0, 30 * 10**9)
    (False, True)
    >>> pace.is_due(700.0, 55 * 10**9)  # Ten seconds are wanted.
    False
    """

    def __init__(self, least_s: float, lengths_ns: Iterable[int]) -> None:
        self._least_s = least_s
        self._lengths_ns = frozenset(lengths_ns)
        shortest = min(self._lengths_ns)
        self._rest_ns = min(_REST_NS, shortest // 4)
        self._longest_ns = shortest // 2
        # Both at once: one thread tells what it took, and another asks.
        self._next = 0.0, 0

    def took(self, began_s: float, *, processor_s: float, seconds: float) -> None:
        """Note what a snapshot has cost.

        Parameters
        ----------
        began_s
            When it began, as `is_due` is told the time.
        processor_s
            Of its thread, seconds.
        seconds
            From its beginning to its end.
        """
        pause = max(self._least_s, processor_s / _SHARE)
        self._next = began_s + pause, min(round(_SPARE * seconds * 1e9), self._longest_ns)

    def is_due(self, now_s: float, now_ns: int) -> bool:
        """Return whether the next one may begin.

        Parameters
        ----------
        now_s
            Of a clock that is never put back, seconds.
        now_ns
            UTC.
        """
        next_s, needed_ns = self._next
        if now_s < next_s:
            return False
        since = min(now_ns % length for length in self._lengths_ns)
        left = min(length - now_ns % length for length in self._lengths_ns)
        return since >= self._rest_ns and left >= needed_ns
