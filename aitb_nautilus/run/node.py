"""Run a desk on paper or live, and leave the same run folder behind as a back-test does.

Native adapters want the engine's blocking loop (decisions 12 and 13): everything that touches an
object of the engine happens on the thread that called, in callbacks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from aitb_nautilus.errors import AitbError
from aitb_nautilus.observe.left_record import LeftRecord
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_record import RunRecord, Seconds
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.journal_carried import CARRIED
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.silence import LIVE_ORDERS, silence
from aitb_nautilus.risk.taking_over import settle_on
from aitb_nautilus.run.backtest_traded import balances_at
from aitb_nautilus.run.commands import NodeCommands
from aitb_nautilus.run.dead_man import DeadMan
from aitb_nautilus.run.early_stop import EarlyStop
from aitb_nautilus.run.ending import what_ended
from aitb_nautilus.run.engine_loop import run_engine, without_bars
from aitb_nautilus.run.interpreter import small_pages
from aitb_nautilus.run.journalling import RunJournal, journalled, still_writing
from aitb_nautilus.run.last_run import LastRun, LastRunFile, history_of
from aitb_nautilus.run.letting_go import LettingGo
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.node_clients import Clients, clients_of
from aitb_nautilus.run.node_engine import build_node
from aitb_nautilus.run.node_instruments import check_instruments
from aitb_nautilus.run.node_news import NodeNews
from aitb_nautilus.run.node_preparation import NodePreparation, prepare_node, refuse_spot, with_bars
from aitb_nautilus.run.node_recovery import NodeRecovery
from aitb_nautilus.run.node_redis import NodeRedis, node_redis
from aitb_nautilus.run.record import Status, run_record
from aitb_nautilus.run.recording import recorded
from aitb_nautilus.run.run_log import RunLog, Tell
from aitb_nautilus.run.run_writer import RunWriter, new_run_dir
from aitb_nautilus.run.snapshots import Facts, Snapshots, Standing, stand
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.run.venue_clock import refuse_wrong_clocks
from aitb_nautilus.run.venue_keys import refuse_wrong_keys

__all__ = ["run_node"]


def run_node(
    desk: Desk | str | Path,
    mode: Literal["paper", "live"],
    *,
    live_orders: bool = False,
    tell: Tell | None = None,
) -> RunRecord:
    """Connect a desk, run it until it is stopped, and return what came of it.

    SIGINT and SIGTERM are how a node ends. One node a process: the engine allows no second.

    Parameters
    ----------
    live_orders
        Whether anything may be sent to a real venue, exits and cancels among it; paper has none.
    tell
        Told of what happens, a level and a line each.

    Raises
    ------
    ConfigError, DataError, ModelError
        Before anything is connected, if config, catalog, models or Redis do not allow it, or a
        venue does not take the keys.
    RunError
        If a component raised, or the engine could not start; the folder says so. Before that and
        without a folder, if a venue would refuse all commands for this machine's clock.
    HaltedError
        If trading was halted by an error and the run was ended then; the folder says so.
    """
    if not isinstance(desk, Desk):
        desk = load_config(desk)
    began = time.perf_counter()
    state = RunState()
    if live_orders:
        refuse_spot(desk)
    prepared = prepare_node(desk, state, mode, time.time_ns())
    # As the config has them: what a paper account is worth by now is no other account.
    venues = {v.name: v for v in desk.config.venues if v.name in prepared.run.venues}
    last_run = LastRunFile(StatePlace.of(desk.path, desk.config.trader), mode, venues)
    clients = clients_of(prepared.run)
    refuse_wrong_clocks(prepared.run)
    refuse_wrong_keys(prepared.run)
    redis = node_redis(prepared.run)
    with EarlyStop(desk.config.live.stop_secs) as early:
        folder = new_run_dir(Path(desk.config.backtest.runs), desk.name)
        run = _NodeRun(
            prepared,
            clients,
            RunWriter(folder),
            last_run,
            redis,
            early=early,
            began=began,
            live_orders=live_orders,
            tell=tell,
        )
        return run.go()


class _NodeRun:
    """One run of a node, from its folder's first file to its last."""

    def __init__(
        self,
        prepared: NodePreparation,
        clients: Mapping[str, Clients],
        writer: RunWriter,
        last_run: LastRunFile,
        redis: NodeRedis,
        *,
        early: EarlyStop,
        began: float,
        live_orders: bool,
        tell: Tell | None,
    ) -> None:
        self._run = prepared.run
        self._context = prepared.run.context
        self._live = prepared.run.desk.config.live
        self._writer = writer
        self._began = began
        self._loaded = began
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._log = RunLog(tell)
        self._journal = RunJournal()
        self._snapshots = Snapshots(self._run, writer)
        self._equity: float | None = None
        self._coins = 0.0
        self._news = NodeNews(self._context, self._log)
        self._commands = NodeCommands(
            self._run.desk,
            self._context,
            self._run.strategies,
            {"mode": self._run.mode, "run_id": writer.folder.name},
        )
        self._last_run = last_run
        self._redis = redis
        self._early = early
        self._dead_man = DeadMan(self._run, self._log.note, is_on=live_orders)
        self._recovery: NodeRecovery | None = None
        self._left: LeftRecord | None = None
        self._built = build_node(
            self._run,
            prepared.plan,
            clients,
            first=[self._commands.actor, *redis.actors],
            reference_bar_types=prepared.reference_bar_types,
            log_folder=writer.folder,
            note=self._log.note,
            on_tick=self._tick,
            on_warm=self._take_over,
            kept=redis.engine_cache(last_run.path.stem),
        )
        self._letting_go = LettingGo(self._built.cache, self._context.ledger)
        # After the gate's own: what is wished in the past is refused for that reason.
        if self._run.mode == "live" and not live_orders:
            self._context.guard.withheld[LIVE_ORDERS] = (
                "nothing is sent to the venue, no exit, change or cancel: start with --live-orders"
            )

    def go(self) -> RunRecord:
        """Run the engine until it is stopped, then write what came out."""
        writer = self._writer
        writer.config(self._run.desk.toml())
        self._log.open(writer.folder)
        self._standing = Standing(self._run, None, [])
        writer.record(self._record(self._standing, "running"))
        self._log.note("INFO", f"{self._run.mode} run {writer.folder.name}: connecting")
        for line in self._run.remarks:
            self._log.note("WARNING", line)
        try:
            publishing = self._redis.publishing(writer.folder.name, self._log.note)
            journal = journalled(self._run, writer.folder, self._redis.tell)
            recording = recorded(self._run, writer.folder, self._log.note)
            small = small_pages()
            with small, publishing, self._commands, journal as self._journal, recording:
                self._loaded = time.perf_counter()
                self._recovery = self._recover_from()
                try:
                    run_engine(
                        self._built,
                        self._context.run_state,
                        writer.folder,
                        self._early,
                        switch_ms=self._live.switch_interval_ms,
                        give_up=self._give_up,
                        note=self._log.note,
                    )
                finally:
                    self._dead_man.close(keep_orders=self._built.warden.policy == "hold")
                    self._recovery.close()
        except AitbError as e:
            self._finish_broken(e)
            raise
        finally:
            self._snapshots.close()
            self._news.say()
        try:
            with still_writing(writer.folder):
                return self._finish()
        finally:
            self._built.node.dispose()

    def _finish(self) -> RunRecord:
        """Write what came out, or raise what ended the run."""
        writer = self._writer
        engine_done = time.perf_counter()
        status, error = what_ended(
            self._context, writer.folder, was_asked=bool(self._built.warden.asked)
        )
        try:
            has_begun = self._equity is not None
            facts = self._facts(compare=error is None and has_begun)
            standing = stand(self._run, facts, writer.table)
            if standing.results is None and error is None:
                status, error = "interrupted", without_bars(writer.folder)
            self._say_left()
            self._log.note("INFO", f"ended: {self._context.run_state.stop_reason or status}")
            writer.record(self._record(standing, status, error, engine_done))
            if standing.results is not None:
                write_report(writer.folder)
            record = self._record(standing, status, error, engine_done, time.perf_counter())
            writer.record(record)
        except AitbError as e:
            self._finish_broken(e)
            raise
        if error is not None:
            raise error
        return record

    def _give_up(self, why: str) -> None:
        """Close the folder of a run that is to end, while the engine still waits for the venues."""
        with suppress(AitbError):
            self._journal.close(why, self._run.first_open_ns)
            error = without_bars(self._writer.folder)
            self._log.note("INFO", f"ended: {why}")
            self._log.note("ERROR", error.paragraph(), "run")
            self._writer.record(self._record(self._standing, "interrupted", error))

    # On the node's thread, ten times a second

    def _tick(self) -> None:
        if self._equity is None:
            self._early.connected()
            if self._early.asked:
                self._built.warden.ask(self._early.asked)
            self._begin()
        self._recover()
        if self._recovery is not None and self._recovery.is_done:
            self._dead_man.tick()
        self._news.say()
        self._letting_go.take(time.time_ns())
        self._context.expire(time.time_ns())
        if self._built.gate.is_warm and self._snapshots.are_due:
            self._take_snapshot()

    def _begin(self) -> None:
        """Look at what the venues say of account and instruments, before anything is decided."""
        check_instruments(self._run, self._built.cache)
        self._equity = self._run.starting_equity
        if self._run.mode == "live":
            currency = self._run.desk.config.trader.currency
            held = [balances_at(self._built.portfolio, name) for name in self._run.venues]
            money = sum(float(b[currency].as_decimal()) for b in held if currency in b)
            self._equity = money + self._coins
            # Before the ledger holds what was carried over, its coins count as money.
            is_held = any(p.held for p in self._context.ledger.positions.values())
            settle_on(self._context, money if is_held else self._equity)
        self._log.note("INFO", f"connected; equity {self._equity:,.2f}")
        if why := silence(self._context.guard):
            self._log.note("WARNING", why)
        for line in self._commands.know_equity(time.time_ns()):
            self._log.note("WARNING", line)

    def _recover_from(self) -> NodeRecovery:
        """Carry what the last run left into this one's journal."""
        last = LastRun(self._writer.folder.name, str(self._writer.folder.absolute()))
        runs, lots = Path(self._run.desk.config.backtest.runs), self._context.guard.lots
        history = history_of(self._last_run.read(), runs, time.time_ns(), lots)
        recovery = NodeRecovery(self._run, history, self._last_run, last, self._log.note)
        self._coins = sum(
            float(p.quantity) * p.average_price
            for p in history.carried.positions
            if self._run.instruments[p.instrument_id].kind == "spot"
        )
        recovery.connect(self._built.cache, self._built.gate)
        recovery.begin()
        recovery.settle(self._redis.agree(history.carried))
        return recovery

    def _recover(self) -> None:
        recovery = self._recovery
        if recovery is None:
            return
        was_done = recovery.is_done
        recovery.tick(time.time_ns())
        if recovery.is_done and not was_done:
            self._built.warden.is_settled = True
            self._equity = self._context.ledger.starting_equity

    def _take_over(self) -> None:
        if self._recovery is not None:
            self._recovery.take_over()

    def _take_snapshot(self) -> None:
        try:
            self._snapshots.take(self._facts())
        except AitbError as e:
            # Nothing opens any more; what is held must still be looked after.
            self._context.halt_from_node(f"the run folder: {e.paragraph()}", time.time_ns())

    def _facts(self, *, compare: bool = False) -> Facts:
        """Return what there is; with `compare`, also what the sandbox's account says."""
        gate, recorder, ledger = self._built.gate, self._built.recorder, self._context.ledger
        balances = None
        was_reopened = _has_carried(ledger) or self._run.room
        if compare and self._run.mode == "paper" and not was_reopened:
            balances = {n: balances_at(self._built.portfolio, n) for n in self._run.venues}
        return Facts(
            told=gate.told.frames(),
            past=gate.past.frames(),
            orders=list(ledger.orders.values()),
            fills=list(ledger.fills),
            predictions=recorder.table(),
            late=dict(recorder.late),
            equity=self._run.starting_equity if self._equity is None else self._equity,
            balances=balances,
        )

    def _finish_broken(self, error: AitbError) -> None:
        """Say in the folder why there are no results; a full disk may not take even that."""
        with suppress(AitbError):
            self._log.note("ERROR", error.paragraph(), "run")
            self._say_left()
            gate = self._built.gate
            told, past = gate.told.frames(), gate.past.frames()
            run = with_bars(self._run, told, past, self._equity or 0.0)
            standing = Standing(run, None, [])
            self._writer.record(self._record(standing, "failed", error))

    def _say_left(self) -> None:
        """Say once what is left; before what the last run left is known, nobody can."""
        if self._left is None and self._recovery is not None and self._recovery.is_done:
            self._left = self._news.say_left(self._run.mode, time.time_ns())

    def _record(
        self,
        standing: Standing,
        status: Status,
        error: AitbError | None = None,
        engine_done: float | None = None,
        report_done: float | None = None,
    ) -> RunRecord:
        spent = self._context.seconds
        now = report_done or time.perf_counter()
        collected = engine_done or now
        seconds = Seconds(
            load=round(self._loaded - self._began, 3),
            features=round(spent.get("features", 0.0), 3),
            inference=round(spent.get("inference", 0.0), 3),
            engine=round(collected - self._loaded, 3),
            report=None if report_done is None else round(report_done - collected, 3),
            total=round(now - self._began, 3),
        )
        return run_record(
            standing.preparation,
            self._writer.folder,
            created=self._created,
            status=status,
            seconds=None if status == "running" else seconds,
            models=standing.models,
            bars=len(self._built.gate.told),
            results=standing.results,
            error=error,
            journal=self._journal.record,
            left=self._left,
        )


def _has_carried(ledger: Ledger) -> bool:
    return any(order.purpose == CARRIED for order in ledger.orders.values())
