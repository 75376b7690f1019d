from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.observe import trades
from aitb_nautilus.observe.run_tables import TABLES

PNL = np.array([10.0, -5.0, 0.0, 20.0, -10.0, -5.0])
NONE = np.array([])


def test_figures_agree_with_sums_done_by_hand() -> None:
    assert trades.win_rate(PNL) == pytest.approx(2 / 6)
    assert trades.profit_factor(PNL) == pytest.approx(30 / 20)
    assert trades.average_win(PNL) == pytest.approx(15.0)
    assert trades.average_loss(PNL) == pytest.approx(-20 / 3)
    assert trades.expectancy(PNL) == pytest.approx(10 / 6)
    assert trades.longest_losing_streak(PNL) == 2


def test_figures_without_trades_are_not_defined() -> None:
    for figure in (
        trades.win_rate,
        trades.profit_factor,
        trades.average_win,
        trades.average_loss,
        trades.expectancy,
    ):
        assert figure(NONE) is None
    assert trades.longest_losing_streak(NONE) == 0


def test_profit_factor_of_all_losing_is_zero_and_of_all_winning_is_not_defined() -> None:
    assert trades.profit_factor(np.array([-1.0, -2.0])) == 0.0
    assert trades.profit_factor(np.array([1.0, 2.0])) is None
    assert trades.average_win(np.array([-1.0])) is None
    assert trades.average_loss(np.array([1.0])) is None


def test_turnover_is_traded_notional_over_mean_equity() -> None:
    price, quantity = np.array([100.0, 110.0]), np.array([2.0, 2.0])
    assert trades.turnover(price, quantity, 1000.0) == pytest.approx(0.42)
    assert trades.turnover(NONE, NONE, 1000.0) == 0.0
    assert trades.turnover(price, quantity, 0.0) is None


def positions(*rows: tuple[str | None, float]) -> pa.Table:
    fixed = {"position_id": "P", "strategy_id": "S", "instrument_id": "I", "side": "LONG"}
    numbers = dict.fromkeys(("quantity", "open_price", "fees", "slippage", "funding"), 1.0)
    return pa.Table.from_pylist(
        [
            fixed
            | numbers
            | {"ts_open": i, "ts_close": i + 1, "close_price": 1.0, "bars_held": 2}
            | {"exit_purpose": purpose, "pnl": pnl, "return_frac": pnl / 100}
            for i, (purpose, pnl) in enumerate(rows)
        ],
        schema=TABLES["positions"],
    )


def test_groups_add_up_and_come_most_frequent_first() -> None:
    table = positions(("exit:stop", -3.0), ("exit:target", 4.0), ("exit:target", 2.0), (None, 1.0))
    groups = trades.group_trades(table, "exit_purpose")
    assert [(group.key, group.trades) for group in groups] == [
        ("exit:target", 2),
        ("", 1),
        ("exit:stop", 1),
    ]
    first = groups[0]
    assert (first.win_rate, first.pnl, first.average_return) == (1.0, 6.0, pytest.approx(0.03))
    assert (first.fees, first.average_bars_held) == (2.0, 2.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50).map(np.asarray))
def test_wins_and_losses_add_up_to_the_whole(pnl: np.ndarray) -> None:
    won = (trades.average_win(pnl) or 0.0) * (pnl > 0).sum()
    lost = (trades.average_loss(pnl) or 0.0) * (pnl < 0).sum()
    assert won + lost == pytest.approx(pnl.sum(), rel=1e-9, abs=1e-6)
    assert 0 <= trades.longest_losing_streak(pnl) <= (pnl < 0).sum()
