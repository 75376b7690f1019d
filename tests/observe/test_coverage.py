"""The tests of Kupiec and Christoffersen, against counts worked out by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from aitb_nautilus.observe.coverage import (
    chi_square_tail,
    conditional_coverage,
    independence,
    kupiec,
)


def test_kupiec_gives_the_ratio_of_the_textbook() -> None:
    # 2 * (245 ln 0.98 + 5 ln 0.02 - 245 ln 0.99 - 5 ln 0.01)
    test = kupiec(5, 250, 0.01)
    assert test.ratio == pytest.approx(1.95681, abs=1e-5)
    assert test.p_value == pytest.approx(0.16185, abs=1e-5)


@pytest.mark.parametrize(
    ("tail", "forecasts", "lowest", "highest"),
    [(0.05, 255, 7, 20), (0.01, 510, 2, 10), (0.05, 1000, 38, 64), (0.01, 1000, 5, 16)],
)
def test_kupiec_rejects_outside_the_counts_of_his_table(
    tail: float, forecasts: int, lowest: int, highest: int
) -> None:
    # Kupiec (1995), table 2: counts that a test at 5 % does not reject, 6 < N < 21 and so on.
    kept = [n for n in range(forecasts) if kupiec(n, forecasts, tail).p_value > 0.05]
    assert (kept[0], kept[-1]) == (lowest, highest)


def test_kupiec_takes_none_and_all() -> None:
    assert kupiec(0, 100, 0.05).ratio == pytest.approx(-200 * math.log(0.95))
    assert kupiec(100, 100, 0.05).ratio == pytest.approx(-200 * math.log(0.05))
    assert kupiec(5, 100, 0.05).ratio == pytest.approx(0, abs=1e-12)


def test_independence_counts_pairs_by_hand() -> None:
    # Pairs: 0-0 five, 0-1 two, 1-0 one, 1-1 one.
    exceeded = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 1], bool)
    apart = 5 * math.log(5 / 7) + 2 * math.log(2 / 7) + 2 * math.log(1 / 2)
    together = 6 * math.log(6 / 9) + 3 * math.log(3 / 9)
    test = independence(exceeded)
    assert test is not None
    assert test.ratio == pytest.approx(2 * (apart - together))
    both = conditional_coverage(exceeded, 0.05)
    assert both is not None
    assert both.ratio == pytest.approx(kupiec(3, 10, 0.05).ratio + test.ratio)
    assert both.p_value == pytest.approx(math.exp(-both.ratio / 2))


@pytest.mark.parametrize("exceeded", [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0]])
def test_independence_says_nothing_where_nothing_can_be_compared(exceeded: list[int]) -> None:
    assert independence(np.array(exceeded, bool)) is None
    assert conditional_coverage(np.array(exceeded, bool), 0.05) is None


def test_clusters_are_found_and_chance_is_not() -> None:
    clustered = np.zeros(1000, bool)
    clustered[100:125] = clustered[600:625] = True
    found = independence(clustered)
    assert found is not None
    assert found.p_value < 1e-6
    rng = np.random.default_rng(1)
    tests = [independence(rng.random(1000) < 0.05) for _ in range(200)]
    rejected = sum(test is not None and test.p_value < 0.05 for test in tests)
    assert rejected < 25


@pytest.mark.parametrize("degrees", [1, 2])
@pytest.mark.parametrize("x", [0.0, 0.1, 1.0, 3.84, 5.99, 40.0])
def test_tail_of_chi_square_is_that_of_scipy(x: float, degrees: int) -> None:
    assert chi_square_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-10)


def test_other_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 1 or 2"):
        chi_square_tail(1.0, 3)
