"""What became of a node's run that was killed, made of what it had written by then.

A node writes its tables now and then, and its figures at its end alone. Where it was killed, both
are made here: orders, fills, refusals and halts are those of the journal; bars, predictions and
funding rates those of the recording. These two are only read.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from msgspec.structs import replace

from aitb_nautilus.errors import DataError, ModelError, RunError
from aitb_nautilus.files import FileHeldError
from aitb_nautilus.market.bars import VALUE_COLUMNS
from aitb_nautilus.market.times import iso
from aitb_nautilus.messages import BarClosed, FundingRate, LatePrediction, Prediction
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.journal_file import JOURNAL_NAME, JournalError, WriterLock
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Closed
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.recorded import Wish, steps
from aitb_nautilus.risk.replay_stage import ReplayStage
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.risk.tape_recorder import GAP
from aitb_nautilus.risk.trading_states import Halt, Resume
from aitb_nautilus.run.assembly import assemble, venue_of
from aitb_nautilus.run.load import load_config, resolve
from aitb_nautilus.run.prediction_recorder import PredictionRows
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.record import run_record
from aitb_nautilus.run.replay import Header, check_models, header_of, with_models
from aitb_nautilus.run.run_writer import RunWriter
from aitb_nautilus.run.snapshots import Facts, stand
from aitb_nautilus.run.still_held import left_by
from aitb_nautilus.run.told_bars import ToldBars

__all__ = ["finish_killed"]

_ENDING_S = 60.0
"""So long a node whose journal is closed may need to write its tables."""
_LOST = {"latency"}
"""What neither journal nor recording has; the table stays as the node wrote it."""


def finish_killed(path: Path) -> None:
    """Write tables and figures of a node's run that was killed; leave any other run as it is.

    Parameters
    ----------
    path
        The run folder, or the run.json in it.

    Raises
    ------
    DataError, JournalError
        If the run goes on, or what it has written does not suffice.
    ConfigError, ModelError
        If its components or models cannot be had any more.
    RunError
        If the folder cannot be written.
    """
    run = Run(path, may_run=True)
    if run.record.status != "running" or run.record.mode == "backtest":
        return
    with _not_written(run):
        _finish(run)


@contextmanager
def _not_written(run: Run) -> Iterator[None]:
    """See that no node writes the folder, while the block does."""
    where, journal = str(run.path), run.path / JOURNAL_NAME
    if not journal.exists():
        raise _without_journal(where)
    try:
        lock = WriterLock(journal)
    except JournalError as e:
        if not isinstance(e.__cause__, FileHeldError):
            raise
        raise DataError(
            where,
            f"the run goes on: its journal {e.found}",
            "must have ended",
            "How it stands: aitb status CONFIG; to end it, press Ctrl-C there",
        ) from e
    try:
        yield
    finally:
        lock.release()


def _without_journal(where: str) -> DataError:
    return DataError(
        where,
        "the run was killed before it had a journal",
        "must have one: without it nothing is known, and nothing was sent",
        "Start its desk again",
    )


def _finish(run: Run) -> None:
    folder, was = run.path, run.record
    last = next(read(folder, Wanted(last=1)), None)
    if last is None:
        raise _without_journal(str(folder))
    passed = time.time() - (folder / JOURNAL_NAME).stat().st_mtime
    if isinstance(last.body, Closed) and passed < _ENDING_S:
        raise DataError(
            str(folder),
            "the run has just ended, and may still write its tables",
            "must have written them",
            "Try again in a minute",
        )
    header, heard = header_of(folder / INPUTS_NAME), _Heard(run)
    preparation = _prepared(folder, header)
    context = preparation.context
    rebuild(folder, context.ledger)
    context.ledger.settled = heard.settled()
    _bring_back(context, folder, header.begins_ns)
    facts = Facts(
        told=heard.told.frames(),
        past=heard.past.frames(),
        orders=list(context.ledger.orders.values()),
        fills=list(context.ledger.fills),
        predictions=heard.predictions.table(),
        late=dict(heard.late),
        equity=context.ledger.starting_equity,
        balances=None,
    )
    writer = RunWriter(folder)

    def put(name: str, table: pa.Table) -> None:
        if name not in _LOST:
            writer.table(name, table)

    standing = stand(preparation, facts, put)
    until = max(heard.at, last.ts)
    made = run_record(
        standing.preparation,
        folder,
        created=was.created,
        status="interrupted",
        seconds=None,
        models=standing.models,
        bars=len(heard.told),
        results=standing.results,
        error=_killed(run, heard, iso(until)),
        journal=None,
        left=left_by(context.ledger, context.guard.states.in_force, until),
    )
    if Run(folder, may_run=True).record.status != "running":
        return  # It was ending, and has written its own.
    writer.record(
        replace(
            made,
            name=was.name,
            config_sha256=was.config_sha256,
            venues=was.venues,
            versions=was.versions,
            killed_at=iso(until),
        )
    )


def _killed(run: Run, heard: _Heard, until: str) -> RunError:
    """Return what must be known of the figures."""
    gap = f"{heard.gap:,} inputs could not be recorded before that; " if heard.gap else ""
    return RunError(
        f"run {run.record.run_id}",
        f"was killed: {gap}its last record is of {until}, and what came after that is not known",
    )


def _prepared(folder: Path, header: Header) -> Preparation:
    """Return what the run was made of; without bars, as before its first one."""
    desk = with_models(load_config(folder / "config.toml"), header.sources)
    try:
        assembly = assemble(desk, RunState(), begins_ns=header.begins_ns, stage=ReplayStage())
        check_models(assembly.context.sources, header.sources, folder)
    except ModelError as e:
        todo = f"{e.todo}. Without it: aitb audit show {folder}"
        raise ModelError(e.where, e.found, e.wanted, todo.removeprefix(". ")) from e
    specs = {spec.id: spec for spec in map(assembly.spec_of, assembly.bar_types)}
    assembly.context.ledger.starting_equity = header.equity
    return Preparation(
        desk=desk,
        context=assembly.context,
        strategies=assembly.strategies,
        actors=assembly.actors,
        bar_types=assembly.bar_types,
        source=resolve("catalog.store:BarStore", "catalog")(Path(desk.config.catalog.path)),
        venues={spec.venue: venue_of(desk, spec) for spec in specs.values()},
        instruments=specs,
        not_applied=assembly.not_applied,
        starting_equity=header.equity,
        mode="paper" if header.mode == "paper" else "live",
        began_ns=header.begins_ns,
    )


def _bring_back(context: Context, folder: Path, begins_ns: int) -> None:
    """Let the guard have decided what the journal says, and what is halted be halted."""
    guard = context.guard
    for _, step in steps(folder):
        match step:
            case Wish(decided=decided) if decided.outcome != "allowed":
                guard.note(
                    Decision(
                        step.ts,
                        step.strategy_id,
                        step.instrument_id,
                        decided.quantity,
                        limit=decided.limit,
                        line=decided.line,
                    )
                )
            case Halt():
                guard.states.restrict(step)
                if step.ts >= begins_ns:  # Others stood before it began.
                    guard.halts.append(step)
            case Resume():
                guard.states.lift(step)


class _Heard:
    """What a node has heard, as its recording says it; bars also as its tables do.

    Attributes
    ----------
    told, past
        Bars of the run and before it.
    at
        When the last entry came, ns UTC.
    gap
        Entries that could not be recorded; what came after them is not read.
    """

    def __init__(self, run: Run) -> None:
        self.told, self.past = ToldBars(), ToldBars()
        self.predictions = PredictionRows()
        self.late: Counter[str] = Counter()
        self.at = self.gap = 0
        self._funding = Ledger(0.0)
        for entry in read_entries(run.path / INPUTS_NAME):
            self.at = entry.at
            if entry.kind == GAP:
                self.gap = entry.what[0]
                break
            self._take(entry)
        self._take_later(run)

    def settled(self) -> list[FundingRate]:
        """Return the funding rates whose time was over."""
        return self._funding.settled

    def _take(self, entry: Entry) -> None:
        match entry.kind:
            case "bar" | "past":
                bar = BarClosed(*entry.what)
                (self.past if entry.kind == "past" else self.told).add(bar)
                self._funding.apply_bar(bar)
            case "rate":
                self._funding.apply_funding_rate(FundingRate(*entry.what))
            case "prediction":
                self.predictions.add(Prediction(*entry.what))
            case "late":
                self.late[LatePrediction(*entry.what).model] += 1

    def _take_later(self, run: Run) -> None:
        """Take the bars that the tables have beyond the recording."""
        last = {name: int(frame.ts_close[-1]) for name, frame in self.told.frames().items()}
        table = run.bars
        columns = [floats(table, name).tolist() for name in VALUE_COLUMNS]
        ids, closes = texts(table, "instrument_id"), times(table, "ts").tolist()
        for name, ts, *values in zip(ids, closes, *columns, strict=True):
            if ts > last.get(name, 0):
                self.told.add(BarClosed(name, ts, *values))
