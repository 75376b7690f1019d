"""Conditional orders: they wait, wake at their price, and become an order with the same id."""

from __future__ import annotations

import pytest

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.conditional import Conditional
from tests.rehearsal_lab import Lab


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.book([("60000.0", "1"), ("59999.0", "2")], [("60000.1", "1"), ("60001.0", "2")])
    made.trade("60000.0", "0.001", seller=True)
    made.place("BUY", "0.010")
    made.events.clear()
    return made


def wait(lab: Lab, kind: str, **more: str) -> Conditional:
    params = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": kind}
    quantity = {} if "closePosition" in more else {"quantity": "0.010"}
    return lab.exchange.triggers.place(params | quantity | more)


def test_a_stop_wakes_at_its_price_and_tells_each_step(lab: Lab) -> None:
    made = wait(lab, "STOP_MARKET", triggerPrice="59900.0", reduceOnly="true", clientAlgoId="stop")
    lab.trade("59900.1", "0.010", seller=True)
    assert lab.names() == ["ALGO NEW"]
    lab.trade("59900.0", "0.010", seller=True)
    assert lab.names() == [
        "ALGO NEW",
        "ALGO TRIGGERING",
        "ALGO TRIGGERED",
        "NEW NEW",
        "TRADE FILLED",
        "ALGO FINISHED",
    ]
    assert made.order is not None
    assert (made.order.client_id, made.order.origin) == ("stop", "STOP_MARKET")
    finished = lab.events[-1]["o"]
    assert (finished["ai"], finished["aq"]) == (str(made.order.order_id), "0.010")
    assert lab.position() == "0.000"


def test_a_take_profit_wakes_on_the_other_side(lab: Lab) -> None:
    wait(lab, "TAKE_PROFIT_MARKET", triggerPrice="60100.0", reduceOnly="true")
    lab.trade("60099.9", "0.010", seller=False)
    assert lab.position() == "0.010"
    lab.trade("60100.0", "0.010", seller=False)
    assert lab.position() == "0.000"


def test_a_stop_limit_rests_at_its_limit(lab: Lab) -> None:
    made = wait(lab, "STOP", triggerPrice="59900.0", price="60050.0", reduceOnly="true")
    lab.trade("59900.0", "0.010", seller=True)
    assert made.order is not None
    assert lab.venue.orders.open() == [made.order]
    assert made.status == "TRIGGERED"
    lab.venue.cancel({"symbol": "BTCUSDT", "orderId": str(made.order.order_id)})
    assert made.status == "FINISHED"


def test_a_trailing_stop_follows_the_price_up_and_wakes_on_the_way_down(lab: Lab) -> None:
    made = wait(lab, "TRAILING_STOP_MARKET", callbackRate="1", reduceOnly="true")
    for price in ("60500.0", "61000.0", "60500.0"):
        lab.trade(price, "0.001", seller=False)
    assert made.status == "NEW"
    assert lab.rules.price_text(made.trigger) == "60390.00"  # 1 % below 61,000
    lab.trade("60390.0", "0.001", seller=True)
    assert made.status == "FINISHED"


def test_a_stop_that_would_wake_at_once_is_refused(lab: Lab) -> None:
    with pytest.raises(VenueError, match="-2021"):
        wait(lab, "STOP_MARKET", triggerPrice="60000.0")
    assert lab.events == []


def test_a_reduce_only_stop_without_a_position_is_rejected_when_it_wakes(lab: Lab) -> None:
    made = wait(lab, "STOP_MARKET", triggerPrice="59900.0", reduceOnly="true")
    lab.place("SELL", "0.010")
    lab.trade("59900.0", "0.010", seller=True)
    assert made.status == "REJECTED"
    assert lab.events[-1]["o"]["rm"] == "ReduceOnly Order is rejected."


def test_a_stop_that_closes_the_position_takes_its_quantity_when_it_wakes(lab: Lab) -> None:
    wait(lab, "STOP_MARKET", triggerPrice="59900.0", closePosition="true")
    lab.place("BUY", "0.020")
    lab.trade("59900.0", "0.010", seller=True)
    assert lab.position() == "0.000"
    assert lab.venue.fills[-1].quantity == 30


def test_a_waiting_order_can_be_cancelled_once(lab: Lab) -> None:
    made = wait(lab, "STOP_MARKET", triggerPrice="59900.0")
    lab.exchange.triggers.cancel({"algoId": str(made.algo_id)})
    with pytest.raises(VenueError, match="-2011"):
        lab.exchange.triggers.cancel({"algoId": str(made.algo_id)})
    lab.trade("59900.0", "0.010", seller=True)
    assert lab.names() == ["ALGO NEW", "ALGO CANCELED"]


def test_a_client_id_of_a_waiting_order_is_refused(lab: Lab) -> None:
    wait(lab, "STOP_MARKET", triggerPrice="59900.0", clientAlgoId="mine")
    with pytest.raises(VenueError, match="-4116"):
        wait(lab, "STOP_MARKET", triggerPrice="59800.0", clientAlgoId="mine")


@pytest.mark.parametrize(("taken", "left"), [(True, 0), (False, 1)])
def test_the_end_of_a_countdown_takes_stops_too_unless_it_is_told_not_to(
    lab: Lab, taken: bool, left: int
) -> None:
    lab.exchange.countdown_cancels_stops = taken
    wait(lab, "STOP_MARKET", triggerPrice="59900.0")
    lab.exchange.set_countdown("BTCUSDT", 1_000)
    lab.trade("60000.0", "0.001", seller=True, after_s=2)
    lab.exchange.tick()
    assert len(lab.exchange.triggers.waiting()) == left


def test_more_waiting_orders_than_the_symbol_lists_are_refused(lab: Lab) -> None:
    for n in range(10):
        wait(lab, "STOP_MARKET", triggerPrice=f"{59_000 + n}.0")
    with pytest.raises(VenueError, match="-4045"):
        wait(lab, "STOP_MARKET", triggerPrice="58000.0")


@pytest.mark.parametrize("rate", ["NaN", "much", "11", "Infinity"])
def test_a_callback_rate_that_is_none_is_refused(lab: Lab, rate: str) -> None:
    with pytest.raises(VenueError, match=r"-1102|-1130"):
        wait(lab, "TRAILING_STOP_MARKET", callbackRate=rate)
