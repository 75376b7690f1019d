"""The past that components hear before a run begins.

While they hear it, the time is that of the bar that is told, so that everything is computed as it
would have been then; nothing may be opened, and nothing is recorded. What is held by then is out of
sight: it was not held in the past, and would be closed for a reason of last week.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["WARM_UP", "Warming"]

WARM_UP = "warm-up"
"""Name of the refusal that every opening order gets meanwhile."""


class Holdings(Protocol):
    """What can be put out of sight for a while: a `Ledger`."""

    def hide(self) -> None:
        """Hold nothing from now on."""
        ...

    def show(self) -> None:
        """Hold again what was hidden."""
        ...


class Warming:
    """Whether the past is being told, and how far it has come.

    Attributes
    ----------
    ts
        Close of the bar that is told, ns UTC; 0 once the present is told. Read a dozen times on an
        order's way, so it is a plain attribute; `move_on` sets it.
    holdings
        What nobody sees meanwhile; None: nothing is hidden.
    """

    __slots__ = ("holdings", "ts")

    def __init__(self) -> None:
        self.ts = 0
        self.holdings: Holdings | None = None

    def move_on(self, ts: int) -> None:
        """Tell the bar that closed at `ts`, ns UTC; 0: the present."""
        if self.holdings is not None and bool(ts) != bool(self.ts):
            if ts:
                self.holdings.hide()
            else:
                self.holdings.show()
        self.ts = ts
