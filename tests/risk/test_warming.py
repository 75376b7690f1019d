"""What components hear and may do while the past is told to them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BarType

from aitb_nautilus.messages import BarClosed, OrderIntent
from aitb_nautilus.risk.actor import GuardedActor
from aitb_nautilus.risk.capture import RunState, capture
from aitb_nautilus.risk.listening import Audience, Listening
from aitb_nautilus.risk.warming import WARM_UP
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, MINUTE, T0, Scripted, make_context


def bar(number: int, close: float = 30_000.0) -> BarClosed:
    ts = T0 + number * MINUTE.ns
    return BarClosed(BTC, ts, close, close, close, close, 1.0)


def test_opening_order_is_withheld_and_an_exit_passes() -> None:
    guard = make_context().guard
    guard.ledger.apply_bar(bar(1))
    guard.withheld[WARM_UP] = "warming up: 3 of 40 bars"
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))
    sell = OrderIntent(
        instrument_id=BTC, side="SELL", quantity=Decimal("0.1"), reduce_only=True, purpose="exit"
    )

    refused = guard.judge(buy, "S-001", T0)
    assert (refused.allowed, refused.limit, refused.line) == (
        False,
        "warm-up",
        "warming up: 3 of 40 bars",
    )
    assert guard.judge(sell, "S-001", T0).allowed

    del guard.withheld[WARM_UP]
    assert guard.judge(buy, "S-001", T0).allowed


def test_nothing_leaves_that_was_decided_on_a_bar_of_the_past_not_even_an_exit() -> None:
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    exit_ = OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.1"), reduce_only=True)
    strategy.decide_on_bar = lambda _: [exit_]  # type: ignore[method-assign]
    desk.context.guard.withheld[WARM_UP] = "warming up"
    called: list[str] = []

    desk.context.warming.move_on(bar(1).ts)
    desk.bar(bar(1))
    strategy.answering.ask_engine("", lambda: called.append("market exit"))
    assert (desk.commands, called) == ([], [])
    assert (strategy.refusals[-1].limit, desk.context.guard.refused) == ("warm-up", 0)

    desk.context.warming.move_on(0)
    desk.bar(bar(2))
    assert [one.action for one in desk.commands] == ["submit"]


def test_only_what_is_refused_in_earnest_is_counted() -> None:
    guard = make_context().guard
    guard.ledger.apply_bar(bar(1))
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))

    guard.withheld[WARM_UP] = "warming up"
    guard.judge(buy, "S-001", T0)
    assert (guard.refused, guard.refusals) == (0, [])

    guard.withheld = {"catching-up": "two bars behind"}
    guard.judge(buy, "S-001", T0)
    assert (guard.refused, guard.refusals[0].limit) == (1, "catching-up")


def test_audience_marks_the_ledger_and_tells_its_listeners_in_their_order() -> None:
    context = make_context()
    heard: list[tuple[str, int, float]] = []

    class Ears:
        component_id = "E"

        def __init__(self, name: str) -> None:
            self.name, self.run_state, self.context = name, context.run_state, context

        def now(self) -> int:
            return 0

        def hear(self, one: BarClosed) -> None:
            heard.append((self.name, one.ts, context.ledger.marks[BTC]))

    ears = [Ears("first"), Ears("second")]
    listening = [
        Listening(e, lambda *_: None, first=True, on_bar=e.hear, on_prediction=lambda _: None)
        for e in ears
    ]
    audience = Audience(BTC, listening[0], context)
    audience.listeners += listening
    audience.tell(bar(2, 31_000.0))
    assert heard == [("first", bar(2).ts, 31_000.0), ("second", bar(2).ts, 31_000.0)]


def test_bar_types_that_the_node_brings_are_not_subscribed() -> None:
    context = make_context()
    text = MINUTE.bar_type(BTC)
    context.brought.add(text)

    class Deaf:
        component_id = "D"
        run_state = context.run_state

        def __init__(self) -> None:
            self.context = context

        def now(self) -> int:
            return 0

        def subscribe_bars(self, bar_type: Any) -> None:
            raise AssertionError(f"{bar_type} was subscribed")

    one = Listening(
        Deaf(), lambda *_: None, first=True, on_bar=lambda _: None, on_prediction=lambda _: None
    )
    one.start(lambda: 5, [text], [])
    assert context.audiences[BarType.from_str(text)].listeners == [one]


def test_time_of_an_actor_is_that_of_the_past_that_is_told() -> None:
    context = make_context()
    actor = GuardedActor(Settings(), context, "A-001")
    context.warming.move_on(T0)
    assert actor.now() == T0


def test_node_that_ends_the_engine_itself_is_left_alone() -> None:
    told: list[str] = []

    class Component:
        component_id = "C"

        def __init__(self, state: RunState) -> None:
            self.run_state = state

        def shutdown_system(self, reason: str) -> None:
            told.append(reason)

    state = RunState()
    called = capture(Component(state), "tick", lambda: told.append("called"))
    state.stop("enough")
    called()
    assert told == ["enough"]
    state.is_ended_by_node = True
    called()
    assert told == ["enough"]
