"""In which order components hear bars and predictions, against the real engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aitb_nautilus.messages import BarClosed, Intent, OrderIntent, Prediction
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, MINUTE, Rig, close_of, flat_bars, make_context, run

BARS = MINUTE.bar_type(BTC)


def prediction(
    number: int, *, bars: int = 1, model: str = "up", instrument: str = BTC
) -> Prediction:
    """Return a prediction at the close of a bar that holds for some bars."""
    ts = close_of(number)
    return Prediction(
        instrument,
        model,
        "1",
        0.2,
        0.6,
        None,
        None,
        5 * MINUTE.ns,
        ts,
        ts,
        ts,
        ts + bars * MINUTE.ns,
    )


class Diary(list[tuple[str, str, int]]):
    """Who heard what, and of which bar."""


class Speaker(GuardedActor):
    """Publish at bars what `script` has for their numbers."""

    def __init__(self, context: Context, name: str, diary: Diary) -> None:
        super().__init__(Settings(), context, name)
        self.diary = diary
        self.script: dict[int, Sequence[Prediction]] = {}
        self.heard = 0

    def __new__(cls, context: Context, name: str, diary: Diary) -> Any:
        return super().__new__(cls, Settings(), context, name)

    def bar_types(self) -> Sequence[str]:
        return [BARS]

    def hear_bar(self, bar: BarClosed) -> None:
        self.heard += 1
        self.diary.append((self.component_id, "bar", self.heard))
        for one in self.script.get(self.heard, ()):
            self.publish_prediction(one)


class Hearer(GuardedStrategy):
    """Write down what it hears; buy at predictions if told to."""

    def __init__(self, context: Context, name: str, diary: Diary, *, bars: bool = True) -> None:
        super().__init__(Settings(), context, name)
        self.diary = diary
        self.hears_bars = bars
        self.heard = 0
        self.buys = False
        self.times: list[int] = []

    def __new__(cls, context: Context, name: str, diary: Diary, *, bars: bool = True) -> Any:
        return super().__new__(cls, Settings(), context, name)

    def bar_types(self) -> Sequence[str]:
        return [BARS] if self.hears_bars else []

    def predictions(self) -> Sequence[tuple[str, str]]:
        return [("up", BTC)]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self.heard += 1
        self.diary.append((self.component_id, "bar", self.heard))
        return ()

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        number = (prediction.ts_event - close_of(1)) // MINUTE.ns + 1
        self.diary.append((self.component_id, "prediction", number))
        self.times.append(self.now())
        if self.buys:
            yield OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal(10))


def desk(*, bars: bool = True) -> tuple[Speaker, Hearer, Diary]:
    context, diary = make_context(), Diary()
    return Speaker(context, "A-001", diary), Hearer(context, "S-001", diary, bars=bars), diary


def go(actor: Speaker, *strategies: Hearer, count: int = 4) -> Rig:
    return run(strategies, actor.context, flat_bars(count), actors=[actor])


def test_actor_hears_a_bar_first_and_its_prediction_comes_after_the_own_bar() -> None:
    actor, strategy, diary = desk()
    actor.script = {2: [prediction(2)]}
    rig = go(actor, strategy, count=3)
    assert rig.state.failures == []
    assert diary == [
        ("A-001", "bar", 1),
        ("S-001", "bar", 1),
        ("A-001", "bar", 2),
        ("S-001", "bar", 2),
        ("S-001", "prediction", 2),
        ("A-001", "bar", 3),
        ("S-001", "bar", 3),
    ]
    assert strategy.times == [close_of(2)]


def test_order_is_that_of_the_config_at_every_hash_seed() -> None:
    code = (
        "from tests.risk.test_listening import *\n"
        "context, diary = make_context(), Diary()\n"
        "actors = [Speaker(context, f'A{n}-00{n}', diary) for n in (3, 1, 2)]\n"
        "strategies = [Hearer(context, f'S{n}-00{n}', diary) for n in (2, 3, 1)]\n"
        "actors[1].script = {1: [prediction(1)], 2: [prediction(2)]}\n"
        "run(strategies, context, flat_bars(2), actors=actors)\n"
        "print(diary)\n"
    )
    told = set()
    for seed in ("0", "1", "7"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout)
    assert len(told) == 1
    heard = eval(told.pop())
    assert [who for who, what, n in heard if n == 1] == [
        "A3-003",
        "A1-001",
        "A2-002",
        "S2-002",
        "S2-002",
        "S3-003",
        "S3-003",
        "S1-001",
        "S1-001",
    ]


def test_prediction_of_a_bar_that_the_strategy_has_seen_is_heard_at_once() -> None:
    actor, strategy, diary = desk()
    actor.script = {3: [prediction(2, bars=3)]}
    go(actor, strategy, count=3)
    assert diary[-3:] == [("A-001", "bar", 3), ("S-001", "prediction", 2), ("S-001", "bar", 3)]


def test_strategy_without_bars_hears_a_prediction_at_once() -> None:
    actor, strategy, diary = desk(bars=False)
    actor.script = {2: [prediction(2)]}
    go(actor, strategy, count=2)
    assert diary == [("A-001", "bar", 1), ("A-001", "bar", 2), ("S-001", "prediction", 2)]


@pytest.mark.parametrize(("bars", "heard"), [(1, []), (2, [("S-001", "prediction", 1)])])
def test_expired_prediction_is_never_handed_over(bars: int, heard: list[Any]) -> None:
    """The one of bar 1 expires at the close of bar 2 or 3; it comes at the close of bar 2."""
    actor, strategy, diary = desk()
    actor.script = {2: [prediction(1, bars=bars)]}
    go(actor, strategy, count=2)
    assert [entry for entry in diary if entry[1] == "prediction"] == heard


def test_held_prediction_that_expires_before_the_own_bar_is_dropped() -> None:
    actor, strategy, diary = desk()
    one = prediction(2)
    actor.script = {2: [replace(one, expires_ns=one.ts_event)]}
    go(actor, strategy, count=3)
    assert "prediction" not in {what for _, what, _ in diary}


def test_order_on_a_prediction_fills_at_the_next_open() -> None:
    actor, strategy, _ = desk()
    strategy.buys = True
    actor.script = {2: [prediction(2)]}
    rows = [(100.0, 101.0, 99.0, 100.5), (100.5, 102.0, 100.0, 101.0), (103.0, 104.0, 102.0, 103.5)]
    rig = run([strategy], actor.context, rows, actors=[actor])
    assert rig.state.failures == []
    fills = rig.context.ledger.fills
    assert [(f.ts, f.price) for f in fills] == [(close_of(2) + 50_000_000, 103.0)]


def test_order_on_a_prediction_in_the_middle_of_the_actors_callback_fills_as_well() -> None:
    actor, strategy, _ = desk(bars=False)
    strategy.buys = True
    actor.script = {1: [prediction(1)]}
    rows = [(100.0, 101.0, 99.0, 100.5), (103.0, 104.0, 102.0, 103.5)]
    rig = run([strategy], actor.context, rows, actors=[actor])
    assert rig.state.failures == []
    assert [f.price for f in rig.context.ledger.fills] == [103.0]


def test_error_on_a_prediction_stops_the_run_under_the_name_of_the_strategy() -> None:
    class Failing(Hearer):
        def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
            raise ValueError("boom")

    context, diary = make_context(), Diary()
    actor, strategy = Speaker(context, "A-001", diary), Failing(context, "S-001", diary)
    actor.script = {2: [prediction(2)]}
    rig = go(actor, strategy, count=5)
    assert [(f.component, f.error) for f in rig.state.failures] == [("S-001", "ValueError: boom")]
    assert strategy.heard == 2
    assert rig.guard.state == "halted"


def test_error_at_a_bar_of_an_actor_stops_the_run_before_any_strategy_hears_it() -> None:
    class Failing(Speaker):
        def hear_bar(self, bar: BarClosed) -> None:
            raise ValueError("boom")

    context, diary = make_context(), Diary()
    actor, strategy = Failing(context, "A-001", diary), Hearer(context, "S-001", diary)
    rig = go(actor, strategy)
    assert [(f.component, f.callback) for f in rig.state.failures] == [("A-001", "on_bar")]
    assert diary == []


@pytest.mark.parametrize("name", ["on_start", "on_bar", "on_stop"])
def test_actor_that_listens_must_not_override_what_listening_needs(name: str) -> None:
    with pytest.raises(TypeError, match=f"overrides {name}, which bar_types and predictions need"):
        type("Deaf", (Speaker,), {name: lambda self, *_: None})


def test_mark_of_the_instrument_is_set_before_the_first_actor_hears_the_bar() -> None:
    marks = []

    class Looking(Speaker):
        def hear_bar(self, bar: BarClosed) -> None:
            marks.append(self.context.ledger.marks[BTC])

    context, diary = make_context(), Diary()
    go(Looking(context, "A-001", diary), Hearer(context, "S-001", diary), count=2)
    assert marks == [30_000.0, 30_000.0]
