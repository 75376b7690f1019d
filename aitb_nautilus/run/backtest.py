"""Run a desk on recorded bars, and leave a run folder behind."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from aitb_nautilus import __version__
from aitb_nautilus.errors import AitbError, HaltedError, RunError
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_record import (
    SCHEMA,
    Halt,
    Period,
    RunRecord,
    Seconds,
    VenueRecord,
)
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.run.engine import BuiltEngine, build_engine
from aitb_nautilus.run.feed import Feed
from aitb_nautilus.run.honesty import honesty_notes
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.preparation import Preparation, prepare
from aitb_nautilus.run.results import Results, collect
from aitb_nautilus.run.run_writer import RunWriter, iso, new_run_dir
from aitb_nautilus.run.stops import INTERRUPTED, stop_on_signals

__all__ = ["backtest"]

Status = Literal["complete", "failed", "interrupted", "running"]
Progress = Callable[[int, int, str], None]

_PACKAGES = ("nautilus_trader", "numpy", "pyarrow", "msgspec")


def backtest(desk: Desk | str | Path, progress: Progress | None = None) -> RunRecord:
    """Run a desk on recorded bars.

    Parameters
    ----------
    desk
        A desk from `load_config`, or the path of a config file.
    progress
        Called with bars done, bars in all, and the time reached as text.

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
        return run.go(progress)


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
        self._bars = 0
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._log: list[dict[str, Any]] = []

    def go(self, progress: Progress | None) -> RunRecord:
        """Run the engine, then write what came out."""
        writer, context = self._writer, self._preparation.context
        writer.config(self._preparation.desk.toml())
        writer.record(self._record("running"))
        try:
            self._feed(progress)
            engine_done = time.perf_counter()
            error = self._what_ended_it()
            results = collect(self._preparation, self._built)
        except AitbError as e:
            self._finish_broken("failed", e)
            raise
        finally:
            self._built.engine.dispose()
        for name, table in results.tables.items():
            writer.table(name, table)
        self._note_guard(context.guard.refusals)
        writer.log(self._log)
        status: Status = "complete"
        if error is not None:
            status = "interrupted" if INTERRUPTED in error.found else "failed"
        record = self._record(status, results, error, engine_done)
        writer.record(record)
        write_report(writer.folder)
        record = self._record(status, results, error, engine_done, time.perf_counter())
        writer.record(record)
        if error is not None:
            raise error
        return record

    def _feed(self, progress: Progress | None) -> None:
        engine, state = self._built.engine, self._preparation.context.run_state
        feed = Feed(self._preparation.source, self._preparation.series, self._preparation.funding)
        started = False
        added = 0
        for bars, parts in feed.slices():
            if state.stop_reason:
                break
            for i, part in enumerate(parts):
                engine.add_data(part, validate=False, sort=i == len(parts) - 1)
                added += len(part)
            started = True
            self._run_slice()
            if engine.iteration != added and not state.stop_reason:
                raise RunError(
                    f"run {self._writer.folder.name}",
                    f"the engine stopped by itself after {engine.iteration} of {added} items",
                    "must take all of them",
                    "This is a defect in AITB or the engine; keep the run folder and report it",
                )
            engine.clear_data()
            self._bars += bars
            if progress is not None:
                progress(self._bars, feed.total, iso(self._preparation.context.ledger.now)[:10])
        if started and not state.stop_reason:
            engine.end()

    def _run_slice(self) -> None:
        try:
            self._built.engine.run(streaming=True)
        except RuntimeError:
            # The engine raises for an error in on_start; the wrapper has recorded the real one.
            if not self._preparation.context.run_state.failures:
                raise

    def _what_ended_it(self) -> AitbError | None:
        context = self._preparation.context
        where = f"run {self._writer.folder.name}"
        if context.run_state.failures:
            failure = context.run_state.failures[0]
            for one in context.run_state.failures:
                self._note("ERROR", one.component, one.trace, one.ts)
            place = failure.trace.strip().splitlines()
            source = next((line.strip() for line in reversed(place) if "File " in line), "")
            return RunError(
                f"{where}: {failure.component}.{failure.callback} at {iso(failure.ts)}",
                f"raised {failure.error} ({source})",
                "must not raise",
                f"The whole traceback stands in {self._writer.folder / 'log.jsonl'}",
            )
        if context.guard.halts:
            halt = context.guard.halts[0]
            return HaltedError(f"{where}: {halt.strategy_id} at {iso(halt.ts)}", halt.reason)
        if context.run_state.stop_reason:
            return RunError(
                where,
                context.run_state.stop_reason,
                todo=f"What was done until then stands in {self._writer.folder}",
            )
        return None

    def _finish_broken(self, status: Status, error: AitbError) -> None:
        self._note("ERROR", "run", error.paragraph(), 0)
        self._writer.log(self._log)
        self._writer.record(self._record(status, None, error))

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
        preparation, config = self._preparation, self._preparation.desk.config
        guard = preparation.context.guard
        now = report_done or time.perf_counter()
        collected = engine_done or now
        seconds = Seconds(
            load=round(self._loaded - self._began, 3),
            features=0.0,
            inference=0.0,
            engine=round(collected - self._loaded, 3),
            report=None if report_done is None else round(report_done - collected, 3),
            total=round(now - self._began, 3),
        )
        first = min(int(s.frame.ts_close[0]) - s.interval_ns for s in preparation.series)
        last = max(int(s.frame.ts_close[-1]) for s in preparation.series)
        return RunRecord(
            schema=SCHEMA,
            run_id=self._writer.folder.name,
            mode="backtest",
            name=preparation.desk.name,
            status=status,
            error=None if error is None else error.paragraph(),
            created=self._created,
            fingerprint=None if results is None else results.fingerprint,
            config_sha256=preparation.desk.sha256(),
            data_sha256=preparation.data_sha256,
            models=[],
            bars=self._bars,
            predictions=0,
            orders=0 if results is None else results.orders,
            fills=0 if results is None else results.fills,
            seconds=None if status == "running" else seconds,
            stats=None if results is None else results.stats,
            run_dir=str(self._writer.folder),
            simulated=any(d.simulated for d in preparation.data),
            currency=config.trader.currency,
            period=Period(start=iso(first), end=iso(last)),
            instruments=list(preparation.instruments),
            bar_types=[s.bar_type for s in preparation.series],
            venues=[
                VenueRecord(
                    name=v.name,
                    account=v.account,
                    maker_fee_bps=v.maker_fee_bps,
                    taker_fee_bps=v.taker_fee_bps,
                    slippage_bps=v.slippage_bps,
                    latency_ms=v.latency_ms,
                    leverage=v.leverage,
                    starting_balances=[v.starting_balance],
                )
                for v in preparation.venues.values()
            ],
            starting_equity=preparation.starting_equity,
            final_equity=None if results is None else results.final_equity,
            costs=None if results is None else results.costs,
            ambiguous=None if results is None else results.ambiguous,
            honesty=honesty_notes(preparation, results),
            data=list(preparation.data),
            versions={
                "aitb_nautilus": __version__,
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in _PACKAGES},
            },
            halts=[Halt(ts=iso(h.ts), reason=h.reason, scope=h.strategy_id) for h in guard.halts],
            refused=sum(not d.allowed for d in guard.refusals),
        )
