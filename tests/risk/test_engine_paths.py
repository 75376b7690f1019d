"""Every way on which the pinned engine can make or change an order, against the real engine.

Whatever goes through the guard is judged; whatever comes around it halts trading at that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import (
    ClientOrderId,
    ExecAlgorithmId,
    InstrumentId,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)
from nautilus_trader.trading import Strategy

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, KILL, ROOMY, Rig, Scripted, Step, flat_bars, make_context, run

BTC_ID = InstrumentId.from_str(BTC)
SMALL = RiskSettings(max_order_notional=1_000.0, max_position_notional=1_000.0)
RISING = [(30_000.0 + 10 * i,) * 4 for i in range(12)]
"""Every open is a new price, so that the engine's emulator sees a tick for each bar."""


def desk(
    steps: dict[int, Step],
    rows: Any = None,
    risk: RiskSettings = ROOMY,
    prepare: Callable[[Scripted], object] = lambda _: None,
    **options: Any,
) -> tuple[Rig, Scripted]:
    context = make_context(risk)
    strategy = Scripted(Settings(), context, "S-001")
    strategy.steps = steps
    prepare(strategy)
    return run([strategy], context, rows or flat_bars(9), **options), strategy


def buy(_: Scripted) -> Iterable[Intent]:
    return [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))]


def bid(_: Scripted) -> Iterable[Intent]:
    return [
        OrderIntent(
            instrument_id=BTC,
            side="BUY",
            kind="LIMIT",
            price=29_000.0,
            quantity=Decimal("0.010"),
        )
    ]


def market(
    strategy: Scripted, quantity: str = "0.010", side: OrderSide = OrderSide.BUY, **k: Any
) -> Any:
    return strategy.order_factory.market(BTC_ID, side, Quantity.from_str(quantity), **k)


def limit(strategy: Scripted, price: float = 29_000.0, **k: Any) -> Any:
    return strategy.order_factory.limit(
        BTC_ID, OrderSide.BUY, Quantity.from_str("0.010"), Price(price, 2), **k
    )


def bracket(strategy: Scripted, **k: Any) -> Any:
    return strategy.order_factory.bracket(
        BTC_ID,
        OrderSide.BUY,
        Quantity.from_str("0.010"),
        tp_price=Price(30_080.0, 2),
        sl_trigger_price=Price(29_000.0, 2),
        **k,
    )


def position_of(strategy: Scripted) -> Any:
    return strategy.cache.positions_open()[0]


def first_id(strategy: Scripted) -> ClientOrderId:
    return ClientOrderId(next(iter(strategy.context.ledger.orders)))


def assert_in_step(rig: Rig, strategy: Scripted) -> None:
    """Check that ledger and engine hold the same, and that nothing went wrong."""
    assert rig.state.failures == []
    assert strategy.view.quantity(BTC) == rig.quantity()
    engine = {str(o.client_order_id): o.filled_qty.as_decimal() for o in rig.engine.cache.orders()}
    assert {k: o.filled for k, o in rig.context.ledger.orders.items()} == {
        k: engine[k] for k in rig.context.ledger.orders
    }


def assert_halted_at(rig: Rig, strategy: Scripted, bar: int, reason: str) -> None:
    """Check that trading halted while this bar was answered, and that the run stopped."""
    assert rig.guard.state == "halted"
    assert reason in rig.guard.halts[0].reason
    assert rig.guard.halts[0].strategy_id == "S-001"
    assert rig.guard.halts[0].client_order_id
    assert rig.state.stop_reason == f"trading halted: {rig.guard.halts[0].reason}"
    assert len(strategy.bars) == bar
    assert_in_step(rig, strategy)


# Ways through the guard


def test_intents_open_and_close() -> None:
    rig, strategy = desk({2: buy, 4: lambda _: [CloseIntent(instrument_id=BTC)]})
    assert [f.side for f in strategy.fills] == ["BUY", "SELL"]
    assert [o.purpose for o in rig.context.ledger.orders.values()] == ["entry", "exit:signal"]
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


def test_close_position_becomes_a_reduce_only_order_of_the_guard() -> None:
    rig, strategy = desk({2: buy, 4: lambda s: s.close_position(position_of(s))})
    assert [o.reduce_only for o in rig.context.ledger.orders.values()] == [False, True]
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


@pytest.mark.parametrize(
    ("side", "left"),
    [(None, "0"), (PositionSide.LONG, "0"), (PositionSide.SHORT, "0.010")],
)
def test_close_all_positions_closes_the_side_that_is_asked_for(
    side: PositionSide | None, left: str
) -> None:
    rig, strategy = desk({2: buy, 4: lambda s: s.close_all_positions(BTC_ID, side)})
    assert rig.quantity() == Decimal(left)
    assert_in_step(rig, strategy)


def test_close_position_while_flat_sends_nothing() -> None:
    rig, _ = desk({4: lambda s: s.close_all_positions(BTC_ID)})
    assert rig.engine.cache.orders() == []


def test_market_exit_cancels_what_rests_and_closes_what_is_held() -> None:
    rig, strategy = desk({2: buy, 3: bid, 4: lambda s: s.market_exit()})
    assert rig.guard.halts == []
    assert rig.quantity() == 0
    assert [o.status for o in rig.context.ledger.orders.values()] == ["FILLED", "CANCELED"]
    assert len(strategy.bars) == 9
    assert len(rig.engine.cache.orders()) == 3
    assert_in_step(rig, strategy)


def test_market_exit_by_the_engines_controller_passes_too() -> None:
    rig, strategy = desk(
        {2: buy, 3: bid, 4: lambda s: s.publish_message(KILL, "S-001")}, controller=True
    )
    assert rig.guard.halts == []
    assert rig.quantity() == 0
    assert len(rig.engine.cache.orders()) == 3
    assert_in_step(rig, strategy)


def test_market_exit_passes_while_trading_is_halted() -> None:
    def halt_and_leave(strategy: Scripted) -> None:
        strategy.context.guard.halt("test", strategy.now())
        strategy.market_exit()

    rig, strategy = desk({2: buy, 4: halt_and_leave})
    assert [h.reason for h in rig.guard.halts] == ["test"]
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


def test_order_around_the_guard_halts_even_during_a_market_exit() -> None:
    def leave_and_enter(strategy: Scripted) -> None:
        strategy.market_exit()
        Strategy.submit_order(strategy, market(strategy, "0.020"))

    rig, _ = desk({2: buy, 4: leave_and_enter})
    assert rig.guard.state == "halted"
    assert "BUY 0.020" in rig.guard.halts[0].reason


def test_nothing_opens_during_a_market_exit() -> None:
    # The engine would deny it in the middle of the call, when the denial cannot be answered.
    def leave_and_send(strategy: Scripted) -> None:
        strategy.market_exit()
        strategy.submit_order_list([market(strategy), market(strategy)])
        strategy.act(buy(strategy))

    rig, strategy = desk({2: buy, 4: leave_and_send, 6: buy})
    assert [d.limit for d in strategy.refusals] == ["exit", "exit"]
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_market_exit_ends_and_its_permission_with_it() -> None:
    rig, strategy = desk(
        {
            2: buy,
            4: lambda s: s.market_exit(),
            6: buy,
            8: lambda s: Strategy.close_all_positions(s, BTC_ID),
        }
    )
    assert_halted_at(rig, strategy, 8, "around the guard")


def test_bracket_is_judged_by_its_entry_and_its_exits_pass() -> None:
    rig, strategy = desk({2: lambda s: s.submit_order_list(bracket(s))}, risk=SMALL, rows=RISING)
    orders = list(rig.context.ledger.orders.values())
    assert [o.purpose for o in orders] == ["entry", "exit:stop", "exit:target"]
    assert [o.status for o in orders] == ["FILLED", "CANCELED", "FILLED"]
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


def test_bracket_whose_entry_is_refused_is_not_sent_at_all() -> None:
    tiny = RiskSettings(max_order_notional=200.0, max_position_notional=1_000.0)
    rig, strategy = desk({2: lambda s: s.submit_order_list(bracket(s))}, risk=tiny)
    assert rig.engine.cache.orders() == []
    assert rig.context.ledger.orders == {}
    assert [d.limit for d in strategy.refusals] == ["max_order_notional"]
    assert rig.context.ledger.open_order_count() == 0
    assert_in_step(rig, strategy)


def test_bracket_is_refused_while_trading_is_halted() -> None:
    def halt_and_send(strategy: Scripted) -> None:
        strategy.context.guard.halt("test", strategy.now())
        strategy.submit_order_list(bracket(strategy))

    rig, strategy = desk({2: halt_and_send})
    assert rig.engine.cache.orders() == []
    assert [d.limit for d in strategy.refusals] == ["state"]


def test_list_of_entries_is_judged_as_a_whole() -> None:
    rig, strategy = desk(
        {2: lambda s: s.submit_order_list([market(s, "0.020"), market(s, "0.020")])}, risk=SMALL
    )
    assert rig.engine.cache.orders() == []
    assert [(d.limit, d.quantity) for d in strategy.refusals] == [("max_position_notional", 0)]
    assert rig.context.ledger.open_order_count() == 0


def test_list_of_entries_within_the_limits_is_sent() -> None:
    rig, strategy = desk(
        {2: lambda s: s.submit_order_list([market(s, "0.010"), market(s, "0.020")])}, risk=SMALL
    )
    assert rig.quantity() == Decimal("0.030")
    assert_in_step(rig, strategy)


def test_built_order_passes_whole_or_is_refused() -> None:
    rig, strategy = desk(
        {2: lambda s: s.submit_order(market(s, "0.030")), 4: lambda s: s.submit_order(market(s))},
        risk=SMALL,
    )
    assert rig.quantity() == Decimal("0.030")
    assert [d.limit for d in strategy.refusals] == ["max_position_notional"]
    assert_in_step(rig, strategy)


def test_built_order_that_only_reduces_passes_while_trading_is_halted() -> None:
    def halt_and_sell(strategy: Scripted) -> None:
        strategy.context.guard.halt("test", strategy.now())
        strategy.submit_order(market(strategy, "0.010", OrderSide.SELL))

    rig, strategy = desk({2: buy, 4: halt_and_sell})
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


# Emulated orders: the engine makes the order anew when it lets it go


def emulated_stop(strategy: Scripted) -> Any:
    return strategy.order_factory.stop_market(
        BTC_ID,
        OrderSide.BUY,
        Quantity.from_str("0.010"),
        Price(30_050.0, 2),
        emulation_trigger=TriggerType.LAST_PRICE,
    )


def emulated_stop_limit(strategy: Scripted) -> Any:
    return strategy.order_factory.stop_limit(
        BTC_ID,
        OrderSide.BUY,
        Quantity.from_str("0.010"),
        Price(30_100.0, 2),
        Price(30_050.0, 2),
        emulation_trigger=TriggerType.LAST_PRICE,
    )


def emulated_limit(strategy: Scripted) -> Any:
    return strategy.order_factory.limit(
        BTC_ID,
        OrderSide.SELL,
        Quantity.from_str("0.010"),
        Price(30_050.0, 2),
        emulation_trigger=TriggerType.LAST_PRICE,
    )


def emulated_trailing(strategy: Scripted) -> Any:
    return strategy.order_factory.trailing_stop_market(
        BTC_ID,
        OrderSide.SELL,
        Quantity.from_str("0.010"),
        trailing_offset=Decimal(20),
        trailing_offset_type=TrailingOffsetType.PRICE,
        trigger_price=Price(29_950.0, 2),
        emulation_trigger=TriggerType.LAST_PRICE,
    )


@pytest.mark.parametrize(
    "order", [emulated_stop, emulated_stop_limit, emulated_limit, emulated_trailing]
)
def test_emulated_order_is_released_and_filled_without_a_false_halt(
    order: Callable[[Scripted], Any],
) -> None:
    rows = [*RISING, *reversed(RISING)]
    rig, strategy = desk({2: lambda s: s.submit_order(order(s))}, rows=rows)
    (client_order_id,) = rig.context.ledger.orders
    events = rig.events(client_order_id)
    assert events.count("OrderInitialized") == 2
    assert events[-3:-1] == ["OrderReleased", "OrderSubmitted"] or "OrderAccepted" in events
    assert rig.guard.halts == []
    assert abs(rig.quantity()) == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_emulated_order_that_is_triggered_at_once_is_no_second_order() -> None:
    def at_once(strategy: Scripted) -> Any:
        return strategy.order_factory.stop_market(
            BTC_ID,
            OrderSide.BUY,
            Quantity.from_str("0.010"),
            Price(29_950.0, 2),
            emulation_trigger=TriggerType.LAST_PRICE,
        )

    rig, strategy = desk({4: lambda s: s.submit_order(at_once(s))}, rows=RISING)
    (client_order_id,) = rig.context.ledger.orders
    assert "OrderEmulated" not in rig.events(client_order_id)
    assert rig.guard.halts == []
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_price_that_an_order_does_not_have_cannot_be_changed() -> None:
    # The engine would raise.
    def change(strategy: Scripted) -> None:
        strategy.act(buy(strategy))
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))

    rig, strategy = desk({2: change})
    assert [d.limit for d in strategy.refusals] == ["order"]
    assert "price of order" in strategy.refusals[0].line
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_emulated_stop_that_was_let_go_has_no_trigger_to_change() -> None:
    def change(strategy: Scripted, order: Any) -> Iterable[Intent]:
        if order.status != "SENT":
            return ()
        return [ModifyIntent(client_order_id=order.client_order_id, trigger_price=30_500.0)]

    def at_once_and_change(strategy: Scripted) -> Iterable[Intent]:
        order = strategy.order_factory.stop_market(
            BTC_ID,
            OrderSide.BUY,
            Quantity.from_str("0.010"),
            Price(29_950.0, 2),
            emulation_trigger=TriggerType.LAST_PRICE,
        )
        strategy.submit_order(order)
        return change(strategy, next(iter(strategy.context.ledger.orders.values())))

    rig, strategy = desk({4: at_once_and_change}, rows=RISING)
    assert [d.limit for d in strategy.refusals] == ["order"]
    assert [o.kind for o in rig.context.ledger.orders.values()] == ["MARKET"]
    assert_in_step(rig, strategy)


def test_id_of_an_emulated_order_that_was_cancelled_cannot_be_used_around_the_guard() -> None:
    def again(strategy: Scripted) -> None:
        Strategy.submit_order(strategy, market(strategy, client_order_id=first_id(strategy)))
        assert strategy.context.guard.state == "halted"

    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(emulated_stop(s)),
            3: lambda s: [CancelIntent(client_order_id=str(first_id(s)))],
            5: again,
        }
    )
    assert "was sent twice" in rig.guard.halts[0].reason
    assert len(strategy.bars) == 5


def test_emulated_order_that_was_enlarged_through_the_guard_is_released_whole() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(emulated_stop(s)),
            3: lambda s: s.modify_order(first_id(s), Quantity.from_str("0.030")),
        },
        rows=RISING,
    )
    assert rig.guard.halts == []
    assert rig.quantity() == Decimal("0.030")
    assert_in_step(rig, strategy)


def test_emulated_order_may_be_enlarged_only_within_the_limits() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(emulated_stop(s)),
            3: lambda s: s.modify_order(first_id(s), Quantity.from_str("0.040")),
        },
        rows=RISING,
        risk=SMALL,
    )
    assert [d.limit for d in strategy.refusals] == ["max_order_notional"]
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_emulated_bracket_lives_and_ends_without_a_false_halt() -> None:
    rig, strategy = desk(
        {2: lambda s: s.submit_order_list(bracket(s, emulation_trigger=TriggerType.LAST_PRICE))},
        rows=RISING,
    )
    assert rig.guard.halts == []
    assert [o.status for o in rig.context.ledger.orders.values()] == [
        "FILLED",
        "CANCELED",
        "FILLED",
    ]
    assert_in_step(rig, strategy)


def test_id_of_a_released_order_cannot_be_used_again() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(emulated_stop(s)),
            9: lambda s: s.submit_order(market(s, client_order_id=first_id(s))),
            10: lambda s: Strategy.submit_order(s, market(s, client_order_id=first_id(s))),
        },
        rows=RISING,
    )
    assert [d.limit for d in strategy.refusals] == ["id"]
    assert "was sent twice" in rig.guard.halts[0].reason
    assert len(strategy.bars) == 10


# Changes


def test_change_is_sent_and_told_once() -> None:
    rig, strategy = desk({2: bid, 4: lambda s: s.modify_order(first_id(s), None, Price(29_100, 2))})
    (order,) = rig.context.ledger.orders.values()
    assert (order.price, order.quantity) == (29_100.0, Decimal("0.010"))
    assert strategy.statuses(order.client_order_id) == ["ACCEPTED", "UPDATED"]
    assert rig.order(order.client_order_id).price == Price(29_100.0, 2)
    assert_in_step(rig, strategy)


def test_several_orders_are_changed_at_once() -> None:
    def change(strategy: Scripted) -> None:
        first, second = map(ClientOrderId, strategy.context.ledger.orders)
        strategy.modify_orders(
            [
                (first, None, Price(29_100, 2), None),
                (second, Quantity.from_str("0.020"), None, None),
            ]
        )

    rig, strategy = desk({2: bid, 3: bid, 5: change})
    first, second = rig.context.ledger.orders.values()
    assert (first.price, second.quantity) == (29_100.0, Decimal("0.020"))
    assert_in_step(rig, strategy)


def test_change_above_a_limit_is_refused_and_not_sent() -> None:
    rig, strategy = desk(
        {2: bid, 4: lambda s: s.modify_order(first_id(s), Quantity.from_str("0.040"))}, risk=SMALL
    )
    (order,) = rig.context.ledger.orders.values()
    assert "OrderPendingUpdate" not in rig.events(order.client_order_id)
    assert [d.limit for d in strategy.refusals] == ["max_order_notional"]
    assert order.quantity == Decimal("0.010")


def test_two_changes_of_one_order_in_one_callback_are_both_made() -> None:
    # The engine tells of the first alone that it is pending.
    def change(strategy: Scripted) -> None:
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))
        strategy.modify_order(first_id(strategy), None, Price(29_200, 2))

    rig, strategy = desk({2: bid, 4: change})
    (order,) = rig.context.ledger.orders.values()
    assert rig.events(order.client_order_id).count("OrderPendingUpdate") == 1
    assert strategy.statuses(order.client_order_id) == ["ACCEPTED", "UPDATED", "UPDATED"]
    assert (order.price, order.changes) == (29_200.0, 0)
    assert rig.guard.halts == []
    assert_in_step(rig, strategy)


def test_order_that_is_still_in_flight_can_be_changed() -> None:
    # The engine does not tell that this change is pending.
    def send_and_change(strategy: Scripted) -> None:
        strategy.act(bid(strategy))
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))

    rig, strategy = desk({2: send_and_change})
    (order,) = rig.context.ledger.orders.values()
    assert "OrderPendingUpdate" not in rig.events(order.client_order_id)
    assert (order.price, order.changes) == (29_100.0, 0)
    assert rig.guard.halts == []
    assert_in_step(rig, strategy)


def test_change_that_changes_nothing_is_not_sent() -> None:
    # The engine would raise.
    rig, strategy = desk({2: bid, 4: lambda s: s.modify_order(first_id(s), None, Price(29_000, 2))})
    assert strategy.refusals == []
    assert strategy.statuses(first_id(strategy)) == ["ACCEPTED"]
    assert_in_step(rig, strategy)


def test_change_that_the_engine_has_made_already_is_answered_by_what_it_knows() -> None:
    # As after a restart: the venue told the engine of a change before we were told.
    def lag_and_change(strategy: Scripted) -> None:
        (order,) = strategy.view.open_orders(BTC)
        order.price = 28_900.0
        strategy.modify_order(first_id(strategy), None, Price(29_000, 2))

    rig, strategy = desk({2: bid, 4: lag_and_change})
    (order,) = rig.context.ledger.orders.values()
    assert (order.status, order.price, order.changes) == ("ACCEPTED", 29_000.0, 0)
    assert rig.events(order.client_order_id)[-1] == "OrderAccepted"
    assert rig.state.failures == []
    assert_in_step(rig, strategy)


def test_change_to_what_the_engine_has_while_it_makes_another_one_is_refused() -> None:
    def change_twice(strategy: Scripted) -> None:
        (order,) = strategy.view.open_orders(BTC)
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))
        order.price = 28_900.0
        strategy.modify_order(first_id(strategy), None, Price(29_000, 2))

    rig, strategy = desk({2: bid, 4: change_twice})
    (order,) = rig.context.ledger.orders.values()
    assert (order.status, order.price, order.changes) == ("ACCEPTED", 29_100.0, 0)
    assert rig.state.failures == []
    assert_in_step(rig, strategy)


def test_change_cannot_be_taken_back_before_it_is_answered() -> None:
    def there_and_back(strategy: Scripted) -> None:
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))
        strategy.modify_order(first_id(strategy), None, Price(29_000, 2))

    rig, strategy = desk({2: bid, 4: there_and_back})
    assert "wait for the answer" in strategy.refusals[0].line
    assert_in_step(rig, strategy)


def test_change_of_an_order_that_is_being_cancelled_comes_too_late() -> None:
    def cancel_and_change(strategy: Scripted) -> None:
        strategy.act([CancelIntent(client_order_id=str(first_id(strategy)))])
        strategy.modify_order(first_id(strategy), None, Price(29_100, 2))

    rig, strategy = desk({2: bid, 4: cancel_and_change})
    (order,) = rig.context.ledger.orders.values()
    assert (order.status, order.price) == ("CANCELED", 29_000.0)
    assert_in_step(rig, strategy)


def test_change_of_an_order_that_has_ended_or_never_was_does_nothing() -> None:
    def change(strategy: Scripted) -> None:
        strategy.modify_order(first_id(strategy), Quantity.from_str("0.020"))
        strategy.modify_order(ClientOrderId("nobody"), Quantity.from_str("0.020"))

    rig, strategy = desk({2: buy, 4: change})
    assert strategy.refusals == []
    assert_in_step(rig, strategy)


def test_exit_may_be_changed_while_trading_is_halted() -> None:
    def protect(_: Scripted) -> Iterable[Intent]:
        return [
            OrderIntent(
                instrument_id=BTC,
                side="SELL",
                kind="STOP_MARKET",
                trigger_price=29_000.0,
                quantity=Decimal("0.010"),
                reduce_only=True,
                purpose="exit:stop",
            )
        ]

    def halt_and_tighten(strategy: Scripted) -> Iterable[Intent]:
        strategy.context.guard.halt("test", strategy.now())
        (stop,) = strategy.view.open_orders(BTC)
        return [
            ModifyIntent(
                client_order_id=stop.client_order_id,
                trigger_price=29_900.0,
                quantity=Decimal("0.005"),
                purpose="exit:trailing",
            )
        ]

    rig, strategy = desk({2: buy, 3: protect, 5: halt_and_tighten})
    _, stop = rig.context.ledger.orders.values()
    assert (stop.trigger_price, stop.quantity) == (29_900.0, Decimal("0.005"))
    assert stop.purpose == "exit:trailing"
    assert_in_step(rig, strategy)


def test_change_that_the_venue_refuses_is_told_and_forgotten() -> None:
    def change_and_cancel(strategy: Scripted) -> None:
        strategy.modify_order(first_id(strategy), Quantity.from_str("0.030"))
        strategy.act([CancelIntent(client_order_id=str(first_id(strategy)))])

    rig, strategy = desk({2: bid, 4: change_and_cancel})
    (order,) = rig.context.ledger.orders.values()
    assert strategy.statuses(order.client_order_id) == ["ACCEPTED", "REFUSED", "CANCELED"]
    assert (order.quantity, order.changes) == (Decimal("0.010"), 0)
    assert "pending cancel" in order.reason
    assert_in_step(rig, strategy)


def test_order_keeps_its_purpose_until_the_venue_has_made_the_change() -> None:
    seen: list[str] = []

    def rename(strategy: Scripted, purpose: str, price: float) -> Iterable[Intent]:
        id_ = str(first_id(strategy))
        return [ModifyIntent(client_order_id=id_, price=price, purpose=purpose)]

    def rename_and_cancel(strategy: Scripted) -> None:
        strategy.act(rename(strategy, "never", 29_200.0))
        strategy.cancel_order(first_id(strategy))

    def rename_and_look(strategy: Scripted) -> None:
        strategy.act(rename(strategy, "nearer", 29_100.0))
        seen.append(next(iter(strategy.context.ledger.orders.values())).purpose)

    rig, strategy = desk({2: bid, 4: rename_and_look, 6: rename_and_cancel})
    (order,) = rig.context.ledger.orders.values()
    assert seen == ["entry"]
    assert order.purpose == "nearer"
    assert_in_step(rig, strategy)

    rig, strategy = desk({2: bid, 4: rename_and_cancel})
    (order,) = rig.context.ledger.orders.values()
    assert strategy.statuses(order.client_order_id) == ["ACCEPTED", "REFUSED", "CANCELED"]
    assert order.purpose == "entry"
    assert_in_step(rig, strategy)


# Ways around the guard


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (
            lambda s: Strategy.submit_order(s, market(s)),
            f"BUY 0.010 {BTC} was sent around the guard: use the intents, or self.submit_order",
        ),
        (lambda s: Strategy.submit_order(s, limit(s)), "was sent around the guard"),
        (lambda s: Strategy.submit_order(s, emulated_stop(s)), "was sent around the guard"),
        (lambda s: Strategy.submit_order_list(s, bracket(s)), "was sent around the guard"),
        (
            lambda s: Strategy.submit_order_list(s, [market(s), market(s)]),
            "was sent around the guard",
        ),
        (
            lambda s: Strategy.submit_order(
                s, market(s, exec_algorithm_id=ExecAlgorithmId("TWAP"))
            ),
            "was sent around the guard",
        ),
    ],
    ids=["market", "limit", "emulated", "bracket", "list", "algorithm"],
)
def test_order_around_the_guard_halts_at_that_very_order(step: Step, reason: str) -> None:
    def around_and_on(strategy: Scripted) -> Iterable[Intent]:
        step(strategy)
        assert strategy.context.guard.state == "halted"
        return buy(strategy)

    rig, strategy = desk({3: around_and_on, 4: buy, 5: buy})
    assert_halted_at(rig, strategy, 3, reason)
    assert [d.limit for d in strategy.refusals] == ["state"], "nothing opens after it"
    assert rig.context.ledger.orders == {}


AROUND: dict[str, Callable[[Scripted], Any]] = {
    "market": market,
    "limit": limit,
    "limit good till a time": lambda s: limit(
        s, time_in_force=TimeInForce.GTD, expire_time=4 * 10**18
    ),
    "stop": lambda s: s.order_factory.stop_market(
        BTC_ID, OrderSide.BUY, Quantity.from_str("0.010"), Price(31_000, 2)
    ),
    "stop limit": lambda s: s.order_factory.stop_limit(
        BTC_ID, OrderSide.BUY, Quantity.from_str("0.010"), Price(31_100, 2), Price(31_000, 2)
    ),
    "if touched": lambda s: s.order_factory.market_if_touched(
        BTC_ID, OrderSide.BUY, Quantity.from_str("0.010"), Price(29_000, 2)
    ),
    "market to limit": lambda s: s.order_factory.market_to_limit(
        BTC_ID, OrderSide.BUY, Quantity.from_str("0.010")
    ),
    "trailing": lambda s: s.order_factory.trailing_stop_market(
        BTC_ID,
        OrderSide.BUY,
        Quantity.from_str("0.010"),
        trailing_offset=Decimal(20),
        trailing_offset_type=TrailingOffsetType.PRICE,
        trigger_price=Price(30_500.0, 2),
    ),
    "emulated stop": emulated_stop,
    "emulated stop limit": emulated_stop_limit,
    "emulated limit": emulated_limit,
    "emulated trailing": emulated_trailing,
    "algorithm": lambda s: market(
        s, exec_algorithm_id=ExecAlgorithmId("TWAP"), exec_algorithm_params={"horizon_secs": "5"}
    ),
    "quote quantity": lambda s: market(s, quote_quantity=True),
}


@pytest.mark.parametrize("kind", AROUND)
def test_every_kind_of_order_around_the_guard_is_named_at_once(kind: str) -> None:
    def around(strategy: Scripted) -> None:
        guard = strategy.context.guard
        assert guard.halts == []
        order = AROUND[kind](strategy)
        Strategy.submit_order(strategy, order)
        assert guard.state == "halted"
        assert guard.halts[0].client_order_id == str(order.client_order_id)

    rig, strategy = desk({3: around, 4: buy})
    assert_halted_at(rig, strategy, 3, "around the guard")


def around_from(strategy: Scripted, where: str) -> None:
    """Send an order around the guard, once, and see that this is where trading halts."""
    guard = strategy.context.guard
    if guard.halts:
        return
    order = market(strategy)
    Strategy.submit_order(strategy, order)
    assert guard.state == "halted", where
    assert guard.halts[0].client_order_id == str(order.client_order_id)
    strategy.context.guard.withheld["seen in"] = where


def from_timer(strategy: Scripted) -> None:
    strategy.clock.set_timer(
        "tick", timedelta(seconds=7), callback=lambda _: around_from(strategy, "timer")
    )


def from_alert(strategy: Scripted) -> None:
    strategy.clock.set_time_alert_ns(
        "alert", strategy.now() + 10**9, callback=lambda _: around_from(strategy, "alert")
    )


def from_topic(strategy: Scripted) -> None:
    strategy.subscribe_topic("anything", lambda _: around_from(strategy, "topic"))
    strategy.publish_message("anything", "now")


def from_fill(strategy: Scripted) -> Iterable[Intent]:
    strategy.answers["fill"] = lambda s, _: around_from(s, "fill")
    return buy(strategy)


def from_order(strategy: Scripted) -> Iterable[Intent]:
    strategy.answers["order"] = lambda s, _: around_from(s, "order")
    return bid(strategy)


def from_refusal(strategy: Scripted) -> Iterable[Intent]:
    strategy.answers["refusal"] = lambda s, _: around_from(s, "refusal")
    return [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal(10_000))]


@pytest.mark.parametrize(
    "place", [from_timer, from_alert, from_topic, from_fill, from_order, from_refusal]
)
def test_order_around_the_guard_halts_from_whatever_callback_it_is_sent(place: Step) -> None:
    rig, _ = desk({3: place})
    assert rig.state.failures == []
    assert rig.guard.withheld == {"seen in": place.__name__.removeprefix("from_")}
    assert rig.guard.halts[0].strategy_id == "S-001"
    assert rig.state.stop_reason == f"trading halted: {rig.guard.halts[0].reason}"


def test_order_that_one_strategy_sends_in_the_name_of_another_halts() -> None:
    context = make_context()
    first, second = (Scripted(Settings(), context, name) for name in ("S-001", "S-002"))

    def for_another(_: Scripted) -> None:
        Strategy.submit_order(second, market(second))
        assert context.guard.state == "halted"

    first.steps = {3: for_another}
    rig = run([first, second], context, flat_bars(6))
    assert rig.state.failures == []
    assert rig.guard.halts[0].strategy_id == "S-002"
    assert "around the guard" in rig.guard.halts[0].reason


def test_resting_order_around_the_guard_is_cancelled() -> None:
    rig, _ = desk({3: lambda s: Strategy.submit_order(s, limit(s))})
    (order,) = rig.engine.cache.orders()
    assert order.status.name == "CANCELED"


@pytest.mark.parametrize(
    "step",
    [
        lambda s: Strategy.close_position(s, position_of(s)),
        lambda s: Strategy.close_all_positions(s, BTC_ID),
        lambda s: Strategy.submit_order(s, market(s, "0.010", OrderSide.SELL, reduce_only=True)),
    ],
    ids=["close_position", "close_all_positions", "reduce-only"],
)
def test_exit_around_the_guard_halts_but_is_not_cancelled(step: Step) -> None:
    rig, strategy = desk({2: buy, 4: step})
    assert_halted_at(rig, strategy, 4, f"SELL 0.010 {BTC} was sent around the guard")
    assert rig.quantity() == 0


def modify_around(strategy: Scripted) -> None:
    Strategy.modify_order(strategy, first_id(strategy), price=Price(29_100, 2))


def modify_several_around(strategy: Scripted) -> None:
    Strategy.modify_orders(strategy, [(first_id(strategy), None, Price(29_100, 2), None)])


def modify_price_behind_a_guarded_change(strategy: Scripted) -> None:
    strategy.modify_order(first_id(strategy), None, Price(29_100, 2))
    Strategy.modify_order(strategy, first_id(strategy), price=Price(29_200, 2))


def modify_quantity_behind_a_guarded_change(strategy: Scripted) -> None:
    strategy.modify_order(first_id(strategy), None, Price(29_100, 2))
    Strategy.modify_order(strategy, first_id(strategy), quantity=Quantity.from_str("0.500"))


@pytest.mark.parametrize(
    "step",
    [
        modify_around,
        modify_several_around,
        modify_price_behind_a_guarded_change,
        modify_quantity_behind_a_guarded_change,
    ],
)
def test_change_around_the_guard_halts_also_where_the_engine_does_not_announce_it(
    step: Step,
) -> None:
    rig, strategy = desk({2: bid, 4: step, 5: buy})
    assert_halted_at(rig, strategy, 4, "was changed around the guard: use ModifyIntent")
    assert rig.quantity() == 0


def test_change_around_the_guard_of_an_order_in_flight_halts() -> None:
    def send_and_change(strategy: Scripted) -> None:
        strategy.act(bid(strategy))
        modify_around(strategy)

    rig, strategy = desk({2: send_and_change, 4: buy})
    assert_halted_at(rig, strategy, 2, "was changed around the guard")


# The same id twice, and what is not supported


def test_id_that_was_used_before_is_refused() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(market(s, client_order_id=ClientOrderId("X-1"))),
            3: lambda s: s.submit_order(market(s, client_order_id=ClientOrderId("X-1"))),
        }
    )
    assert rig.quantity() == Decimal("0.010")
    assert [(d.limit, d.line) for d in strategy.refusals] == [
        ("id", "order id X-1 was used before; the engine would fill it twice")
    ]
    assert_in_step(rig, strategy)


def test_id_that_stands_twice_in_a_list_refuses_the_list() -> None:
    def send(strategy: Scripted) -> None:
        ids = ClientOrderId("X-1")
        strategy.submit_order_list(
            [market(strategy, client_order_id=ids), market(strategy, client_order_id=ids)]
        )

    rig, strategy = desk({2: send})
    assert rig.engine.cache.orders() == []
    assert [d.limit for d in strategy.refusals] == ["id"]


def test_id_that_is_sent_again_around_the_guard_halts() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(market(s, client_order_id=ClientOrderId("X-1"))),
            4: lambda s: Strategy.submit_order(s, market(s, client_order_id=ClientOrderId("X-1"))),
        }
    )
    assert rig.guard.halts[0].reason == "order X-1 was sent twice; the engine fills it twice"
    assert rig.guard.state == "halted"
    assert len(strategy.bars) == 4


def test_id_that_came_around_the_guard_is_refused_afterwards() -> None:
    def around_and_again(strategy: Scripted) -> None:
        Strategy.submit_order(strategy, market(strategy, client_order_id=ClientOrderId("X-1")))
        strategy.submit_order(
            market(strategy, "0.010", OrderSide.SELL, client_order_id=ClientOrderId("X-1"))
        )

    _, strategy = desk({2: around_and_again})
    assert [d.limit for d in strategy.refusals] == ["id"]


@pytest.mark.parametrize(
    ("options", "paragraph"),
    [
        (
            {"exec_algorithm_id": ExecAlgorithmId("TWAP")},
            "asked for the execution algorithm TWAP, execution algorithms are not supported, they "
            "spawn orders around the guard. Send plain orders.",
        ),
        (
            {"quote_quantity": True},
            "had its quantity in quote currency, must be in base currency.",
        ),
    ],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_what_the_guard_cannot_judge_ends_the_run_with_a_clear_paragraph(
    options: dict[str, Any], paragraph: str, as_list: bool
) -> None:
    def send(strategy: Scripted) -> None:
        order = market(strategy, **options)
        if as_list:
            strategy.submit_order_list([market(strategy), order])
        else:
            strategy.submit_order(order)

    rig, _ = desk({2: send})
    assert rig.engine.cache.orders() == []
    assert paragraph in rig.state.failures[0].error
    assert rig.state.failures[0].error.startswith("ConfigError: order ")
    assert rig.context.ledger.open_order_count() == 0


# What the venue does by itself


def test_venue_that_cuts_an_exit_to_what_is_held_is_no_change_around_the_guard() -> None:
    def oversell(_: Scripted) -> Iterable[Intent]:
        return [
            OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.030"), reduce_only=True)
        ]

    rig, strategy = desk({2: buy, 4: oversell})
    assert rig.guard.halts == []
    assert rig.quantity() == 0
    _, exit_order = rig.context.ledger.orders.values()
    assert (exit_order.quantity, exit_order.status) == (Decimal("0.010"), "FILLED")
    assert_in_step(rig, strategy)


def test_trailing_stop_that_the_engine_moves_is_no_change_around_the_guard() -> None:
    def trail(strategy: Scripted) -> None:
        strategy.submit_order(
            strategy.order_factory.trailing_stop_market(
                BTC_ID,
                OrderSide.SELL,
                Quantity.from_str("0.010"),
                trailing_offset=Decimal(20),
                trailing_offset_type=TrailingOffsetType.PRICE,
                trigger_price=Price(29_950.0, 2),
            )
        )

    rig, strategy = desk({2: trail}, rows=[*RISING, *reversed(RISING)])
    (order,) = rig.context.ledger.orders.values()
    assert strategy.statuses(order.client_order_id).count("UPDATED") > 5
    assert order.status == "FILLED"
    assert rig.guard.halts == []
    assert_in_step(rig, strategy)


def test_market_to_limit_order_that_gets_its_price_is_no_change_around_the_guard() -> None:
    rig, strategy = desk(
        {
            2: lambda s: s.submit_order(
                s.order_factory.market_to_limit(BTC_ID, OrderSide.BUY, Quantity.from_str("0.010"))
            )
        },
        rows=RISING,
    )
    assert rig.guard.halts == []
    assert rig.quantity() == Decimal("0.010")
    assert_in_step(rig, strategy)


def test_order_that_the_engine_denies_is_told_and_can_be_answered() -> None:
    wide = RiskSettings(max_order_notional=1e9, max_position_notional=1e9)

    def answer(_: Scripted, order: Any) -> Iterable[Intent]:
        return buy(_) if order.status == "DENIED" else ()

    def too_much(_: Scripted) -> Iterable[Intent]:
        return [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal(50))]

    rig, strategy = desk({2: too_much}, risk=wide, prepare=lambda s: s.answers.update(order=answer))
    first, second = rig.context.ledger.orders.values()
    assert (first.status, second.status) == ("DENIED", "FILLED")
    assert "MARGIN" in first.reason
    assert rig.context.ledger.open_order_count() == 0
    assert_in_step(rig, strategy)


def test_exit_smaller_than_the_smallest_order_of_the_venue_is_filled() -> None:
    def sell(quantity: str) -> Step:
        return lambda _: [
            OrderIntent(
                instrument_id=BTC, side="SELL", quantity=Decimal(quantity), reduce_only=True
            )
        ]

    rig, strategy = desk({2: buy, 4: sell("0.009"), 6: sell("0.001")})
    assert rig.quantity() == 0
    assert len(strategy.fills) == 3
    assert_in_step(rig, strategy)


def offer(price: float, quantity: str = "0.010") -> Step:
    """Return a step that builds a plain sell order."""

    def step(strategy: Scripted) -> None:
        strategy.submit_order(
            strategy.order_factory.limit(
                BTC_ID, OrderSide.SELL, Quantity.from_str(quantity), Price(price, 2)
            )
        )

    return step


def test_built_exit_that_has_nothing_left_to_close_is_cancelled() -> None:
    rig, strategy = desk(
        {2: buy, 3: offer(30_080.0), 4: lambda _: [CloseIntent(instrument_id=BTC)]}, rows=RISING
    )
    assert rig.quantity() == 0
    assert [o.status for o in rig.context.ledger.orders.values()] == [
        "FILLED",
        "CANCELED",
        "FILLED",
    ]
    assert_in_step(rig, strategy)


def test_built_exits_are_cut_to_what_is_left_to_close_the_oldest_first() -> None:
    def trade(side: Any, quantity: str, **changes: Any) -> Step:
        wish = OrderIntent(instrument_id=BTC, side=side, quantity=Decimal(quantity), **changes)
        return lambda _: [wish]

    rig, strategy = desk(
        {
            2: trade("BUY", "0.040"),
            3: offer(30_080.0, "0.010"),
            4: offer(30_080.0, "0.030"),
            5: trade("SELL", "0.026", reduce_only=True),
        },
        rows=RISING,
    )
    _, first, second, _ = rig.context.ledger.orders.values()
    assert (first.quantity, second.quantity) == (Decimal("0.010"), Decimal("0.004"))
    assert (first.status, second.status) == ("FILLED", "FILLED")
    assert rig.quantity() == 0
    assert_in_step(rig, strategy)


def test_built_order_that_opens_is_left_alone_when_the_position_closes() -> None:
    rig, strategy = desk(
        {2: buy, 3: offer(30_080.0, "0.020"), 4: lambda _: [CloseIntent(instrument_id=BTC)]},
        rows=RISING,
    )
    assert rig.quantity() == Decimal("-0.020")
    assert_in_step(rig, strategy)


def test_orders_have_the_decimals_that_the_engine_wants_where_the_config_names_more() -> None:
    context = make_context()
    strategy = Scripted(Settings(), context, "S-001")
    spec = msgspec.structs.replace(find_instrument(BTC), lot_size="0.0010", tick_size="0.100")
    stop = OrderIntent(
        instrument_id=BTC,
        side="SELL",
        kind="STOP_MARKET",
        quantity=Decimal("0.1"),
        trigger_price=29_000.0,
        reduce_only=True,
    )
    known: Any = context.instruments

    def write_more_decimals(_: Any) -> None:
        known[BTC] = engine_instrument(spec)

    strategy.steps = {
        1: write_more_decimals,
        2: lambda _: [OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1")), stop],
        4: lambda s: [
            ModifyIntent(
                client_order_id=s.view.open_orders(BTC)[0].client_order_id,
                quantity=Decimal("0.05"),
                trigger_price=29_100.0,
            )
        ],
        6: lambda _: [CloseIntent(instrument_id=BTC)],
    }
    rig = run([strategy], context, flat_bars(9))
    orders = rig.engine.cache.orders()
    assert sorted(str(o.quantity) for o in orders) == ["0.050", "0.100", "0.100"]
    assert [str(o.trigger_price) for o in orders if o.order_type.name == "STOP_MARKET"] == [
        "29100.00"
    ]
    assert rig.quantity() == 0
