"""The covariance against its definition, written out plainly, and the clusters that it gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.covariance import EwmaCovariance, shrunk
from aitb_nautilus.risk.limits_correlation import clusters

HOUR = 3_600 * 10**9
YEAR = 365 * 24 * HOUR
NAMES = ["A.V", "B.V", "C.V"]


def hear(covariance: EwmaCovariance, name: str, ts: int, close: float) -> None:
    covariance.hear_bar(BarClosed(name, ts, close, close, close, close, 1.0))


def plain(closes: np.ndarray, half_life: int, there: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return the covariance as the docstring defines it; `there` says which bars exist."""
    decay, n = 2 ** (-1 / half_life), closes.shape[1]
    sums, weights = np.zeros((n, n)), np.zeros((n, n))
    last: dict[int, tuple[int, float]] = {}
    for t, row in enumerate(closes):
        returns: dict[int, float] = {}
        for i in np.flatnonzero(there[t]):
            if i in last:
                when, close = last[i]
                returns[i] = math.log(row[i] / close) / math.sqrt((t - when) * HOUR / YEAR)
            last[i] = (t, row[i])
        for i, a in returns.items():
            for j, b in returns.items():
                sums[i, j] = decay * sums[i, j] + (1 - decay) * a * b
                weights[i, j] = decay * weights[i, j] + (1 - decay)
    raw = np.divide(sums, weights, out=np.zeros((n, n)), where=weights > 0)
    root = np.sqrt(np.diag(raw))
    correlation = np.clip(raw / np.outer(root, root), -1, 1)
    mean = np.mean([correlation[i, j] for i in range(n) for j in range(n) if i != j])
    mixed = (1 - shrinkage) * correlation + shrinkage * mean
    np.fill_diagonal(mixed, 1)
    return mixed * np.outer(root, root)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_covariance_is_what_its_formula_says(missing: float) -> None:
    generator = np.random.default_rng(5)
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, (200, 3)), axis=0))
    there = generator.random((200, 3)) >= missing
    covariance = EwmaCovariance(20, 0.3)
    for t in range(200):
        for i in generator.permutation(3):
            if there[t, i]:
                hear(covariance, NAMES[i], HOUR * (t + 1), float(closes[t, i]))
    order = [covariance.index[name] for name in NAMES]
    expected = plain(closes, 20, there, 0.3)
    np.testing.assert_allclose(covariance.matrix()[np.ix_(order, order)], expected, rtol=1e-12)
    root = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        covariance.correlation()[np.ix_(order, order)], expected / np.outer(root, root), rtol=1e-12
    )


def test_yearly_volatility_does_not_depend_on_the_interval_of_the_bars() -> None:
    for interval in (HOUR, 24 * HOUR):
        covariance = EwmaCovariance(10, 0.2)
        step = 0.5 * math.sqrt(interval / YEAR)  # 50 % a year
        for t in range(30):
            hear(covariance, "A.V", interval * (t + 1), 100.0 * math.exp(step * (t % 2)))
        assert math.sqrt(covariance.matrix()[0, 0]) == pytest.approx(0.5)


def test_bar_that_is_heard_again_or_late_changes_nothing() -> None:
    one, other = EwmaCovariance(10, 0.2), EwmaCovariance(10, 0.2)
    for t, close in enumerate((100.0, 103.0, 99.0)):
        for covariance in (one, other):
            hear(covariance, "A.V", HOUR * (t + 1), close)
        hear(other, "A.V", HOUR * (t + 1), 500.0)
        hear(other, "A.V", HOUR * t, 500.0)
    assert one.matrix()[0, 0] == other.matrix()[0, 0] > 0
    assert one.seen("A.V") == other.seen("A.V") == 2


def test_bars_of_one_time_count_once_all_are_there_or_the_time_is_over() -> None:
    covariance = EwmaCovariance(10, 0.2)
    for name in NAMES[:2]:
        hear(covariance, name, HOUR, 100.0)
    hear(covariance, "A.V", 2 * HOUR, 101.0)
    assert covariance.seen("A.V") == 0
    hear(covariance, "B.V", 2 * HOUR, 101.0)
    assert covariance.seen("A.V") == covariance.seen("B.V") == 1
    hear(covariance, "A.V", 3 * HOUR, 102.0)
    hear(covariance, "A.V", 4 * HOUR, 103.0)
    assert covariance.seen("A.V") == 2
    assert covariance.knows({"A.V", "B.V"}, 1)
    assert not covariance.knows({"A.V", "B.V"}, 2)
    assert not covariance.knows({"A.V", "C.V"}, 1)


@pytest.mark.parametrize("shrinkage", [0.0, 0.2, 1.0])
def test_shrunk_matrix_keeps_variances_and_is_no_less_definite(shrinkage: float) -> None:
    generator = np.random.default_rng(7)
    returns = generator.normal(0, 1, (8, 20))  # fewer returns than instruments: singular
    covariance = returns.T @ returns / 8
    result = shrunk(covariance, shrinkage)
    np.testing.assert_allclose(np.diag(result), np.diag(covariance))
    np.testing.assert_allclose(result, result.T)
    least = np.linalg.eigvalsh(result)[0]
    assert least > (0.01 if shrinkage else -1e-9)
    if shrinkage == 0:
        np.testing.assert_allclose(result, covariance, atol=1e-12)


def test_what_never_moved_is_correlated_with_nothing() -> None:
    result = shrunk(np.array([[0.04, 0.0], [0.0, 0.0]]), 0.5)
    np.testing.assert_allclose(result, [[0.04, 0.0], [0.0, 0.0]], rtol=1e-15)


def test_clusters_are_joined_through_others_and_only_by_what_moves_the_same_way() -> None:
    near = np.array(
        [
            [1.0, 0.8, 0.1, -0.9],
            [0.8, 1.0, 0.7, 0.0],
            [0.1, 0.7, 1.0, 0.0],
            [-0.9, 0.0, 0.0, 1.0],
        ]
    )
    found = clusters(["a", "b", "c", "d"], near, 0.7)
    assert found["a"] == found["b"] == found["c"] == {"a", "b", "c"}
    assert found["d"] == {"d"}
    assert clusters(["a", "b", "c", "d"], near, 0.75)["c"] == {"c"}
