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
    """Say when the commands to one venue arrive: each after its own time, none before another.

    A connection keeps the order of what is sent over it, so what is sent later waits for what is
    slower before it.

    Parameters
    ----------
    draw
        Returns the next latency, ns.
    """

    def __init__(self, draw: Callable[[], int]) -> None:
        self._draw = draw
        self._last = 0

    def over(self, opens_at: Callable[[int], int] | None) -> Callable[[int], int]:
        """Return what says when a command leaves for the engine, ns UTC.

        Parameters
        ----------
        opens_at
            When the market of an instrument hears what comes at a time; None: at once.
        """

        def leaves_at(now: int) -> int:
            self._last = max(self._last, now + self._draw() - ARRIVAL_NS)
            return self._last if opens_at is None else opens_at(self._last)

        return leaves_at
