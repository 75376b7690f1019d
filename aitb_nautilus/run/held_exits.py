"""The exits of what was held when a node began: placed before its past is told, and mended after.

A stop may be missing, such as that of an entry which filled in the moment of a kill. So what exits
remember is placed as soon as the venue was asked; what they have missed meanwhile, and what they
measure, follows once the past is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.taking_over import protect, put_back
from aitb_nautilus.run.bar_gate import BarGate
from aitb_nautilus.run.warm_up import in_order

__all__ = ["HeldExits"]


class HeldExits:
    """Put the exits of every position back into place.

    Parameters
    ----------
    context
        What the node's components share.
    strategies
        Of the node.
    note
        For the log of the run.
    began
        When the node began, ns UTC.

    Attributes
    ----------
    are_placed
        Whether what exits remember was placed.
    """

    def __init__(
        self,
        context: Context,
        strategies: Sequence[GuardedStrategy],
        note: Callable[[str, str], None],
        began: int,
    ) -> None:
        self._context = context
        self._strategies = {one.component_id: one for one in strategies}
        self._note = note
        self._began = began
        self.are_placed = False

    def place(self, now: int) -> None:
        """Place what is missing, however long the past may take; once.

        Parameters
        ----------
        now
            ns UTC.
        """
        if self.are_placed:
            return
        self.are_placed = True
        positions = self._context.ledger.positions
        held = [key for key, position in positions.items() if position.quantity]
        for owner, instrument_id in held:
            if owner in self._strategies:
                protect(self._context, self._strategies[owner], instrument_id, now)
        if held:
            took = (now - self._began) / 1e9
            self._note("INFO", f"exits of {len(held)} positions are seen to, after {took:.1f} s")

    def put_back(self, gate: BarGate, now: int) -> None:
        """Take in what closed since each position was opened; close what should be closed.

        Parameters
        ----------
        gate
            Has told the past.
        now
            ns UTC.
        """
        bars: dict[str, list[BarClosed]] = {}
        for frames in (gate.past.frames(), gate.told.frames()):
            for bar in in_order(frames):
                bars.setdefault(bar.instrument_id, []).append(bar)
        for strategy in self._strategies.values():
            for name in strategy.exit_managers():
                put_back(self._context, strategy, name, bars.get(name, ()), now)
