"""Exits that move with the market, on a whole desk: the real engine, fills by hand.

The averages of 1 and 2 bars cross with the first bar that moves. An order decided at the close of a
bar fills at the next open plus 10 basis points, up to a whole tick of 0.1; a stop at its trigger
less as much, down to a tick; a target at its price. All positions are of 1,000 in value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.run.desk_lab import MINUTE, T0, A, Lab, Outcome, flat

type Rows = Sequence[tuple[float, float, float, float]]


def run(lab: Lab, rows: Rows, **params: Any) -> Outcome:
    """Trade the cross of averages of one and two bars, on bars of one instrument."""
    backtest = params.pop("backtest", {})
    # A limit order fills within a quarter of the volume.
    lab.bars([(*row, 1_000.0) for row in rows])
    return lab.run(
        {
            "class": "strategies.ema_cross:EmaCross",
            "id": "ema",
            "params": {
                "instruments": [A],
                "interval": "1m",
                "fast": 1,
                "slow": 2,
                "sizing": {"method": "fixed_notional", "notional": 1_000},
                **params,
            },
        },
        backtest=backtest,
    )


def fills(outcome: Outcome) -> list[tuple[str, float, float, int]]:
    """Return purpose, price and quantity of each fill, and the bar in which it came."""
    return [
        (f["purpose"], f["price"], f["quantity"], -((T0 - f["ts"]) // MINUTE))
        for f in outcome.fills
    ]


WIDE = (100.0, 101.0, 99.0, 100.0)
CROSS = (100.0, 101.0, 99.0, 100.5)
"""The average of one bar crosses above that of two; range 2, like all before."""
# Bought in the bar after: opens at 100.5, 100.6005, up to 100.7; 1,000 / 100.5 is 9.950.


def test_stop_by_ranges_fills_where_the_range_at_the_entry_put_it(lab: Lab) -> None:
    rows = [*[WIDE] * 4, CROSS, (100.5, 101.5, 99.5, 100.5), (100.5, 100.5, 95.0, 96.0), *flat(96)]
    exits = {"stop_atr": 1.5, "target_atr": 5.0, "atr_bars": 3}
    outcome = run(lab, rows, exits=exits, direction="long")
    # Range 2: 100.7 - 3 = 97.7. Slippage: 97.6023, down to 97.6.
    assert fills(outcome) == [("entry", 100.7, 9.95, 6), ("exit:stop", 97.6, 9.95, 7)]
    orders = {o["purpose"]: o for o in outcome.table("orders")}
    assert orders["exit:target"]["price"] == 110.7
    assert orders["exit:target"]["status"] == "CANCELED"


def test_nothing_is_entered_before_the_range_is_known(lab: Lab) -> None:
    rows = [*[WIDE] * 4, CROSS, *flat(100.5, 4)]
    exits = {"stop_atr": 1.5, "atr_bars": 5}
    assert fills(run(lab, rows, exits=exits, direction="long")) == []


def test_trailing_by_ranges_moves_at_closed_bars_and_fills_there(lab: Lab) -> None:
    rows = [
        *[WIDE] * 4,
        CROSS,
        (100.5, 102.5, 100.5, 102.0),  # Range 2; the stop is at 100.7 - 4 = 96.7, and then 98
        (102.0, 104.0, 102.0, 103.0),  # Range 2; then 99
        (103.0, 103.0, 98.5, 98.6),
        *flat(98.6, 2),
    ]
    outcome = run(lab, rows, exits={"trailing_atr": 2.0, "atr_bars": 3}, direction="long")
    # 99 less slippage: 98.901, down to 98.9.
    assert fills(outcome) == [("entry", 100.7, 9.95, 6), ("exit:trailing", 98.9, 9.95, 8)]
    assert outcome.trips[0]["exit_purpose"] == "exit:trailing"


def test_chandelier_hangs_from_the_highest_high_since_the_entry(lab: Lab) -> None:
    rows = [
        *[WIDE] * 4,
        CROSS,
        (100.5, 102.5, 100.5, 101.0),  # Range 2: 102.5 - 4
        (101.0, 101.0, 98.4, 98.4),
        *flat(98.4, 2),
    ]
    exits = {"chandelier_atr": 2.0, "chandelier_bars": 10, "atr_bars": 3}
    outcome = run(lab, rows, exits=exits, direction="long")
    # 98.5 less slippage: 98.4015, down to 98.4.
    assert fills(outcome) == [("entry", 100.7, 9.95, 6), ("exit:chandelier", 98.4, 9.95, 7)]


def test_break_even_gives_back_what_was_not_taken_and_no_more(lab: Lab) -> None:
    rows = [
        *flat(100, 2),
        (100.0, 100.5, 100.0, 100.5),
        (100.5, 103.0, 100.5, 103.0),
        (103.0, 103.0, 100.5, 100.6),
        *flat(100.6, 2),
    ]
    exits = {"stop_frac": 0.05, "break_even_frac": 0.02, "break_even_cost_bps": 25}
    outcome = run(lab, rows, exits=exits, direction="long")
    # Bought at 100.7, moved to 100.95175, up to 101; less slippage 100.899, down to 100.8.
    assert fills(outcome) == [("entry", 100.7, 9.95, 4), ("exit:break_even", 100.8, 9.95, 5)]
    # 0.1 in price against fees of 5 bps twice.
    assert outcome.trips[0]["pnl"] == pytest.approx(9.95 * (0.1 - (100.7 + 100.8) * 0.0005))


THIRDS = [{"close_frac": 0.5, "frac": 0.02}, {"close_frac": 0.25, "frac": 0.04}]


def test_targets_take_their_parts_and_the_stop_the_rest(lab: Lab) -> None:
    rows = [
        *flat(100, 2),
        (100.0, 100.5, 100.0, 100.5),
        (100.5, 103.0, 100.5, 103.0),  # Beyond 102.714, down to 102.7
        (103.0, 105.0, 103.0, 104.0),  # Beyond 104.728, down to 104.7
        (104.0, 104.0, 95.0, 95.0),  # Beyond 95.665, up to 95.7; with slippage 95.6043, down
        *flat(95, 2),
    ]
    outcome = run(lab, rows, exits={"stop_frac": 0.05, "targets": THIRDS}, direction="long")
    # Of 9.950, half is 4.975; three quarters are 7.4625: 7.462 less 4.975.
    assert fills(outcome) == [
        ("entry", 100.7, 9.95, 4),
        ("exit:target_1", 102.7, 4.975, 4),
        ("exit:target_2", 104.7, 2.487, 5),
        ("exit:stop", 95.6, 2.488, 6),
    ]
    assert [o["status"] for o in outcome.table("orders")] == ["FILLED"] * 4
    (trip,) = outcome.trips
    assert trip["exit_purpose"] == "exit:stop"
    gross = 4.975 * 2.0 + 2.487 * 4.0 - 2.488 * 5.1
    assert trip["pnl"] == pytest.approx(gross - trip["fees"])


def up(*rows: tuple[float, float, float, float]) -> Rows:
    return [*flat(100, 2), (100.0, 100.5, 100.0, 100.5), *rows]


def down(*rows: tuple[float, float, float, float]) -> Rows:
    return [*flat(100), (100.0, 100.5, 100.0, 100.5), (100.5, 100.5, 99.5, 99.5), *rows]


BOTH = (100.0, 106.0, 94.0, 100.0)
"""Touches the stop and both targets, of a long as of a short."""
SHORT_STOP = 104.5  # Sold at 99.4; the stop at 104.37, down to 104.3; 104.4043 with slippage, up
SHORT = [("entry", 99.4, 10.05, 4)]
LONG = [("entry", 100.7, 9.95, 4)]
WHOLE = [{"close_frac": 1.0, "frac": 0.02}]
CALM_UP, CALM_DOWN = (100.5, 100.5, 100.5, 100.5), (99.5, 99.5, 99.5, 99.5)


@pytest.mark.parametrize(
    ("rows", "rule", "targets", "wanted"),
    [
        (up(CALM_UP, BOTH), "stop_first", THIRDS, [("stop", 95.6, 9.95)]),
        (
            up(CALM_UP, BOTH),
            "target_first",
            THIRDS,
            [("target_1", 102.7, 4.975), ("stop", 95.6, 4.975)],
        ),
        (down(CALM_DOWN, BOTH), "stop_first", THIRDS, [("stop", SHORT_STOP, 10.05)]),
        # One stop cannot wait for a target that leaves it something to close.
        (down(CALM_DOWN, BOTH), "target_first", THIRDS, [("stop", SHORT_STOP, 10.05)]),
        (down(CALM_DOWN, BOTH), "target_first", WHOLE, [("target_1", 97.5, 10.05)]),
    ],
    ids=["long stop", "long target", "short stop", "short rest", "short whole"],
)
def test_bar_that_touches_the_stop_and_the_first_of_several_targets_follows_the_rule(
    lab: Lab, rows: Rows, rule: str, targets: list[dict[str, float]], wanted: list[Any]
) -> None:
    side, entry = ("long", LONG) if rows[2][3] > 100 else ("short", SHORT)
    outcome = run(
        lab,
        [*rows, *flat(100, 3)],
        exits={"stop_frac": 0.05, "targets": targets},
        direction=side,
        backtest={"ambiguous_bars": rule},
    )
    assert fills(outcome) == [*entry, *((f"exit:{p}", price, q, 5) for p, price, q in wanted)]
    assert outcome.record.ambiguous is not None
    assert outcome.record.ambiguous.count == 1
    assert outcome.trips[0]["ts_close"] is not None
    # What still comes to the venue once the position is gone has nothing to close.
    ended = {o["status"] for o in outcome.table("orders")}
    assert ended <= {"FILLED", "CANCELED", "REJECTED"}


def test_bar_beyond_two_targets_takes_the_first_and_the_next_bar_the_second(lab: Lab) -> None:
    rows = up(CALM_UP, (100.5, 106.0, 100.5, 106.0), *flat(106, 2))
    exits = {"stop_frac": 0.05, "targets": THIRDS, "max_bars": 3}
    outcome = run(lab, rows, exits=exits, direction="long")
    # The second comes to a market that is beyond it: 106 less slippage, 105.894, down.
    assert fills(outcome) == [
        *LONG,
        ("exit:target_1", 102.7, 4.975, 5),
        ("exit:target_2", 105.8, 2.487, 6),
        ("exit:time", 105.8, 2.488, 7),
    ]


def test_cross_closes_nothing_where_signals_are_turned_off(lab: Lab) -> None:
    rows = up((100.5, 100.5, 99.0, 99.0), *flat(99, 3))
    closed = run(lab, rows, exits={"stop_frac": 0.1}, direction="long")
    assert [p for p, *_ in fills(closed)] == ["entry", "exit:signal"]
    kept = run(lab, rows, exits={"stop_frac": 0.1, "signal": False})
    assert [p for p, *_ in fills(kept)] == ["entry"]
    timed = run(lab, rows, exits={"max_bars": 2, "signal": False})
    assert [(p, b) for p, _, _, b in fills(timed)] == [("entry", 4), ("exit:time", 6)]


def test_exits_give_the_same_run_twice(lab: Lab) -> None:
    rows = [*[WIDE] * 4, CROSS, *[(100.5 + i, 102 + i, 100 + i, 101 + i) for i in range(6)]]
    exits = {
        "stop_atr": 2.0,
        "trailing_atr": 2.0,
        "atr_bars": 3,
        "targets": [{"close_frac": 0.4, "atr": 1.5}],
    }
    first, second = (run(lab, rows, exits=exits) for _ in range(2))
    assert first.record.fingerprint == second.record.fingerprint
    assert [p for p, *_ in fills(first)][:2] == ["entry", "exit:target_1"]


def test_strategy_in_the_docs_is_sized_and_ended_as_it_says(lab: Lab) -> None:
    text = (CHECKOUT / "docs" / "risk.md").read_text()
    code = text.partition("```python\n# channel.py\n")[2].partition("```")[0]
    (lab.folder / "lab_channel.py").write_text(code)
    rows = [*[WIDE] * 4, CROSS, (100.5, 101.5, 99.5, 100.5), (100.5, 100.5, 95.0, 96.0), *flat(96)]
    lab.bars([(*row, 1_000.0) for row in rows])
    params = {
        "instrument": A,
        "interval": "1m",
        "bars": 3,
        "sizing": {"method": "equity_fraction", "fraction": 0.1},
        "exits": {"stop_atr": 1.5, "atr_bars": 3},
    }
    outcome = lab.run({"class": "lab_channel:Channel", "id": "channel", "params": params})
    assert fills(outcome) == [("entry", 100.7, 9.95, 6), ("exit:stop", 97.6, 9.95, 7)]
