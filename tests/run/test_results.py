from __future__ import annotations

import json
import math

import pytest

from tests.run.desk_lab import MINUTE, T0, A, B, Lab, buy, flat, sell

BOTH = (100, 106, 94, 100)


def test_fills_of_one_bar_stand_in_the_order_in_which_they_happened(lab: Lab) -> None:
    # Bar 5 goes up to 106 and then down to 94. The buy at 95 was sent before the sale at 105, which
    # comes first all the same: out of the old position with 105 - 100.1, into a new one at 95.
    script = {
        2: [
            buy(),
            buy(kind="LIMIT", price=95.0, purpose="again"),
            sell(kind="LIMIT", price=105.0, purpose="exit:target"),
        ]
    }
    outcome = lab.trade([*flat(100, 4), BOTH, *flat(100, 2)], script)
    assert [f["purpose"] for f in outcome.fills] == ["entry", "exit:target", "again"]
    closed, still_open = outcome.trips
    # 105 - 100.1, less 100.1 * 0.0005 and 105 * 0.0002
    assert closed["pnl"] == pytest.approx(4.9 - 0.05005 - 0.021)
    assert (still_open["ts_open"] - T0, still_open["ts_close"]) == (5 * MINUTE, None)
    assert still_open["open_price"] == 95


def test_run_json_holds_the_figures_of_its_tables(lab: Lab) -> None:
    rows = [*flat(100, 2), (102, 103, 101, 102), (105, 106, 104, 105), *flat(105, 2)]
    outcome = lab.trade(rows, {2: [buy()], 3: [sell()], 4: [buy(0.5)]})
    record, costs = outcome.record, outcome.record.costs
    # 102 -> 102.2; 105 -> 104.895, down to 104.8; 105 -> 105.105, up to 105.2 for half a unit
    assert [f["price"] for f in outcome.fills] == [102.2, 104.8, 105.2]
    assert costs.fees == pytest.approx((102.2 + 104.8 + 52.6) * 0.0005)
    assert costs.slippage == pytest.approx(0.2 + 0.2 + 0.1)
    assert costs.gross_pnl == pytest.approx(3)  # 105 - 102, and half a unit that stayed at 105
    assert costs.net_pnl == pytest.approx(3 - costs.fees - 0.5)
    assert record.final_equity == pytest.approx(10_000 + costs.net_pnl)
    assert (record.orders, record.fills, record.bars) == (3, 3, 6)
    assert (record.stats.trades, record.stats.open_trades) == (1, 1)
    assert record.stats.win_rate == 1
    assert record.stats.total_return == pytest.approx(costs.net_pnl / 10_000)
    assert record.stats.market_return == pytest.approx(0.05)
    assert record.instruments == [A]
    assert (record.period.start, record.period.end) == (
        "2023-01-01T00:00:00Z",
        "2023-01-01T00:06:00Z",
    )
    assert math.copysign(1, costs.funding) == 1  # no minus zero in a person's face


def test_order_table_tells_what_became_of_each_order(lab: Lab) -> None:
    script = {
        2: [buy(2), buy(kind="LIMIT", price=90.0, purpose="low")],
        3: [sell(9, reduce_only=True, purpose="exit:signal")],
    }
    market, low, out = lab.trade(flat(100, 5), script).table("orders")
    assert (market["type"], market["status"], market["average_price"]) == (
        "MARKET",
        "FILLED",
        100.1,
    )
    assert (low["type"], low["status"], low["price"]) == ("LIMIT", "ACCEPTED", 90.0)
    assert (low["filled_quantity"], low["average_price"]) == (0, None)
    assert (out["reduce_only"], out["purpose"]) == (True, "exit:signal")
    assert out["filled_quantity"] == 2  # a reduce-only order never turns the position around
    assert market["ts"] == T0 + 2 * MINUTE
    assert market["ts_last"] > market["ts"]


def test_order_that_the_engine_denies_says_why(lab: Lab) -> None:
    # 200 units at 100 need a margin of 2,000 of 1,000.
    outcome = lab.trade(flat(100, 5), {2: [buy(200)]}, venue={"starting_balance": "1000 USDT"})
    (order,) = outcome.table("orders")
    assert order["status"] == "DENIED"
    assert "MARGIN" in order["reason"]


def test_run_without_an_order_has_empty_tables_and_no_profit(lab: Lab) -> None:
    outcome = lab.trade([*flat(100, 2), (100, 110, 100, 110)], {})
    assert [outcome.table(name) for name in ("fills", "orders", "positions", "funding")] == [[]] * 4
    assert outcome.record.final_equity == 10_000
    assert outcome.record.stats.market_return == pytest.approx(0.1)
    assert [row["exposure"] for row in outcome.table("equity")] == [0, 0, 0]


def test_trade_ids_are_unique_over_instruments_and_fills_of_one_moment(lab: Lab) -> None:
    lab.bars(flat(100, 6), A)
    lab.bars(flat(100, 6), B)
    script = {n: [buy(), buy(1, B), sell(2), buy(1, B)] for n in range(1, 5)}
    outcome = lab.run(lab.strategy(script, instruments=(A, B)))
    ids = [f["trade_id"] for f in outcome.fills]
    assert len(ids) == len(set(ids)) > 10


def test_bar_table_holds_every_instrument_in_the_order_of_hearing(lab: Lab) -> None:
    lab.bars(flat(100, 4), A)
    lab.bars([*flat(50, 2), (51, 53, 50, 52)], B)
    outcome = lab.run(lab.strategy({}, instruments=(A, B)))
    rows = outcome.table("bars")
    assert [r["instrument_id"] for r in rows] == [A, B, A, B, A, B, A]
    assert rows[-2] == {
        "ts": T0 + 3 * MINUTE,
        "instrument_id": B,
        "open": 51,
        "high": 53,
        "low": 50,
        "close": 52,
        "volume": 10,
    }


def test_position_that_no_venue_would_have_kept_is_said_first(lab: Lab) -> None:
    # 990 units at 100 with 10,000 of equity and leverage 10: half of the margin of 9,900 must stay,
    # and at 94 nearly 6,000 of the equity is gone.
    rows = [*flat(100, 3), (94, 94, 94, 94), *flat(100, 2)]
    outcome = lab.trade(rows, {2: [buy(990)]})
    assert outcome.record.honesty[0].startswith(
        "Equity fell below the maintenance margin on 2023-01-01T00:04:00Z"
    )


def test_run_json_is_one_json_object_without_nan(lab: Lab) -> None:
    outcome = lab.trade(flat(100, 3), {})

    def refuse(constant: str) -> None:
        raise AssertionError(f"run.json holds {constant}")

    text = (outcome.folder / "run.json").read_text()
    record = json.loads(text, parse_constant=refuse)
    assert record["status"] == "complete"
    assert record["models"] == []
