"""Correlation-aware limits: what they do not know, what they look at, and that less is allowed."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings as tries, strategies as st

from aitb_nautilus.risk.limits_correlation import MaxCluster, _some, clusters
from tests.risk.limit_lab import YEAR, ZAGZIG, ZIGZAG, Desk, X, Y, Z, settings

NAMES = (X, Y, Z)


def desk_with(**correlation: float) -> Desk:
    return Desk(settings(correlation={"min_bars": 2} | correlation))


def yearly(desk: Desk, **closes: tuple[float, ...]) -> None:
    for i in range(3):
        for j, (name, path) in enumerate(closes.items()):
            desk.bar(path[i], YEAR if j == 0 and i else 0, {"X": X, "Y": Y, "Z": Z}[name])


def test_nothing_opens_in_an_instrument_of_which_too_little_is_known() -> None:
    desk = desk_with(max_volatility_frac=0.5)
    desk.bar(100.0)
    refused = desk.ask("1")
    assert (refused.quantity, refused.limit) == (0, "max_volatility_frac")
    assert refused.line == (
        "0 returns of X.V were seen, and max_volatility_frac needs 2 (risk.correlation.min_bars); "
        "wait for more bars"
    )


def test_nothing_opens_beside_a_position_of_which_too_little_is_known() -> None:
    desk = desk_with(max_volatility_frac=0.5)
    yearly(desk, X=ZIGZAG)
    desk.bar(100.0, instrument=Y)
    assert desk.ask("1").line == ""
    desk.trade("1", instrument=Y)
    assert "0 returns of Y.V were seen" in desk.ask("1").line


def test_instrument_of_which_too_little_is_known_belongs_to_every_cluster() -> None:
    desk = desk_with(max_cluster_notional=800.0)
    yearly(desk, X=ZIGZAG, Z=ZAGZIG)
    desk.bar(100.0, instrument=Y)
    desk.trade("5", instrument=Y)
    assert desk.ask("4").quantity == 3
    assert desk.ask("4", instrument=Z).quantity == 3
    desk.trade("3", instrument=Z)
    refused = desk.ask("1", instrument=Y)
    assert refused.quantity == 0
    assert "what moves together (everything)" in refused.line


def test_cluster_ends_where_the_config_says() -> None:
    # X moves by 1 and 1, Y by 1 and 0, Z by 1 and -0.01: Y is correlated with X by 0.7071, Z by
    # 0.7, and both with each other.
    desk = desk_with(max_cluster_notional=800.0, cluster_correlation=0.7035, shrinkage=0.0,
                     half_life_bars=1_000_000)  # fmt: skip
    step = math.log(1.1)
    moves = {"X": (1, 1), "Y": (1, 0), "Z": (1, -0.01)}
    closes = {
        name: (100 * math.exp(-step * (a + b)), 100 * math.exp(-step * b), 100.0)
        for name, (a, b) in moves.items()
    }
    yearly(desk, **closes)
    (limit,) = [one for one in desk.guard.limits if isinstance(one, MaxCluster)]
    correlation = limit.portfolio.covariance.correlation()
    assert correlation[0, 1:].tolist() == pytest.approx([0.7071, 0.7], abs=2e-4)
    desk.trade("5", instrument=Y)
    assert desk.ask("4").quantity == 3
    found = clusters([X, Z], correlation[np.ix_([0, 2], [0, 2])], limit.threshold)
    assert found == {X: {X}, Z: {Z}}


def test_line_of_a_large_cluster_names_the_instrument_and_a_few_others() -> None:
    assert _some("D", tuple("ABCDE")) == "D, A, B, C, E"
    assert _some("D", tuple("ABCDEF")) == "D, A, B, C and 2 more"


def test_cluster_stands_in_the_order_of_names_whatever_their_hashes_are() -> None:
    # Its values are added up in that order; sums of float64 in another one may differ.
    desk = desk_with(max_cluster_notional=800.0)
    yearly(desk, Z=ZIGZAG, X=ZIGZAG)
    desk.bar(100.0, instrument=Y)
    (limit,) = [one for one in desk.guard.limits if isinstance(one, MaxCluster)]
    assert limit.cluster(X, desk.ledger) == (X, Y, Z)
    assert limit.cluster(Y, desk.ledger) is None


def test_clusters_follow_the_correlations() -> None:
    desk = desk_with(max_cluster_notional=800.0, half_life_bars=2, shrinkage=0.0)
    yearly(desk, X=ZIGZAG, Y=ZAGZIG)
    desk.trade("5", instrument=Y)
    assert desk.ask("8").line == ""
    for close in (110.0, 100.0) * 4:  # from now on they move together
        desk.bar(close, YEAR)
        desk.bar(close, instrument=Y)
    assert desk.ask("8").quantity == 3


def test_instrument_that_appears_without_a_bar_belongs_to_every_cluster_at_once() -> None:
    desk = desk_with(max_cluster_notional=800.0)
    yearly(desk, X=ZIGZAG)
    desk.trade("1")
    assert desk.ask("8").quantity == 7
    desk.trade("5", instrument=Y)  # no bar of it was heard
    assert desk.ask("8").quantity == 2


def test_nothing_is_known_of_a_cluster_before_the_first_bar() -> None:
    desk = desk_with(max_cluster_notional=800.0)
    desk.trade("5", instrument=X)
    assert desk.ask("4").quantity == 3


def test_what_moves_the_other_way_is_no_part_of_a_cluster() -> None:
    desk = desk_with(max_cluster_notional=800.0, shrinkage=0.0)
    yearly(desk, X=ZIGZAG, Y=ZAGZIG)
    desk.trade("5", instrument=Y)
    assert desk.ask("8").line == ""
    assert desk.ask("8", "SELL").line == ""


def test_pending_orders_count_where_they_make_it_worse_and_not_where_they_help() -> None:
    desk = desk_with(max_volatility_frac=0.01)
    yearly(desk, X=ZIGZAG)
    order = desk.rest("5")
    assert desk.ask("20").quantity == Decimal("5.492")
    order.status = "CANCELED"
    desk.ledger.withdraw_order(order.client_order_id)
    desk.rest("5", "SELL")
    assert desk.ask("20").quantity == Decimal("10.492")


def test_above_the_cap_only_what_makes_it_smaller_passes() -> None:
    desk = desk_with(max_volatility_frac=0.01)
    yearly(desk, X=ZIGZAG, Y=ZIGZAG)
    desk.trade("20", instrument=Y)
    assert desk.ask("1").quantity == 0
    assert desk.ask("5", "SELL").line == ""  # a hedge
    assert desk.ask("60", "SELL").quantity == 40  # until it is as large on the other side


def test_instrument_that_never_moved_uses_up_nothing() -> None:
    desk = desk_with(max_volatility_frac=0.05, max_risk_share_frac=0.2, shrinkage=0.0)
    yearly(desk, X=(100.0, 100.0, 100.0))
    assert desk.ask("50").line == ""
    assert not desk.guard.halts


def test_risk_share_looks_at_the_contribution_of_the_order_s_own_instrument() -> None:
    desk = desk_with(max_volatility_frac=0.05, max_risk_share_frac=0.2, shrinkage=0.0)
    yearly(desk, X=ZIGZAG, Y=ZIGZAG)
    desk.trade("10", instrument=Y)  # 95 of the budget of 500; each share may be 100
    assert desk.ask("20").quantity == Decimal("10.492")
    assert desk.ask("1", instrument=Y).quantity == Decimal("0.492")


@pytest.mark.parametrize("limit", ["max_volatility_frac", "max_risk_share_frac"])
@tries(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    held=st.lists(st.integers(-40, 40), min_size=3, max_size=3),
    pending=st.lists(st.integers(-20, 20), min_size=3, max_size=3),
    wish=st.integers(1, 200),
    side=st.sampled_from(["BUY", "SELL"]),
)
def test_what_passes_keeps_the_limit_by_an_independent_account(
    limit: str, seed: int, held: list[int], pending: list[int], wish: int, side: str
) -> None:
    generator = np.random.default_rng(seed)
    terms = {"max_volatility_frac": 0.2}
    if limit == "max_risk_share_frac":
        terms |= {"max_risk_share_frac": 0.3}
    desk = desk_with(**terms, half_life_bars=10)
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.3, (9, 3)), axis=0))
    closes[-1] = 100
    for row in closes:
        for i, name in enumerate(NAMES):
            desk.bar(float(row[i]), YEAR if i == 0 else 0, name)
    for i, name in enumerate(NAMES):
        if held[i]:
            desk.trade(str(held[i]), instrument=name)
        if pending[i]:
            desk.rest(str(abs(pending[i])), "BUY" if pending[i] > 0 else "SELL", name)
    decision = desk.ask(str(wish), side)  # type: ignore[arg-type]
    if decision.reducing or not decision.allowed:
        return
    covariance = next(one for one in desk.guard.limits if one.name == limit).portfolio.covariance  # type: ignore[attr-defined]
    matrix = covariance.matrix()
    order = [covariance.index[name] for name in NAMES]
    matrix = matrix[np.ix_(order, order)]
    budget, sign = 0.2 * desk.ledger.equity(), 1 if side == "BUY" else -1
    for others in (np.array(held), np.array(held) + np.array(pending)):
        before = others * 100.0
        after = before + np.array([sign * float(decision.quantity) * 100.0, 0, 0])

        def measure(values: np.ndarray) -> float:
            total = math.sqrt(max(values @ matrix @ values, 0.0))
            if limit == "max_volatility_frac":
                return total
            return float(values[0] * (matrix @ values)[0] / total) if total else 0.0

        most = budget if limit == "max_volatility_frac" else 0.3 * budget
        assert measure(after) <= max(most, measure(before)) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("limit", ["max_volatility_frac", "max_cluster_notional"])
def test_instrument_that_begins_later_disturbs_nobody(limit: str) -> None:
    desk = desk_with(**{limit: 1000.0 if limit == "max_cluster_notional" else 0.5})
    yearly(desk, X=ZIGZAG, Y=ZIGZAG)
    desk.trade("1", instrument=Y)
    assert desk.ask("1").line == ""
    desk.now += YEAR
    desk.bar(100.0, instrument=Z)  # the first of this time
    assert desk.ask("1").line == ""
    desk.bar(100.0)
    desk.bar(100.0, instrument=Y)
    assert desk.ask("1").line == ""
