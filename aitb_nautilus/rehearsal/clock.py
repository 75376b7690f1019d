"""The time of the exchange: the wall clock, possibly skewed, or one that a test steps."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["MS", "Clock", "SteppedClock", "WallClock"]

MS = 1_000_000
"""Nanoseconds in a millisecond, the unit of every time that Binance writes."""


class Clock(Protocol):
    """What the exchange asks for the time."""

    def now_ns(self) -> int:
        """Return the time of the exchange, ns UTC."""


class WallClock:
    """The clock of this machine, plus a skew.

    Parameters
    ----------
    skew_ns
        What the exchange's clock is ahead of this machine's, ns; may be below 0.
    """

    def __init__(self, skew_ns: int = 0) -> None:
        self.skew_ns = skew_ns

    def now_ns(self) -> int:
        """Return the time of the exchange, ns UTC."""
        return time.time_ns() + self.skew_ns


class SteppedClock:
    """A clock that stands still until it is moved; it never goes back.

    Parameters
    ----------
    start_ns
        Its first time, ns UTC.

    Examples
    --------
    >>> clock = SteppedClock(1_000)
    >>> clock.advance_to(1_500)
    >>> clock.now_ns()
    1500
    """

    def __init__(self, start_ns: int) -> None:
        self._now = start_ns

    def now_ns(self) -> int:
        """Return the time of the exchange, ns UTC."""
        return self._now

    def advance_to(self, ts_ns: int) -> None:
        """Move to a later time; an earlier one changes nothing."""
        self._now = max(self._now, ts_ns)
