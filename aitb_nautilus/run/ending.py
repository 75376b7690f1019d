"""How a run ended, and the error that says so."""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.errors import AitbError, HaltedError, RunError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.context import Context
from aitb_nautilus.run.record import Status

__all__ = ["what_ended"]


def what_ended(
    context: Context, folder: Path, *, was_asked: bool = False
) -> tuple[Status, AitbError | None]:
    """Return the status of a run, and the error to raise if it did not end well.

    Parameters
    ----------
    folder
        Of the run.
    was_asked
        Whether a wish to stop is how such a run ends; else it was interrupted.
    """
    where = f"run {folder.name}"
    failures = context.run_state.failures
    # A limit that halts trading has done its work: the run goes on, and shows what it cost.
    halts = [halt for halt in context.guard.halts if halt.cause == "error"]
    # An error halts the guard as well; but what follows a halt is not its cause.
    if failures and (not halts or halts[0].reason == failures[0].reason):
        failure = failures[0]
        place = failure.trace.strip().splitlines()
        source = next((line.strip() for line in reversed(place) if "File " in line), "")
        return "failed", RunError(
            f"{where}: {failure.component}.{failure.callback} at {iso(failure.ts)}",
            f"raised {failure.error} ({source})",
            "must not raise",
            f"The whole traceback stands in {folder / 'log.jsonl'}",
        )
    if halts:
        halt = halts[0]
        scope = halt.strategy_id or "guard"
        return "failed", HaltedError(f"{where}: {scope} at {iso(halt.ts)}", halt.reason)
    if context.run_state.stop_reason and not was_asked:
        return "interrupted", RunError(
            where,
            context.run_state.stop_reason,
            todo=f"What was done until then stands in {folder}",
        )
    return "complete", None
