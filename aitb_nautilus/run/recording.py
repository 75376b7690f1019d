"""Record what reaches a run's decisions into its folder, so that they can be taken again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.tape_file import INPUTS_NAME
from aitb_nautilus.risk.tape_recorder import TapeRecorder
from aitb_nautilus.run.preparation import Preparation

__all__ = ["HEADER", "recorded"]

HEADER = "header"
"""Kind of the first entry: run id, mode, starting equity, when the run began (ns UTC), and of each
source of predictions its name, version and hash."""


@contextmanager
def recorded(
    preparation: Preparation, folder: Path, note: Callable[[str, str, str], None]
) -> Iterator[None]:
    """Record what passes the tape while the block runs.

    Parameters
    ----------
    folder
        Of the run.
    note
        Told with level, line and component if something could not be recorded.

    Raises
    ------
    RunError
        If the recording cannot be begun.
    """
    settings, context = preparation.desk.config.recording, preparation.context
    tape = context.tape
    path = folder / INPUTS_NAME
    is_backtest = preparation.mode == "backtest"

    def tell(line: str) -> None:
        note("ERROR", line, "recording")

    try:
        recorder = TapeRecorder(
            path,
            (lambda: context.ledger.now) if is_backtest else time.time_ns,
            queue_size=settings.queue_size,
            flush_s=settings.flush_secs,
            # A back-test can wait for the disk; a node must not.
            waits=is_backtest,
            tell=tell,
        )
    except OSError as e:
        raise RunError(str(path), f"cannot be written ({e.strerror})", "must be writable") from e
    ids = [one.component_id for one in preparation.strategies]
    tape.desk = frozenset([*ids, *(one.component_id for one in preparation.actors)])
    begins, equity = context.begins_ns, context.ledger.starting_equity
    sources = [(s.model, s.version, s.sha256) for s in context.sources.values()]
    recorder.put(HEADER, 0, "", (folder.name, preparation.mode, equity, begins, sources))
    tape.recorder = recorder
    try:
        yield
    finally:
        tape.heard("ended", "")
        tape.recorder = None
        recorder.close()
        if recorder.lost:
            tell(f"{recorder.lost:,} of {recorder.lost + recorder.written:,} inputs not recorded")
