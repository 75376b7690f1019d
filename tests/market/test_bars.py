from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from nautilus_trader.model import Price, Quantity

from aitb_nautilus.market.bars import BarFrame, exact_float, exact_floats, join_frames
from tests.bar_samples import same_bars, walk


@given(st.integers(1, 99_999_999_99), st.integers(0, 8))
def test_price_leaves_the_engine_as_the_double_of_its_decimal(ticks: int, precision: int) -> None:
    text = f"{ticks / 10**precision:.{precision}f}"
    assert exact_float(Price.from_str(text)) == float(text)


def test_exact_floats_where_the_engines_own_double_differs() -> None:
    texts = [f"{46_000 + i / 100:.2f}" for i in range(2000)]
    prices = [Price.from_str(text) for text in texts]
    wanted = np.array([float(text) for text in texts])
    assert np.array_equal(exact_floats(prices), wanted)
    assert not np.array_equal(np.array([p.as_double() for p in prices]), wanted)


def test_quantity_leaves_the_engine_exactly() -> None:
    assert exact_float(Quantity.from_str("0.000010")) == 1e-5


def test_between_takes_both_bounds() -> None:
    bars = walk(10)
    part = bars.between(int(bars.ts_close[2]), int(bars.ts_close[5]))
    assert part.ts_close.tolist() == bars.ts_close[2:6].tolist()
    assert len(bars.between(None, None)) == 10
    assert len(bars.between(int(bars.ts_close[9]) + 1, None)) == 0


def test_take_and_join_give_back_the_whole() -> None:
    bars = walk(10)
    assert same_bars(join_frames([bars.take(slice(0, 4)), bars.take(np.arange(4, 10))]), bars)
    assert len(join_frames([])) == len(BarFrame.empty()) == 0


def test_same_values_sees_one_changed_value() -> None:
    bars = walk(5)
    volume = bars.volume.copy()
    volume[3] += 0.001
    other = BarFrame(bars.ts_close, bars.open, bars.high, bars.low, bars.close, volume)
    assert bars.same_values(other).tolist() == [True, True, True, False, True]


def test_columns_of_other_length_or_type_are_refused() -> None:
    bars = walk(5)
    with pytest.raises(ValueError, match="low was float64"):
        BarFrame(bars.ts_close, bars.open, bars.high, bars.low[:4], bars.close, bars.volume)
    with pytest.raises(ValueError, match="volume was float32"):
        BarFrame(
            bars.ts_close,
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            bars.volume.astype(np.float32),  # type: ignore[arg-type]
        )
