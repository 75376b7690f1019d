"""The base class of strategies against the real engine: errors in every callback, time, topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    CustomData,
    DataType,
    FundingRateUpdate,
    IndexPriceUpdate,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TimeInForce,
    TriggerType,
    register_custom_data_class,
)
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.trading import Strategy

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed, CloseIntent, Intent, OrderIntent
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, MINUTE, Rig, Scripted, close_of, flat_bars, make_context, run

BTC_ID = InstrumentId.from_str(BTC)
SECOND = 10**9
RISING = [(30_000.0 + 10 * i,) * 4 for i in range(14)]
WIDE = RiskSettings(max_order_notional=1e9, max_position_notional=1e9)
NOTE = DataType("Note")
HALFWAY = close_of(4) + 7 * SECOND
"""When the data beside the bars come, ns UTC."""


@customdataclass
class Note:
    text: str


register_custom_data_class(Note)


def beside_the_bars() -> list[Any]:
    """Return one piece of every kind of data that the rig can hold."""
    price, size, ts = Price(30_000.0, 2), Quantity.from_str("1.000"), HALFWAY
    bid = BookOrder(OrderSide.BUY, price, size, 1)
    return [
        QuoteTick(BTC_ID, price, Price(30_000.1, 2), size, size, ts, ts),
        MarkPriceUpdate(BTC_ID, price, ts, ts),
        IndexPriceUpdate(BTC_ID, price, ts, ts),
        InstrumentClose(BTC_ID, price, InstrumentCloseType.END_OF_SESSION, ts, ts),
        InstrumentStatus(BTC_ID, MarketStatusAction.TRADING, ts, ts),
        OrderBookDelta(BTC_ID, BookAction.ADD, bid, 0, 0, ts, ts),
        FundingRateUpdate(BTC_ID, Decimal("0.0001"), ts, ts, None, ts + 1),
    ]


class Raising(Scripted):
    """Remember when it first raised."""

    ts_raised = 0


class Busy(Raising):
    """Listen to everything, and send orders that live through every kind of event."""

    def __init__(self, settings: Settings, context: Any, component_id: str) -> None:
        super().__init__(settings, context, component_id)
        self.steps = {2: self.send_all, 3: self.change, 4: self.cancel, 5: self.sell, 6: self.leave}

    def decide_on_start(self) -> Iterable[Intent]:
        self.subscribe_quotes(BTC_ID)
        self.subscribe_trades(BTC_ID)
        self.subscribe_mark_prices(BTC_ID)
        self.subscribe_index_prices(BTC_ID)
        self.subscribe_instrument_status(BTC_ID)
        self.subscribe_instrument_close(BTC_ID)
        self.subscribe_book_deltas(BTC_ID, BookType.L2_MBP)
        self.subscribe_book_at_interval(BTC_ID, BookType.L2_MBP, interval_ms=20_000)
        self.subscribe_data(NOTE)
        self.subscribe_signal("word")
        self.subscribe_topic("topic", self.handle_topic)
        every = timedelta(minutes=2)
        self.clock.set_timer("plain", every)
        self.clock.set_timer("own", every, callback=self.handle_timer)
        self.clock.set_timer("lambda", every, callback=lambda _: self.handle_lambda())
        return ()

    def handle_topic(self, _: object) -> None:
        """Do nothing."""

    def handle_timer(self, _: object) -> None:
        """Do nothing."""

    def handle_lambda(self) -> None:
        """Do nothing."""

    def market(self, side: OrderSide, quantity: str) -> None:
        self.submit_order(self.order_factory.market(BTC_ID, side, Quantity.from_str(quantity)))

    def send_all(self, _: object) -> None:
        now, size = self.now(), Quantity.from_str("0.010")
        self.publish_data(NOTE, CustomData(NOTE, Note(now, now, "text")))  # type: ignore[call-arg]
        self.publish_signal("word", 1.0, now)
        self.publish_message("topic", 1)
        self.market(OrderSide.BUY, "0.010")
        make = self.order_factory
        bid = make.limit(BTC_ID, OrderSide.BUY, size, Price(29_000.0, 2))
        self.bid_id = bid.client_order_id
        self.submit_order(bid)
        self.submit_order(
            make.limit(BTC_ID, OrderSide.BUY, size, Price(31_000.0, 2), post_only=True)
        )
        self.submit_order(
            make.limit(
                BTC_ID,
                OrderSide.BUY,
                size,
                Price(29_000.0, 2),
                time_in_force=TimeInForce.GTD,
                expire_time=now + 90 * SECOND,
            )
        )
        self.submit_order(
            make.stop_market(
                BTC_ID,
                OrderSide.BUY,
                size,
                Price(30_050.0, 2),
                emulation_trigger=TriggerType.LAST_PRICE,
            )
        )
        self.market(OrderSide.BUY, "60.000")

    def change(self, _: object) -> None:
        self.modify_order(self.bid_id, None, Price(29_100.0, 2))

    def cancel(self, _: object) -> None:
        self.modify_order(self.bid_id, None, Price(29_200.0, 2))
        self.cancel_order(self.bid_id)

    def sell(self, _: object) -> None:
        self.market(OrderSide.SELL, "0.005")

    def leave(self, _: object) -> Iterable[Intent]:
        return [CloseIntent(instrument_id=BTC)]


def run_one(strategy: Scripted, rows: Any = None) -> Rig:
    return run([strategy], strategy.context, rows or RISING, extra=beside_the_bars())


def raising(name: str, error: BaseException) -> Callable[..., None]:
    def raiser(self: Any, *_: Any) -> None:
        # The engine's clock cannot be asked while the engine itself holds the strategy.
        with suppress(RuntimeError):
            self.ts_raised = self.ts_raised or Strategy.clock.__get__(self).timestamp_ns()
        raise error

    raiser.__name__ = name
    return raiser


def failing(name: str, error: BaseException, base: type[Raising] = Busy) -> Raising:
    cls = type("Failing", (base,), {name: raising(name, error)})
    made: Raising = cls(Settings(), make_context(WIDE), "S-001")
    return made


def assert_stopped_by(rig: Rig, strategy: Any, callback: str, error: str) -> None:
    """Check that the failure stands on top with all that helps, and that nothing went on."""
    first = rig.state.failures[0]
    assert (first.component, first.callback, first.error) == ("S-001", callback, error)
    assert error.partition(": ")[2] in first.trace
    assert "Traceback" in first.trace
    assert rig.state.stop_reason == f"S-001.{callback} raised {error}"
    assert rig.guard.state == "halted"
    assert rig.guard.halts[0].reason == f"S-001.{callback} raised {error}"
    if strategy.ts_raised and callback != "on_book":  # a book is as old as its last change
        assert first.ts == strategy.ts_raised
    assert strategy.view.quantity(BTC) == rig.quantity(), "the ledger missed a fill"


MIDWAY = [
    "on_quote",
    "on_trade",
    "on_data",
    "on_signal",
    "on_time_event",
    "on_book",
    "on_book_deltas",
    "on_mark_price",
    "on_index_price",
    "on_instrument_status",
    "on_instrument_close",
    "on_order_initialized",
    "on_order_denied",
    "on_order_submitted",
    "on_order_accepted",
    "on_order_rejected",
    "on_order_canceled",
    "on_order_expired",
    "on_order_updated",
    "on_order_pending_update",
    "on_order_pending_cancel",
    "on_order_modify_rejected",
    "on_order_emulated",
    "on_order_released",
    "on_order_filled",
    "on_position_event",
    "on_position_opened",
    "on_position_changed",
    "on_position_closed",
    "handle_topic",
    "handle_timer",
]


def test_strategy_that_listens_to_everything_runs_through_without_a_failure() -> None:
    strategy = Busy(Settings(), make_context(WIDE), "S-001")
    rig = run_one(strategy)
    assert rig.state.failures == []
    assert rig.guard.halts == []
    assert rig.quantity() == 0
    assert len(strategy.bars) == len(RISING)


@pytest.mark.parametrize("name", MIDWAY)
def test_error_in_a_callback_is_recorded_and_ends_the_run(name: str) -> None:
    strategy = failing(name, ValueError(f"boom in {name}"))
    rig = run_one(strategy)
    assert_stopped_by(rig, strategy, name, f"ValueError: boom in {name}")
    assert len(strategy.bars) < len(RISING)


def test_error_in_a_lambda_given_to_the_clock_is_recorded() -> None:
    strategy = failing("handle_lambda", ValueError("boom"))
    rig = run_one(strategy)
    assert_stopped_by(rig, strategy, "<lambda>", "ValueError: boom")
    assert len(strategy.bars) < len(RISING)


@pytest.mark.parametrize(
    ("hook", "callback", "bars"),
    [
        ("decide_on_start", "on_start", 0),
        ("decide_on_bar", "on_bar", 0),
        ("decide_on_order", "on_order_event", 2),
        ("decide_on_fill", "on_order_event", 2),
        ("bar_types", "on_start", 0),
    ],
)
def test_error_in_what_a_strategy_decides_is_recorded(hook: str, callback: str, bars: int) -> None:
    strategy = failing(hook, ValueError("boom"))
    rig = run_one(strategy)
    assert_stopped_by(rig, strategy, callback, "ValueError: boom")
    assert len(strategy.bars) == bars


def test_error_in_the_answer_to_a_refusal_is_recorded() -> None:
    strategy = failing("decide_on_refusal", ValueError("boom"), Raising)
    strategy.steps = {
        3: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.00001"))]
    }
    rig = run([strategy], strategy.context, flat_bars(8))
    assert_stopped_by(rig, strategy, "on_bar", "ValueError: boom")
    assert len(strategy.bars) == 3


@pytest.mark.parametrize("name", ["decide_on_stop", "on_dispose"])
def test_error_at_the_end_is_recorded_too(name: str) -> None:
    strategy = failing(name, ValueError("boom"))
    rig = run_one(strategy)
    rig.engine.dispose()
    callback = "on_stop" if name == "decide_on_stop" else name
    assert_stopped_by(rig, strategy, callback, "ValueError: boom")
    assert len(strategy.bars) == len(RISING)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("on_reset", "reset"),
        ("on_degrade", "degrade"),
        ("on_fault", "fault"),
        ("on_resume", "resume"),
        ("on_save", "save"),
    ],
)
def test_error_in_a_callback_of_the_life_cycle_is_recorded(name: str, call: str) -> None:
    strategy = failing(name, ValueError("boom"), Raising)

    def enter(_: Scripted) -> None:
        with_engine = getattr(strategy, call)
        try:
            with_engine()
        except (RuntimeError, TypeError):
            # The engine does not like what it gets back from a callback that failed.
            assert strategy.run_state.failures

    if call in ("degrade", "fault", "save"):
        strategy.steps = {3: enter}
    rig = run([strategy], strategy.context, flat_bars(6))
    if call in ("reset", "resume"):
        enter(strategy)
    assert (rig.state.failures[0].callback, rig.state.failures[0].error) == (
        name,
        "ValueError: boom",
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
@pytest.mark.parametrize("name", ["decide_on_bar", "handle_timer", "handle_topic", "on_trade"])
def test_what_would_end_python_ends_the_run_as_a_failure(
    name: str, error: BaseException, text: str
) -> None:
    strategy = failing(name, error)
    rig = run_one(strategy)
    assert rig.state.failures[0].error == text
    assert rig.state.stop_reason
    assert len(strategy.bars) < len(RISING)


def test_failure_says_when_it_happened() -> None:
    for name, ts in (("handle_timer", 2 * MINUTE.ns), ("on_quote", HALFWAY)):
        strategy = failing(name, ValueError("boom"))
        failure = run_one(strategy).state.failures[0]
        assert failure.ts == strategy.ts_raised
        assert failure.ts % (2 * MINUTE.ns) == ts % (2 * MINUTE.ns) or name == "handle_timer"


def test_orders_in_flight_still_reach_the_ledger_after_a_failure() -> None:
    def buy_and_fail(strategy: Scripted) -> None:
        strategy.act([OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))])
        raise ValueError("boom")

    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {3: buy_and_fail}
    rig = run([strategy], strategy.context, flat_bars(8))
    assert len(strategy.bars) == 3
    assert rig.quantity() == strategy.view.quantity(BTC) == Decimal("0.010")
    assert [f.quantity for f in strategy.fills] == [Decimal("0.010")]


def test_failure_of_one_strategy_stops_the_others_and_opens_nothing_more() -> None:
    context = make_context()
    first, second = (Scripted(Settings(), context, f"S-00{i}") for i in (1, 2))
    opening = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))

    def fail(_: Scripted) -> None:
        raise ValueError("boom")

    first.steps = {3: fail}
    second.steps = {n: lambda _: [opening] for n in range(1, 8)}
    rig = run([first, second], context, flat_bars(8))
    assert [f.component for f in rig.state.failures] == ["S-001"]
    assert (len(first.bars), len(second.bars)) == (3, 2)
    assert rig.quantity() == Decimal("0.020")


@pytest.mark.parametrize("again", range(3))
def test_strategies_answer_a_bar_in_the_order_in_which_they_were_given(again: int) -> None:
    context = make_context()
    order: list[str] = []
    strategies = [Scripted(Settings(), context, f"S-00{i}") for i in range(1, 5)]
    for strategy in strategies:
        strategy.steps = {n: lambda s: order.append(s.component_id) for n in range(1, 4)}
    rig = run(strategies, context, flat_bars(3))
    assert rig.state.failures == []
    assert order == ["S-001", "S-002", "S-003", "S-004"] * 3


def test_stop_that_was_asked_for_ends_the_run_without_a_failure() -> None:
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {3: lambda s: s.run_state.stop("interrupted by SIGINT")}
    rig = run([strategy], strategy.context, flat_bars(8))
    assert (rig.state.failures, rig.guard.halts) == ([], [])
    assert rig.state.stop_reason == "interrupted by SIGINT"
    assert len(strategy.bars) == 3


# Class definitions


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("on_start", "decide_on_start"),
        ("on_stop", "decide_on_stop"),
        ("on_bar", "decide_on_bar"),
        ("on_order_event", "decide_on_fill or decide_on_order"),
        ("on_funding_rate", r"self\.view\.position\(\.\.\.\)\.funding"),
        ("on_market_exit", "decide_on_stop"),
        ("post_market_exit", "decide_on_stop"),
    ],
)
@pytest.mark.parametrize("through_a_mixin", [False, True])
def test_callback_that_the_guard_needs_cannot_be_overridden(
    name: str, hint: str, through_a_mixin: bool
) -> None:
    body = {name: lambda self, *_: None, "__module__": "strategies.mine"}
    bases: tuple[type, ...] = (GuardedStrategy,)
    if through_a_mixin:
        bases, body = (type("Mixin", (), body), GuardedStrategy), {}
    with pytest.raises(TypeError, match=rf"strategies\.mine:.* overrides {name}.* use {hint}"):
        type("Mine", bases, body)


def test_callback_of_a_mixin_is_captured() -> None:
    class Mixin:
        def on_trade(self, _: object) -> None:
            raise ValueError("boom")

    class Mine(Mixin, Scripted):
        def decide_on_start(self) -> Iterable[Intent]:
            self.subscribe_trades(BTC_ID)
            return ()

    strategy = Mine(Settings(), make_context(), "S-001")
    rig = run([strategy], strategy.context, RISING)
    assert [f.callback for f in rig.state.failures] == ["on_trade"]
    assert not hasattr(Mixin.on_trade, "__captured__"), "the mixin itself is left alone"


@pytest.mark.parametrize("wrapper", [staticmethod, classmethod])
def test_callback_that_is_no_plain_method_is_refused(wrapper: Any) -> None:
    with pytest.raises(TypeError, match=r"on_quote is a .*method, must be a plain method"):
        type("Mine", (GuardedStrategy,), {"on_quote": wrapper(lambda *_: None)})


def test_error_in_a_callback_called_by_its_override_ends_both_and_is_recorded_once() -> None:
    class Base(Scripted):
        def decide_on_start(self) -> Iterable[Intent]:
            self.subscribe_trades(BTC_ID)
            return ()

        def on_trade(self, _: Any) -> None:
            raise ValueError("boom")

    class Mine(Base):
        went_on = False

        def on_trade(self, trade: Any) -> None:
            super().on_trade(trade)
            self.went_on = True

    strategy = Mine(Settings(), make_context(), "S-001")
    rig = run([strategy], strategy.context, RISING)
    assert [f.callback for f in rig.state.failures] == ["on_trade"]
    assert not strategy.went_on


# Facts, time, clock and bus


def test_bars_reach_a_strategy_as_plain_facts_with_exact_prices() -> None:
    rows = [(30_000.1, 30_000.7, 29_999.3, 30_000.2), (30_000.2, 30_000.3, 30_000.1, 30_000.3)]
    strategy = Scripted(Settings(), make_context(), "S-001")
    run([strategy], strategy.context, rows)
    assert strategy.bars == [
        BarClosed(BTC, close_of(i + 1), *row, 5.0) for i, row in enumerate(rows)
    ]
    assert strategy.view.mark(BTC) == 30_000.3


def test_now_is_the_time_of_what_is_being_answered() -> None:
    seen: dict[str, int] = {}

    class Mine(Scripted):
        def decide_on_start(self) -> Iterable[Intent]:
            seen["start"] = self.now()
            self.clock.set_time_alert_ns("alert", HALFWAY, callback=self.alert)
            self.subscribe_quotes(BTC_ID)
            return ()

        def alert(self, _: object) -> None:
            seen["alert"] = self.now()

        def on_quote(self, _: Any) -> None:
            seen["quote"] = self.now()

        def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
            assert self.now() == bar.ts
            return super().decide_on_bar(bar)

        def decide_on_fill(self, fill: Any) -> Iterable[Intent]:
            assert self.now() == fill.ts
            return super().decide_on_fill(fill)

    strategy = Mine(Settings(), make_context(), "S-001")
    strategy.steps = {
        2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))]
    }
    rig = run([strategy], strategy.context, RISING, extra=beside_the_bars())
    assert rig.state.failures == []
    assert len(strategy.fills) == 1
    assert seen["alert"] == seen["quote"] == HALFWAY
    assert 0 < seen["start"] < close_of(1)


def test_clock_is_the_engines_but_for_the_callbacks_given_to_it() -> None:
    rang: list[str] = []

    def set_and_cancel(strategy: Scripted) -> None:
        clock = strategy.clock
        assert clock.timestamp_ns() == strategy.now()
        clock.set_time_alert_ns(
            "kept", strategy.now() + SECOND, callback=lambda e: rang.append(e.name)
        )
        clock.set_time_alert_ns("lost", strategy.now() + SECOND, lambda e: rang.append(e.name))
        assert set(clock.timer_names()) == {"kept", "lost"}
        clock.cancel_timer("lost")

    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {2: set_and_cancel}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert rig.state.failures == []
    assert rang == ["kept"]


def test_default_handler_of_the_clock_is_captured_too() -> None:
    def fail(_: object) -> None:
        raise ValueError("boom")

    def set_alert(strategy: Scripted) -> None:
        strategy.clock.register_default_handler(fail)
        strategy.clock.set_time_alert_ns("alert", strategy.now() + SECOND)

    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {2: set_alert}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert [f.callback for f in rig.state.failures] == ["fail"]


def test_topic_is_heard_until_it_is_unsubscribed() -> None:
    heard: list[object] = []
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {
        1: lambda s: s.subscribe_topic("topic", heard.append),
        2: lambda s: s.publish_message("topic", "first"),
        3: lambda s: s.unsubscribe_topic("topic", heard.append),
        4: lambda s: s.publish_message("topic", "second"),
    }
    rig = run([strategy], strategy.context, flat_bars(5))
    assert rig.state.failures == []
    assert heard == ["first"]


def test_funding_that_is_told_reaches_the_position() -> None:
    ts = close_of(5)
    rate = FundingRateUpdate(BTC_ID, Decimal("0.001"), ts - 1, ts - 1, None, ts)
    unknown = FundingRateUpdate(BTC_ID, Decimal("0.5"), ts, ts, None, None)
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {
        2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))]
    }
    rig = run([strategy], strategy.context, flat_bars(8), extra=[rate, unknown])
    assert rig.state.failures == []
    assert strategy.view.position(BTC).funding == pytest.approx(-0.010 * 30_000.0 * 0.001)
    fees = 0.010 * 30_000.0 * 0.0005
    assert strategy.view.equity() == pytest.approx(100_000.0 - 0.3 - fees)


# Answers


def test_intents_may_be_yielded_and_each_sees_what_the_one_before_did() -> None:
    counts: list[int] = []

    def answer(strategy: Scripted) -> Iterable[Intent]:
        for _ in range(3):
            counts.append(len(strategy.view.open_orders(BTC)))
            yield OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))

    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {2: answer}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert counts == [0, 1, 2]
    assert rig.quantity() == Decimal("0.030")


def test_fill_and_refusal_can_be_answered() -> None:
    def leave(_: Any, fill: Any) -> Iterable[Intent]:
        return [CloseIntent(instrument_id=BTC)] if fill.side == "BUY" else ()

    def smaller(_: Any, decision: Any) -> Iterable[Intent]:
        return [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))]

    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.answers = {"fill": leave, "refusal": smaller}
    strategy.steps = {
        2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.00001"))]
    }
    rig = run([strategy], strategy.context, flat_bars(6))
    assert [f.side for f in strategy.fills] == ["BUY", "SELL"]
    assert len(strategy.refusals) == 1
    assert rig.quantity() == 0


def test_intent_without_quantity_is_sized_by_the_strategy() -> None:
    class Sized(Scripted):
        def size(self, intent: OrderIntent) -> Decimal:
            return Decimal("0.0123")

    strategy = Sized(Settings(), make_context(), "S-001")
    strategy.steps = {2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY")]}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert rig.quantity() == Decimal("0.012")


def test_intent_without_quantity_and_sizing_is_a_failure_that_says_what_to_do() -> None:
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY")]}
    rig = run([strategy], strategy.context, flat_bars(5))
    assert rig.state.failures[0].error == (
        f"ConfigError: S-001: order for {BTC}: had no quantity, the strategy has no sizing. Give "
        f"the intent a quantity, or override size()."
    )
    with pytest.raises(ConfigError):
        strategy.size(OrderIntent(instrument_id=BTC, side="BUY"))


def test_answer_that_is_no_intent_is_a_failure() -> None:
    strategy = Scripted(Settings(), make_context(), "S-001")
    strategy.steps = {2: lambda _: ["buy"]}  # type: ignore[list-item,return-value]
    rig = run([strategy], strategy.context, flat_bars(5))
    assert rig.state.failures[0].error == (
        "TypeError: S-001 answered with 'buy', which is no intent"
    )


def test_strategy_can_be_built_and_asked_without_an_engine() -> None:
    strategy = Scripted(Settings(), make_context(), "S-001")
    wish = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
    strategy.steps = {1: lambda _: [wish]}
    bar = BarClosed(BTC, close_of(1), 1.0, 1.0, 1.0, 1.0, 1.0)
    assert list(strategy.decide_on_bar(bar)) == [wish]
    assert list(strategy.decide_on_bar(bar)) == []
    assert (strategy.now(), strategy.view.quantity(BTC), strategy.component_id) == (0, 0, "S-001")


def test_defaults_decide_nothing() -> None:
    strategy = GuardedStrategy(Settings(), make_context(), "S-001")
    assert list(strategy.bar_types()) == []
    answers = [
        strategy.decide_on_start(),
        strategy.decide_on_bar(None),  # type: ignore[arg-type]
        strategy.decide_on_fill(None),  # type: ignore[arg-type]
        strategy.decide_on_order(None, None),  # type: ignore[arg-type]
        strategy.decide_on_refusal(None),  # type: ignore[arg-type]
        strategy.decide_on_stop(),
    ]
    assert [list(a) for a in answers] == [[]] * 6
