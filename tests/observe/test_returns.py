from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe import returns
from aitb_nautilus.observe.returns import DAY_NS

T0 = 19_358 * DAY_NS  # 2023-01-01
HOUR = DAY_NS // 24

curves = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60).map(np.asarray)


def daily(*equity: float, start: float = 100.0) -> returns.DailyEquity:
    ts = T0 + DAY_NS * (1 + np.arange(len(equity), dtype=np.int64))
    return returns.daily_equity(ts, np.asarray(equity, dtype=float), start)


def test_daily_equity_puts_a_midnight_close_into_the_day_that_ends() -> None:
    ts = np.array([T0 + DAY_NS, T0 + DAY_NS + 1], dtype=np.int64)
    result = returns.daily_equity(ts, np.array([110.0, 121.0]), 100.0)
    assert result.day.tolist() == [19_358, 19_359]
    assert result.returns == pytest.approx([0.1, 0.1])


def test_daily_equity_repeats_the_day_before_where_a_day_has_no_bar() -> None:
    ts = T0 + np.array([HOUR, 3 * DAY_NS + HOUR], dtype=np.int64)
    result = returns.daily_equity(ts, np.array([110.0, 99.0]), 100.0)
    assert result.equity.tolist() == [110.0, 110.0, 110.0, 99.0]
    assert result.returns == pytest.approx([0.1, 0.0, 0.0, -0.1])


def test_daily_equity_of_one_row_is_one_day() -> None:
    result = returns.daily_equity(np.array([T0 + HOUR]), np.array([50.0]), 100.0)
    assert result.returns.tolist() == [-0.5]
    assert not result.ruined


def test_ruined_account_earns_nothing_afterwards() -> None:
    result = daily(50.0, -10.0, 20.0)
    assert result.ruined
    assert result.returns.tolist() == [-0.5, -1.2, 0.0]


@pytest.mark.parametrize(
    ("ts", "equity", "start", "found"),
    [
        ([], [], 100.0, "has 0 times"),
        ([1, 2], [1.0], 100.0, "2 times and 1 values"),
        ([2, 1], [1.0, 1.0], 100.0, "do not ascend"),
        ([1, 1], [1.0, 1.0], 100.0, "do not ascend"),
        ([1], [math.nan], 100.0, "NaN"),
        ([1], [math.inf], 100.0, "NaN or infinity"),
        ([1], [1.0], 0.0, "was 0.0"),
        ([1], [1.0], math.nan, "was nan"),
    ],
)
def test_impossible_curve_is_refused(
    ts: list[int], equity: list[float], start: float, found: str
) -> None:
    with pytest.raises(DataError, match=found):
        returns.daily_equity(np.array(ts, dtype=np.int64), np.array(equity), start)


def test_ratios_agree_with_sums_done_by_hand() -> None:
    series = daily(110.0, 104.5, 106.59).returns
    by_hand = [0.10, -0.05, 0.02]
    assert series == pytest.approx(by_hand)
    mean, year = statistics.mean(by_hand), math.sqrt(365)
    assert returns.sharpe(series) == pytest.approx(mean / statistics.stdev(by_hand) * year)
    assert returns.annual_volatility(series) == pytest.approx(statistics.stdev(by_hand) * year)
    assert returns.sortino(series) == pytest.approx(mean / math.sqrt(0.05**2 / 3) * year)


def test_skew_and_kurtosis_agree_with_sums_done_by_hand() -> None:
    # 0, 0, 0, 4: mean 1, m2 = 3, m3 = (3 * -1 + 27) / 4 = 6, m4 = (3 + 81) / 4 = 21.
    series = np.array([0.0, 0.0, 0.0, 4.0])
    assert returns.skew(series) == pytest.approx(6 / 3**1.5)
    assert returns.kurtosis(series) == pytest.approx(21 / 9 - 3)


def test_ratios_of_a_flat_curve_are_not_defined() -> None:
    series = daily(100.0, 100.0, 100.0, 100.0).returns
    assert returns.sharpe(series) is None
    assert returns.sortino(series) is None
    assert returns.skew(series) is None
    assert returns.kurtosis(series) is None
    assert returns.annual_volatility(series) == 0.0


def test_sharpe_of_equal_gains_is_not_defined_despite_rounding() -> None:
    assert returns.sharpe(daily(*(100 * 1.001**i for i in range(1, 40))).returns) is None


def test_ratios_of_one_day_are_not_defined() -> None:
    one = np.array([0.1])
    assert returns.sharpe(one) is None
    assert returns.sortino(one) is None
    assert returns.annual_volatility(one) is None
    assert returns.skew(np.array([0.1, 0.2])) is None


def test_annual_return_compounds_by_days() -> None:
    assert returns.annual_return(0.21, 2 * 365) == pytest.approx(0.1)
    assert returns.annual_return(-0.5, 365) == pytest.approx(-0.5)


def test_annual_return_that_is_too_large_for_a_number_is_not_defined() -> None:
    assert returns.annual_return(1e18, 30.0) is not None
    assert returns.annual_return(1e26, 30.0) is None


def test_annual_return_of_a_short_run_is_not_defined() -> None:
    assert returns.annual_return(0.003, 30.0) == pytest.approx(1.003 ** (365 / 30) - 1)
    assert returns.annual_return(0.003, 29.9) is None
    assert returns.annual_return(0.003, 1 / 12) is None
    assert returns.annual_return(0.1, 0.0) is None


def test_annual_return_of_a_total_loss_is_minus_one() -> None:
    assert returns.annual_return(-1.0, 10.0) == -1.0
    assert returns.annual_return(-1.4, 10.0) == -1.0


def test_calmar_without_drawdown_is_not_defined() -> None:
    assert returns.calmar(0.5, 0.25) == 2.0
    assert returns.calmar(0.5, 0.0) is None
    assert returns.calmar(None, 0.2) is None


def test_max_drawdown_has_peak_trough_and_recovery() -> None:
    equity = np.array([100.0, 120.0, 90.0, 110.0, 120.0, 115.0])
    ts = T0 + HOUR * np.arange(1, 7)
    fall = returns.max_drawdown(ts, equity, 100.0, T0)
    assert fall.fraction == pytest.approx(0.25)
    assert [fall.start_ns, fall.trough_ns, fall.recovery_ns] == [ts[1], ts[2], ts[4]]


def test_max_drawdown_counts_from_the_starting_equity() -> None:
    fall = returns.max_drawdown(np.array([T0 + HOUR]), np.array([60.0]), 100.0, T0)
    assert fall.fraction == pytest.approx(0.4)
    assert [fall.start_ns, fall.trough_ns, fall.recovery_ns] == [T0, T0 + HOUR, None]


def test_max_drawdown_of_a_rising_curve_is_zero() -> None:
    ts = T0 + HOUR * np.arange(1, 4)
    fall = returns.max_drawdown(ts, np.array([100.0, 101.0, 102.0]), 100.0, T0)
    assert fall == returns.Drawdown(0.0, None, None, None)


def test_monthly_returns_split_at_the_month() -> None:
    days = np.array([19_358 + 30, 19_358 + 31, 19_358 + 40])  # 31 January, 1 and 10 February
    ts = days * DAY_NS + HOUR
    months = returns.monthly_returns(
        returns.daily_equity(ts, np.array([110.0, 99.0, 121.0]), 100.0)
    )
    assert list(months) == ["2023-01", "2023-02"]
    assert months["2023-01"] == pytest.approx(0.1)
    assert months["2023-02"] == pytest.approx(0.1)


@given(curves)
def test_months_multiply_to_the_total_return(equity: np.ndarray) -> None:
    result = daily(*equity)
    growth = math.prod(1 + r for r in returns.monthly_returns(result).values())
    assert growth - 1 == pytest.approx(returns.total_return(equity, 100.0), rel=1e-9, abs=1e-9)


@given(curves)
def test_drawdown_of_a_positive_curve_lies_between_zero_and_one(equity: np.ndarray) -> None:
    ts = T0 + HOUR * np.arange(1, len(equity) + 1)
    fall = returns.max_drawdown(ts, equity, 100.0, T0)
    assert 0.0 <= fall.fraction < 1.0
    lowest = min(equity.min(), 100.0)
    assert fall.fraction <= 1 - lowest / max(equity.max(), 100.0) + 1e-12
    if fall.recovery_ns is not None:
        assert fall.start_ns < fall.trough_ns < fall.recovery_ns


@given(curves, st.floats(0.1, 1000.0))
def test_ratios_do_not_depend_on_the_size_of_the_account(equity: np.ndarray, scale: float) -> None:
    small, large = daily(*equity).returns, daily(*(equity * scale), start=100.0 * scale).returns
    for ratio in (returns.sharpe, returns.sortino, returns.annual_volatility):
        first, second = ratio(small), ratio(large)
        assert (first is None) == (second is None)
        if first is not None:
            assert second == pytest.approx(first, rel=1e-6, abs=1e-6)


@given(curves)
def test_no_figure_is_ever_nan(equity: np.ndarray) -> None:
    series = daily(*equity).returns
    figures = [returns.sharpe(series), returns.sortino(series), returns.skew(series)]
    figures += [returns.kurtosis(series), returns.annual_volatility(series)]
    figures.append(returns.annual_return(returns.total_return(equity, 100.0), len(equity)))
    assert all(figure is None or math.isfinite(figure) for figure in figures)
