"""The journal of a run: opened with the run folder, closed with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aitb_nautilus.observe.run_record import JournalRecord
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_chain import Row
from aitb_nautilus.risk.journal_file import JOURNAL_NAME, JournalError, WriterLock
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.record import versions
from aitb_nautilus.settings import encode

__all__ = ["RunJournal", "journalled", "still_writing"]


class RunJournal:
    """What run.json says of the journal once that is closed.

    Attributes
    ----------
    record
        None while the run goes on.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self.record: JournalRecord | None = None
        self._journal = journal

    def close(self, why: str, ts: int) -> None:
        """Close the journal, if there is one; when, ns UTC. Raises as the journal's own."""
        if self._journal is not None:
            self._journal.close(why, ts)
            state = self._journal.state
            self.record = JournalRecord(records=state.records, head=state.head)


@contextmanager
def journalled(
    preparation: Preparation,
    folder: Path,
    tell: Callable[[Sequence[Row]], None] | None = None,
) -> Iterator[RunJournal]:
    """Write what is decided meanwhile into the folder's journal.

    A back-test can be had again, so its records are written many at a time. In a node each is
    written before the order leaves, and on the disk then or soon after, as ``live.on_disk`` says.

    Parameters
    ----------
    tell
        Told of what was written, as of `Journal`.

    Raises
    ------
    RunError
        If one of them could not be written: what was refused for that would falsify the result.
    """
    chronicle, desk = preparation.context.chronicle, preparation.desk
    memory = preparation.context.guard.memory
    opened = Opened(
        run_id=folder.name,
        config_sha256=desk.sha256(),
        mode=preparation.mode,
        limits=encode(desk.config.risk),
        versions=versions(),
        listens={s.component_id: (*s.predictions(),) for s in preparation.strategies},
        account=memory.account,
        remembered=tuple((r.limit, r.scope, r.terms, r.memory) for r in memory.brought_back),
    )
    journal = Journal(
        folder / JOURNAL_NAME,
        opened,
        preparation.first_open_ns,
        durable=preparation.mode != "backtest",
        on_disk=desk.config.live.on_disk,
        tell=tell,
    )
    kept = RunJournal(journal)
    chronicle.journal = journal
    try:
        yield kept
    except BaseException as e:
        # What ended the run is said; that its journal may end badly as well is not.
        with suppress(JournalError):
            _close(preparation, kept, f"{type(e).__name__}: {e}")
        raise
    _close(preparation, kept, preparation.context.run_state.stop_reason)
    if chronicle.failures:
        raise chronicle.failures[0]


def _close(preparation: Preparation, kept: RunJournal, why: str) -> None:
    preparation.context.chronicle.journal = None
    kept.close(why, max(preparation.context.ledger.now, preparation.first_open_ns))


@contextmanager
def still_writing(folder: Path) -> Iterator[None]:
    """Hold the lock of a closed journal, so that nobody finishes the run's folder meanwhile.

    Where it cannot be had, such as on a full disk, the node writes what it can all the same.
    """
    try:
        lock = WriterLock(folder / JOURNAL_NAME)
    except JournalError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
