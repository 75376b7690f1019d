"""Exits that move with the market: by average true range, chandelier, break-even, several targets.

A bar of the calm market goes from 99 to 101 and closes at 100: a true range of 2.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings, strategies as st

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.exits import ExitManager, Exits
from aitb_nautilus.risk.guard import LotRules
from tests.risk.exit_desk import LOTS, Desk, X

HALVES = [{"close_frac": 0.5, "frac": 0.02}, {"close_frac": 0.25, "frac": 0.04}]


def exits(**data: Any) -> dict[str, Any]:
    """Return keyword arguments of `Exits`, with targets from plain data."""
    decoded = msgspec.convert(data, Exits)
    return {name: getattr(decoded, name) for name in decoded.__struct_fields__}


def calm(desk: Desk, bars: int = 3) -> Desk:
    for _ in range(bars):
        desk.bar(100.0, 101.0, 99.0)
    return desk


# Average true range


@pytest.mark.parametrize(("side", "stop", "target"), [("BUY", 97.0, 106.0), ("SELL", 103.0, 94.0)])
def test_stop_and_target_in_ranges_stand_by_the_range_at_the_entry(
    side: Side, stop: float, target: float
) -> None:
    desk = calm(Desk(stop_atr=1.5, target_atr=3.0, atr_bars=2))
    desk.fill(side, "1", 100.0)
    assert (desk.stop().trigger_price, desk.target().price) == (stop, target)
    assert (desk.stop().purpose, desk.target().purpose) == ("exit:stop", "exit:target")
    for _ in range(3):
        desk.bar(100.0, 105.9, 94.1)
    assert (desk.stop().trigger_price, desk.target().price) == (stop, target)


def test_nothing_is_ready_before_the_range_is_known() -> None:
    desk = Desk(stop_atr=1.5, atr_bars=2)
    ready = []
    for _ in range(4):
        ready.append(desk.exits.is_ready)
        calm(desk, 1)
    assert ready == [False, False, False, True]
    assert Desk(stop_frac=0.1).exits.is_ready
    assert (desk.exits.bars_before, Desk(stop_frac=0.1).exits.bars_before) == (20, 0)


def test_position_older_than_the_range_gets_its_stop_once_the_range_is_known() -> None:
    desk = Desk(stop_atr=1.5, atr_bars=2)
    desk.fill("BUY", "1", 100.0)
    assert desk.open() == []
    calm(desk, 3)
    assert desk.stop().trigger_price == 97.0


@pytest.mark.parametrize("sign", [1, -1])
def test_trailing_by_ranges_follows_best_close_and_range_and_never_goes_back(sign: int) -> None:
    desk = calm(Desk(trailing_atr=2.0, atr_bars=2))
    desk.fill("BUY" if sign > 0 else "SELL", "1", 100.0)
    levels = [desk.stop().trigger_price]
    for close, near, far in ((2, 3, 1), (1, 2, 0), (1, 6, -4)):
        ends = (100 + sign * near, 100 + sign * far)
        desk.bar(100 + sign * close, max(ends), min(ends))
        levels.append(desk.stop().trigger_price)
    # Ranges 2, then 3, 2, 10: averages 2, 2.5, 2.25, 6.125. Best close 2 away from the entry on.
    # 0 - 4, 2 - 5, 2 - 4.5, and 2 - 12.25 would be further away than before.
    assert levels == [100 + sign * x for x in (-4.0, -3.0, -2.5, -2.5)]
    assert desk.stop().purpose == "exit:trailing"


def test_chandelier_hangs_from_the_highest_high_of_its_window() -> None:
    desk = calm(Desk(chandelier_atr=2.0, chandelier_bars=3, atr_bars=2))
    desk.fill("BUY", "1", 100.0)
    levels = [desk.stop().trigger_price]
    for close, high, low in ((102, 105, 101), *[(102, 103, 101)] * 3):
        desk.bar(float(close), float(high), float(low))
        levels.append(desk.stop().trigger_price)
    # Ranges 5, 2, 2, 2: averages 3.5, 2.75, 2.375, 2.1875. 105 - 7, 105 - 5.5, 105 - 4.75 = 100.25
    # and up to the tick; then the 105 has left the window, and 103 - 4.375 would be lower.
    assert levels == [96.0, 98.0, 99.5, 100.3, 100.3]
    assert desk.stop().purpose == "exit:chandelier"


def test_chandelier_of_a_short_hangs_from_the_lowest_low() -> None:
    desk = calm(Desk(chandelier_atr=2.0, chandelier_bars=3, atr_bars=2))
    desk.fill("SELL", "1", 100.0)
    desk.bar(98.0, 99.0, 95.0)  # Range 100 - 95, average 3.5
    assert desk.stop().trigger_price == 102.0


def test_stop_that_the_market_has_passed_already_is_left_at_once_and_not_sent() -> None:
    desk = Desk(trailing_atr=1.0, atr_bars=1)
    for _ in range(2):
        desk.bar(100.0, 105.0, 95.0)
    desk.fill("BUY", "1", 100.0)
    desk.bar(105.0, 105.5, 105.0)  # Range 5.5
    assert desk.stop().trigger_price == 99.5
    desk.bar(104.0, 104.2, 104.0)  # Range 1: the stop would stand at 104, the close
    assert (desk.closing().quantity, desk.closing().purpose) == (1, "exit:trailing")
    assert desk.open() == [desk.closing()]


def test_close_for_a_passed_stop_that_was_refused_is_sent_again_at_once_or_the_stop_is_back() -> (
    None
):
    desk = Desk(trailing_atr=1.0, atr_bars=1)
    for _ in range(2):
        desk.bar(100.0, 105.0, 95.0)
    desk.fill("BUY", "1", 100.0)
    desk.bar(105.0, 105.5, 105.0)
    for close in (104.0, 103.9):
        desk.bar(close)
        desk.update(desk.closing().client_order_id, "REJECTED")
        assert desk.closing().purpose == "exit:trailing"
        desk.update(desk.closing().client_order_id, "REJECTED", reason="busy")
        assert desk.open() == []
    assert desk.halts == [("exit:trailing", "busy")] * 2
    desk.bar(104.8)  # Range 0.9, and the stop stays at the tightest, 105 - 0.1
    assert desk.closing().purpose == "exit:trailing"
    desk.update(desk.closing().client_order_id, "REJECTED")
    desk.update(desk.closing().client_order_id, "REJECTED")
    desk.bar(105.5)
    assert desk.stop().trigger_price == 104.9


def test_stop_that_rests_beyond_the_close_is_left_to_the_venue() -> None:
    desk = Desk(stop_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    sent = len(desk.sent)
    desk.bar(94.0)
    assert len(desk.sent) == sent


# Break-even


@pytest.mark.parametrize(("side", "sign", "level"), [("BUY", 1, 100.1), ("SELL", -1, 99.9)])
def test_after_its_gain_the_stop_covers_the_costs(side: Side, sign: int, level: float) -> None:
    desk = Desk(stop_frac=0.05, break_even_frac=0.02)
    desk.fill(side, "1", 100.0)
    desk.bar(100 + sign * 1.9)
    assert desk.stop().trigger_price == 100 - sign * 5
    desk.bar(100 + sign * 2.0)
    assert (desk.stop().trigger_price, desk.stop().purpose) == (level, "exit:break_even")
    desk.bar(100 + sign * 0.5)
    assert desk.stop().trigger_price == level


def test_break_even_in_ranges_counts_those_at_the_entry() -> None:
    desk = calm(Desk(stop_atr=2.0, break_even_atr=1.5, break_even_cost_bps=20.0, atr_bars=2))
    desk.fill("BUY", "1", 100.0)
    desk.bar(102.9)
    assert desk.stop().trigger_price == 96.0
    desk.bar(103.0)
    assert (desk.stop().trigger_price, desk.stop().purpose) == (100.2, "exit:break_even")


def test_break_even_alone_places_a_stop_once_it_is_reached() -> None:
    desk = Desk(break_even_frac=0.02)
    desk.fill("BUY", "1", 100.0)
    assert desk.open() == []
    desk.bar(103.0)
    assert desk.stop().trigger_price == 100.1


def test_break_even_waits_until_the_costs_are_covered_too() -> None:
    desk = Desk(break_even_atr=1.0, break_even_cost_bps=30.0, atr_bars=1)
    desk.bar(100.0)
    desk.bar(100.0, 100.1, 100.0)  # A range of 0.1, and 0.3 of costs
    desk.fill("BUY", "1", 100.0)
    desk.bar(100.2)
    assert desk.open() == []
    desk.bar(100.5)
    assert desk.stop().trigger_price == 100.3


# Several targets


def test_targets_close_their_parts_one_after_the_other_and_the_rest_keeps_its_stop() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1.001", 100.0)
    # Half of 1.001 is 0.5005, three quarters 0.75075: whole lots of it, downwards.
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.500"))]
    assert desk.stop().leaves == Decimal("1.001")
    desk.fill_order(desk.target(), 102.0)
    assert desk.targets() == [("exit:target_2", 104.0, Decimal("0.250"))]
    assert desk.stop().leaves == Decimal("0.501")
    desk.fill_order(desk.target(), 104.0)
    for close in (103.0, 105.0, 101.0):
        desk.bar(close)
    assert desk.targets() == []
    assert (desk.stop().leaves, desk.stop().trigger_price) == (Decimal("0.251"), 95.0)
    desk.fill_order(desk.stop(), 95.0)
    assert desk.open() == []


def taken_one_by_one(desk: Desk) -> list[tuple[str, float | None, Decimal]]:
    """Fill each target that comes to rest, and return them."""
    seen = []
    while found := desk.targets():
        seen += found
        desk.fill_order(desk.target(), 100.0)
    return seen


THIRDS = [{"close_frac": part, "frac": at} for part, at in ((0.3, 0.1), (0.3, 0.2), (0.4, 0.3))]


def test_parts_that_make_a_whole_leave_nothing() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=THIRDS))
    desk.fill("SELL", "0.01", 100.0)
    assert taken_one_by_one(desk) == [
        ("exit:target_1", 90.0, Decimal("0.003")),
        ("exit:target_2", 80.0, Decimal("0.003")),
        ("exit:target_3", 70.0, Decimal("0.004")),
    ]
    assert desk.view.quantity(X) == 0
    assert desk.open() == []


def test_part_below_the_venues_least_quantity_goes_to_the_next_target() -> None:
    lots = LotRules(Decimal("0.001"), min_quantity=Decimal("0.004"))
    desk = Desk(lots=lots, **exits(targets=THIRDS))
    desk.fill("BUY", "0.01", 100.0)
    assert taken_one_by_one(desk) == [
        ("exit:target_2", 120.0, Decimal("0.006")),
        ("exit:target_3", 130.0, Decimal("0.004")),
    ]


def test_target_grows_with_the_entry_and_shrinks_with_what_the_stop_took() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    desk.fill("BUY", "1", 100.0)
    assert desk.targets() == [("exit:target_1", 102.0, 1)]
    desk.fill_order(desk.stop(), 95.0, "1.4")
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.6"))]
    desk.fill("BUY", "1", 100.0)
    # Half of the 3 that were bought; 1.6 are held.
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("1.5"))]


def test_entry_that_goes_on_after_the_first_target_brings_that_target_back() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    desk.fill_order(desk.target(), 102.0)
    assert [name for name, *_ in desk.targets()] == ["exit:target_2"]
    desk.fill("BUY", "1", 100.0)
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.5"))]


def test_target_that_was_filled_in_part_keeps_what_is_left_of_its_part() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    desk.fill_order(desk.target(), 102.0, "0.2")
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.3"))]
    desk.update(desk.target().client_order_id, "CANCELED")
    desk.bar(101.0)
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.3"))]


def test_target_that_the_venue_made_larger_is_made_small_again() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    desk.update(desk.target().client_order_id, None, quantity=Decimal(1))
    assert desk.targets() == [("exit:target_1", 102.0, Decimal("0.5"))]


def test_turned_position_has_all_of_its_targets_again() -> None:
    desk = Desk(**exits(targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    desk.fill_order(desk.target(), 102.0)
    desk.fill("SELL", "2.5", 100.0)
    assert desk.targets() == [("exit:target_1", 98.0, 1)]


def test_position_that_is_turned_in_the_moment_of_its_entry_is_another_one() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    for number, (side, quantity) in enumerate((("BUY", 1), ("SELL", 3))):
        terms = (7, side, 100.0, Decimal(quantity), 0.0, "TAKER")
        fill = Fill("S-001", X, "entry", f"T-{number}", *terms)  # type: ignore[arg-type]
        desk.ledger.apply_fill(fill)
        desk.carry_out(desk.exits.on_fill(fill))
    assert (desk.stop().side, desk.stop().trigger_price) == ("BUY", 105.0)
    assert desk.targets() == [("exit:target_1", 98.0, 1)]


# The grid of prices


@pytest.mark.parametrize(
    ("side", "stop", "target"),
    [
        ("BUY", 95.1, 120.0),  # 95.0285 and 120.036
        ("SELL", 105.0, 80.1),  # 105.0315 and 80.024
    ],
)
def test_stop_loses_no_more_and_target_comes_no_later_for_the_tick(
    side: Side, stop: float, target: float
) -> None:
    desk = Desk(stop_frac=0.05, target_frac=0.2)
    desk.fill(side, "1", 100.03)
    assert (desk.stop().trigger_price, desk.target().price) == (stop, target)


def test_stop_within_a_tick_of_the_market_is_not_rounded_onto_it() -> None:
    desk = Desk(stop_frac=0.0005)
    desk.bar(100.0)
    desk.fill("BUY", "1", 100.0)
    assert desk.stop().trigger_price == 99.9


def test_target_within_a_tick_of_the_entry_is_not_rounded_onto_it() -> None:
    desk = Desk(target_frac=0.0005)
    desk.fill("BUY", "1", 100.0)
    assert desk.target().price == 100.1


def test_level_below_zero_is_none() -> None:
    desk = Desk(stop_atr=60.0, target_atr=60.0, atr_bars=2)
    calm(desk)
    desk.fill("SELL", "1", 100.0)
    assert [o.is_stop for o in desk.open()] == [True]
    desk.fill("BUY", "2", 100.0)
    assert desk.targets() == [("exit:target", 220.0, 1)]
    assert not [o for o in desk.open() if o.is_stop]


# Payoff


def test_payoff_is_the_nearest_stop_and_the_mean_target_by_what_they_close() -> None:
    desk = calm(Desk(**exits(stop_frac=0.05, trailing_atr=1.0, targets=HALVES, atr_bars=2)))
    # 0.5 at 2 % and 0.25 at 4 %: (0.01 + 0.01) / 0.75. A range of 2 is 1 % of 200.
    assert desk.exits.payoff(200.0) == pytest.approx((0.02 / 0.75, 0.01))
    assert Desk(stop_frac=0.05).exits.payoff(100.0) is None
    assert Desk(target_frac=0.05).exits.payoff(100.0) is None
    assert Desk(stop_frac=0.05, target_atr=1.0).exits.payoff(100.0) is None


# Restarts and random markets

ALL = exits(
    stop_frac=0.1,
    stop_atr=8.0,
    trailing_atr=5.0,
    chandelier_atr=6.0,
    chandelier_bars=4,
    break_even_frac=0.05,
    targets=[{"close_frac": 0.3, "frac": 0.06}, {"close_frac": 0.3, "atr": 4.0}],
    max_bars=12,
    atr_bars=3,
)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("bar"), st.integers(85, 118)),
        st.tuples(st.just("entry"), st.integers(1, 5)),
        st.tuples(st.just("fill"), st.integers(0, 3)),
        st.tuples(st.just("lose"), st.integers(0, 3)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
    ),
    max_size=40,
)


def play(desk: Desk, move: str, number: int, side: Side) -> None:
    """Let one thing happen; the venue fills what rests beyond a close, and market orders."""
    held, orders = desk.view.quantity(X), desk.open()
    price = desk.view.mark(X) or 100.0
    if move == "bar":
        for order in orders:
            # A sell stop and a buy limit wait for a lower price, the others for a higher one.
            below = (order.side == "SELL") == order.is_stop
            trigger = order.trigger_price or order.price or 0.0
            if order.is_open and (number <= trigger if below else number >= trigger):
                desk.fill_order(order, trigger)
        desk.bar(float(number), number + 1.5, number - 1.5)
        for order in desk.closed_at_market():
            amount = min(order.leaves, abs(desk.view.quantity(X)))
            if amount:
                desk.fill_order(order, float(number), amount)
    elif move == "entry":
        desk.fill("BUY" if held > 0 or (not held and side == "BUY") else "SELL", str(number), price)
    elif move == "fill" and number < len(orders):
        order = orders[number]
        desk.fill_order(order, price, min(order.leaves, Decimal(1)))
    elif move == "lose" and number < len(orders):
        desk.update(orders[number].client_order_id, "CANCELED")
    elif move == "turn" and held:
        desk.fill("SELL" if held > 0 else "BUY", abs(held) + number, price)
    held = desk.view.quantity(X)
    for order in desk.closed_at_market():
        if not held or (order.side == "SELL") != (held > 0):  # A venue ends what reduces nothing.
            desk.update(order.client_order_id, "CANCELED")


@settings(deadline=None)
@given(MOVES, st.sampled_from(["BUY", "SELL"]))
@example([("entry", 1), ("lose", 0), ("lose", 1), ("bar", 85)], "SELL")
def test_random_market_never_moves_a_stop_back_and_never_closes_more_than_is_held(
    moves: list[tuple[str, int]], side: Side
) -> None:
    desk = calm(Desk(**ALL), 5)
    before: tuple[int, int, float] | None = None
    for move, number in moves:
        play(desk, move, number, side)
        held = desk.view.quantity(X)
        if not held:
            assert desk.open() == []
            before = None
            continue
        sign = 1 if held > 0 else -1
        resting = desk.open()
        assert all((o.side == "SELL") == (held > 0) and o.reduce_only for o in resting)
        assert len(desk.targets()) <= 1
        assert sum(q for _, _, q in desk.targets()) <= abs(held)
        assert all(q % LOTS.lot == 0 for _, _, q in desk.targets())
        opened = desk.view.position(X).ts_opened
        for stop in (o for o in resting if o.is_stop):
            assert stop.leaves == abs(held)
            level = stop.trigger_price or 0.0
            assert level % 0.1 == pytest.approx(0, abs=1e-6) or level % 0.1 == pytest.approx(0.1)
            if before is not None and before[:2] == (opened, sign):
                assert sign * level >= sign * before[2] - 1e-9
            before = (opened, sign, level)
        if move == "bar":
            assert [o for o in resting if o.is_stop], "covered after every bar"


@settings(deadline=None, max_examples=50)
@given(MOVES, st.sampled_from(["BUY", "SELL"]), st.integers(0, 30))
def test_exits_restored_from_what_was_saved_go_on_identically(
    moves: list[tuple[str, int]], side: Side, restart: int
) -> None:
    told = []
    for restarts in (False, True):
        desk = calm(Desk(**ALL), 5)
        for number, (move, how) in enumerate(moves):
            if restarts and number >= restart:
                saved = msgspec.json.encode(desk.exits.save())
                desk.exits = ExitManager(Exits(**ALL), desk.view, X, 0.1, LOTS, halt=desk.halt)
                desk.exits.restore(msgspec.json.decode(saved, type=ExitState))
            play(desk, move, how, side)
        told.append(desk.sent)
    assert told[0] == told[1]


def test_position_that_nobody_remembers_is_covered_from_the_next_bar_on() -> None:
    desk = Desk(**exits(stop_frac=0.05, targets=HALVES))
    desk.fill("BUY", "1", 100.0)
    for order in desk.open():
        desk.update(order.client_order_id, "CANCELED")
    desk.exits = ExitManager(
        Exits(**exits(stop_frac=0.05, targets=HALVES)), desk.view, X, 0.1, LOTS, halt=desk.halt
    )
    desk.sent.clear()
    desk.bar(101.0)
    assert all(isinstance(one, OrderIntent) for one in desk.sent)
    assert (desk.stop().trigger_price, len(desk.targets())) == (95.0, 1)


def test_past_that_is_told_again_after_a_restart_counts_once() -> None:
    desk = Desk(trailing_frac=0.1, max_bars=4, stop_atr=50.0, atr_bars=2)
    before = [BarClosed(X, ts, 100.0, 130.0, 95.0, 120.0, 1.0) for ts in (1, 2, 3)]
    desk.now = 3
    desk.fill("BUY", "1", 100.0)
    since = [BarClosed(X, ts, 100.0, 101.0, 99.0, 100.0 + ts, 1.0) for ts in (5, 6, 7)]
    for bar in (*before, *since):
        desk.carry_out(desk.exits.on_bar(bar))
    remembered = desk.exits.save()
    assert (remembered.bars_held, remembered.best_close) == (3, 107.0)
    sent = len(desk.sent)
    for bar in (*before, *since):
        desk.carry_out(desk.exits.on_bar(bar))
    assert desk.exits.save() == remembered
    assert len(desk.sent) == sent
    # Without a memory, the bars since the entry bring it back.
    desk.exits = ExitManager(
        Exits(trailing_frac=0.1, max_bars=4, stop_atr=50.0, atr_bars=2),
        desk.view,
        X,
        0.1,
        LOTS,
        halt=desk.halt,
    )
    for bar in (*before, *since):
        desk.carry_out(desk.exits.on_bar(bar))
    found = desk.exits.save()
    assert (found.bars_held, found.best_close) == (3, 107.0)
    assert found.stop == remembered.stop
    assert len(desk.sent) == sent


def test_change_that_came_too_late_is_no_reason_to_close() -> None:
    desk = calm(Desk(trailing_atr=2.0, atr_bars=2))
    desk.fill("BUY", "1", 100.0)
    desk.takes = False
    desk.bar(103.0, 104.0, 102.0)
    assert isinstance(desk.sent[-1], ModifyIntent)
    desk.update(desk.stop().client_order_id, None, reason="filled already", answers_change=True)
    assert not [one for one in desk.sent if isinstance(one, CloseIntent)]


# A venue that changes no stop


def refuse_change(desk: Desk, name: str) -> None:
    desk.update(name, None, reason="not supported", answers_change=True)


def test_stop_that_the_venue_does_not_change_is_replaced_before_it_is_cancelled() -> None:
    desk = Desk(takes=False, stop_frac=0.1)
    desk.fill("BUY", "1", 100.0)
    first = desk.stop()
    desk.update(first.client_order_id, "ACCEPTED")
    desk.fill("BUY", "1", 100.0)
    refuse_change(desk, first.client_order_id)
    both = [o for o in desk.open() if o.is_stop]
    assert [(o.leaves, o.trigger_price) for o in both] == [(1, 90.0), (2, 90.0)]
    assert not [i for i in desk.sent if isinstance(i, CancelIntent)]
    desk.update(both[1].client_order_id, "ACCEPTED")
    assert desk.sent[-1] == CancelIntent(client_order_id=first.client_order_id, by_exits=True)


def vanish(desk: Desk) -> None:
    """Let the stop be cancelled while no node runs."""
    name = desk.stop().client_order_id
    desk.ledger.apply_update(OrderUpdate(name, X, desk.now, "CANCELED"))


def test_exits_go_on_where_they_were_and_place_what_is_missing() -> None:
    desk = Desk(stop_frac=0.1, trailing_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    desk.bar(110.0)
    assert desk.stop().trigger_price == 104.5
    saved = desk.exits.save()
    vanish(desk)
    desk.exits = ExitManager(
        Exits(stop_frac=0.1, trailing_frac=0.05), desk.view, X, 0.1, LOTS, halt=desk.halt
    )
    desk.exits.bring_back(saved)
    missed = BarClosed(X, desk.now + 1, 108.0, 120.0, 108.0, 120.0, 1.0)
    desk.ledger.apply_bar(missed)
    desk.carry_out(desk.exits.resume([missed]))
    assert desk.stop().trigger_price == 114.0


def test_resting_stop_is_not_loosened_by_exits_that_have_forgotten() -> None:
    desk = Desk(stop_frac=0.1, trailing_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    desk.bar(110.0)
    desk.exits = ExitManager(
        Exits(stop_frac=0.1, trailing_frac=0.05), desk.view, X, 0.1, LOTS, halt=desk.halt
    )
    desk.exits.bring_back(None)
    sent = len(desk.sent)
    desk.carry_out(desk.exits.resume([]))
    assert (desk.stop().trigger_price, desk.sent[sent:]) == (104.5, [])


def test_position_beyond_its_stop_after_a_restart_is_closed() -> None:
    desk = Desk(stop_frac=0.1)
    desk.fill("BUY", "1", 100.0)
    saved = desk.exits.save()
    vanish(desk)
    desk.exits.bring_back(saved)
    fallen = BarClosed(X, desk.now + 1, 85.0, 85.0, 85.0, 85.0, 1.0)
    desk.ledger.apply_bar(fallen)
    desk.carry_out(desk.exits.resume([fallen]))
    assert desk.sent[-1] == CloseIntent(instrument_id=X, purpose="exit:stop")
