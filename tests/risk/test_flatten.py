"""What is sent to obey a halt, and what is still open of it; on the ledger alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import CancelIntent, CloseIntent, Fill, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.flatten import Enforcement, still_open
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.trading_states import TRADER, Halt, StateScope, TradingStates

X, Y = "X.V", "Y.V"
SECOND = 10**9
CLOSE_X = CloseIntent(instrument_id=X, purpose="exit:flatten")


class Desk:
    def __init__(self) -> None:
        self.ledger = Ledger(10_000.0)
        self.states = TradingStates()
        self.ema = Enforcement(self.ledger, self.states, "ema-001")

    def halt(self, scope: StateScope = TRADER, **changes: Any) -> None:
        self.states.restrict(Halt(0, "a test", scope=scope, **changes))

    def hold(self, quantity: str, instrument_id: str = X, strategy_id: str = "ema-001") -> None:
        amount = Decimal(quantity)
        side: Any = "BUY" if amount > 0 else "SELL"
        name = f"T-{len(self.ledger.fills)}"
        fill = Fill(
            strategy_id, instrument_id, name, name, 0, side, 100.0, abs(amount), 0.0, "TAKER"
        )
        self.ledger.apply_fill(fill)

    def rest(self, order_id: str, instrument_id: str = X, **changes: Any) -> Order:
        terms: dict[str, Any] = {
            "client_order_id": order_id,
            "strategy_id": "ema-001",
            "instrument_id": instrument_id,
            "side": "BUY",
            "kind": "LIMIT",
            "quantity": Decimal(1),
            "price": 90.0,
            "trigger_price": None,
            "reduce_only": False,
            "purpose": "entry",
            "ts_sent": 0,
        }
        order = Order(**(terms | changes))
        self.ledger.apply_order(order)
        return order

    def stop(self, order_id: str, instrument_id: str = X) -> Order:
        terms = {"side": "SELL", "kind": "STOP_MARKET", "reduce_only": True, "is_exit": True}
        return self.rest(order_id, instrument_id, trigger_price=80.0, price=None, **terms)


def cancel(order_id: str) -> CancelIntent:
    return CancelIntent(client_order_id=order_id)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.hold("1")
    desk.hold("-2", Y)
    desk.hold("5", X, "mac-002")
    desk.rest("entry-x")
    desk.rest("entry-y", Y)
    desk.stop("stop-x")
    desk.rest("entry-mac", strategy_id="mac-002")
    return desk


def test_active_trader_is_left_alone(desk: Desk) -> None:
    assert desk.ema.due(0) == []


def test_reducing_sends_nothing(desk: Desk) -> None:
    desk.halt(level="reducing")
    assert desk.ema.due(0) == []


def test_halt_cancels_the_strategys_own_opening_orders_and_nothing_else(desk: Desk) -> None:
    desk.halt()
    assert desk.ema.due(0) == [cancel("entry-x"), cancel("entry-y")]


def test_order_in_an_instrument_that_was_never_held_is_cancelled_as_well() -> None:
    desk = Desk()
    desk.rest("entry-x")
    desk.halt(StateScope.instrument(X))
    assert desk.ema.due(0) == [cancel("entry-x")]


def test_flatten_cancels_first_and_closes_then_and_leaves_the_stop(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    assert desk.ema.due(0) == [cancel("entry-x"), CLOSE_X]


def test_nothing_is_sent_twice_until_a_second_has_passed(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    assert len(desk.ema.due(0)) == 2
    assert desk.ema.due(SECOND - 1) == []
    assert desk.ema.due(SECOND) == [cancel("entry-x"), CLOSE_X]


def test_clock_that_was_set_back_keeps_no_exit_waiting(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    assert len(desk.ema.due(3_600 * SECOND)) == 2
    assert desk.ema.due(3_600 * SECOND - 1) == []  # a bar's time lies a little behind the clock's
    assert desk.ema.due(0) == [cancel("entry-x"), CLOSE_X]


def test_position_that_an_exit_is_closing_already_is_left_to_it(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    closing = desk.rest("out", side="SELL", kind="MARKET", is_exit=True, reduce_only=True)
    assert desk.ema.due(0) == [cancel("entry-x")]
    closing.status = "REJECTED"
    desk.ledger._forget_if_ended(closing)
    assert CLOSE_X in desk.ema.due(1)


def test_stop_is_cancelled_once_the_position_is_gone(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    desk.hold("-1")
    assert desk.ema.due(0) == [cancel("entry-x"), cancel("stop-x")]


def test_stop_that_holds_what_is_to_be_sold_is_cancelled_once_a_close_was_refused(
    desk: Desk,
) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    desk.ema.due(0)
    terms = {"side": "SELL", "kind": "MARKET", "is_exit": True, "purpose": "exit:flatten"}
    desk.rest("out", **terms)
    assert desk.ema.due(1) == []
    desk.ledger.apply_update(OrderUpdate("out", X, 2, "REJECTED"))
    assert desk.ema.due(2) == [cancel("stop-x")]
    assert CLOSE_X in desk.ema.due(SECOND)


def test_entry_that_filled_after_all_is_closed_as_well(desk: Desk) -> None:
    desk.halt(StateScope.instrument(X), flatten=True)
    desk.ema.due(0)
    desk.hold("-1")
    assert desk.ema.due(1) == [cancel("stop-x")]
    desk.hold("1")
    assert desk.ema.due(2 * SECOND) == [cancel("entry-x"), CLOSE_X]


def test_what_is_still_open_is_told_by_scope(desk: Desk) -> None:
    ledger = desk.ledger
    assert still_open(ledger, StateScope.strategy("mac"), flatten=False) == [
        "mac-002 waits for BUY 1 X.V (entry-mac)"
    ]
    assert still_open(ledger, StateScope.instrument(Y), flatten=True) == [
        "ema-001 waits for BUY 1 Y.V (entry-y)",
        "ema-001 holds -2 Y.V",
    ]
    assert len(still_open(ledger, TRADER, flatten=False)) == 3
    assert len(still_open(ledger, TRADER, flatten=True)) == 7
