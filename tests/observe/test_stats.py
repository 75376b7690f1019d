from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.returns import DAY_NS
from aitb_nautilus.observe.run_folder import Run, floats, times
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.observe.stats import Stats, compute_stats

T0 = 19_358 * DAY_NS
HOUR = DAY_NS // 24
MINUTE = HOUR // 60
FIRST_KEYS = [
    "total_return",
    "market_return",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "profit_factor",
    "win_rate",
    "trades",
    "fees",
    "slippage",
    "funding",
]
NO_POSITIONS, NO_FILLS = TABLES["positions"].empty_table(), TABLES["fills"].empty_table()


def figures(equity: list[float], step: int = DAY_NS, **given: object) -> dict:
    n = len(equity)
    values = {
        "positions": NO_POSITIONS,
        "fills": NO_FILLS,
        "starting_equity": 100.0,
        "start_ns": T0,
        "exposure": np.zeros(n),
        "market": np.full(n, 100.0),
    } | given
    ts = T0 + step * np.arange(1, n + 1, dtype=np.int64)
    market = values.pop("market")
    return compute_stats(ts, np.asarray(equity, dtype=float), market, **values)  # type: ignore[arg-type]


def test_stats_begin_with_the_keys_of_the_contract_and_are_plain_json() -> None:
    stats = figures([101.0, 102.0])
    assert list(stats)[: len(FIRST_KEYS)] == FIRST_KEYS
    assert json.loads(json.dumps(stats, allow_nan=False)) == stats


def test_stats_agree_with_sums_done_by_hand() -> None:
    positions = pa.Table.from_pylist(
        [
            {"position_id": "1", "ts_open": T0, "ts_close": T0 + 2, "pnl": -4.0, "bars_held": 3},
            {"position_id": "2", "ts_open": T0, "ts_close": T0 + 1, "pnl": 8.0, "bars_held": 1},
            {"position_id": "3", "ts_open": T0, "ts_close": None, "pnl": 1.0, "bars_held": 9},
        ],
        schema=TABLES["positions"],
    )
    fills = pa.Table.from_pylist(
        [
            {"price": 10.0, "quantity": 2.0, "fee": 0.5, "slippage": 0.25},
            {"price": 20.0, "quantity": 2.0, "fee": 0.5, "slippage": -0.05},
        ],
        schema=TABLES["fills"],
    )
    stats = figures(
        [110.0, 99.0, 108.9],
        positions=positions,
        fills=fills,
        exposure=np.array([0.0, 5.0, -5.0]),
        market=np.array([100.0, 90.0, 105.0]),
        funding=-0.7,
    )
    assert stats["total_return"] == pytest.approx(0.089)
    assert stats["market_return"] == pytest.approx(0.05)
    assert stats["max_drawdown"] == pytest.approx(0.1)
    assert stats["max_drawdown_start"] == "2023-01-02T00:00:00Z"
    assert stats["max_drawdown_trough"] == "2023-01-03T00:00:00Z"
    assert stats["max_drawdown_recovery"] is None
    assert stats["market_max_drawdown"] == pytest.approx(0.1)
    assert (stats["trades"], stats["open_trades"], stats["win_rate"]) == (2, 1, 0.5)
    assert (stats["profit_factor"], stats["expectancy"]) == (2.0, 2.0)
    assert (stats["best_trade"], stats["worst_trade"]) == (8.0, -4.0)
    assert (stats["average_bars_held"], stats["longest_losing_streak"]) == (2.0, 1)
    assert (stats["fees"], stats["funding"]) == (1.0, -0.7)
    assert stats["slippage"] == pytest.approx(0.2)
    assert stats["exposure_share"] == pytest.approx(2 / 3)
    assert stats["turnover"] == pytest.approx(60 / ((110 + 99 + 108.9) / 3))
    assert (stats["best_day"], stats["worst_day"]) == (pytest.approx(0.1), pytest.approx(-0.1))
    assert (stats["days"], stats["daily_returns"]) == (3.0, 3)
    assert (stats["annual_return"], stats["calmar"]) == (None, None)  # of three days
    assert stats["monthly_returns"] == {"2023-01": pytest.approx(0.089)}


def test_run_that_never_trades_has_no_ratios_and_no_nan() -> None:
    stats = figures([100.0] * 40)
    undefined = ("sharpe", "sortino", "calmar", "profit_factor", "win_rate", "expectancy")
    assert all(stats[key] is None for key in undefined)
    assert (stats["total_return"], stats["max_drawdown"], stats["trades"]) == (0.0, 0.0, 0)
    assert stats["turnover"] == 0.0
    assert stats["bootstrap"]["lower_95"] == 0.0


def test_figures_of_a_year_begin_with_thirty_days() -> None:
    stats = figures([100.0] * 10 + [90.0] * 10 + [120.0] * 10)
    assert stats["annual_return"] == pytest.approx(1.2 ** (365 / 30) - 1)
    assert stats["calmar"] == pytest.approx(stats["annual_return"] / 0.1)


def test_one_bar_is_enough_for_stats() -> None:
    stats = figures([101.0], step=HOUR)
    assert stats["total_return"] == pytest.approx(0.01)
    assert (stats["sharpe"], stats["bootstrap"]) == (None, None)


def test_short_run_is_noted() -> None:
    assert "29 days, on 29 UTC days, fewer than 30" in figures([100.0] * 29)["notes"][0]
    minutes = figures([100.0] * 5, step=MINUTE)["notes"][0]
    assert minutes.startswith("The run covers 5 minutes, on 1 UTC day, fewer than 30")
    assert figures([100.0] * 30)["notes"] == []


def test_ruin_is_noted_and_leaves_no_nan() -> None:
    stats = figures([50.0, -5.0, -5.0])
    assert any("zero or below" in note for note in stats["notes"])
    assert stats["annual_return"] == -1.0
    assert stats["max_drawdown"] == pytest.approx(1.05)
    assert json.dumps(stats, allow_nan=False)


def test_start_after_the_first_close_is_refused() -> None:
    with pytest.raises(DataError, match="begins before its start"):
        figures([100.0], start_ns=T0 + DAY_NS)


def test_stats_in_run_json_are_those_of_its_tables(runs: dict[str, Path]) -> None:
    run = Run(runs["several"])
    table = run.equity
    ts = times(table, "ts")
    again = compute_stats(
        ts,
        floats(table, "equity"),
        floats(table, "market"),
        run.positions,
        run.fills,
        starting_equity=run.record.starting_equity,
        start_ns=int(ts[0]) - HOUR,
        exposure=floats(table, "exposure"),
        funding=float(floats(run.funding, "amount").sum()),
    )
    assert msgspec.convert(again, Stats) == run.record.stats


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-50, 1e6), min_size=1, max_size=40), st.sampled_from([HOUR, DAY_NS]))
def test_every_curve_gives_finite_figures(equity: list[float], step: int) -> None:
    stats = figures(equity, step=step)
    numbers = [value for value in stats.values() if isinstance(value, float)]
    assert all(math.isfinite(value) for value in numbers)
    assert msgspec.convert(stats, Stats).trades == 0
