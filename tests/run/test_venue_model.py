"""Fills by hand: at what price, when and for what fee. Fees 2 and 5 bps, slippage 10 bps, tick 0.1.

Bars of a minute; "bar 3" is the third one and closes at T0 + 3 minutes.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.messages import CancelIntent, CloseIntent, ModifyIntent
from aitb_nautilus.run.venue_model import slipped
from tests.run.desk_lab import LATENCY, MINUTE, SPOT, T0, A, B, C, Lab, buy, flat, sell

QUIET = flat(100, 2)


def stop(price: float, quantity: float = 1, side=sell, **terms):
    """Return a protective stop."""
    return side(
        quantity,
        kind="STOP_MARKET",
        trigger_price=price,
        reduce_only=True,
        purpose="exit:stop",
        **terms,
    )


def limit(price: float, quantity: float = 1, side=buy, **terms):
    return side(quantity, kind="LIMIT", price=price, **terms)


@pytest.mark.parametrize(
    ("reference", "bps", "tick", "is_buy", "price"),
    [
        ("102", 10, "0.1", True, "102.2"),  # 102.102, up
        ("102", 10, "0.1", False, "101.8"),  # 101.898, down
        ("100", 10, "0.1", True, "100.1"),  # on the tick: no further tick
        ("100", 10, "0.1", False, "99.9"),
        ("100", 0, "0.1", True, "100"),
        ("100", 0, "0.1", False, "100"),
        ("0.1", 900, "0.1", False, "0.1"),  # 0.091 would be 0; a price is at least one tick
        ("16500.3", 1, "0.10", True, "16502.0"),  # 16501.95003
    ],
)
def test_slippage_is_rounded_to_the_tick_against_the_taker(
    reference: str, bps: int, tick: str, is_buy: bool, price: str
) -> None:
    got = slipped(Decimal(reference), Decimal(bps) / 10_000, Decimal(tick), is_buy=is_buy)
    assert got == Decimal(price)


def test_market_order_of_bar_2_fills_at_the_open_of_bar_3_plus_slippage(lab: Lab) -> None:
    rows = [*QUIET, (102, 103, 101, 102), (103, 104, 102, 103), *flat(103, 2)]
    outcome = lab.trade(rows, {2: [buy(2)], 3: [sell(2)]})
    bought, sold = outcome.fills
    # 102 * 1.001 = 102.102, up to 102.2; fee 2 * 102.2 * 0.0005
    assert (bought["price"], bought["reference_price"]) == (102.2, 102.0)
    assert bought["fee"] == pytest.approx(0.1022, abs=1e-12)
    assert bought["slippage"] == pytest.approx(0.4)
    assert bought["ts"] == T0 + 2 * MINUTE + LATENCY
    assert bought["liquidity"] == "TAKER"
    # 103 * 0.999 = 102.897, down to 102.8; fee 2 * 102.8 * 0.0005
    assert (sold["price"], sold["reference_price"]) == (102.8, 103.0)
    assert sold["fee"] == pytest.approx(0.1028, abs=1e-12)
    assert sold["slippage"] == pytest.approx(0.4)
    assert sold["ts"] == T0 + 3 * MINUTE + LATENCY
    # 2 * (102.8 - 102.2) - 0.1022 - 0.1028
    assert outcome.trips[0]["pnl"] == pytest.approx(0.995)
    assert outcome.record.final_equity == pytest.approx(10_000.995)


def test_market_order_fills_at_the_open_where_it_equals_the_close_before(lab: Lab) -> None:
    # Bar 3 opens where bar 2 closed, so no opening tick is sent; it closes at 108.
    outcome = lab.trade([*QUIET, (100, 109, 99, 108), *flat(108, 2)], {2: [buy()]})
    assert outcome.fill("entry")["price"] == 100.1
    assert outcome.fill("entry")["ts"] == T0 + 2 * MINUTE + LATENCY


def test_market_order_of_the_first_bar_after_a_gap_fills_at_the_next_open(lab: Lab) -> None:
    rows = [*QUIET, None, None, None, (110, 111, 109, 110), (112, 113, 111, 112), *flat(112)]
    outcome = lab.trade(rows, {3: [buy()]})
    # Bar 3 of those that are there closes at minute 6; the one after it opens at 112.
    assert outcome.fill("entry")["price"] == 112.2  # 112.112, up
    assert outcome.fill("entry")["ts"] == T0 + 6 * MINUTE + LATENCY


def test_first_bar_after_a_gap_opens_even_where_its_open_equals_the_last_close(lab: Lab) -> None:
    rows = [*QUIET, None, None, (100, 100, 94, 95), *flat(95, 2)]
    outcome = lab.trade(rows, {1: [buy()]}, {"entry": [stop(96)]})
    assert outcome.fill("exit:stop")["price"] == 95.9
    assert outcome.fill("exit:stop")["ts"] == T0 + 5 * MINUTE


def test_stop_that_rests_fills_inside_the_bar_at_its_trigger_plus_slippage(lab: Lab) -> None:
    # Placed after bar 3, reached in bar 4 (low 94): 96 * 0.999 = 95.904, down to 95.9.
    rows = [*QUIET, (100, 101, 99, 100), (100, 100.5, 94, 95), *flat(95)]
    outcome = lab.trade(rows, {2: [buy()], 3: [stop(96)]})
    fill = outcome.fill("exit:stop")
    assert (fill["price"], fill["reference_price"]) == (95.9, 96.0)
    assert fill["slippage"] == pytest.approx(0.1)
    assert fill["fee"] == pytest.approx(95.9 * 0.0005)
    assert fill["ts"] == T0 + 4 * MINUTE  # somewhere inside bar 4: told at its close


@pytest.mark.parametrize("opening", [101, 100], ids=["tick", "no tick"])
def test_stop_placed_on_the_entry_fill_lives_through_the_rest_of_that_bar(
    lab: Lab, opening: float
) -> None:
    rows = [*QUIET, (opening, 101, 94, 95), *flat(95, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96)]})
    assert outcome.fill("exit:stop")["price"] == 95.9
    assert outcome.fill("exit:stop")["ts"] == T0 + 3 * MINUTE


def test_stop_exactly_at_the_low_is_reached_and_one_tick_below_is_not(lab: Lab) -> None:
    rows = [*QUIET, (100, 101, 96, 97), *flat(97, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96), stop(95.9)]})
    filled = [o for o in outcome.table("orders") if o["type"] == "STOP_MARKET"]
    assert [(o["trigger_price"], o["filled_quantity"]) for o in filled] == [(96.0, 1), (95.9, 0)]


def test_gap_through_a_stop_fills_at_the_open_plus_slippage(lab: Lab) -> None:
    # Bar 4 opens at 90, far below the trigger: 90 * 0.999 = 89.91, down to 89.9.
    rows = [*QUIET, *flat(100), (90, 91, 89, 90), *flat(90)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96)]})
    fill = outcome.fill("exit:stop")
    assert (fill["price"], fill["reference_price"]) == (89.9, 90.0)
    assert fill["ts"] == T0 + 3 * MINUTE + LATENCY


def test_gap_in_the_data_through_a_stop_fills_at_the_open_after_it(lab: Lab) -> None:
    rows = [*QUIET, *flat(100), None, None, None, (90, 91, 89, 90), *flat(90)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96)]})
    assert outcome.fill("exit:stop")["price"] == 89.9
    assert outcome.fill("exit:stop")["ts"] == T0 + 6 * MINUTE + LATENCY


def test_short_stop_mirrors_the_long_one(lab: Lab) -> None:
    rows = [*QUIET, (100, 101, 99, 100), (100, 106, 99.5, 105), *flat(105)]
    outcome = lab.trade(rows, {2: [sell()]}, {"entry": [stop(104, side=buy)]})
    # 104 * 1.001 = 104.104, up to 104.2
    assert outcome.fill("exit:stop")["price"] == 104.2


def test_stop_that_arrives_beyond_its_trigger_fills_at_the_market(lab: Lab) -> None:
    # The entry fills at 95 + slippage; the stop at 96 is already passed when it arrives at 95.
    rows = [*QUIET, (95, 96, 94, 95), *flat(95, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96)]})
    fill = outcome.fill("exit:stop")
    assert (fill["price"], fill["reference_price"]) == (94.9, 95.0)  # 94.905, down
    assert fill["ts"] == T0 + 2 * MINUTE + 2 * LATENCY


def test_stop_entry_fills_at_its_trigger_plus_slippage(lab: Lab) -> None:
    rows = [*QUIET, (100, 102, 99, 101), *flat(101, 2)]
    outcome = lab.trade(rows, {2: [buy(kind="STOP_MARKET", trigger_price=101.0)]})
    assert outcome.fill("entry")["price"] == 101.2  # 101.101, up


def test_exit_placed_on_a_fill_inside_a_bar_begins_with_the_next_bar(lab: Lab) -> None:
    # The limit fills somewhere in bar 3, told at its close; bar 3's low of 90 says nothing of what
    # came after it. Bar 4 reaches the stop.
    rows = [*QUIET, (100, 100, 90, 97), (97, 98, 92, 93), *flat(93, 2)]
    outcome = lab.trade(rows, {2: [limit(95)]}, {"entry": [stop(94)]})
    assert outcome.fill("entry")["ts"] == T0 + 3 * MINUTE
    assert outcome.fill("exit:stop")["ts"] == T0 + 4 * MINUTE
    assert outcome.fill("exit:stop")["price"] == 93.9


@pytest.mark.parametrize(
    ("low", "rule", "fills"),
    [(95, "through", 0), (94.9, "through", 1), (95, "touch", 1), (95.1, "touch", 0)],
)
def test_resting_limit_fills_through_or_on_touch(
    lab: Lab, low: float, rule: str, fills: int
) -> None:
    rows = [*QUIET, *flat(100), (100, 100, low, 97), *flat(97, 2)]
    outcome = lab.trade(rows, {2: [limit(95)]}, venue={"limit_fill": rule})
    assert len(outcome.fills) == fills
    for fill in outcome.fills:  # at its own price, as a maker, without slippage
        assert (fill["price"], fill["liquidity"], fill["slippage"]) == (95.0, "MAKER", 0.0)
        assert fill["fee"] == pytest.approx(95 * 0.0002)
        assert fill["reference_price"] is None


def test_resting_limit_that_the_open_gaps_through_fills_at_its_own_price(lab: Lab) -> None:
    # It was in the book before the gap, so it is what the gap trades with.
    rows = [*QUIET, *flat(100), (90, 91, 89, 90), *flat(90)]
    outcome = lab.trade(rows, {2: [limit(95)]})
    fill = outcome.fill("entry")
    assert (fill["price"], fill["liquidity"]) == (95.0, "MAKER")
    assert fill["ts"] == T0 + 3 * MINUTE + LATENCY


@pytest.mark.parametrize(("price", "filled"), [(105, 101.2), (101.1, 101.1), (101, 101)])
def test_limit_that_crosses_on_arrival_slips_but_never_beyond_its_price(
    lab: Lab, price: float, filled: float
) -> None:
    # 101 * 1.001 = 101.101, up to 101.2 unless the limit is nearer.
    rows = [*QUIET, (101, 102, 100, 101), *flat(101, 2)]
    fill = lab.trade(rows, {2: [limit(price)]}).fill("entry")
    assert (fill["price"], fill["liquidity"]) == (filled, "TAKER")
    assert fill["slippage"] == pytest.approx(filled - 101)
    assert fill["fee"] == pytest.approx(filled * 0.0005)


def test_post_only_limit_that_would_cross_is_refused(lab: Lab) -> None:
    rows = [*QUIET, (101, 102, 100, 101), *flat(101, 2)]
    outcome = lab.trade(rows, {2: [limit(105, post_only=True)]})
    assert [o["status"] for o in outcome.table("orders")] == ["REJECTED"]


@pytest.mark.parametrize(("price", "filled"), [(96.2, 96.4), (96.5, 96.5)])
def test_stop_limit_fills_from_its_trigger_not_from_the_close(
    lab: Lab, price: float, filled: float
) -> None:
    # Trigger 96.5 passed on the way to the low of 96; 96.5 * 0.999 = 96.4035, down to 96.4, unless
    # the limit is nearer. The bar closes at 97, which nobody could have had.
    order = sell(
        kind="STOP_LIMIT", trigger_price=96.5, price=price, reduce_only=True, purpose="exit:stop"
    )
    rows = [*QUIET, (100, 101, 96, 97), *flat(97, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [order]})
    assert outcome.fill("exit:stop")["price"] == filled


def test_stop_limit_that_the_open_gaps_beyond_rests_at_its_limit(lab: Lab) -> None:
    order = sell(
        kind="STOP_LIMIT", trigger_price=96.5, price=96.2, reduce_only=True, purpose="exit:stop"
    )
    rows = [*QUIET, *flat(100), (90, 91, 89, 90), (90, 97, 90, 96), *flat(96)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [order]})
    fill = outcome.fill("exit:stop")
    assert (fill["price"], fill["ts"]) == (96.2, T0 + 5 * MINUTE)
    assert fill["reference_price"] is None
    assert fill["fee"] == pytest.approx(96.2 * 0.0005)  # the engine takes the taker's fee of it


def test_market_if_touched_slips_from_its_trigger(lab: Lab) -> None:
    order = sell(
        kind="MARKET_IF_TOUCHED", trigger_price=103.0, reduce_only=True, purpose="exit:target"
    )
    rows = [*QUIET, (100, 104, 99, 101), *flat(101, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [order]})
    assert outcome.fill("exit:target")["price"] == 102.8  # 103 * 0.999 = 102.897, down


def test_order_larger_than_the_bar_volume_fills_whole(lab: Lab) -> None:
    outcome = lab.trade([(100, 101, 99, 100, 0.5)] * 4, {2: [buy(50)]})
    assert [f["quantity"] for f in outcome.fills] == [50.0]


def test_bars_without_volume_give_their_open_to_market_orders_and_stops(lab: Lab) -> None:
    still = [(100, 100, 100, 100, 0)] * 2
    rows = [*still, (102, 102, 102, 102, 0), (95, 95, 95, 95, 0), (95, 95, 95, 95, 0)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(96)]})
    assert outcome.fill("entry")["price"] == 102.2
    assert outcome.fill("exit:stop")["price"] == 94.9
    assert not any("without volume" in note for note in outcome.record.honesty)


def test_bars_that_move_without_volume_are_said_to_reach_no_order(lab: Lab) -> None:
    rows = [*QUIET, (100, 100, 94, 95, 0), (95, 96, 94, 95), *flat(95)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(94.5)]})
    assert outcome.fill("exit:stop")["ts"] == T0 + 4 * MINUTE
    assert any("1 bar without volume" in note for note in outcome.record.honesty)


def test_cancelled_order_does_not_fill_one_bar_later(lab: Lab) -> None:
    rows = [*QUIET, *flat(100), (100, 100, 94, 95), *flat(95)]
    cancel = CancelIntent(client_order_id="entry")
    outcome = lab.trade(rows, {2: [limit(95)], 3: [cancel]})
    assert outcome.fills == []
    assert [o["status"] for o in outcome.table("orders")] == ["CANCELED"]


def test_cancel_decided_at_a_close_comes_too_late_for_a_gap_at_the_next_open(lab: Lab) -> None:
    rows = [*QUIET, *flat(100), (90, 91, 89, 90), *flat(90)]
    cancel = CancelIntent(client_order_id="entry")
    outcome = lab.trade(rows, {2: [limit(95)], 3: [cancel]})
    assert outcome.fill("entry")["price"] == 95.0


@pytest.mark.parametrize("latency_ms", [0.001, 5, 15_000], ids=["1 us", "5 ms", "quarter"])
def test_any_latency_up_to_a_quarter_of_a_bar_gives_the_same_prices(
    lab: Lab, latency_ms: float
) -> None:
    rows = [*QUIET, (102, 103, 101, 102), (102, 102, 94, 95), *flat(95, 2), (97, 98, 96, 97)]
    outcome = lab.trade(
        rows,
        {2: [buy()], 5: [sell(2, purpose="turn")], 6: [CloseIntent(instrument_id=A)]},
        {"entry": [stop(96)]},
        venue={"latency_ms": latency_ms},
    )
    assert [f["price"] for f in outcome.fills] == [102.2, 95.9, 94.9, 97.1]
    assert [f["ts"] - T0 for f in outcome.fills] == [
        2 * MINUTE + round(latency_ms * 1e6),
        4 * MINUTE,
        5 * MINUTE + round(latency_ms * 1e6),
        6 * MINUTE + round(latency_ms * 1e6),
    ]


def test_zero_fees_and_zero_slippage_leave_gross_equal_to_net(lab: Lab) -> None:
    free = {"maker_fee_bps": 0.0, "taker_fee_bps": 0.0, "slippage_bps": 0.0}
    rows = [*QUIET, (102, 103, 101, 102), (105, 106, 104, 105), *flat(105)]
    outcome = lab.trade(rows, {2: [buy()], 3: [sell()]}, venue=free)
    costs = outcome.record.costs
    assert [f["price"] for f in outcome.fills] == [102.0, 105.0]
    assert (costs.fees, costs.slippage, costs.funding) == (0, 0, 0)
    assert costs.gross_pnl == costs.net_pnl == pytest.approx(3)


def test_spot_on_a_cash_account_pays_for_what_it_holds(lab: Lab) -> None:
    lab.bars([*QUIET, (102, 103, 101, 102), (105, 106, 104, 105), *flat(105)], SPOT)
    script = {2: [buy(1, SPOT)], 3: [sell(1, SPOT)]}
    outcome = lab.run(lab.strategy(script, instruments=(SPOT,)))
    # bought at 102.2, sold at 105 * 0.999 = 104.895, down to 104.8; fees 0.0511 and 0.0524
    assert [f["price"] for f in outcome.fills] == [102.2, 104.8]
    assert outcome.record.final_equity == pytest.approx(10_000 + 2.6 - 0.0511 - 0.0524)
    middle = outcome.table("equity")[2]  # after bar 3: one unit worth 102
    assert middle["equity"] == pytest.approx(10_000 - 102.2 - 0.0511 + 102)
    assert middle["exposure"] == pytest.approx(102)


def test_three_instruments_with_different_listing_start_fill_each_at_their_own_open(
    lab: Lab,
) -> None:
    lab.bars([*QUIET, (102, 103, 101, 102), *flat(102, 5)], A)
    lab.bars([*flat(200, 2), (210, 211, 209, 210), *flat(210, 2)], B, start=T0 + 3 * MINUTE)
    lab.bars([*flat(50, 2), (52, 53, 51, 52)], C, start=T0 + 5 * MINUTE)
    script = {2: [buy()], (B, 2): [buy(1, B)], (C, 2): [buy(1, C)]}
    outcome = lab.run(lab.strategy(script, instruments=(A, B, C)))
    assert [(f["instrument_id"], f["price"], f["ts"] - T0 - LATENCY) for f in outcome.fills] == [
        (A, 102.2, 2 * MINUTE),
        (B, 210.3, 5 * MINUTE),  # 210.21, up
        (C, 52.1, 7 * MINUTE),  # 52.052, up
    ]
    assert outcome.record.bars == 8 + 5 + 3
    first = outcome.table("equity")[0]
    assert (first["equity"], first["market"]) == (10_000, pytest.approx(10_000))


def test_two_strategies_on_two_instruments_keep_their_own_positions(lab: Lab) -> None:
    lab.bars([*QUIET, (102, 103, 101, 102), *flat(102, 2)], A)
    lab.bars([*flat(200, 2), (210, 211, 209, 210), *flat(210, 2)], B)
    outcome = lab.run(
        lab.strategy({2: [buy()]}, id_="one"),
        lab.strategy({2: [sell(1, B)]}, instruments=(B,), id_="two"),
    )
    trips = {(t["strategy_id"], t["instrument_id"], t["side"]) for t in outcome.trips}
    assert trips == {("one-001", A, "LONG"), ("two-002", B, "SHORT")}


def test_two_venues_of_different_latency_answer_each_in_its_own_time(lab: Lab) -> None:
    lab.bars(flat(100, 5), A)
    lab.bars(flat(100, 5), B)
    lab.bars(flat(100, 5), SPOT)
    data = lab.plain(
        lab.strategy({2: [buy(1, A), buy(1, SPOT), buy(1, B)]}, instruments=(A, B, SPOT))
    )
    data["venues"][1]["latency_ms"] = 70.0
    outcome = lab.run_plain(data)
    arrivals = {f["instrument_id"]: f["ts"] - T0 - 2 * MINUTE for f in outcome.fills}
    assert arrivals == {A: LATENCY, B: LATENCY, SPOT: 70_000_000}


def test_order_decided_before_a_gap_in_the_data_fills_at_the_open_after_it(lab: Lab) -> None:
    # Nobody traded between bar 2, which closes at minute 2, and the bar that opens at minute 7.
    rows = [*QUIET, *[None] * 5, (110, 111, 109, 110), *flat(110, 2)]
    outcome = lab.trade(rows, {2: [buy()]}, {"entry": [stop(109.5)]})
    assert outcome.fill("entry")["price"] == 110.2  # 110 * 1.001 = 110.11, up
    assert outcome.fill("entry")["ts"] == T0 + 7 * MINUTE + LATENCY
    # and the stop placed on that fill lives through the rest of that bar: 109.3905, down
    assert outcome.fill("exit:stop")["price"] == 109.3
    assert outcome.fill("exit:stop")["ts"] == T0 + 8 * MINUTE


def test_gap_of_one_instrument_does_not_hold_up_another(lab: Lab) -> None:
    lab.bars([*QUIET, *[None] * 5, (110, 111, 109, 110), *flat(110, 2)], A)
    lab.bars([*QUIET, (102, 103, 101, 102), *flat(102, 7)], B)
    script = {2: [buy(), buy(1, B)]}
    outcome = lab.run(lab.strategy(script, instruments=(A, B)))
    assert [(f["instrument_id"], f["price"], f["ts"] - T0 - LATENCY) for f in outcome.fills] == [
        (B, 102.2, 2 * MINUTE),
        (A, 110.2, 7 * MINUTE),
    ]


def test_cancel_and_change_decided_before_a_gap_are_heard_after_it(lab: Lab) -> None:
    # A limit at 95 is sent and cancelled in the gap's first moment; it never fills.
    cancel = CancelIntent(client_order_id="first")
    rows = [*QUIET, *[None] * 5, (100, 101, 99, 100), (100, 100, 94, 95), *flat(95, 2)]
    script = {
        1: [limit(96, purpose="first")],
        2: [
            limit(95, purpose="second"),
            cancel,
            ModifyIntent(client_order_id="second", price=94.5),
        ],
    }
    outcome = lab.trade(rows, script)
    assert [(f["purpose"], f["price"]) for f in outcome.fills] == [("second", 94.5)]
    assert {o["purpose"]: o["status"] for o in outcome.table("orders")} == {
        "first": "CANCELED",
        "second": "FILLED",
    }


def test_order_of_the_last_bar_fills_after_it_at_its_close(lab: Lab) -> None:
    # There is no next open. What a strategy closes at the end of the run is filled the same way.
    outcome = lab.trade([*flat(100, 3), (100, 104, 99, 103)], {4: [buy()]})
    assert outcome.fill("entry")["price"] == 103.2  # 103.103, up
    assert outcome.record.final_equity == pytest.approx(10_000 - 0.2 - 103.2 * 0.0005)


def test_spot_is_never_sold_short(lab: Lab) -> None:
    lab.bars(flat(100, 8), SPOT)
    script = {2: [sell(1, SPOT)], 3: [buy(1, SPOT)], 5: [sell(2, SPOT)]}
    outcome = lab.run(lab.strategy(script, instruments=(SPOT,)))
    assert [f["side"] for f in outcome.fills] == ["BUY"]
    assert outcome.record.refused == 2
    assert "refused by spot" in "".join(line["message"] for line in outcome.log)


def test_spot_of_one_strategy_is_not_sold_by_another(lab: Lab) -> None:
    lab.bars(flat(100, 8), SPOT)
    outcome = lab.run(
        lab.strategy({2: [buy(1, SPOT)]}, instruments=(SPOT,), id_="holder"),
        lab.strategy({4: [sell(1, SPOT)]}, instruments=(SPOT,), id_="other"),
    )
    assert [f["strategy_id"] for f in outcome.fills] == ["holder-001"]


def test_stop_and_target_rest_side_by_side_on_a_spot_market(lab: Lab) -> None:
    lab.bars([*flat(100, 4), (100, 106, 99, 105), *flat(105, 2)], SPOT)
    exits = [
        sell(
            1, SPOT, kind="STOP_MARKET", trigger_price=95.0, reduce_only=True, purpose="exit:stop"
        ),
        sell(1, SPOT, kind="LIMIT", price=105.0, reduce_only=True, purpose="exit:target"),
    ]
    outcome = lab.run(lab.strategy({2: [buy(1, SPOT)]}, {"entry": exits}, instruments=(SPOT,)))
    assert [f["purpose"] for f in outcome.fills] == ["entry", "exit:target"]
    ended = {o["purpose"]: o["status"] for o in outcome.table("orders")}
    assert ended["exit:stop"] == "CANCELED"
