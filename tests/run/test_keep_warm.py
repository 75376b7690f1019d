"""Rehearsing while a bar is due: when, how long, and without any trace."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.listening import Audience
from aitb_nautilus.risk.replay_stage import ReplayStage, TimeEvent
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run import keep_warm
from aitb_nautilus.run.bar_gate import BarGate, GatePlan
from aitb_nautilus.run.config import LiveSettings
from aitb_nautilus.run.keep_warm import KeepWarm
from aitb_nautilus.settings import Settings
from tests.actors.desk import frame
from tests.risk.rig import BTC, ETH, MINUTE, close_of, make_context
from tests.run.desk_lab import Lab, Outcome
from tests.run.replay_lab import record
from tests.run.test_bar_gate import engine_bars

MS = 1_000_000


class Rehearsing(GuardedActor):
    """Remember when it rehearsed what."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.times: list[tuple[str, int]] = []

    def rehearse(self, instrument_id: str) -> None:
        self.times.append((instrument_id, self.now()))


class Broken(GuardedActor):
    def rehearse(self, instrument_id: str) -> None:
        raise ValueError(f"no {instrument_id}")


class Play:
    """A gate whose bars come late by so much, and who is kept warm, on a clock moved by hand."""

    def __init__(self, names: Sequence[str], *, keep_ms: float = 500.0, broken: bool = False):
        self.context, self.stage = make_context(), ReplayStage()
        self.said: list[tuple[str, str]] = []
        msgspec.structs.force_setattr(self.context, "stage", self.stage)
        types = [MINUTE.bar_type(name) for name in names]
        self.gate = BarGate(
            Settings(),
            self.context,
            "gate-001",
            plan=GatePlan(types, dict.fromkeys(names, close_of(0)), {}, 0),
            live=LiveSettings(),
            note=lambda *_: None,
            on_warm=lambda: None,
        )
        self.ear = Rehearsing(Settings(), self.context, "ear-001")
        deaf = GuardedActor(Settings(), self.context, "deaf-001")
        faulty = [Broken(Settings(), self.context, "broken-001")] if broken else []
        self.warm = KeepWarm(
            Settings(),
            self.context,
            "warm-001",
            gate=self.gate,
            actors=[self.ear, deaf, *faulty],
            bar_types=types,
            keep_ms=keep_ms,
            note=lambda level, line: self.said.append((level, line)),
        )
        self.context.run_state.is_ended_by_node = True  # as the warden says in a node
        for one in (self.gate, self.ear, self.warm, *faulty):
            one._engine_ns = self.stage.now

    def go(self, frames: Mapping[str, BarFrame], *, late_ms: int, until_ms: int) -> list[int]:
        """Return, in ms after the first close, when it rehearsed."""
        coming = deque(engine_bars(frames))
        first = close_of(1)
        self.stage.time = first - 30_000 * MS
        self.gate._look(None)
        self.warm.on_start()
        for ms in range(-30_000, until_ms):
            self.stage.time = first + ms * MS
            while coming and self.stage.time >= coming[0].ts_event + (1 + late_ms) * MS:
                self.gate.on_bar(coming.popleft())
            if ms % 2 == 0:
                self._wake()
        return [(at - first) // MS for _, at in self.ear.times]

    def _wake(self) -> None:
        for (who, name), callback in list(self.stage.timers.items()):
            if who != "warm-001":
                continue
            at = self.warm._close - 20 * MS if name == "close" else 0
            if at <= self.stage.time:
                if at:
                    del self.stage.timers[who, name]
                callback(TimeEvent(name, self.stage.time, self.stage.time))


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes pass in less than a rest takes."""
    monkeypatch.setattr(keep_warm, "_REST_NS", 0)


def test_it_rehearses_from_shortly_before_a_close_until_the_bar_is_there() -> None:
    play = Play([BTC])
    times = play.go({BTC: frame(3, 3, 30_000.0)}, late_ms=7, until_ms=125_000)
    wanted = [close + ms for close in (0, 60_000, 120_000) for ms in range(-18, 8, 2)]
    assert times == wanted
    assert play.warm.passes == len(wanted)
    assert play.context.run_state.failures == []


def test_bar_that_does_not_come_is_not_waited_for_longer_than_said() -> None:
    bars = frame(3, 3, 30_000.0, without=[1])
    times = Play([BTC], keep_ms=300.0).go({BTC: bars}, late_ms=0, until_ms=100_000)
    assert [ms for ms in times if ms > 1_000] == list(range(59_982, 60_300, 2))


def test_instruments_take_turns_until_the_last_one_has_its_bar() -> None:
    play = Play([BTC, ETH], keep_ms=300.0)
    frames = {BTC: frame(1, 3, 30_000.0), ETH: frame(1, 4, 2_000.0, without=[0])}
    times = play.go(frames, late_ms=4, until_ms=1_000)
    assert times == list(range(-18, 300, 2))
    names = [name for name, _ in play.ear.times]
    assert names == [name for name, _ in zip(itertools.cycle([BTC, ETH]), names, strict=False)]


def test_nobody_rehearses_right_after_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_warm, "_REST_NS", 3_600 * 1_000_000_000)
    play = Play([BTC, ETH], keep_ms=300.0)
    frames = {BTC: frame(1, 3, 30_000.0), ETH: frame(1, 4, 2_000.0, without=[0])}
    play.gate.came_ns = -(1 << 62)
    times = play.go(frames, late_ms=4, until_ms=1_000)
    assert times == list(range(-18, 4, 2))  # then its order is on its way


def test_error_of_a_rehearsal_is_said_and_nothing_else_changes() -> None:
    """The actor rehearses no more; the others do, and nothing halts or ends."""
    play = Play([BTC], broken=True)
    times = play.go({BTC: frame(2, 3, 30_000.0)}, late_ms=9, until_ms=60_100)
    assert times == [close + ms for close in (0, 60_000) for ms in range(-18, 10, 2)]
    assert play.context.run_state.failures == []
    assert (play.context.run_state.stop_reason, play.context.guard.halts) == ("", [])
    ((level, line),) = play.said
    assert level == "ERROR"
    first, *trace = line.splitlines()
    assert first == (
        f"broken-001.rehearse raised ValueError: no {BTC}; it is kept warm no more, and answers "
        f"its bars as if it never was: see to its rehearse, or set live.keep_warm_ms = 0"
    )
    assert trace[0].startswith("Traceback")


def test_nobody_wakes_up_once_nobody_is_left_to_rehearse() -> None:
    play = Play([BTC], broken=True)
    play.warm._actors.remove(play.ear)
    play.go({BTC: frame(3, 3, 30_000.0)}, late_ms=9, until_ms=100_000)
    assert (play.warm.passes, len(play.said)) == (1, 1)
    assert not [name for who, name in play.stage.timers if who == "warm-001"]


def test_nothing_is_waited_for_where_nobody_rehearses() -> None:
    play = Play([BTC])
    play.warm._actors.clear()
    play.warm.on_start()
    assert not [name for who, name in play.stage.timers if who == "warm-001"]


def test_run_that_rehearses_at_every_bar_is_the_same_to_the_last_bit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = record(lab, inference="inline")
    tell, passes = Audience.tell, itertools.count()

    def rehearse(audience: Audience) -> None:
        actors = [
            one._component
            for other in audience._context.audiences.values()
            for one in other.listeners
            if isinstance(one._component, GuardedActor)
        ]
        for actor in actors:
            actor.rehearse(audience.instrument_id)
            next(passes)

    def rehearsed(audience: Audience, bar: BarClosed) -> None:
        rehearse(audience)
        tell(audience, bar)
        rehearse(audience)

    monkeypatch.setattr(Audience, "tell", rehearsed)
    other = record(lab, inference="inline")
    assert next(passes) > 500
    assert plain.record.fills > 20
    assert _said(other) == _said(plain)
    assert other.record.fingerprint == plain.record.fingerprint
    for name in ("orders", "fills", "positions", "predictions", "equity"):
        assert other.table(name) == plain.table(name), name


def _said(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Return all that passed the tape of a run, but for its id."""
    entries = read_entries(outcome.folder / INPUTS_NAME)
    return [tuple(entry) for entry in entries if entry.kind != "header"]
