"""The engine's loop of a node: begun, ended, and what is wrong if it ended otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.early_stop import EarlyStop
from aitb_nautilus.run.interpreter import garbage_by_turns, switching
from aitb_nautilus.run.node_engine import BuiltNode

__all__ = ["run_engine", "without_bars"]


def run_engine(
    built: BuiltNode,
    state: RunState,
    folder: Path,
    early: EarlyStop,
    *,
    switch_ms: float,
    give_up: Callable[[str], None],
    note: Callable[[str, str], None],
) -> None:
    """Run the engine until it is stopped.

    Parameters
    ----------
    folder
        Of the run.
    early
        Who knows of signals until the warden takes them.
    switch_ms
        As of `switching`.
    give_up
        As of `EarlyStop.watching`.
    note
        For the log of the run.

    Raises
    ------
    RunError
        If it did not start, or stopped by itself.
    ConfigError
        If the config does not fit what the venues say.
    """
    warden = built.warden
    try:
        with switching(switch_ms), garbage_by_turns(), early.watching(give_up):
            if not early.asked:
                built.node.run()
    except (RuntimeError, KeyboardInterrupt) as e:
        # The engine raises for an error in on_start; the wrapper has recorded the real one.
        if warden.is_over:  # Sockets that close slowly spoil no run that is done.
            note("WARNING", f"the engine has stopped, and not in good order: {e}")
        elif not state.failures and not early.asked:
            raise RunError(
                f"run {folder.name}",
                f"the engine did not run: {e}",
                "must connect and start",
                f"See {folder / 'log.jsonl'} and the engine's own log beside it",
            ) from e
    if warden.refusal is not None:
        raise warden.refusal
    if early.asked and not warden.asked:
        warden.ask(early.asked)
        state.stop(early.asked)
    if not state.stop_reason and not warden.asked:
        raise RunError(
            f"run {folder.name}",
            "the engine stopped by itself",
            "must run until it is stopped",
            f"See the engine's own log in {folder}",
        )


def without_bars(folder: Path) -> RunError:
    """Return the error of a run that has no results."""
    return RunError(
        f"run {folder.name}",
        "was stopped before its first bar",
        todo="Let it run until a bar closes",
    )
