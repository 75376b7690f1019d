from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.observe.luck import Bootstrap, block_bootstrap, judge
from aitb_nautilus.observe.returns import MIN_DAYS


def bounds(lower: float, mean: float, upper: float) -> Bootstrap:
    return Bootstrap(
        mean=mean, lower_95=lower, upper_95=upper, days=365, block_days=8, resamples=9, seed=0
    )


def test_below_thirty_days_there_is_no_bound() -> None:
    assert block_bootstrap(np.full(MIN_DAYS - 1, 0.01)) is None
    assert block_bootstrap(np.full(MIN_DAYS, 0.01)) is not None


def test_block_length_is_the_cube_root_of_the_days() -> None:
    lengths = [
        found.block_days
        for days in (30, 64, 365, 1000)
        if (found := block_bootstrap(np.zeros(days), resamples=10)) is not None
    ]
    assert lengths == [4, 4, 8, 10]


def test_bound_of_equal_days_is_that_day() -> None:
    found = block_bootstrap(np.full(100, 0.002), resamples=200)
    assert found is not None
    assert found.lower_95 == pytest.approx(0.002)
    assert found.upper_95 == pytest.approx(0.002)


def test_same_seed_gives_same_bounds_and_another_seed_others() -> None:
    days = np.random.default_rng(3).normal(0, 0.01, 200)
    assert block_bootstrap(days, seed=1) == block_bootstrap(days, seed=1)
    assert block_bootstrap(days, seed=1) != block_bootstrap(days, seed=2)


def test_bound_of_independent_days_is_that_of_the_normal_law() -> None:
    days = np.random.default_rng(5).normal(0.001, 0.01, 1000)
    found = block_bootstrap(days)
    assert found is not None
    error = days.std() / np.sqrt(len(days))
    assert found.lower_95 == pytest.approx(days.mean() - 1.645 * error, abs=0.25 * error)
    assert found.upper_95 == pytest.approx(days.mean() + 1.645 * error, abs=0.25 * error)


def test_days_that_follow_each_other_give_a_lower_bound_than_independent_ones() -> None:
    rng = np.random.default_rng(11)
    noise = rng.normal(0, 0.01, 1000)
    days = np.empty(1000)
    days[0] = noise[0]
    for i in range(1, 1000):
        days[i] = 0.7 * days[i - 1] + noise[i]
    whole, shuffled = block_bootstrap(days), block_bootstrap(rng.permutation(days))
    assert whole is not None
    assert shuffled is not None
    assert whole.mean - whole.lower_95 > 1.5 * (shuffled.mean - shuffled.lower_95)


def test_pure_luck_passes_about_one_time_in_twenty() -> None:
    rng = np.random.default_rng(0)
    passed = 0
    for seed in range(400):
        found = block_bootstrap(rng.standard_t(4, 200), seed=seed, resamples=300)
        assert found is not None
        passed += found.lower_95 > 0
    assert 0.02 < passed / 400 < 0.11


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 200), st.integers(0, 1000))
def test_bounds_lie_around_within_the_range_of_days(days: int, seed: int) -> None:
    series = np.random.default_rng(seed).normal(0, 0.02, days)
    found = block_bootstrap(series, seed=seed, resamples=200)
    assert found is not None
    assert series.min() <= found.lower_95 <= found.upper_95 <= series.max()


def test_length_of_a_short_run_is_told_as_it_is() -> None:
    found = judge(None, total_return=0.4, trades=9, days=5 / 1440, simulated=False)
    assert found.sentence.startswith("The run covers 5 minutes; at least 30 days are needed")


CASES = {
    "positive": judge(
        bounds(0.0002, 0.001, 0.002), total_return=0.4, trades=9, days=365, simulated=False
    ),
    "luck": judge(
        bounds(-0.0001, 0.001, 0.002), total_return=0.4, trades=9, days=365, simulated=False
    ),
    "loss": judge(
        bounds(-0.002, -0.001, 0.0), total_return=-0.3, trades=9, days=365, simulated=False
    ),
    "short": judge(None, total_return=0.4, trades=9, days=12, simulated=False),
    "in_sample": judge(
        bounds(0.0002, 0.001, 0.002),
        total_return=0.4,
        trades=9,
        days=365,
        simulated=False,
        seen_by=["a@1", "b@2"],
    ),
    "idle": judge(bounds(0.0, 0.0, 0.0), total_return=0.0, trades=0, days=365, simulated=False),
}


@pytest.mark.parametrize("kind", list(CASES))
def test_only_a_bound_above_zero_may_speak_of_an_edge(kind: str) -> None:
    verdict = CASES[kind]
    assert verdict.kind == kind
    spoken = re.search(r"\bedge\b", f"{verdict.sentence} {verdict.detail}", re.IGNORECASE)
    assert (spoken is not None) == (kind == "positive")


def test_a_bound_of_exactly_zero_is_luck() -> None:
    verdict = judge(
        bounds(0.0, 0.001, 0.002), total_return=0.4, trades=9, days=365, simulated=False
    )
    assert verdict.kind == "luck"
    assert verdict.sentence.startswith("The net result cannot be told from luck")


def test_a_run_without_gain_shows_no_edge_whatever_its_bound() -> None:
    verdict = judge(
        bounds(0.0001, 0.001, 0.002), total_return=-0.01, trades=9, days=365, simulated=False
    )
    assert verdict.kind == "loss"


def test_simulated_data_are_named_in_the_verdict() -> None:
    for bootstrap in (bounds(0.0002, 0.001, 0.002), None):
        verdict = judge(bootstrap, total_return=0.4, trades=9, days=12, simulated=True)
        assert "simulated" in verdict.detail


def test_models_that_saw_the_time_leave_nothing_to_claim() -> None:
    for bootstrap in (bounds(0.0002, 0.001, 0.002), None):
        verdict = judge(
            bootstrap,
            total_return=0.4,
            trades=9,
            days=12,
            simulated=True,
            seen_by=["a@1", "b@2"],
        )
        assert verdict.kind == "in_sample"
        assert verdict.sentence.startswith("a@1, b@2 were trained on bars of this very time")
        assert "simulated" in verdict.detail


def test_a_tiny_bound_is_not_shown_as_zero() -> None:
    verdict = judge(
        bounds(2e-6, 0.001, 0.002), total_return=0.4, trades=9, days=365, simulated=False
    )
    assert "+0.0002%" in verdict.sentence
