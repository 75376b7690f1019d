"""Run a desk on recorded bars, and leave a run folder behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from aitb_nautilus.errors import AitbError, RunError
from aitb_nautilus.market.bars import BarFrame, join_frames
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_record import RunRecord, Seconds
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.backtest_traded import traded_in_backtest
from aitb_nautilus.run.ending import what_ended
from aitb_nautilus.run.engine import BuiltEngine, build_engine
from aitb_nautilus.run.feed import Feed
from aitb_nautilus.run.journalling import RunJournal, journalled
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.prediction_figures import model_records, resolve_outcomes
from aitb_nautilus.run.preparation import Preparation, prepare
from aitb_nautilus.run.record import Status, run_record
from aitb_nautilus.run.recording import recorded
from aitb_nautilus.run.results import Results, collect
from aitb_nautilus.run.run_log import Tell
from aitb_nautilus.run.run_writer import RunWriter, new_run_dir
from aitb_nautilus.run.stops import stop_on_signals

__all__ = ["backtest"]

Progress = Callable[[int, int, str], None]

_UNPAID = (
    "A buy on a spot market was dearer when it filled than the account could pay, since the price "
    "had jumped: buy with a smaller part of it"
)


def backtest(
    desk: Desk | str | Path,
    progress: Progress | None = None,
    *,
    record: bool = False,
    tell: Tell | None = None,
) -> RunRecord:
    """Run a desk on recorded bars.

    Parameters
    ----------
    desk
        A desk from `load_config`, or the path of a config file.
    progress
        Called with bars done, bars in all, and the time reached as text.
    record
        Whether to record what reaches the decisions, as paper and live do. Models then answer each
        bar when it closes; their answers are the same.
    tell
        Told, before the first bar, what should be known of the run: a level and a line each.

    Returns
    -------
    RunRecord
        What run.json holds; ``run_dir`` names the folder.

    Raises
    ------
    ConfigError, DataError
        Before the run, if config or catalog do not allow it. Nothing is written then.
    RunError
        If a component raised, or a signal stopped the run; the folder says so.
    HaltedError
        If the guard halted trading; the folder says so.
    """
    if not isinstance(desk, Desk):
        desk = load_config(desk)
    began = time.perf_counter()
    state = RunState()
    with stop_on_signals(state):
        preparation = prepare(desk, state)
        built = build_engine(preparation)
        loaded = time.perf_counter()
        folder = new_run_dir(Path(desk.config.backtest.runs), desk.name)
        run = _Run(preparation, built, RunWriter(folder), began, loaded)
        run.remark(tell)
        return run.go(progress, is_recorded=record)


class _Run:
    """One run, from its folder's first file to its last."""

    def __init__(
        self,
        preparation: Preparation,
        built: BuiltEngine,
        writer: RunWriter,
        began: float,
        loaded: float,
    ) -> None:
        self._preparation = preparation
        self._built = built
        self._writer = writer
        self._began = began
        self._loaded = loaded
        self._ahead = 0.0
        self._journal = RunJournal()
        empty = TABLES["predictions"].empty_table()
        sources = preparation.context.sources
        self._models = model_records(sources, empty, {}, preparation.first_open_ns)
        self._bars = 0
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._log: list[dict[str, Any]] = []

    def remark(self, tell: Tell | None) -> None:
        """Say what should be known of the limits."""
        for line in self._preparation.remarks:
            self._note("WARNING", "risk", line, self._preparation.first_open_ns)
            if tell is not None:
                tell("WARNING", line)

    def go(self, progress: Progress | None, *, is_recorded: bool = False) -> RunRecord:
        """Run the engine, then write what came out."""
        writer, context = self._writer, self._preparation.context
        writer.config(self._preparation.desk.toml())
        writer.record(self._record("running"))
        try:
            with journalled(self._preparation, writer.folder) as self._journal:
                if is_recorded:
                    with self._recorded():
                        self._feed(progress)
                else:
                    self._foresee()
                    self._feed(progress)
            engine_done = time.perf_counter()
            self._look_for_strangers()
            traded = traded_in_backtest(self._preparation, self._built)
            results = collect(self._preparation, traded, writer.table)
            predictions = self._predictions()
        except AitbError as e:
            self._finish_broken(e)
            raise
        finally:
            self._built.engine.dispose()
        try:
            # Only now: a component may raise while the engine disposes of it.
            for one in context.run_state.failures:
                self._note("ERROR", one.component, one.trace, one.ts)
            status, error = what_ended(context, writer.folder)
            writer.table("predictions", predictions)
            self._note_guard(context.guard.refusals)
            writer.log(self._log)
            writer.record(self._record(status, results, error, engine_done))
            write_report(writer.folder)
            record = self._record(status, results, error, engine_done, time.perf_counter())
            writer.record(record)
        except AitbError as e:
            self._finish_broken(e)
            raise
        if error is not None:
            raise error
        return record

    def _recorded(self) -> AbstractContextManager[None]:
        def note(level: str, line: str, component: str) -> None:
            self._note(level, component, line, self._preparation.context.ledger.now)

        return recorded(self._preparation, self._writer.folder, note)

    @property
    def _known_bars(self) -> Mapping[str, BarFrame]:
        """Return all bars that the run is going to tell, those of its past among them."""
        past = self._preparation.past
        return {
            name: join_frames([past[name], frame]) if name in past else frame
            for name, frame in self._preparation.frames.items()
        }

    def _foresee(self) -> None:
        """Let actors work ahead on the bars that the run is going to bring."""
        began = time.perf_counter()
        for actor in self._preparation.actors:
            try:
                actor.foresee(self._known_bars)
            except AitbError:
                raise
            except Exception as e:
                raise RunError(
                    f"run {self._writer.folder.name}: {actor.component_id}.foresee",
                    f"raised {type(e).__name__}: {e}",
                    "must not raise",
                    "See the whole traceback with --debug",
                ) from e
        self._ahead = time.perf_counter() - began

    def _predictions(self) -> pa.Table:
        """Return what the models said and what happened, and note how they did."""
        preparation, recorder = self._preparation, self._built.recorder
        sources = preparation.context.sources
        table = resolve_outcomes(recorder.table(), sources, preparation.frames)
        self._models = model_records(sources, table, recorder.late, preparation.first_open_ns)
        return table

    def _feed(self, progress: Progress | None) -> None:
        engine, state = self._built.engine, self._preparation.context.run_state
        preparation = self._preparation
        feed = Feed(
            preparation.source,
            preparation.series,
            preparation.funding,
            quotes=[one.source for one in preparation.quotes.values()],
            rows=sum(one.rows for one in preparation.quotes.values()),
        )
        added = 0
        for bars, parts in feed.slices():
            for i, part in enumerate(parts):
                engine.add_data(part, validate=False, sort=i == len(parts) - 1)
                added += len(part)
            self._run_slice()
            if engine.iteration != added and not state.stop_reason:
                raise RunError(
                    f"run {self._writer.folder.name}",
                    f"the engine stopped by itself after {engine.iteration} of {added} items",
                    "must take all of them",
                    "This is a defect in AITB or the engine; keep the run folder and report it",
                )
            engine.clear_data()
            if state.stop_reason:
                break
            self._bars += bars
            if progress is not None:
                progress(self._bars, feed.total, iso(self._preparation.context.ledger.now)[:10])
        if engine.run_finished is None:
            engine.end()

    def _run_slice(self) -> None:
        try:
            self._built.engine.run(streaming=True)
        except RuntimeError as e:
            # The engine raises for an error in on_start; the wrapper has recorded the real one.
            if not self._preparation.context.run_state.failures:
                where = f"run {self._writer.folder.name}"
                todo = _UNPAID if "balance would become negative" in str(e) else ""
                raise RunError(
                    where, f"the engine stopped: {e}", "must run to the end", todo
                ) from e

    def _look_for_strangers(self) -> None:
        """Halt if the engine holds an order that no permit explains: the second check."""
        guard = self._preparation.context.guard
        for order in self._built.engine.cache.orders():
            client_order_id = str(order.client_order_id)
            if not guard.permits.is_known(client_order_id):
                reason = f"order {client_order_id} is in the engine but was never allowed"
                guard.halt(reason, order.ts_init, str(order.strategy_id), client_order_id)

    def _finish_broken(self, error: AitbError) -> None:
        """Say in the folder why there are no results.

        A full disk may not take even that; run.json goes on saying that the run is not done, and
        the caller raises the error in any case.
        """
        self._note("ERROR", "run", error.paragraph(), self._preparation.context.ledger.now)
        with contextlib.suppress(RunError):
            self._writer.log(self._log)
            self._writer.record(self._record("failed", None, error))

    def _note_guard(self, refusals: Sequence[Any]) -> None:
        for decision in refusals:
            verb = "shrunk" if decision.allowed else "refused"
            text = f"{decision.instrument_id} order {verb} by {decision.limit}: {decision.line}"
            self._note("WARNING", decision.strategy_id, text, decision.ts)
        for halt in self._preparation.context.guard.halts:
            self._note("ERROR", halt.strategy_id or "guard", f"halted: {halt.reason}", halt.ts)
        self._log.sort(key=lambda line: str(line["ts"]))

    def _note(self, level: str, component: str, message: str, ts: int) -> None:
        self._log.append(
            {"ts": iso(ts), "level": level, "component": component, "message": message}
        )

    def _record(
        self,
        status: Status,
        results: Results | None = None,
        error: AitbError | None = None,
        engine_done: float | None = None,
        report_done: float | None = None,
    ) -> RunRecord:
        preparation = self._preparation
        now = report_done or time.perf_counter()
        collected = engine_done or now
        seconds = Seconds(
            load=round(self._loaded - self._began, 3),
            features=round(preparation.context.seconds.get("features", 0.0), 3),
            inference=round(preparation.context.seconds.get("inference", 0.0), 3),
            engine=round(collected - self._loaded - self._ahead, 3),
            report=None if report_done is None else round(report_done - collected, 3),
            total=round(now - self._began, 3),
        )
        return run_record(
            preparation,
            self._writer.folder,
            created=self._created,
            status=status,
            seconds=None if status == "running" else seconds,
            models=self._models,
            bars=self._bars,
            results=results,
            error=error,
            journal=self._journal.record,
        )
