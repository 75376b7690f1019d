"""The way of commands to a simulated venue, each as long as one that was measured.

The engine's own model of latency has one length for all and cannot be written in Python. So a
command is held before it leaves for the engine, by the same means that hold one until a market
opens; the microsecond that remains is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable

from aitb_nautilus.run.paid_latency import ARRIVAL_NS

__all__ = ["MeasuredWay"]


class MeasuredWay:
    """Say when the commands of one instrument arrive at the venue.

    What is decided at one moment goes together: it waited for the same bar. What is decided later
    draws a time of its own, and never arrives before what was sent earlier, as a connection keeps
    the order of what is sent over it. Instruments do not wait for each other: else those of one
    moment would all be as late as the slowest of them.

    Parameters
    ----------
    draw
        Returns the next latency, ns.
    opens_at
        When the market hears what comes at a time, ns UTC; None: at once.
    """

    def __init__(
        self, draw: Callable[[], int], opens_at: Callable[[int], int] | None = None
    ) -> None:
        self._draw = draw
        self._opens_at = opens_at
        self._sent = -1
        self._last = 0

    def leaves_at(self, now: int) -> int:
        """Return when a command that is sent at `now` leaves for the engine, ns UTC."""
        if now != self._sent:
            self._sent = now
            self._last = max(self._last, now + self._draw() - ARRIVAL_NS)
        return self._last if self._opens_at is None else self._opens_at(self._last)
