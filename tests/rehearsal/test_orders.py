"""Orders and the account, without sockets: what is taken, refused, booked and told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.feed import FundingSettled
from tests.rehearsal_lab import Lab


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.book([("60000.0", "1"), ("59999.0", "2")], [("60000.1", "1"), ("60001.0", "2")])
    made.trade("60000.0", "0.001", seller=True)
    return made


def test_a_market_order_is_told_new_then_traded_and_pays_taker_fees(lab: Lab) -> None:
    order = lab.place("BUY", "0.010")
    assert lab.names() == ["NEW NEW", "TRADE FILLED"]
    assert [e["e"] for e in lab.events] == [
        "ORDER_TRADE_UPDATE",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    assert order.status == "FILLED"
    # 0.01 * 60000.1 = 600.001; 5 bp of it are 0.3000005, rounded to even
    assert lab.venue.fills[0].commission == "0.30000050"
    assert lab.venue.account.wallet["USDT"] == Decimal("9999.69999950")
    assert lab.position() == "0.010"


def test_a_resting_order_pays_maker_fees_and_closing_earns_the_difference(lab: Lab) -> None:
    lab.place("BUY", "0.010")
    lab.place("SELL", "0.010", "60100.0", reduceOnly="true")
    lab.trade("60100.0", "0.100", seller=False)
    fill = lab.venue.fills[1]
    assert (fill.maker, fill.realized) == (True, "0.99900000")  # (60100.0 - 60000.1) * 0.01
    assert fill.commission == "0.12020000"  # 2 bp of 601
    assert lab.position() == "0.000"
    assert lab.venue.account.wallet["USDT"] == Decimal("9999.6999995") + Decimal("0.8788")


def test_a_turned_position_earns_on_the_old_part_and_opens_at_the_new_price(lab: Lab) -> None:
    lab.place("BUY", "0.010")
    lab.place("SELL", "0.030")
    position = lab.venue.account.position("BTCUSDT")
    assert lab.venue.fills[1].realized == "-0.00100000"  # (60000.0 - 60000.1) * 0.01
    assert lab.position() == "-0.020"
    assert position.entry_price == 60000


def test_two_entries_average_by_quantity(lab: Lab) -> None:
    lab.place("BUY", "1.500")
    # 1 at 60000.1 and 0.5 at 60001.0
    assert lab.venue.account.position("BTCUSDT").entry_price == Decimal("60000.4")


def test_funding_is_paid_by_longs_while_the_rate_is_positive(lab: Lab) -> None:
    lab.place("BUY", "0.010")
    before = lab.venue.account.wallet["USDT"]
    lab.venue.apply(FundingSettled(lab.clock.now_ns(), "BTCUSDT", "0.0001"))
    # 600.00 at the mark price, 1 bp of it
    assert lab.venue.account.wallet["USDT"] - before == Decimal("-0.06")
    told = lab.events[-1]
    assert told["a"]["m"] == "FUNDING_FEE"
    assert told["a"]["B"][0]["bc"] == "-0.06000000"
    assert told["a"]["P"] == []
    assert lab.venue.income[0]["income"] == "-0.06000000"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"side": "BUY", "quantity": "0.001"}, -4164),
        ({"side": "BUY", "quantity": "0.0101"}, -1111),
        ({"side": "BUY", "quantity": "0"}, -4003),
        ({"side": "BUY", "quantity": "0.010", "price": "60000.05"}, -4014),
        ({"side": "BUY", "quantity": "0.010", "price": "60000.051"}, -1111),
        ({"side": "BUY", "quantity": "0.010", "price": "70000.0"}, -4016),
        ({"side": "SELL", "quantity": "0.010", "price": "50000.0"}, -4024),
        ({"side": "HOLD", "quantity": "0.010"}, -1117),
        ({"side": "BUY", "quantity": "ten"}, -1102),
        ({"side": "BUY", "quantity": "0.010", "type": "STOP_MARKET"}, -4120),
        ({"side": "BUY", "quantity": "0.010", "type": "ICEBERG"}, -1116),
        ({"side": "BUY", "quantity": "0.010", "price": "60000.0", "timeInForce": "ALWAYS"}, -1115),
        ({"side": "BUY", "quantity": "0.010", "newClientOrderId": "no spaces"}, -4015),
        ({"side": "BUY", "quantity": "0.010", "positionSide": "LONG"}, -4061),
        ({"side": "BUY", "quantity": "0.010", "reduceOnly": "true"}, -2022),
        ({"side": "BUY", "quantity": "2.000"}, -2019),
        ({"side": "BUY", "quantity": "0.010", "symbol": "DOGEUSDT"}, -1121),
        ({"side": "BUY", "quantity": "0.010", "price": "60000.1", "timeInForce": "GTX"}, -5022),
        ({"side": "BUY", "quantity": "1.100", "price": "60000.1", "timeInForce": "FOK"}, -5021),
    ],
)
def test_a_wrong_order_is_refused_with_binances_code(
    lab: Lab, order: dict[str, str], code: int
) -> None:
    assert lab.refused(**order) == code
    assert lab.events == []
    assert len(lab.venue.orders) == 0


def test_a_client_id_of_an_open_order_is_refused_and_free_again_when_it_ends(lab: Lab) -> None:
    lab.place("BUY", "0.010", "59000.0", newClientOrderId="mine")
    assert lab.refused("BUY", "0.010", "59000.0", newClientOrderId="mine") == -4116
    lab.venue.cancel({"symbol": "BTCUSDT", "origClientOrderId": "mine"})
    lab.place("BUY", "0.010", "59000.0", newClientOrderId="mine")
    assert lab.names() == ["NEW NEW", "CANCELED CANCELED", "NEW NEW"]


def test_an_order_that_has_ended_or_never_was_cannot_be_cancelled(lab: Lab) -> None:
    order = lab.place("BUY", "0.010")
    for params in ({"orderId": str(order.order_id)}, {"origClientOrderId": "never"}):
        with pytest.raises(VenueError, match="-2011"):
            lab.venue.cancel({"symbol": "BTCUSDT", **params})


def test_an_immediate_order_trades_what_it_finds_and_expires(lab: Lab) -> None:
    order = lab.place("BUY", "1.500", "60000.1", timeInForce="IOC")
    assert lab.names() == ["NEW NEW", "TRADE PARTIALLY_FILLED", "EXPIRED EXPIRED"]
    assert (order.filled, order.status) == (1000, "EXPIRED")


def test_an_amendment_is_told_and_may_trade_at_once(lab: Lab) -> None:
    order = lab.place("BUY", "0.010", "59000.0")
    change = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "side": "BUY"}
    lab.venue.amend({**change, "quantity": "0.020", "price": "59500.0"})
    told = lab.events[-1]["o"]
    assert (told["x"], told["q"], told["p"]) == ("AMENDMENT", "0.020", "59500.00")
    with pytest.raises(VenueError, match="-5027"):
        lab.venue.amend({**change, "quantity": "0.020", "price": "59500.0"})
    lab.venue.amend({**change, "quantity": "0.020", "price": "60000.1"})
    assert lab.names()[-2:] == ["AMENDMENT NEW", "TRADE FILLED"]


def test_a_second_exit_ends_when_the_first_has_closed_the_position(lab: Lab) -> None:
    lab.place("BUY", "0.010")
    lab.place("SELL", "0.010", "60100.0", reduceOnly="true")
    lab.place("SELL", "0.010", reduceOnly="true")
    assert lab.names()[-2:] == ["TRADE FILLED", "EXPIRED EXPIRED"]
    assert lab.venue.orders.open() == []


def test_an_order_good_till_a_time_expires_then(lab: Lab) -> None:
    until = lab.venue.now_ms() + 5_000
    lab.place("BUY", "0.010", "59000.0", timeInForce="GTD", goodTillDate=str(until))
    lab.trade("60000.0", "0.001", seller=True, after_s=4)
    assert lab.names() == ["NEW NEW"]
    lab.trade("60000.0", "0.001", seller=True, after_s=2)
    assert lab.names() == ["NEW NEW", "EXPIRED EXPIRED"]


def test_a_countdown_that_nobody_renews_cancels_the_orders_of_its_symbol(lab: Lab) -> None:
    lab.place("BUY", "0.010", "59000.0")
    assert lab.exchange.set_countdown("BTCUSDT", 5_000) == {
        "symbol": "BTCUSDT",
        "countdownTime": "5000",
    }
    for passed, left in ((4, 1), (2, 0)):
        lab.trade("60000.0", "0.001", seller=True, after_s=passed)
        lab.exchange.tick()
        assert len(lab.venue.orders.open()) == left


def test_margin_counts_positions_and_open_orders_at_the_leverage(lab: Lab) -> None:
    # 10,000 at 10 x carries 100,000: 1.5 of 60,000 use 90,003, and 0.2 at 59,000 are 11,800
    lab.place("BUY", "1.500")
    assert lab.refused("BUY", "0.200", "59000.0") == -2019
    lab.place("BUY", "0.100", "59000.0")


def test_an_exit_that_is_not_reduce_only_binds_no_margin(lab: Lab) -> None:
    lab.place("BUY", "1.500")  # 90,001 at 10x: 9,000 of 9,955
    lab.place("SELL", "1.500", "60100.0")
    assert lab.refused("BUY", "0.200", "59900.0") == -2019
    assert lab.place("BUY", "0.100", "59900.0").status == "NEW"


def test_an_order_that_is_amended_beyond_the_margin_stays_as_it_was(lab: Lab) -> None:
    order = lab.place("BUY", "0.100", "59000.0")
    change = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "side": "BUY"}
    with pytest.raises(VenueError, match="-2019"):
        lab.venue.amend(change | {"price": "59000.0", "quantity": "2.000"})
    assert (order.quantity, lab.market.matcher.bids.quantity(order.price)) == (100, 100)


def test_a_number_beyond_reason_is_refused(lab: Lab) -> None:
    assert lab.refused("BUY", "1e999999") == -1102
