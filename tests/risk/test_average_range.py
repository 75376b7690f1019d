"""The average true range against TA-Lib's, and against the kernel that models see."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.average_range import AverageRange, RangeState
from tests.risk.rig import MINUTE, close_of


def bars(count: int, seed: int = 3) -> list[BarClosed]:
    generator = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, count)))
    opens = np.concatenate([[100.0], closes[:-1]]) * np.exp(generator.normal(0, 0.002, count))
    highs = np.maximum(opens, closes) * np.exp(np.abs(generator.normal(0, 0.004, count)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(generator.normal(0, 0.004, count)))
    rows = np.stack([opens, highs, lows, closes], axis=1).tolist()
    return [BarClosed("X.V", close_of(i + 1), *row, 1.0) for i, row in enumerate(rows)]


def test_average_range_is_ta_libs_from_its_first_value_on() -> None:
    told = bars(200)
    columns = [np.array([getattr(b, n) for b in told]) for n in ("high", "low", "close")]
    for window in (1, 2, 14):
        atr = AverageRange(window)
        values = []
        for bar in told:
            atr.update(bar)
            values.append(np.nan if atr.value is None else atr.value)
        np.testing.assert_allclose(values, talib.ATR(*columns, window), rtol=1e-12)
        assert np.isnan(values).sum() == window


def test_average_range_is_that_of_the_kernel_once_the_kernel_speaks() -> None:
    engine = FeatureEngine(parse_features(["atr(3)"], interval=MINUTE))
    atr = AverageRange(3)
    compared = 0
    for bar in bars(150):
        atr.update(bar)
        row = engine.update(bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume)
        if row is not None:
            assert atr.value == pytest.approx(float(row[0]), rel=1e-6)  # float32
            compared += 1
    assert compared == 150 - 28 * 3


def test_bar_that_is_told_twice_counts_once() -> None:
    first, second = AverageRange(2), AverageRange(2)
    for bar in bars(20):
        first.update(bar)
        for _ in range(3):
            second.update(bar)
    assert first.state == second.state


def test_average_range_goes_on_from_what_another_one_remembered() -> None:
    told = bars(40)
    whole, begun = AverageRange(5), AverageRange(5)
    for bar in told[:3]:
        begun.update(bar)
    resumed = AverageRange(5, begun.state)
    for bar in told:
        whole.update(bar)
        resumed.update(bar)
    assert resumed.value == whole.value
    assert AverageRange(5, RangeState()).value is None
