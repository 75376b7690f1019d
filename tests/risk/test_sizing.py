"""Sizing against numbers worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.sizing import EquityFraction, FixedNotional, Sizer, VolatilityTarget
from aitb_nautilus.settings import Settings, decode

DAY_NS = 86_400 * 10**9


def sizer_after(
    closes: Sequence[float], sizing: VolatilityTarget, interval_ns: int = DAY_NS
) -> Sizer:
    sizer = Sizer(sizing, interval_ns)
    for i, close in enumerate(closes):
        sizer.update(BarClosed("X.V", i * interval_ns, close, close, close, close, 1.0))
    return sizer


def test_fixed_notional_spends_the_same_whatever_the_equity() -> None:
    sizer = Sizer(FixedNotional(notional=500.0), DAY_NS)
    assert sizer.is_ready
    assert sizer.quantity(10_000.0, 250.0) == 2
    assert sizer.quantity(-5.0, 250.0) == 2
    assert sizer.quantity(1.0, 3.0) == Decimal("166.66666666666666")


def test_equity_fraction_follows_the_equity_and_is_zero_when_it_is_gone() -> None:
    sizer = Sizer(EquityFraction(fraction=0.25), DAY_NS)
    assert sizer.is_ready
    assert sizer.quantity(10_000.0, 250.0) == 10
    assert sizer.quantity(5_000.0, 250.0) == 5
    assert sizer.quantity(-1.0, 250.0) == 0


def test_volatility_target_matches_the_figures_of_a_hand_calculation() -> None:
    # Half-life 2: decay 1/sqrt(2). Log returns 0.1, -0.1, 0.2: squares 0.01, 0.01, 0.04.
    # Variance 0.01, then 0.01, then 0.01 d + 0.04 (1 - d) with d = 0.70710678: 0.018786796564.
    # A year has 365 days: sigma = sqrt(0.018786796564 * 365) = 2.618622...
    closes = [100.0, 100.0 * math.exp(0.1), 100.0, 100.0 * math.exp(0.2)]
    sizer = sizer_after(closes, VolatilityTarget(annual_volatility_frac=0.5, half_life_bars=2))
    variance = 0.01 * math.sqrt(0.5) + 0.04 * (1 - math.sqrt(0.5))
    assert variance == pytest.approx(0.018786796564)
    assert math.sqrt(variance * 365) == pytest.approx(2.618622, abs=1e-6)
    expected = 10_000.0 * (0.5 / 2.618622) / 50.0
    assert float(sizer.quantity(10_000.0, 50.0)) == pytest.approx(expected, rel=1e-6)


def test_volatility_target_never_spends_more_than_its_largest_fraction() -> None:
    calm = [100.0, 100.01, 100.0, 100.01]
    target = VolatilityTarget(annual_volatility_frac=0.5, half_life_bars=2, max_fraction=1.5)
    assert float(sizer_after(calm, target).quantity(1_000.0, 10.0)) == pytest.approx(150.0)


def test_nothing_is_sized_before_volatility_is_known() -> None:
    target = VolatilityTarget(annual_volatility_frac=0.5, half_life_bars=3)
    closes = [100.0, 101.0, 100.0, 102.0]
    for seen, ready in ((1, False), (3, False), (4, True)):
        sizer = sizer_after(closes[:seen], target)
        assert sizer.is_ready == ready
        assert (sizer.quantity(1_000.0, 10.0) > 0) == ready


def test_market_that_stands_still_has_no_volatility_to_size_by() -> None:
    sizer = sizer_after([100.0] * 10, VolatilityTarget(annual_volatility_frac=0.5))
    assert not sizer.is_ready
    assert sizer.quantity(1_000.0, 100.0) == 0


def test_shorter_bars_mean_more_of_them_a_year() -> None:
    closes = [100.0, 110.0, 100.0, 110.0, 100.0]
    target = VolatilityTarget(annual_volatility_frac=0.1, half_life_bars=2)
    daily = sizer_after(closes, target).quantity(1_000.0, 1.0)
    hourly = sizer_after(closes, target, DAY_NS // 24).quantity(1_000.0, 1.0)
    assert float(daily / hourly) == pytest.approx(math.sqrt(24))


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=60).filter(any),
    st.integers(2, 20),
)
def test_recursive_variance_equals_the_weighted_sum_written_out(
    returns: list[float], half_life: int
) -> None:
    closes = [100.0]
    for r in returns:
        closes.append(closes[-1] * math.exp(r))
    target = VolatilityTarget(
        annual_volatility_frac=0.001, half_life_bars=half_life, max_fraction=10.0
    )
    sizer = sizer_after(closes, target)
    decay = 0.5 ** (1 / half_life)
    squares = [math.log(b / a) ** 2 for a, b in itertools.pairwise(closes)]
    n = len(squares)
    variance = decay ** (n - 1) * squares[0] + sum(
        (1 - decay) * decay ** (n - 1 - i) * squares[i] for i in range(1, n)
    )
    if n < half_life or variance <= 0:
        assert sizer.quantity(1_000.0, 1.0) == 0
    else:
        fraction = min(0.001 / math.sqrt(variance * 365), 10.0)
        assert float(sizer.quantity(1_000.0, 1.0)) == pytest.approx(1_000.0 * fraction, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (FixedNotional, {"method": "fixed_notional", "notional": 0}),
        (EquityFraction, {"method": "equity_fraction", "fraction": 11}),
        (VolatilityTarget, {"method": "volatility_target", "annual_volatility_frac": 0}),
        (
            VolatilityTarget,
            {"method": "volatility_target", "annual_volatility_frac": 1, "half_life_bars": 1},
        ),
    ],
)
def test_impossible_sizing_is_refused(kind: type[Settings], data: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        decode(data, kind, "desk.toml: sizing")
