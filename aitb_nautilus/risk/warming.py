"""The past that components hear before a run begins.

While they hear it, the time is that of the bar that is told, so that everything is computed as it
would have been then; nothing may be opened, and nothing is recorded.
"""

from __future__ import annotations

__all__ = ["WARM_UP", "Warming"]

WARM_UP = "warm-up"
"""Name of the refusal that every opening order gets meanwhile."""


class Warming:
    """Whether the past is being told, and how far it has come.

    Attributes
    ----------
    ts
        Close of the bar that is told, ns UTC; 0 once the present is told.
    """

    __slots__ = ("ts",)

    def __init__(self) -> None:
        self.ts = 0
