"""Value at risk and expected shortfall, worked out by hand on short series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aitb_nautilus.observe.value_at_risk import (
    ewma_deviation,
    foretell,
    historical_tail,
    normal_tail,
    steps_needed,
    tail_figures,
    window_of,
)

TWENTY = np.array([-0.05, -0.03, -0.02, *np.linspace(-0.01, 0.02, 17)])


def test_historical_tail_of_twenty_returns_is_read_off() -> None:
    # A tenth of twenty is two: the mean of the two worst, and the third.
    assert historical_tail(TWENTY, 0.1) == (pytest.approx(0.02), pytest.approx(0.04))
    assert historical_tail(TWENTY[::-1], 0.05) == (pytest.approx(0.03), pytest.approx(0.05))


def test_part_of_a_return_counts_in_part() -> None:
    # 7.5 % of twenty is one and a half: the worst, and half of the second.
    value, shortfall = historical_tail(TWENTY, 0.075)
    assert value == pytest.approx(0.03)
    assert shortfall == pytest.approx((0.05 + 0.5 * 0.03) / 1.5)
    assert historical_tail(TWENTY, 0.01) == (pytest.approx(0.05), pytest.approx(0.05))


def test_what_only_gains_has_no_loss_to_foretell() -> None:
    assert historical_tail(np.array([0.01, 0.02, 0.03]), 0.05) == (0.0, 0.0)


def test_normal_tail_is_that_of_scipy() -> None:
    value, shortfall = normal_tail(0.02, 0.05)
    assert value == pytest.approx(-0.02 * stats.norm.ppf(0.05))
    beyond = stats.norm.expect(lambda x: x, ub=stats.norm.ppf(0.05), conditional=True)
    assert shortfall == pytest.approx(-0.02 * beyond, rel=1e-6)


def test_ewma_foretells_from_what_was_before() -> None:
    deviations = ewma_deviation(np.array([0.03, 0.0, 0.01]), 2)
    begun = 0.03**2 / 2
    second = 0.94 * begun + 0.06 * 0.03**2
    third = 0.94 * second
    fourth = 0.94 * third + 0.06 * 0.01**2
    assert deviations == pytest.approx(np.sqrt([begun, second, third, fourth]))


def test_forecast_of_a_step_knows_only_the_steps_before_it() -> None:
    rng = np.random.default_rng(2)
    returns = rng.standard_normal(200) * 0.01
    window = window_of(200)
    for method in ("historical", "ewma"):
        values, _ = foretell(returns, method, 0.05)
        assert len(values) == 200 - window + 1
        changed = returns.copy()
        changed[150:] = -0.5
        assert foretell(changed, method, 0.05)[0][: 151 - window] == pytest.approx(
            values[: 151 - window]
        )
    historical = foretell(returns, "historical", 0.05)[0]
    assert historical[7] == pytest.approx(historical_tail(returns[7 : 7 + window], 0.05)[0])


def test_exceedances_are_counted_after_the_window() -> None:
    returns = np.tile([0.01, -0.01], 65)
    returns[110] = returns[120] = -0.05
    figures = tail_figures(returns, "historical", 0.95)
    assert (figures.forecasts, figures.exceeded) == (30, 2)
    assert figures.expected == pytest.approx(1.5)
    assert figures.value_at_risk == pytest.approx(0.01)
    assert figures.expected_shortfall == pytest.approx((0.05 * 2 + 0.01 * 3) / 5)


def test_normal_returns_keep_to_the_forecast() -> None:
    returns = np.random.default_rng(3).standard_normal(5_000) * 0.01
    for method in ("historical", "ewma"):
        figures = tail_figures(returns, method, 0.95)
        assert figures.frequency.p_value > 0.01, method
        assert 0.03 < figures.exceeded / figures.forecasts < 0.07
    assert window_of(5_000) == 250
    assert steps_needed() == 130
