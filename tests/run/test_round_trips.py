"""Round trips from fills alone, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run.accounting import FundingPayment
from aitb_nautilus.run.results import slippages
from aitb_nautilus.run.round_trips import RoundTrip, round_trips

MINUTE = 60_000_000_000
X, Y = "X.SIM", "Y.SIM"


def fill(minute: float, side: str, quantity: str, price: float, fee: float = 0.0, **terms) -> Fill:
    """Return a fill; its trade id and order id name its minute and side."""
    name = f"{minute}-{side}"
    return Fill(
        **{
            "strategy_id": "s-001",
            "instrument_id": X,
            "client_order_id": name,
            "trade_id": name,
            "ts": round(minute * MINUTE),
            "side": side,
            "price": price,
            "quantity": Decimal(quantity),
            "fee": fee,
            "liquidity": "TAKER",
            **terms,
        }
    )


def trips(
    fills,
    payments=(),
    *,
    slippage=None,
    purposes=None,
    end: float = 100,
    lots=None,
    given_up=(),
    carried_funding=None,
) -> list[RoundTrip]:
    """Return the trips, with the dust of a ledger that gives up what is held at these minutes."""
    ledger, waiting = Ledger(1_000.0, lots), [round(minute * MINUTE) for minute in given_up]
    for one in fills:
        while waiting and waiting[0] < one.ts:
            ledger.give_up("s-001", X, waiting.pop(0))
        ledger.apply_fill(one)
    for ts in waiting:
        ledger.give_up("s-001", X, ts)
    return round_trips(
        fills,
        payments,
        slippage=slippage or {},
        purposes=purposes or {},
        last_prices={X: 120.0, Y: 50.0},
        interval_ns={X: MINUTE, Y: 5 * MINUTE},
        end=round(end * MINUTE),
        dust=ledger.dust,
        carried_funding=carried_funding,
    )


def payment(minute: float, amount: float, instrument_id: str = X) -> FundingPayment:
    return FundingPayment(round(minute * MINUTE), "s-001", instrument_id, 0.0, 0.0, 0.0, amount)


def test_no_fills_give_no_trips() -> None:
    assert trips([]) == []


def test_long_trip_earns_the_difference_less_fees() -> None:
    (trip,) = trips(
        [fill(1, "BUY", "2", 100, 0.1), fill(4, "SELL", "2", 110, 0.11)],
        slippage={("1-BUY", "1-BUY"): 0.4, ("4-SELL", "4-SELL"): 0.2},
        purposes={"4-SELL": "exit:target"},
    )
    assert (trip.side, trip.quantity, trip.open_price, trip.close_price) == ("LONG", 2, 100, 110)
    assert (trip.ts_open, trip.ts_close, trip.bars_held) == (MINUTE, 4 * MINUTE, 3)
    assert trip.pnl == pytest.approx(20 - 0.21)
    assert trip.return_frac == pytest.approx((20 - 0.21) / 200)
    assert (trip.fees, trip.slippage) == (pytest.approx(0.21), pytest.approx(0.6))
    assert trip.exit_purpose == "exit:target"


def test_short_trip_earns_when_the_price_falls() -> None:
    (trip,) = trips([fill(1, "SELL", "2", 100), fill(2, "BUY", "2", 90)])
    assert (trip.side, trip.pnl, trip.return_frac) == ("SHORT", 20, 0.1)


def test_trip_built_and_closed_in_parts_averages_its_prices() -> None:
    # in: 1 at 100, 3 at 104, 1 at 100; out: 2 at 110, 3 at 100. Five were held at most after three.
    (trip,) = trips(
        [
            fill(1, "BUY", "1", 100),
            fill(2, "BUY", "3", 104),
            fill(3, "SELL", "2", 110),
            fill(4, "BUY", "1", 100),
            fill(5, "SELL", "3", 100),
        ]
    )
    assert trip.quantity == 4
    assert trip.open_price == pytest.approx((100 + 3 * 104 + 100) / 5)
    assert trip.close_price == pytest.approx((2 * 110 + 3 * 100) / 5)
    assert trip.pnl == pytest.approx(2 * 110 + 3 * 100 - 512)


def test_fill_that_turns_a_position_ends_one_trip_and_begins_the_next() -> None:
    # 1 held, 3 sold: a third of the fee and of the slippage closes, two thirds open.
    first, second = trips(
        [
            fill(1, "BUY", "1", 100, 0.1),
            fill(2, "SELL", "3", 110, 0.3),
            fill(3, "BUY", "2", 105, 0.2),
        ],
        slippage={("2-SELL", "2-SELL"): 0.6},
    )
    assert (first.side, first.pnl) == ("LONG", pytest.approx(10 - 0.1 - 0.1))
    assert (second.side, second.pnl) == ("SHORT", pytest.approx(10 - 0.2 - 0.2))
    assert (first.slippage, second.slippage) == (pytest.approx(0.2), pytest.approx(0.4))
    assert (first.ts_close, second.ts_open) == (2 * MINUTE, 2 * MINUTE)
    assert (first.position_id, second.position_id) == ("P-000001", "P-000002")


def test_open_trip_counts_at_the_last_price_and_has_no_close() -> None:
    (trip,) = trips([fill(1, "BUY", "2", 100, 0.1), fill(2, "SELL", "1", 110, 0.1)], end=11)
    assert trip.ts_close is None
    assert trip.exit_purpose is None
    assert trip.pnl == pytest.approx(10 + 20 - 0.2)  # the other one is worth 120
    assert trip.close_price == pytest.approx(115)
    assert trip.bars_held == 10


def test_funding_belongs_to_the_trip_that_was_open_at_the_settlement() -> None:
    first, second = trips(
        [fill(1, "BUY", "1", 100), fill(3, "SELL", "1", 100), fill(3, "SELL", "1", 100)],
        # at 3 the first one is closed already, and the second one open
        [payment(1, -1), payment(2, -2), payment(3, 4), payment(99, 8)],
        end=99,
    )
    assert (first.funding, first.pnl) == (-3, -3)
    assert (second.funding, second.pnl) == (12, 12 - 20)  # short at 100, worth 120


def test_strategies_and_instruments_have_their_own_trips() -> None:
    found = trips(
        [
            fill(1, "BUY", "1", 100),
            fill(2, "SELL", "1", 60, instrument_id=Y),
            fill(3, "SELL", "1", 101, strategy_id="t-002"),
            fill(4, "SELL", "1", 103),
            fill(12, "BUY", "1", 55, instrument_id=Y),
        ]
    )
    assert [(t.strategy_id, t.instrument_id, t.side, t.pnl) for t in found] == [
        ("s-001", X, "LONG", 3),
        ("s-001", Y, "SHORT", 5),
        ("t-002", X, "SHORT", -19),
    ]
    assert found[1].bars_held == 2  # bars of five minutes


def test_quantities_that_floats_cannot_hold_still_come_back_to_zero() -> None:
    parts = [fill(i, "BUY", "0.1", 100) for i in range(1, 4)]
    (trip,) = trips([*parts, fill(5, "SELL", "0.3", 100)])
    assert trip.ts_close == 5 * MINUTE


SPOT = {X: LotRules(Decimal("0.01"), Decimal("0.01"), 5.0, long_only=True)}


def test_dust_of_a_trip_goes_into_the_next_one_at_what_it_cost() -> None:
    first, second = trips(
        [
            fill(1, "BUY", "2", 100, 0.2, base_fee=Decimal("0.002")),
            fill(2, "SELL", "1.99", 110, 0.2189),
            fill(3, "BUY", "2", 90, 0.18, base_fee=Decimal("0.002")),
            fill(4, "SELL", "2", 100, 0.2),
        ],
        lots=SPOT,
    )
    # 1.998 are held, 1.99 sold; 0.008 stay, and are no part of what the first trip earned.
    assert (first.ts_close, first.open_price) == (2 * MINUTE, pytest.approx(100.0))
    assert first.pnl == pytest.approx(1.99 * 10 - 0.2 - 0.2189)
    assert second.ts_open == 3 * MINUTE
    assert second.open_price == pytest.approx((0.008 * 100 + 1.998 * 90) / 2.006)
    cost = 2.0 * second.open_price
    assert second.pnl == pytest.approx(200.0 - cost - 0.18 - 0.2)


def test_dust_that_was_carried_over_is_no_open_trip() -> None:
    carried = fill(1, "BUY", "0.008", 100)
    assert trips([carried], lots=SPOT) == []
    (trip,) = trips([carried, fill(3, "BUY", "2", 90, 0.18)], lots=SPOT)
    assert (trip.ts_open, trip.quantity) == (3 * MINUTE, pytest.approx(2.008))


def test_trade_that_was_taken_over_has_its_funding_of_the_runs_before() -> None:
    fills = [
        fill(0, "BUY", "2", 100, client_order_id="carried-s-001-X.SIM"),
        fill(4, "SELL", "2", 110),
        fill(5, "BUY", "1", 100),
    ]
    first, second = trips(
        fills,
        [payment(2, -0.5)],
        purposes={"carried-s-001-X.SIM": "carried"},
        carried_funding={("s-001", X): -3.0},
    )
    # 2 * (110 - 100), less 3 that the run before paid, and a half
    assert (first.funding, first.pnl) == (-3.5, pytest.approx(16.5))
    assert second.funding == 0


def test_last_part_of_a_close_that_is_below_the_least_value_belongs_to_its_trip() -> None:
    # 0.03 at 110 are 3.3, and the venue takes 5: dust, though its sale is on its way.
    (trip,) = trips(
        [
            fill(1, "BUY", "1", 100, 0.1),
            fill(2, "SELL", "0.97", 110, 0.1),
            fill(3, "SELL", "0.03", 112, 0.1),
        ],
        lots=SPOT,
    )
    assert (trip.side, trip.ts_close, trip.quantity) == ("LONG", 3 * MINUTE, 1)
    assert trip.pnl == pytest.approx(0.97 * 10 + 0.03 * 12 - 0.3)
    assert trip.fees == pytest.approx(0.3)


def test_sale_of_dust_that_was_carried_over_is_no_trip() -> None:
    fills = [fill(1, "BUY", "0.03", 100), fill(2, "SELL", "0.01", 100, 0.001)]
    assert trips(fills, lots=SPOT) == []
    (trip,) = trips([*fills, fill(3, "BUY", "2", 90, 0.18)], lots=SPOT)
    assert (trip.side, trip.quantity) == ("LONG", pytest.approx(2.02))
    assert trip.fees == pytest.approx(0.181)


def test_entry_that_begins_with_parts_too_small_to_be_sold_is_one_trip() -> None:
    fills = [
        fill(1, "BUY", "0.03", 100, 0.003),
        fill(2, "BUY", "0.97", 100, 0.097),
        fill(3, "SELL", "1", 110, 0.11),
    ]
    (trip,) = trips(fills, lots=SPOT)
    assert (trip.side, trip.quantity, trip.ts_close) == ("LONG", 1, 3 * MINUTE)
    assert (trip.open_price, trip.fees) == (pytest.approx(100), pytest.approx(0.21))


def test_rest_that_was_given_up_ends_its_trip_and_goes_into_the_next_at_its_cost() -> None:
    fills = [
        fill(1, "BUY", "1", 100, 0.1),
        fill(2, "SELL", "0.9", 60, 0.054),
        # 0.1 at 60 are 6; at 49 they are less than the venue takes
        fill(5, "BUY", "1", 50, 0.05),
        fill(6, "SELL", "1.1", 55, 0.06),
    ]
    first, second = trips(fills, lots=SPOT, given_up=[4])
    assert (first.ts_close, first.pnl) == (4 * MINUTE, pytest.approx(0.9 * -40 - 0.154))
    assert second.ts_open == 5 * MINUTE
    assert second.pnl == pytest.approx(0.1 * (55 - 100) + 5 - 0.11)


def test_position_that_was_given_up_whole_is_no_trip_until_it_is_sold_with_the_next() -> None:
    bought = fill(1, "BUY", "0.1", 100, 0.01)
    assert trips([bought], lots=SPOT, given_up=[4]) == []
    late = fill(5, "SELL", "0.1", 48, 0.005)  # of a stop whose cancel came too late
    (trip,) = trips([bought, late], lots=SPOT, given_up=[4])
    assert (trip.side, trip.ts_open, trip.ts_close) == ("LONG", MINUTE, 5 * MINUTE)
    assert trip.pnl == pytest.approx(-5.2 - 0.015)


def test_trades_of_two_instruments_with_one_number_keep_their_own_slippage() -> None:
    # Binance counts the trades of each symbol by themselves: here both are number 7.
    fills = [
        fill(1, "BUY", "2", 100.5, trade_id="7"),
        fill(1, "SELL", "10", 49.9, trade_id="7", instrument_id=Y),
    ]
    found = slippages(fills, {"1-BUY": 100.0, "1-SELL": 50.1})
    assert list(found.values()) == [pytest.approx(1.0), pytest.approx(2.0)]
    of_x, of_y = trips(fills, slippage={("1-BUY", "7"): 1.0, ("1-SELL", "7"): 3.0})
    assert (of_x.instrument_id, of_x.slippage) == (X, 1.0)
    assert (of_y.instrument_id, of_y.slippage) == (Y, 3.0)


def test_better_price_is_slippage_below_nothing_and_an_unknown_one_is_none() -> None:
    fills = [fill(1, "BUY", "2", 99.0), fill(2, "SELL", "2", 101.0)]
    assert list(slippages(fills, {"1-BUY": 100.0}).values()) == [-2.0, 0.0]
