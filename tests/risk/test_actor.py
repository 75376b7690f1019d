"""The base class of actors against the real engine."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.common import DataActor
from nautilus_trader.model import BarType, CustomData, FundingRateUpdate, InstrumentId

from aitb_nautilus.messages import OrderIntent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, MINUTE, Rig, Scripted, close_of, flat_bars, make_context, run
from tests.risk.test_strategy import NOTE, Note, beside_the_bars

BTC_ID = InstrumentId.from_str(BTC)


class Listener(GuardedActor):
    """Listen to everything; on the second bar, publish everything."""

    def __init__(self, settings: Settings, context: Context, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.bars = 0
        self.ts_raised = 0

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str(MINUTE.bar_type(BTC)))
        self.subscribe_quotes(BTC_ID)
        self.subscribe_trades(BTC_ID)
        self.subscribe_funding_rates(BTC_ID)
        self.subscribe_mark_prices(BTC_ID)
        self.subscribe_data(NOTE)
        self.subscribe_signal("word")
        self.subscribe_topic("topic", self.handle_topic)
        self.clock.set_timer("plain", timedelta(minutes=2))
        self.clock.set_timer("own", timedelta(minutes=2), callback=self.handle_timer)

    def on_bar(self, _: Any) -> None:
        self.bars += 1
        if self.bars == 2:
            now = self.now()
            self.publish_data(NOTE, CustomData(NOTE, Note(now, now, "text")))  # type: ignore[call-arg]
            self.publish_signal("word", 1.0, now)
            self.publish_message("topic", 1)

    def handle_topic(self, _: object) -> None:
        """Do nothing."""

    def handle_timer(self, _: object) -> None:
        """Do nothing."""


def run_with(actor: GuardedActor, rows: Any = None) -> tuple[Rig, Scripted]:
    context = actor.context
    strategy = Scripted(Settings(), context, "S-001")
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.001"))
    strategy.steps = {n: lambda _: [buy] for n in range(1, 20)}
    ts = close_of(4)
    rate = FundingRateUpdate(BTC_ID, Decimal("0.0001"), ts, ts, None, ts + 1)
    rig = run(
        [strategy],
        context,
        rows or [(30_000.0 + 10 * i,) * 4 for i in range(12)],
        extra=[*beside_the_bars(), rate],
        actors=[actor],
    )
    return rig, strategy


def failing(name: str, error: BaseException) -> Listener:
    def raiser(self: Any, *_: Any) -> None:
        self.ts_raised = self.ts_raised or DataActor.clock.__get__(self).timestamp_ns()
        raise error

    raiser.__name__ = name
    cls = type("Failing", (Listener,), {name: raiser})
    made: Listener = cls(Settings(), make_context(), "A-001")
    return made


def test_actor_that_listens_to_everything_runs_through() -> None:
    actor = Listener(Settings(), make_context(), "A-001")
    rig, strategy = run_with(actor)
    assert (rig.state.failures, rig.guard.halts) == ([], [])
    assert actor.bars == len(strategy.bars) == 12


@pytest.mark.parametrize(
    "name",
    [
        "on_bar",
        "on_quote",
        "on_trade",
        "on_funding_rate",
        "on_mark_price",
        "on_data",
        "on_signal",
        "on_time_event",
        "handle_topic",
        "handle_timer",
    ],
)
def test_error_in_a_callback_of_an_actor_halts_the_guard_and_ends_the_run(name: str) -> None:
    actor = failing(name, ValueError("boom"))
    rig, strategy = run_with(actor)
    failure = rig.state.failures[0]
    assert (failure.component, failure.callback, failure.error, failure.ts) == (
        "A-001",
        name,
        "ValueError: boom",
        actor.ts_raised,
    )
    assert "in raiser" in failure.trace
    assert rig.state.stop_reason == f"A-001.{name} raised ValueError: boom"
    assert rig.guard.halts[0].reason == rig.state.stop_reason
    assert rig.guard.state == "halted"
    assert len(strategy.bars) < 12
    assert strategy.view.quantity(BTC) == rig.quantity()


def test_error_at_the_start_of_an_actor_lets_nothing_begin() -> None:
    rig, strategy = run_with(failing("on_start", ValueError("boom")))
    assert [f.callback for f in rig.state.failures] == ["on_start"]
    assert (strategy.bars, rig.engine.cache.orders()) == ([], [])


@pytest.mark.parametrize("name", ["on_stop", "on_dispose"])
def test_error_at_the_end_of_an_actor_is_recorded(name: str) -> None:
    def fail(self: Any) -> None:
        raise ValueError("boom")

    fail.__name__ = name
    actor = type("Failing", (Listener,), {name: fail})(Settings(), make_context(), "A-001")
    rig, strategy = run_with(actor)
    rig.engine.dispose()
    assert [f.callback for f in rig.state.failures] == [name]
    assert len(strategy.bars) == 12


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["on_bar", "handle_timer", "handle_topic"])
def test_what_would_end_python_ends_the_run_as_a_failure(name: str, error: BaseException) -> None:
    rig, strategy = run_with(failing(name, error))
    assert rig.state.failures[0].error.startswith(type(error).__name__)
    assert len(strategy.bars) < 12


def test_actor_hears_nothing_after_a_strategy_failed() -> None:
    actor = Listener(Settings(), make_context(), "A-001")
    strategy = Scripted(Settings(), actor.context, "S-001")

    def fail(_: Scripted) -> None:
        raise ValueError("boom")

    strategy.steps = {3: fail}
    rig = run([strategy], actor.context, flat_bars(8), actors=[actor])
    assert [f.component for f in rig.state.failures] == ["S-001"]
    assert len(strategy.bars) == 3
    assert actor.bars <= 3


def test_actor_knows_the_time_of_the_engine_and_leaves_a_topic() -> None:
    heard: list[object] = []
    times: list[tuple[int, int]] = []

    class Timely(Listener):
        def on_bar(self, bar: Any) -> None:
            self.bars += 1
            times.append((self.now(), bar.ts_event))
            if self.bars == 1:
                self.subscribe_topic("news", heard.append)
                self.publish_message("news", "first")
                self.unsubscribe_topic("news", heard.append)
                self.publish_message("news", "second")

    rig, _ = run_with(Timely(Settings(), make_context(), "A-001"))
    assert rig.state.failures == []
    assert heard == ["first"]
    assert all(now == ts for now, ts in times)
