"""Sizing against numbers worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed, Prediction
from aitb_nautilus.risk.exits import Exits
from aitb_nautilus.risk.kelly import TradeRecord, TradeState
from aitb_nautilus.risk.sizing import Edge, Sizer, SizerState, make_sizers
from aitb_nautilus.risk.sizing_settings import (
    EquityFraction,
    FixedNotional,
    FractionalKelly,
    RiskParitySizing,
    Sizing,
    VolatilityTarget,
    check_sizing,
)
from aitb_nautilus.settings import Settings, decode
from tests.risk.rig import make_context

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


# Kelly


def kelly(**data: Any) -> FractionalKelly:
    """Return settings without costs and with room above."""
    plain = {"payoff": "exits", "multiplier": 0.5, "cost_bps": 0, "max_fraction": 10}
    return msgspec.convert(plain | data, FractionalKelly)


def test_kelly_by_exits_is_half_of_what_the_odds_deserve() -> None:
    # 0.6 / 0.05 - 0.4 / 0.1 = 8, half of it 4: 40,000 of 10,000, 80 at 500 each.
    edge = Edge(probability=0.6, payoff=(0.1, 0.05))
    assert float(Sizer(kelly(), DAY_NS).quantity(10_000.0, 500.0, edge)) == pytest.approx(80)
    # 20 bps: 0.6 / 0.052 - 0.4 / 0.098, half of it.
    expected = 10_000 * 0.5 * (0.6 / 0.052 - 0.4 / 0.098) / 500
    found = Sizer(kelly(cost_bps=20), DAY_NS).quantity(10_000.0, 500.0, edge)
    assert float(found) == pytest.approx(expected)


def test_kelly_never_spends_more_than_its_largest_fraction() -> None:
    edge = Edge(probability=0.99, payoff=(0.1, 0.001))
    assert Sizer(kelly(max_fraction=1), DAY_NS).quantity(10_000.0, 500.0, edge) == 20


@pytest.mark.parametrize(
    "edge",
    [
        Edge(),
        Edge(probability=0.6),
        Edge(payoff=(0.1, 0.05)),
        Edge(probability=0.3, payoff=(0.1, 0.05)),
        Edge(probability=0.0, payoff=(0.1, 0.05)),
    ],
)
def test_unknown_or_negative_edge_is_worth_nothing(edge: Edge) -> None:
    assert Sizer(kelly(), DAY_NS).quantity(10_000.0, 500.0, edge) == 0


def test_kelly_by_expected_return_is_mean_over_variance_of_the_horizon() -> None:
    # Squared returns 0.01 a day, so 0.02 in two days. 0.03 less 0.001 of costs over 0.02 is 1.45.
    sizing = kelly(payoff="expected_return", half_life_bars=2, cost_bps=10)
    sizer = Sizer(sizing, DAY_NS)
    edge = Edge(expected_return=0.03, horizon_ns=2 * DAY_NS)
    assert not sizer.is_ready
    for number, close in enumerate([100.0, 100.0 * math.exp(0.1), 100.0]):
        sizer.update(BarClosed("X.V", number * DAY_NS, close, close, close, close, 1.0))
    found = float(sizer.quantity(10_000.0, 500.0, edge))
    assert found == pytest.approx(10_000 * 0.5 * 1.45 / 500)
    assert sizer.quantity(10_000.0, 500.0, Edge(expected_return=0.0005, horizon_ns=1)) == 0
    assert sizer.quantity(10_000.0, 500.0, Edge(probability=0.9)) == 0


def test_kelly_by_trades_begins_small_and_then_measures() -> None:
    record = TradeRecord(100, 2)
    sizer = Sizer(kelly(payoff="trades", min_trades=2, start_fraction=0.05), DAY_NS, record)
    assert sizer.quantity(10_000.0, 500.0) == 1
    record.restore(TradeState(returns=[0.1, 0.1, -0.05]))
    # Three of five by Laplace's rule: 0.6 / 0.05 - 0.4 / 0.1 = 8, half of it.
    assert float(sizer.quantity(10_000.0, 500.0)) == pytest.approx(80)
    # A probability that is told counts in its stead: 0.4 / 0.05 - 0.6 / 0.1 = 2.
    assert float(sizer.quantity(10_000.0, 500.0, Edge(probability=0.4))) == pytest.approx(20)
    record.restore(TradeState(returns=[0.01, -0.05]))
    assert sizer.quantity(10_000.0, 500.0) == 0


def test_edge_of_a_short_entry_is_the_opposite_of_what_is_foretold() -> None:
    told = Prediction("X.V", "m", "1", 0.2, 0.6, 0.01, None, 7, 1, 1, 1, 2)
    assert Edge.of(told, (0.1, 0.2), is_long=True) == Edge(0.6, 0.01, 7, (0.1, 0.2))
    assert Edge.of(told, None, is_long=False) == Edge(0.4, -0.01, 7)
    assert Edge.of(None, (0.1, 0.2), is_long=True) == Edge(payoff=(0.1, 0.2))


@pytest.mark.parametrize(
    ("sizing", "exits", "predicts", "paragraph"),
    [
        ({"payoff": "exits"}, {"stop_frac": 0.1, "target_frac": 0.1}, False, "must be 'trades'"),
        ({"payoff": "expected_return"}, {}, False, "must be 'trades'"),
        ({"payoff": "exits"}, {"stop_frac": 0.1}, True, "needs a stop and a target"),
        ({"payoff": "exits"}, {"target_frac": 0.1}, True, "needs a stop and a target"),
    ],
)
def test_kelly_without_what_it_needs_is_refused(
    sizing: dict[str, Any], exits: dict[str, Any], predicts: bool, paragraph: str
) -> None:
    with pytest.raises(ValueError, match=paragraph):
        check_sizing(kelly(**sizing), Exits(**exits), predicts=predicts)


def test_bars_before_cover_what_each_sizing_looks_back() -> None:
    parity = RiskParitySizing(annual_volatility_frac=0.3, half_life_bars=7)
    found = [
        make_sizers(sizing, make_context(), "s", ("X.V",), DAY_NS)["X.V"].bars_before
        for sizing in (
            FixedNotional(notional=1.0),
            FixedNotional(notional=1.0, max_volume_frac=0.1, volume_bars=30),
            VolatilityTarget(annual_volatility_frac=0.3, half_life_bars=5),
            kelly(payoff="exits", half_life_bars=5),
            kelly(payoff="expected_return", half_life_bars=5),
            parity,
        )
    ]
    assert found == [0, 30, 50, 0, 50, 70]


# Caps and risk parity


def volumes(sizing: Sizing, *told: float) -> Sizer:
    sizer = Sizer(sizing, DAY_NS)
    for number, volume in enumerate(told):
        sizer.update(BarClosed("X.V", number * DAY_NS, 100.0, 100.0, 100.0, 100.0, volume))
    return sizer


def test_share_of_recent_volume_caps_any_entry() -> None:
    sizing = FixedNotional(notional=10_000.0, max_volume_frac=0.1, volume_bars=3)
    assert not volumes(sizing, 10, 20).is_ready
    assert volumes(sizing, 10, 20).quantity(1e6, 100.0) == 0
    # The last three of four have a mean of 30: a tenth of it is 3, and 100 were wished.
    assert volumes(sizing, 500, 20, 30, 40).quantity(1e6, 100.0) == 3
    assert volumes(sizing, 5_000, 5_000, 5_000).quantity(1e6, 100.0) == 100
    assert volumes(sizing, 0, 0, 0).quantity(1e6, 100.0) == 0


def test_fraction_of_equity_caps_a_fixed_amount() -> None:
    sizer = Sizer(FixedNotional(notional=500.0, max_fraction=0.1), DAY_NS)
    assert sizer.quantity(1_000.0, 10.0) == 10
    assert sizer.quantity(100_000.0, 10.0) == 50
    assert sizer.quantity(-1.0, 10.0) == 0


def test_risk_parity_gives_two_strategies_of_one_desk_their_parts() -> None:
    sizing = RiskParitySizing(annual_volatility_frac=0.2, half_life_bars=2, max_fraction=10)
    context = make_context()
    sizers = [
        make_sizers(sizing, context, f"s-{number}", (name,), DAY_NS)[name]
        for number, name in enumerate(("A.V", "B.V"))
    ]
    swings = {"A.V": (100.0, 110.0), "B.V": (100.0, 105.0)}
    for number in range(40):
        for sizer, (name, ends) in zip(sizers, swings.items(), strict=True):
            # B takes two days for a swing: it is as often along with A as against it.
            close = ends[number % 2] if name == "A.V" else ends[number // 2 % 2]
            sizer.update(BarClosed(name, (number + 1) * DAY_NS, close, close, close, close, 1.0))
    a, b = (float(sizer.quantity(10_000.0, 100.0)) for sizer in sizers)
    # Two markets: values are as 1 / s1 : 1 / s2, whatever the correlation.
    matrix = context.risk_parity._covariance.matrix()
    assert matrix[0, 0] == pytest.approx(math.log(1.1) ** 2 * 365)
    assert a / b == pytest.approx(math.sqrt(matrix[1, 1] / matrix[0, 0]))
    held = [a * 100.0, b * 100.0]
    total = held[0] ** 2 * matrix[0, 0] + held[1] ** 2 * matrix[1, 1]
    total += 2 * held[0] * held[1] * matrix[0, 1]
    assert math.sqrt(total) == pytest.approx(0.2 * 10_000)


METHODS: list[Sizing] = [
    FixedNotional(notional=5_000.0),
    FixedNotional(notional=5_000.0, max_fraction=0.5, max_volume_frac=0.2, volume_bars=3),
    EquityFraction(fraction=0.7, max_fraction=0.6),
    VolatilityTarget(
        annual_volatility_frac=0.4, half_life_bars=3, max_volume_frac=0.3, volume_bars=4
    ),
    kelly(),
    kelly(payoff="expected_return", half_life_bars=3, max_fraction=2),
    kelly(payoff="trades", start_fraction=0.02),
    RiskParitySizing(
        annual_volatility_frac=0.3, half_life_bars=3, max_volume_frac=0.5, volume_bars=4
    ),
]


@given(
    st.sampled_from(METHODS),
    st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(0, 1e9)), min_size=1, max_size=12),
    st.floats(-1e6, 1e9, allow_subnormal=False),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.tuples(st.floats(1e-6, 10), st.floats(1e-6, 1)),
)
@example(METHODS[2], [(875_637.4, 0.0)], 3.6e-308, 0.5, 0.0, (0.1, 0.05))
def test_any_sizing_is_finite_grows_with_equity_and_stays_below_its_caps(
    sizing: Sizing,
    bars: list[tuple[float, float]],
    equity: float,
    probability: float,
    expected: float,
    payoff: tuple[float, float],
) -> None:
    sizer = make_sizers(sizing, make_context(), "s-001", ("X.V",), DAY_NS)["X.V"]
    for number, (close, volume) in enumerate(bars):
        ts = (number + 1) * DAY_NS
        sizer.update(BarClosed("X.V", ts, close, close, close, close, volume))
    price = bars[-1][0]
    edge = Edge(probability, expected, 5 * DAY_NS, payoff)
    quantity = sizer.quantity(equity, price, edge)
    assert quantity.is_finite()
    assert quantity >= 0
    assert sizer.quantity(equity + 1_000.0, price, edge) >= quantity
    if not sizer.is_ready:
        assert quantity == 0
    if sizing.max_fraction is not None:
        assert float(quantity) * price <= max(equity, 0) * sizing.max_fraction * (1 + 1e-12)
    if sizing.max_volume_frac is not None and quantity:
        last = [volume for _, volume in bars[-sizing.volume_bars :]]
        assert float(quantity) <= sum(last) / len(last) * sizing.max_volume_frac * (1 + 1e-12)
    better = Edge(min(probability + 0.1, 1), expected + 0.1, 5 * DAY_NS, payoff)
    assert sizer.quantity(equity, price, better) >= quantity


@pytest.mark.parametrize("sizing", METHODS[:6])
def test_sizer_restored_from_what_was_saved_goes_on_identically(sizing: Sizing) -> None:
    whole, broken = (Sizer(sizing, DAY_NS) for _ in range(2))
    edge = Edge(0.7, 0.05, DAY_NS, (0.1, 0.05))
    for number, close in enumerate([100.0, 104.0, 99.0, 103.0, 101.0, 108.0]):
        saved = msgspec.json.encode(broken.save())
        broken = Sizer(sizing, DAY_NS)
        broken.restore(msgspec.json.decode(saved, type=SizerState))
        bar = BarClosed("X.V", number * DAY_NS, close, close, close, close, 50.0 + number)
        for sizer in (whole, broken):
            sizer.update(bar)
        broken.update(bar)  # The past is told again after a restart
        assert broken.is_ready == whole.is_ready
        assert broken.quantity(10_000.0, close, edge) == whole.quantity(10_000.0, close, edge)
    assert whole.is_ready


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
        (FractionalKelly, {"method": "kelly", "payoff": "luck"}),
        (FractionalKelly, {"method": "kelly", "payoff": "exits", "multiplier": 1.1}),
        (FractionalKelly, {"method": "kelly", "payoff": "trades", "trades": 10, "min_trades": 11}),
        (
            FractionalKelly,
            {"method": "kelly", "payoff": "trades", "max_fraction": 0.1, "start_fraction": 0.2},
        ),
        (FixedNotional, {"method": "fixed_notional", "notional": 1, "max_volume_frac": 0}),
        (RiskParitySizing, {"method": "risk_parity", "annual_volatility_frac": -1}),
    ],
)
def test_impossible_sizing_is_refused(kind: type[Settings], data: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        decode(data, kind, "desk.toml: sizing")
