"""Exits order by order, against a venue that the test plays by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import (
    CancelIntent,
    Fill,
    ModifyIntent,
    OrderIntent,
    OrderStatus,
    Side,
    opposite,
)
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.exits import Exits
from aitb_nautilus.settings import decode
from tests.risk.exit_desk import Desk, X


@pytest.mark.parametrize(("side", "stop", "target"), [("BUY", 95.0, 120.0), ("SELL", 105.0, 80.0)])
def test_stop_and_target_rest_from_the_first_fill_on(
    side: Side, stop: float, target: float
) -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill(side, "2", 100.0)
    assert (desk.stop().trigger_price, desk.target().price) == pytest.approx((stop, target))
    for order in desk.open():
        assert (order.quantity, order.side, order.reduce_only) == (2, opposite(side), True)
    assert [o.purpose for o in desk.open()] == ["exit:stop", "exit:target"]


def test_no_exits_asked_for_means_none_are_placed() -> None:
    desk = Desk()
    desk.fill("BUY", "2", 100.0)
    for close in (90.0, 110.0):
        desk.bar(close)
    assert desk.sent == []


def test_partial_entry_fills_make_the_exits_larger_and_follow_the_average() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "1", 100.0)
    desk.fill("BUY", "3", 104.0)
    assert (desk.stop().quantity, desk.target().quantity) == (4, 4)
    # 103 * 0.95 = 97.85, and half a tick towards the market.
    assert desk.stop().trigger_price == 97.9
    assert desk.target().price == pytest.approx(103.0 * 1.2)
    assert len(desk.ledger.orders) == 2


def test_fill_while_an_exit_is_on_its_way_is_fitted_when_the_venue_takes_it() -> None:
    desk = Desk(takes=False, stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "1", 100.0)
    desk.fill("BUY", "1", 100.0)
    stop, target = desk.stop(), desk.target()
    assert (stop.quantity, stop.status, len(desk.ledger.orders)) == (1, "SENT", 2)
    desk.takes = True
    desk.update(stop.client_order_id, "ACCEPTED")
    assert (stop.quantity, target.quantity) == (2, 1)
    desk.update(target.client_order_id, "ACCEPTED")
    assert (stop.quantity, target.quantity) == (2, 2)


def test_averaging_down_never_loosens_the_stop() -> None:
    desk = Desk(stop_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    desk.fill("BUY", "1", 90.0)
    assert (desk.stop().quantity, desk.stop().trigger_price) == (2, 95.0)


def test_partial_fill_of_the_target_makes_the_stop_smaller() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "4", 100.0)
    desk.fill_order(desk.target(), 120.0, "1")
    assert (desk.target().leaves, desk.target().quantity) == (3, 4)
    assert desk.stop().leaves == desk.stop().quantity == 3
    desk.fill_order(desk.stop(), 95.0, "1")
    assert (desk.stop().leaves, desk.target().leaves) == (2, 2)
    assert desk.view.quantity(X) == 2


@pytest.mark.parametrize("which", ["stop", "target"])
def test_filled_exit_cancels_its_sibling(which: str) -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    desk.fill_order(getattr(desk, which)(), 100.0)
    assert desk.open() == []
    assert sorted(o.status for o in desk.ledger.orders.values()) == ["CANCELED", "FILLED"]


def test_position_closed_by_something_else_cancels_all_exits() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    desk.fill("SELL", "2", 101.0)
    assert desk.open() == []


def test_turned_position_gets_exits_of_the_other_side() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2, max_bars=3)
    desk.fill("BUY", "2", 100.0)
    desk.bar(101.0)
    desk.bar(101.0)
    desk.fill("SELL", "5", 110.0)
    assert desk.view.quantity(X) == -3
    assert (desk.stop().side, desk.stop().quantity) == ("BUY", 3)
    assert desk.stop().trigger_price == pytest.approx(115.5)
    assert desk.target().price == pytest.approx(88.0)
    assert len(desk.open()) == 2
    desk.bar(110.0)
    desk.bar(110.0)
    assert len(desk.open()) == 2, "the bars of the old position do not count"


def test_new_position_in_the_same_moment_starts_anew() -> None:
    desk = Desk(trailing_frac=0.1, max_bars=5)
    fills = [("BUY", 100.0), ("SELL", 100.0), ("SELL", 200.0)]
    for side, price in fills:
        trade = f"T-{len(desk.ledger.fills)}"
        fill = Fill("S-001", X, "entry", trade, 7, side, price, Decimal(1), 0.0, "TAKER")  # type: ignore[arg-type]
        desk.ledger.apply_fill(fill)
        desk.carry_out(desk.exits.on_fill(fill))
    assert desk.stop().trigger_price == pytest.approx(220.0)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_trailing_stop_follows_the_best_close_and_never_goes_back(side: Side) -> None:
    sign = 1 if side == "BUY" else -1
    desk = Desk(trailing_frac=0.1)
    desk.fill(side, "1", 100.0)
    assert desk.stop().trigger_price == pytest.approx(100 * (1 - sign * 0.1))
    assert desk.stop().purpose == "exit:trailing"
    for away, best in ((0.1, 0.1), (0.05, 0.1), (-0.05, 0.1), (0.2, 0.2), (0.1, 0.2)):
        desk.bar(100 * (1 + sign * away))
        expected = 100 * (1 + sign * best) * (1 - sign * 0.1)
        assert desk.stop().trigger_price == pytest.approx(expected)
    assert len(desk.ledger.orders) == 1


def test_tighter_of_stop_and_trailing_stop_counts_and_gives_its_name() -> None:
    desk = Desk(stop_frac=0.05, trailing_frac=0.1)
    desk.fill("BUY", "1", 100.0)
    assert (desk.stop().trigger_price, desk.stop().purpose) == (95.0, "exit:stop")
    desk.bar(104.0)
    assert desk.stop().trigger_price == 95.0
    desk.bar(110.0)
    assert desk.stop().trigger_price == pytest.approx(99.0)
    assert [i.purpose for i in desk.sent if isinstance(i, ModifyIntent)] == ["exit:trailing"]


def test_stop_moves_only_by_whole_ticks() -> None:
    desk = Desk(tick=1.0, trailing_frac=0.1)
    desk.fill("BUY", "1", 100.0)
    desk.bar(100.5)  # 90.45, up to 91
    desk.bar(101.0)  # 90.9, up to 91
    assert [i.trigger_price for i in desk.sent if isinstance(i, ModifyIntent)] == [91.0]
    desk.bar(102.0)  # 91.8, up to 92
    assert desk.stop().trigger_price == 92.0


def test_time_exit_closes_at_the_market_after_so_many_bars_and_only_once() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2, max_bars=2)
    desk.fill("BUY", "2", 100.0)
    desk.bar(100.0)
    assert len(desk.open()) == 2
    desk.bar(100.0)
    closing = desk.closing()
    assert (closing.side, closing.quantity, closing.purpose) == ("SELL", 2, "exit:time")
    assert closing.reduce_only
    desk.bar(100.0)
    assert desk.open() == [closing]
    desk.fill_order(closing, 99.0)
    assert desk.view.quantity(X) == 0
    assert desk.open() == []


def test_time_exit_that_was_refused_is_tried_again_at_the_next_bar() -> None:
    desk = Desk(max_bars=1)
    desk.fill("BUY", "2", 100.0)
    desk.bar(100.0)
    desk.update(desk.closing().client_order_id, "REJECTED")
    assert desk.open() == []
    desk.bar(100.0)
    assert desk.closing().purpose == "exit:time"


@pytest.mark.parametrize("status", ["REJECTED", "DENIED"])
def test_stop_that_the_venue_refuses_closes_the_position_at_once(status: OrderStatus) -> None:
    desk = Desk(takes=False, stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    target = desk.target()
    desk.takes = True
    desk.update(target.client_order_id, "ACCEPTED")
    desk.update(desk.stop().client_order_id, status, reason="no stops here")
    assert target.status == "CANCELED"
    assert (desk.closing().quantity, desk.closing().purpose) == (2, "exit:stop")


def test_stop_that_is_refused_while_a_close_is_on_its_way_is_not_closed_twice() -> None:
    desk = Desk(takes=False, stop_frac=0.02, max_bars=1)
    desk.fill("BUY", "1", 100.0)
    stop = desk.stop().client_order_id
    desk.bar(100.0)
    assert [o.kind for o in desk.open()] == ["STOP_MARKET", "MARKET"]
    desk.update(stop, "REJECTED")
    assert [o.kind for o in desk.open()] == ["MARKET"]


def test_refused_target_is_put_back_at_the_next_bar_and_closes_nothing() -> None:
    desk = Desk(takes=False, stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    desk.takes = True
    desk.update(desk.stop().client_order_id, "ACCEPTED")
    desk.update(desk.target().client_order_id, "REJECTED")
    assert [o.kind for o in desk.open()] == ["STOP_MARKET"]
    desk.bar(100.0)
    assert desk.target().status == "ACCEPTED"


def test_refused_entry_is_no_reason_to_close_anything() -> None:
    desk = Desk(stop_frac=0.05)
    desk.fill("BUY", "2", 100.0)
    entry = OrderIntent(
        instrument_id=X, side="BUY", kind="STOP_MARKET", trigger_price=110.0, quantity=Decimal(1)
    )
    desk.carry_out([entry])
    desk.update(desk.open()[-1].client_order_id, "REJECTED")
    assert [o.kind for o in desk.open()] == ["STOP_MARKET"]
    assert desk.stop().reduce_only


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED"])
def test_stop_that_ended_from_outside_is_put_back_once_a_bar_and_then_the_position_is_closed(
    status: OrderStatus,
) -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    for close in (100.0, 101.0):
        desk.bar(close)
    first = desk.stop()
    desk.update(first.client_order_id, status)
    second = desk.stop()
    assert (second.trigger_price, second.leaves, second is first) == (95.0, 2, False)
    desk.update(second.client_order_id, status)
    assert (desk.closing().quantity, desk.closing().purpose) == (2, "exit:stop")
    desk.fill_order(desk.closing(), 100.0)
    assert desk.open() == []


@pytest.mark.parametrize("status", ["REJECTED", "DENIED", "CANCELED", "EXPIRED"])
@pytest.mark.parametrize("cancel_first", [True, False])
def test_stop_that_made_way_for_a_close_is_back_once_the_close_came_to_nothing(
    status: OrderStatus, cancel_first: bool
) -> None:
    desk = Desk(stop_frac=0.05, max_bars=1)
    desk.fill("BUY", "2", 100.0)
    old = desk.stop()
    desk.takes = False
    desk.bar(100.0)  # the cancel and the close are on their way
    closing = desk.closing()
    desk.takes = True
    if cancel_first:
        desk.update(old.client_order_id, "CANCELED")
    desk.update(closing.client_order_id, status)
    back = desk.open()[-1]
    assert (back.trigger_price, back.leaves, back.is_open) == (95.0, 2, True)
    if not cancel_first:
        desk.update(old.client_order_id, "CANCELED")
    assert desk.open() == [back]


def test_close_that_is_refused_after_the_stop_is_sent_again_once_and_then_the_strategy_halts() -> (
    None
):
    desk = Desk(takes=False, stop_frac=0.05)
    desk.fill("BUY", "2", 100.0)
    desk.update(desk.stop().client_order_id, "REJECTED")
    desk.update(desk.closing().client_order_id, "REJECTED")
    assert (desk.closing().quantity, desk.closing().purpose) == (2, "exit:stop")
    assert desk.halts == []
    desk.update(desk.closing().client_order_id, "REJECTED", reason="busy")
    assert desk.open() == []
    assert desk.halts == [("exit:stop", "busy")]
    desk.bar(100.0)
    assert desk.stop().trigger_price == 95.0


def test_close_that_is_refused_because_the_stop_has_filled_is_not_sent_again() -> None:
    desk = Desk(stop_frac=0.05, max_bars=1)
    desk.fill("BUY", "2", 100.0)
    stop = desk.stop()
    desk.takes = False
    desk.bar(100.0)  # the cancel of the stop meets its fill
    closing = desk.closing()
    desk.fill_order(stop, 95.0)
    desk.update(closing.client_order_id, "REJECTED")
    assert desk.open() == []
    assert (len(desk.ledger.orders), desk.halts) == (2, [])


def test_close_that_is_refused_where_no_stop_is_wanted_waits_for_the_next_bar() -> None:
    desk = Desk(max_bars=1)
    desk.fill("BUY", "2", 100.0)
    desk.bar(100.0)
    desk.update(desk.closing().client_order_id, "REJECTED")
    assert (desk.open(), desk.halts) == ([], [])


def test_new_position_has_its_own_stop_while_the_old_one_is_being_cancelled() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    old = desk.stop()
    desk.takes = False  # the cancel of the old stop is on its way
    desk.fill_order(desk.target(), 120.0)
    desk.takes = True
    desk.fill("BUY", "3", 110.0)
    desk.update(old.client_order_id, "CANCELED")
    assert (desk.stop().trigger_price, desk.stop().leaves) == (104.5, 3)


def test_change_that_the_venue_refused_is_tried_again() -> None:
    desk = Desk(takes=True, trailing_frac=0.1)
    desk.fill("BUY", "1", 100.0)
    desk.takes = False
    desk.bar(110.0)
    desk.update(desk.stop().client_order_id, None, reason="too many requests")
    assert desk.stop().trigger_price == 90.0
    desk.takes = True
    desk.bar(105.0)
    assert desk.stop().trigger_price == pytest.approx(99.0)


def test_exit_that_is_taken_late_starts_no_new_exits_while_the_position_is_closing() -> None:
    desk = Desk(takes=False, stop_frac=0.05, target_frac=0.2, max_bars=1)
    desk.fill("BUY", "2", 100.0)
    desk.bar(100.0)
    count = len(desk.ledger.orders)
    desk.update(desk.stop().client_order_id, "ACCEPTED")
    assert len(desk.ledger.orders) == count


def test_exits_in_place_are_left_alone_bar_after_bar() -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2, trailing_frac=0.2)
    desk.fill("BUY", "2", 100.0)
    before = len(desk.sent)
    for close in (100.0, 99.0, 101.0, 98.0, 101.0):
        desk.bar(close)
    assert len(desk.sent) == before


def test_flat_strategy_has_nothing_to_keep() -> None:
    desk = Desk(stop_frac=0.05, max_bars=1)
    desk.bar(100.0)
    assert desk.sent == []


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("bar"), st.integers(80, 125)),
        st.tuples(st.just("add"), st.integers(1, 3)),
        st.tuples(st.just("stop"), st.integers(1, 4)),
        st.tuples(st.just("target"), st.integers(1, 4)),
        st.tuples(st.just("lose"), st.integers(0, 1)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(MOVES, st.sampled_from(["BUY", "SELL"]))
def test_open_position_is_covered_exactly_after_every_bar_and_flat_means_no_orders(  # noqa: PLR0912
    moves: list[tuple[str, int]], side: Side
) -> None:
    desk = Desk(stop_frac=0.1, target_frac=0.3, trailing_frac=0.15)
    desk.fill(side, "2", 100.0)
    before = (ZERO, 0.0)
    for move, number in moves:
        orders = desk.open()
        held = desk.view.quantity(X)
        if move == "bar":
            desk.bar(float(number))
            for order in [o for o in desk.open() if o.kind == "MARKET"]:
                # The stop was lost, and the market stood beyond it already.
                assert not [o for o in orders if o.is_stop]
                desk.fill_order(order, float(number))
        elif move == "add" and held:
            desk.fill("BUY" if held > 0 else "SELL", Decimal(number), 100.0)
        elif move == "turn" and held:
            desk.fill("SELL" if held > 0 else "BUY", abs(held) + number, 100.0)
        elif move in ("stop", "target"):
            exits = [o for o in orders if o.is_stop == (move == "stop")]
            if exits and exits[0].leaves:
                desk.fill_order(exits[0], 100.0, min(exits[0].leaves, Decimal(number)))
        elif move == "lose" and len(orders) > number:
            desk.update(orders[number].client_order_id, "CANCELED")
            for order in [o for o in desk.open() if o.kind == "MARKET"]:
                # The stop was lost a second time.
                assert not [o for o in desk.open() if o.is_stop]
                desk.fill_order(order, 100.0)
        held = desk.view.quantity(X)
        if not held:
            assert desk.open() == []
        elif move != "lose" and (move == "bar" or len(desk.open()) == 2):
            stop, target = desk.stop(), desk.target()
            assert stop.leaves == target.leaves == abs(held)
            assert stop.side == target.side == ("SELL" if held > 0 else "BUY")
            sign = 1 if held > 0 else -1
            trigger = stop.trigger_price or 0.0
            if before[0] and (before[0] > 0) == (held > 0) and move == "bar":
                assert sign * trigger >= sign * before[1] - 1e-9
            before = (held, trigger)
        if not held or not [o for o in desk.open() if o.is_stop]:
            before = (ZERO, 0.0)


@pytest.mark.parametrize(
    "data",
    [
        {"stop_frac": 0},
        {"stop_frac": 1.0},
        {"target_frac": -0.1},
        {"trailing_frac": 1},
        {"max_bars": 0},
    ],
)
def test_impossible_exit_is_refused(data: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        decode(data, Exits, "desk.toml: exits")


@pytest.mark.parametrize("overtaken", [True, False], ids=["cancel came first", "cancel refused"])
def test_exit_that_rests_on_after_its_position_since_its_cancel_was_refused_is_cancelled_again(
    overtaken: bool,
) -> None:
    desk = Desk(takes=False, stop_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    stop = desk.stop()
    if not overtaken:
        desk.update(stop.client_order_id, "ACCEPTED")
    desk.fill("SELL", "1", 101.0, "close")
    cancel = CancelIntent(client_order_id=stop.client_order_id, by_exits=True)
    assert desk.sent[-1] == cancel
    desk.sent.clear()
    desk.update(stop.client_order_id, None)
    assert desk.sent == []
    if overtaken:
        desk.update(stop.client_order_id, "ACCEPTED")
    else:
        desk.bar(101.0)
    assert desk.sent == [cancel]
    desk.update(stop.client_order_id, "CANCELED")
    desk.bar(101.0)
    assert desk.sent == [cancel]
