"""Which exits a config can ask for, and who keeps them in each instrument of a strategy."""

from __future__ import annotations

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exit_manager import ExitManager
from aitb_nautilus.risk.exit_retries import halt_flat
from aitb_nautilus.risk.exit_settings import Exits
from aitb_nautilus.risk.spot_exits import SpotExitManager
from aitb_nautilus.risk.view import View

__all__ = ["ExitManager", "Exits", "make_exits"]


def make_exits(
    exits: Exits, view: View, context: Context, instruments: tuple[str, ...]
) -> dict[str, ExitManager]:
    """Return an exit manager for each of a strategy's instruments.

    Raises
    ------
    ConfigError
        If the run has no such instrument.
    """
    lots, halt = context.guard.lots, halt_flat(context)
    made: dict[str, ExitManager] = {}
    for name in instruments:
        tick = context.tick_size(name)
        kind = SpotExitManager if lots[name].long_only else ExitManager
        made[name] = kind(exits, view, name, tick, lots[name], halt=halt)
    return made
