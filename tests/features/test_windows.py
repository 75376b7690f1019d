"""The windows against exact fractions, and what a million bars do to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.features.windows.averages import ema, ema_cells, ema_depth, wilder_depth
from aitb_nautilus.features.windows.moments import (
    four_moments_cells,
    spread_cells,
    window_four_moments,
    window_spread,
)
from aitb_nautilus.features.windows.pairs import pair_cells, window_pairs
from aitb_nautilus.features.windows.sums import (
    delay,
    delay_cells,
    extreme_cells,
    latest_max,
    latest_max_cells,
    sum_cells,
    window_max,
    window_min,
    window_sum,
)
from aitb_nautilus.market.bars import BarFrame, FloatArray
from tests.features.feature_bars import market, same_bits

FIRST = 12_345  # the ordinal of the first value
SIZES = (1, 2, 3, 7, 30, 61)


def values(kind: str) -> list[float]:
    random = np.random.default_rng(3)
    match kind:
        case "prices":
            return (20_000 + np.cumsum(random.normal(0, 5, 200)).round(2)).tolist()
        case "large offset":
            return (1e9 + random.normal(0, 1, 200)).tolist()
        case "wild":
            return (random.normal(0, 1, 200) * 10.0 ** random.integers(-9, 9, 200)).tolist()
    return [0.1] * 200


def exact_moments(part: Sequence[float], power: int) -> float:
    exact = [Fraction(v) for v in part]
    mean = sum(exact) / len(exact)
    return float(sum((v - mean) ** power for v in exact))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ["prices", "large offset", "wild", "constant"])
def test_sum_and_spread_equal_exact_fractions(kind: str, n: int) -> None:
    x = values(kind)
    sums, spreads = [0.0] * sum_cells(n), [0.0] * spread_cells(n)
    for i, value in enumerate(x):
        total = window_sum(sums, 0, n, value, FIRST + i)
        mean, squares = window_spread(spreads, 0, n, value, FIRST + i)
        if i >= n - 1:
            part = x[i - n + 1 : i + 1]
            size = sum(abs(v) for v in part)
            assert total == pytest.approx(math.fsum(part), abs=2e-16 * n * size, rel=0)
            assert mean == pytest.approx(math.fsum(part) / n, abs=1e-15 * size, rel=0)
            spread = exact_moments(part, 2)
            offset = max(abs(v - mean) for v in part) * max(abs(v) for v in part) * n
            assert squares == pytest.approx(spread, rel=1e-12, abs=1e-15 * offset)
            assert squares >= 0.0
            if kind == "constant":
                assert squares == 0.0


@pytest.mark.parametrize("n", [2, 3, 7, 30])
@pytest.mark.parametrize("kind", ["prices", "wild"])
def test_four_moments_equal_exact_fractions(kind: str, n: int) -> None:
    x = values(kind)
    cells = [0.0] * four_moments_cells(n)
    for i, value in enumerate(x):
        found = window_four_moments(cells, 0, n, value, FIRST + i)
        if i >= n - 1:
            part = x[i - n + 1 : i + 1]
            far = max(abs(v - found[0]) for v in part)
            # A value of this size is known to so much, and so is its distance from the mean.
            rounding = 1e-15 * max(abs(v) for v in part)
            for power in (2, 3, 4):
                wanted = exact_moments(part, power)
                allowed = power * n * far ** (power - 1) * rounding
                assert found[power - 1] == pytest.approx(wanted, rel=1e-12, abs=allowed)


@pytest.mark.parametrize("n", [2, 3, 7, 30])
def test_pairs_equal_exact_fractions(n: int) -> None:
    x, y = values("prices"), values("large offset")
    cells = [0.0] * pair_cells(n)
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        found = window_pairs(cells, 0, n, a, b, FIRST + i)
        if i >= n - 1:
            left = [Fraction(v) for v in x[i - n + 1 : i + 1]]
            right = [Fraction(v) for v in y[i - n + 1 : i + 1]]
            mean_a, mean_b = sum(left) / n, sum(right) / n
            product = sum((p - mean_a) * (q - mean_b) for p, q in zip(left, right, strict=True))
            far_a = max(abs(float(p - mean_a)) for p in left)
            far_b = max(abs(float(q - mean_b)) for q in right)
            # The sides are of size 2e4 and 1e9, and known to 1e-15 of that.
            assert found[:2] == pytest.approx((float(mean_a), float(mean_b)), rel=1e-15)
            wanted = exact_moments(x[i - n + 1 : i + 1], 2)
            assert found[2] == pytest.approx(wanted, abs=2 * n * far_a * 2e-11)
            wanted = exact_moments(y[i - n + 1 : i + 1], 2)
            assert found[3] == pytest.approx(wanted, abs=2 * n * far_b * 1e-6)
            allowed = n * (far_a * 1e-6 + far_b * 2e-11)
            assert found[4] == pytest.approx(float(product), abs=allowed)


@pytest.mark.parametrize("n", SIZES)
def test_extremes_delays_and_places_equal_a_plain_window(n: int) -> None:
    x = [float(v) for v in np.random.default_rng(4).integers(0, 20, 300)]
    high, low = [0.0] * extreme_cells(n), [0.0] * extreme_cells(n)
    late, place = [0.0] * delay_cells(n), [0.0] * latest_max_cells(n)
    for i, value in enumerate(x):
        k = FIRST + i
        found = (
            window_max(high, 0, n, value, k),
            window_min(low, 0, n, value, k),
            latest_max(place, 0, n, value, k),
        )
        old = delay(late, 0, n, value, k)
        if i >= n - 1:
            part = x[i - n + 1 : i + 1][::-1]
            assert found == (max(part), min(part), part.index(max(part)))
        if i >= n:
            assert old == x[i - n]


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_finite_average_equals_the_recursion_begun_at_the_oldest_value(n: int) -> None:
    depth = ema_depth(n)
    x = 100 + np.cumsum(np.random.default_rng(5).normal(0, 1, 3 * depth))
    cells = [0.0] * ema_cells(n)
    a = 2 / (n + 1)
    for i, value in enumerate(x):
        found = ema(cells, 0, n, value, FIRST + i)
        if i >= depth - 1:
            plain = x[i - depth + 1]
            for later in x[i - depth + 2 : i + 1]:
                plain += a * (later - plain)
            assert found == pytest.approx(plain, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 14, 200, 2000])
def test_what_the_averages_leave_out_weighs_less_than_a_trillionth(n: int) -> None:
    assert (1 - 2 / (n + 1)) ** ema_depth(n) < 1e-12
    assert (1 - 1 / n) ** wilder_depth(n) < 1e-12


def naive_sum(n: int) -> Callable[[float], float]:
    """Return the running sum that everybody writes first."""
    ring, state = [0.0] * n, [0.0, 0.0]

    def step(x: float) -> float:
        i = int(state[0]) % n
        state[0] += 1
        state[1] += x - ring[i]
        ring[i] = x
        return state[1]

    return step


def test_outlier_stays_in_a_running_sum_and_leaves_the_window_sum() -> None:
    n = 10
    x = values("prices")
    x[50] = 1e20
    cells, naive = [0.0] * sum_cells(n), naive_sum(n)
    wrong = []
    for i, value in enumerate(x):
        total = window_sum(cells, 0, n, value, FIRST + i)
        plain = naive(value)
        if i >= 60:
            exact = math.fsum(x[i - n + 1 : i + 1])
            assert total == pytest.approx(exact, rel=1e-15)
            wrong.append(abs(plain / exact - 1) > 1e-3)
    assert all(wrong)


def test_million_bars_leave_no_drift() -> None:
    features = parse_features(
        [
            "sma_ratio(60)",
            "zscore(close,240)",
            "zscore(volume,1440)",
            "skewness(120)",
            "ema_distance(50)",
            "rsi(14)",
            "autocorrelation(1,120)",
            "vwap_distance(1440)",
        ],
        interval="1m",
    )
    bars = repeated(market(20_000, seed=8), 52)
    assert len(bars) > 1_000_000
    rows = FeatureEngine(features).batch(bars, dtype=np.float64)
    late = FeatureEngine(features).batch(bars.take(slice(-4_000, None)), dtype=np.float64)
    assert late.valid.sum() > 2_000
    assert same_bits(late.values[late.valid], rows.values[-4_000:][late.valid])
    close = bars.close[-240:]
    exact = exact_moments(close.tolist(), 2)
    wanted = (close[-1] - math.fsum(close) / 240) / math.sqrt(exact / 240)
    assert rows.values[-1, 1] == pytest.approx(wanted, rel=1e-11)


def repeated(bars: BarFrame, times: int) -> BarFrame:
    """Return bars again and again, each time a little dearer and with wilder volume."""
    count = len(bars) * times
    step = np.repeat(np.arange(times), len(bars))
    dearer = 1.0 + 0.05 * (step % 7)
    heavier = 10.0 ** (step % 9)

    def column(x: FloatArray, factor: FloatArray) -> FloatArray:
        return np.tile(x, times) * factor

    return BarFrame(
        bars.ts_close[0] + np.arange(count, dtype=np.int64) * 60_000_000_000,
        column(bars.open, dearer),
        column(bars.high, dearer),
        column(bars.low, dearer),
        column(bars.close, dearer),
        column(bars.volume, heavier),
    )
