"""Weights of equal risk against numbers by hand, and a desk that shares them out."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.risk_parity import RiskParity, RiskParityState, risk_budget_weights
from aitb_nautilus.risk.sizing_settings import RiskParitySizing

HOUR = 3_600 * 10**9
PARITY = RiskParitySizing(annual_volatility_frac=0.2, half_life_bars=4, shrinkage=0.0)


def covariance_of(deviations: list[float], correlation: float) -> np.ndarray:
    n = len(deviations)
    matrix = np.full((n, n), correlation)
    np.fill_diagonal(matrix, 1.0)
    return matrix * np.outer(deviations, deviations)


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.9])
def test_two_markets_get_weights_by_inverse_volatility_whatever_their_correlation(
    correlation: float,
) -> None:
    # Maillard et al., section 2: w1 : w2 = 1 / s1 : 1 / s2 for n = 2.
    weights = risk_budget_weights(covariance_of([0.1, 0.4], correlation), np.ones(2))
    assert weights == pytest.approx([0.8, 0.2])


def test_three_markets_of_which_two_are_one_share_what_both_together_are_due() -> None:
    # 1 and 2 are nearly the same, 3 is apart; all as volatile. Contributions w1 (w1 + w2) twice
    # and w3 squared are equal: with w1 = w2 that is 2 w1^2 = w3^2.
    matrix = np.array([[1.0, 1.0 - 1e-9, 0.0], [1.0 - 1e-9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    weights = risk_budget_weights(matrix, np.ones(3))
    root = math.sqrt(2)
    assert weights == pytest.approx(np.array([1, 1, root]) / (2 + root), rel=1e-6)


def test_budgets_are_the_proportions_of_the_contributions() -> None:
    matrix = covariance_of([0.2, 0.5, 0.9], 0.3)
    weights = risk_budget_weights(matrix, np.array([1.0, 2.0, 3.0]))
    contributions = weights * (matrix @ weights)
    assert contributions / contributions[0] == pytest.approx([1.0, 2.0, 3.0])


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_contributions_of_any_market_are_equal_and_the_order_says_nothing(
    n: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    returns = generator.normal(size=(3 * n + 5, n)) + generator.normal(size=(3 * n + 5, 1))
    scales = 10 ** generator.uniform(-6, 3, n)
    matrix = np.cov(returns.T).reshape(n, n) * np.outer(scales, scales)
    weights = risk_budget_weights(matrix, np.ones(n))
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)
    contributions = weights * (matrix @ weights)
    assert contributions == pytest.approx(np.full(n, contributions.mean()), rel=1e-7)
    order = generator.permutation(n)
    again = risk_budget_weights(matrix[np.ix_(order, order)], np.ones(n))
    assert again == pytest.approx(weights[order], rel=1e-7)


def test_markets_that_cancel_each_other_out_get_weights_by_inverse_volatility() -> None:
    weights = risk_budget_weights(covariance_of([0.1, 0.4], -1.0), np.ones(2))
    assert weights == pytest.approx([0.8, 0.2])


# A desk


def bar(name: str, number: int, close: float) -> BarClosed:
    return BarClosed(name, (number + 1) * HOUR, close, close, close, close, 1.0)


def closes(seed: int, scale: float, count: int = 40) -> list[float]:
    steps = np.random.default_rng(seed).normal(0, scale, count)
    return (100 * np.exp(np.cumsum(steps))).tolist()


A, B, C = "A.V", "B.V", "C.V"
MARKETS = {A: closes(1, 0.01), B: closes(2, 0.03), C: closes(3, 0.002)}


def desk(*legs: tuple[str, tuple[str, ...]], sizing: RiskParitySizing = PARITY) -> RiskParity:
    parity = RiskParity()
    for component_id, instruments in legs:
        parity.join(component_id, instruments, sizing, HOUR)
    return parity


def shares(parity: RiskParity, names: list[str], until: int = 40) -> dict[str, float]:
    """Tell all bars, those of one time in the order of `names`."""
    for number in range(until):
        for name in names:
            parity.hear_bar(bar(name, number, MARKETS[name][number]))
    return {name: parity.share(name) for name in names}


def yearly(name: str, until: int) -> float:
    """Return the yearly variance that the covariance's formula gives for bars before `until`."""
    returns = np.diff(np.log(MARKETS[name][:until]))
    weights = 2.0 ** (-np.arange(len(returns))[::-1] / 4)
    return float((weights * returns**2).sum() / weights.sum() * 365 * 24)


def test_one_leg_alone_has_all_the_risk() -> None:
    share = shares(desk(("s", (A,))), [A])[A]
    # Decisions at a time see what was before it: 39 bars of 40.
    assert share == pytest.approx(1 / math.sqrt(yearly(A, 39)))


def test_legs_in_one_instrument_share_what_it_is_due() -> None:
    one = shares(desk(("s", (A,))), [A])[A]
    assert shares(desk(("s", (A,)), ("t", (A,))), [A])[A] == pytest.approx(one / 2)


def test_every_leg_of_a_desk_contributes_the_same_and_all_make_the_target() -> None:
    parity = desk(("s", (A, B)), ("t", (B, C)))
    share = shares(parity, [A, B, C])
    held = np.array([share[A], 2 * share[B], share[C]])
    index = parity._covariance.index
    places = [index[name] for name in (A, B, C)]
    matrix = parity._covariance.matrix()[np.ix_(places, places)]
    contributions = held * (matrix @ held)
    assert contributions == pytest.approx([0.25, 0.5, 0.25], rel=1e-6)


def test_neither_the_order_of_strategies_nor_that_of_bars_changes_a_share() -> None:
    legs = [("s", (A, B)), ("t", (B, C)), ("u", (C, A))]
    found = [
        shares(desk(*order), list(names))
        for order in itertools.permutations(legs)
        for names in itertools.permutations([A, B, C])
    ]
    for one in found:
        assert {name: one[name] for name in (A, B, C)} == {n: found[0][n] for n in (A, B, C)}


def test_bar_of_the_time_that_is_decided_on_does_not_count_yet() -> None:
    parity = desk(("s", (A, B)))
    shares(parity, [A, B], until=20)
    before = parity.share(A)
    parity.hear_bar(bar(A, 20, 1_000.0))
    between = parity.share(A)
    parity.hear_bar(bar(B, 20, MARKETS[B][20]))
    last_time = parity.share(A)
    assert between == last_time != before
    parity.hear_bar(bar(A, 21, 1_000.0))
    assert parity.share(A) < last_time / 2


def test_bars_brought_by_two_strategies_count_once() -> None:
    once = desk(("s", (A,)), ("t", (A,)))
    twice = desk(("s", (A,)), ("t", (A,)))
    for number in range(30):
        for parity, times in ((once, 1), (twice, 2)):
            for _ in range(times):
                parity.hear_bar(bar(A, number, MARKETS[A][number]))
    assert twice.share(A) == once.share(A)


def test_instrument_that_is_not_known_yet_keeps_its_part_of_the_risk_free() -> None:
    parity = desk(("s", (A, B)))
    share = shares(parity, [A])
    assert share[A] == pytest.approx(0.5 / math.sqrt(yearly(A, 39)))
    assert not parity.knows(B)


def test_market_that_stands_still_is_not_known() -> None:
    parity = desk(("s", (A,)))
    for number in range(20):
        parity.hear_bar(bar(A, number, 100.0))
    assert not parity.knows(A)


@pytest.mark.parametrize("scale", [0.01, 0.013, 0.02, 0.037, 0.1])
def test_markets_that_cancel_each_other_out_have_no_size_that_makes_the_target(
    scale: float,
) -> None:
    parity = desk(("s", (A, B)))
    steps = np.random.default_rng(7).normal(0, scale, 40)
    ups = 100 * np.exp(np.cumsum(steps))
    downs = 50 * np.exp(np.cumsum(-3 * steps))
    for number in range(40):
        parity.hear_bar(bar(A, number, float(ups[number])))
        parity.hear_bar(bar(B, number, float(downs[number])))
    assert [parity.share(A), parity.share(B)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("sizing", "interval", "paragraph"),
    [
        ({"half_life_bars": 5}, HOUR, "sizing.half_life_bars: was 5, but 4 in s-001"),
        ({"shrinkage": 0.5}, HOUR, "sizing.shrinkage: was 0.5, but 0 in s-001"),
        ({"annual_volatility_frac": 0.3}, HOUR, "frac: was 0.3, but 0.2 in s-001"),
        ({}, HOUR // 60, "interval, in seconds,: was 60, but 3600 in s-001"),
    ],
)
def test_strategies_that_disagree_on_the_desk_are_refused(
    sizing: dict[str, float], interval: int, paragraph: str
) -> None:
    parity = desk(("s-001", (A,)))
    with pytest.raises(ConfigError) as caught:
        parity.join("t-002", (B,), msgspec.structs.replace(PARITY, **sizing), interval)
    assert paragraph in str(caught.value)
    assert "they share one desk" in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 15, 40, 41])
def test_desk_restored_from_what_was_saved_goes_on_identically(cut: int) -> None:
    told = [bar(n, i, MARKETS[n][i]) for i in range(30) for n in (A, B, C)]
    parity, other = desk(("s", (A, B, C))), desk(("s", (A, B, C)))
    for one in told[:cut]:
        parity.hear_bar(one)
    saved = msgspec.json.encode(parity.save())
    other.restore(msgspec.json.decode(saved, type=RiskParityState))
    for one in told[cut:]:
        for each in (parity, other):
            each.hear_bar(one)
        assert other.share(A) == parity.share(A)
    assert other.save() == parity.save()
