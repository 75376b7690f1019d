"""What held before a node began: halts in force, and what was resumed while no node ran."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.state_file import Change
from aitb_nautilus.risk.trading_states import TRADER, Resume

__all__ = ["tell_carried_over"]


def tell_carried_over(context: Context, unheard: Sequence[Change], ts: int) -> None:
    """Journal what was changed while no node ran, and what holds.

    Parameters
    ----------
    unheard
        What was changed.
    ts
        Now, ns UTC.
    """
    guard, chronicle = context.guard, context.chronicle
    for change in unheard:
        if change.level == "active":
            since = f"{change.reason} (at {iso(change.ts)})"
            chronicle.resumed(Resume(ts, since, change.who, change.scope))
            if change.scope == TRADER:
                guard.begin_anew(ts)
    for halt in guard.states.in_force:
        since = f"{halt.reason} (since {iso(halt.ts)})"
        chronicle.halted(replace(halt, ts=ts, reason=since))
