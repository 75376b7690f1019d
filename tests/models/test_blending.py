from __future__ import annotations

import math
import tracemalloc
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.models.blending import (
    Blender,
    Gathering,
    Outcomes,
    RecentLosses,
    blend,
    exponential_weights,
    log_loss,
)
from aitb_nautilus.training.labels import label_bars
from aitb_nautilus.training.leaks import check_changed_future, check_cut_history
from aitb_nautilus.training.settings import ReturnLabel, SignLabel
from tests.bar_samples import MINUTE_NS, walk


def outcomes(horizon: int = 2, longest_gap: int = 0, cost: float = 0.0) -> Outcomes:
    """Return outcomes over so many bars of one minute."""
    return Outcomes(horizon * MINUTE_NS, (longest_gap + 1) * MINUTE_NS, cost)


def tell(known: Outcomes, minute: int, close: float) -> list[tuple[str, bool]]:
    """Take a bar, remember its own minute as what was said, and return what has come true."""
    found = known.hear_bar(minute * MINUTE_NS, close)
    known.remember(minute * MINUTE_NS, (float(minute),))
    return [(f"{said[0]:g}", up) for said, up in found]


@pytest.mark.parametrize(("weights", "probabilities", "probability", "confidence"), [
    ((0.5, 0.5), (0.25, 0.75), 0.5, 0.5),
    ((0.5, 0.5), (0.0, 1.0), 0.5, 0.0),
    ((0.75, 0.25), (0.5, 1.0), 0.625, 1 - 2 * math.sqrt(0.046875)),
    ((0.25, 0.25, 0.5), (0.5, 0.5, 0.75), 0.625, 0.75),
    ((1.0,), (0.3,), 0.3, 1.0),
])  # fmt: skip
def test_blend_is_the_mean_and_its_agreement(
    weights: tuple[float, ...], probabilities: tuple[float, ...], probability: float,
    confidence: float,
) -> None:  # fmt: skip
    assert blend(weights, probabilities) == (probability, confidence)


def test_blend_equals_exact_arithmetic_and_stays_within_its_bounds() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        count = int(random.integers(2, 9))
        weights = exponential_weights(random.uniform(0.01, 5, count).tolist(), [0.0] * count, 1.0)
        given = [float(p) for p in random.choice([0.0, 0.1, 1 / 3, 0.7, 1.0], count)]
        probability, confidence = blend(weights, given)
        mean = sum(Fraction(w) * Fraction(p) for w, p in zip(weights, given, strict=True))
        spread = sum(
            Fraction(w) * (Fraction(p) - mean) ** 2 for w, p in zip(weights, given, strict=True)
        )
        assert probability == pytest.approx(float(mean), abs=1e-15)
        assert (1 - confidence) ** 2 / 4 == pytest.approx(float(spread), abs=1e-14)
        assert min(given) <= probability <= max(given)
        assert 0.0 <= confidence <= 1.0


def test_members_that_all_say_the_same_are_fully_agreed_and_unchanged() -> None:
    for count in range(2, 12):
        weights = exponential_weights([1.0] * count, [0.0] * count, 1.0)
        assert blend(weights, [0.1] * count) == (0.1, 1.0)


def test_exponential_weights_by_hand() -> None:
    assert exponential_weights((1, 3), (5.0, 5.0), 2.0) == (0.25, 0.75)
    # Log losses as sums of -log p with sharpness 1: Bayes' rule on 1/2 against 1/4.
    found = exponential_weights((1, 1), (-math.log(0.5), -math.log(0.25)), 1.0)
    assert found == pytest.approx((2 / 3, 1 / 3), abs=1e-16)


@pytest.mark.parametrize(("prior", "losses", "sharpness"), [
    ((1.0, 2.0, 3.0), (345.7, 345.1, 346.2), 0.5),
    ((1e-300, 1e300), (0.0, 1381.0), 1.0),
    ((1.0, 1.0), (1e7, 1e7 + 3), 1.0),
    ((5e-324, 1.0, 1e308), (0.0, 0.0, 0.0), 1000.0),
    ((0.1, 0.9), (8000.0, 1.0), 1000.0),
])  # fmt: skip
def test_exponential_weights_equal_exact_arithmetic_however_extreme(
    prior: tuple[float, ...], losses: tuple[float, ...], sharpness: float
) -> None:
    with localcontext(prec=60, Emin=-(10**9), Emax=10**9):
        terms = [
            Decimal(p) * (-Decimal(sharpness) * Decimal(loss)).exp()
            for p, loss in zip(prior, losses, strict=True)
        ]
        exact = [float(term / sum(terms)) for term in terms]
    found = exponential_weights(prior, losses, sharpness)
    assert found == pytest.approx(exact, rel=1e-12, abs=1e-300)
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-15)


def test_log_loss_of_a_sure_and_wrong_probability_is_finite() -> None:
    assert log_loss(0.25, True) == -math.log(0.25)
    assert log_loss(0.25, False) == -math.log(0.75)
    assert log_loss(0.0, True) == log_loss(1.0, False) == -math.log(1e-7)
    assert log_loss(1.0, True) == 0.0


def test_losses_of_a_million_outcomes_have_not_drifted() -> None:
    random = np.random.default_rng(2)
    told = random.uniform(0, 1, (1_000_000, 2)).tolist()
    ups = (random.uniform(0, 1, len(told)) < 0.5).tolist()
    whole, late = RecentLosses(2, 500), RecentLosses(2, 500)
    for probabilities, up in zip(told, ups, strict=True):
        whole.add(probabilities, up)
    for probabilities, up in zip(told[-500:], ups[-500:], strict=True):
        late.add(probabilities, up)
    assert len(whole) == 500
    assert whole.excess() == late.excess()
    sums = [
        math.fsum(log_loss(p[i], up) for p, up in zip(told[-500:], ups[-500:], strict=True))
        for i in range(2)
    ]
    assert whole.excess() == pytest.approx([s - min(sums) for s in sums], abs=1e-12)


def test_outcome_is_known_at_the_bar_that_ends_the_horizon() -> None:
    known = outcomes()
    assert tell(known, 1, 100.0) == []
    assert tell(known, 2, 101.0) == []
    assert tell(known, 3, 100.5) == [("1", True)]
    assert tell(known, 4, 101.0) == [("2", False)]
    assert tell(known, 5, 100.6) == [("3", True)]


def test_return_that_only_pays_the_costs_is_not_up() -> None:
    cost = 101.0 / 100.0 - 1.0
    for paid, up in ((cost, False), (math.nextafter(cost, 0), True)):
        known = outcomes(1, cost=paid)
        tell(known, 1, 100.0)
        assert tell(known, 2, 101.0) == [("1", up)]


def test_missing_bar_at_the_end_counts_as_the_last_close_before_it() -> None:
    known = outcomes(2, longest_gap=1)
    tell(known, 1, 100.0)
    tell(known, 2, 99.0)
    # Minute 3 is missing: 1 ends at the close of 2, and 2 ends now.
    assert tell(known, 4, 105.0) == [("1", False), ("2", True)]


def test_gap_longer_than_is_bridged_leaves_its_predictions_without_an_outcome() -> None:
    known = outcomes(2, longest_gap=1)
    tell(known, 1, 100.0)
    tell(known, 2, 101.0)
    tell(known, 3, 102.0)
    assert tell(known, 6, 110.0) == []
    assert tell(known, 7, 111.0) == []
    assert tell(known, 8, 112.0) == [("6", True)]


def test_what_is_said_late_counts_and_what_is_said_after_its_end_does_not() -> None:
    known = outcomes(2)
    for minute in (1, 2):
        known.hear_bar(minute * MINUTE_NS, 100.0 + minute)
    known.remember(MINUTE_NS, (0.7,))
    known.remember(5 * MINUTE_NS, (0.9,))
    assert known.hear_bar(3 * MINUTE_NS, 110.0) == [((0.7,), True)]
    known.remember(MINUTE_NS, (0.7,))
    assert known.hear_bar(4 * MINUTE_NS, 110.0) == []


@pytest.mark.parametrize("longest_gap", [0, 1, 3])
@pytest.mark.parametrize("label", [
    SignLabel(horizon_bars=1),
    SignLabel(horizon_bars=7, cost_bps=2.0),
    ReturnLabel(horizon_bars=4, cost_bps=0.5),
])  # fmt: skip
def test_outcomes_equal_the_labels_of_training_on_bars_with_gaps(
    label: SignLabel | ReturnLabel, longest_gap: int
) -> None:
    random = np.random.default_rng(4)
    bars = walk(2000)
    bars = bars.take(random.uniform(size=2000) < np.repeat(random.uniform(0.3, 1.2, 40), 50))
    labels = label_bars(bars, label, MINUTE_NS, longest_gap)
    known = Outcomes(
        label.horizon_bars * MINUTE_NS, (longest_gap + 1) * MINUTE_NS, label.cost_bps * 1e-4
    )
    found = []
    for row, (ts, close) in enumerate(zip(bars.ts_close.tolist(), bars.close, strict=True)):
        found += known.hear_bar(ts, float(close))
        known.remember(ts, (float(row),))
    assert [(int(said[0]), up) for said, up in found] == [
        (int(row), bool(labels.up[row])) for row in np.flatnonzero(labels.known)
    ]
    assert 20 < len(found) < len(bars)


def test_outcomes_keep_no_more_than_the_horizon() -> None:
    known = outcomes(5)
    tracemalloc.start()
    try:
        for minute in range(20_000):
            tell(known, minute, 100.0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20_000


def test_gathering_is_complete_with_the_last_that_lacked() -> None:
    gathering: Gathering[str] = Gathering(3)
    assert gathering.put(1, 2, "c") is None
    assert gathering.put(1, 0, "a") is None
    assert gathering.put(1, 1, "b") == ["a", "b", "c"]


def test_incomplete_set_is_dropped_when_something_newer_comes() -> None:
    gathering: Gathering[str] = Gathering(2)
    gathering.put(1, 0, "a1")
    assert gathering.put(2, 0, "a2") is None
    assert gathering.put(1, 1, "b1") is None
    assert gathering.put(2, 1, "b2") == ["a2", "b2"]


def test_what_comes_again_after_the_set_was_complete_makes_no_second_one() -> None:
    gathering: Gathering[str] = Gathering(2)
    gathering.put(1, 0, "a")
    assert gathering.put(1, 1, "b") == ["a", "b"]
    assert gathering.put(1, 0, "a") is None
    assert gathering.put(1, 1, "b") is None
    gathering.put(2, 0, "old")
    gathering.put(2, 0, "new")
    assert gathering.put(2, 1, "b") == ["new", "b"]


def test_given_weights_hold_until_enough_outcomes_are_known() -> None:
    blender = Blender((3.0, 1.0), outcomes(1), RecentLosses(2, 10), min_resolved=2)
    for minute, close in enumerate((100.0, 101.0, 102.0, 103.0), 1):
        blender.hear_bar(minute * MINUTE_NS, close)
        if minute < 3:
            assert blender.weights == (0.75, 0.25)
        assert blender.answer(minute * MINUTE_NS, (0.25, 0.5))[0] <= 0.5
    # Three outcomes, all up: 3 * (1/4)^3 against 1 * (1/2)^3.
    assert blender.weights == pytest.approx((3 / 11, 8 / 11), abs=1e-15)


def test_weights_forget_what_has_left_the_window() -> None:
    blender = Blender((1.0, 1.0), outcomes(1), RecentLosses(2, 3), sharpness=0.5)
    blender.hear_bar(0, 100.0)
    blender.answer(0, (0.0, 1.0))
    for minute in range(1, 6):
        blender.hear_bar(minute * MINUTE_NS, 100.0 + minute)
        if minute == 1:
            assert blender.weights[0] < 0.001
        blender.answer(minute * MINUTE_NS, (0.5, 0.5))
    assert blender.weights == (0.5, 0.5)


def test_blender_without_outcomes_keeps_its_weights() -> None:
    blender = Blender((1.0, 3.0))
    for minute in range(5):
        blender.hear_bar(minute * MINUTE_NS, 100.0 + minute)
        assert blender.answer(minute * MINUTE_NS, (0.0, 1.0))[0] == 0.75


def followed(bars: BarFrame, ahead: int = 0) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return what an ensemble of three says at each bar; with `ahead`, one that hears the future.

    Its members answer momentum, reversion and nothing, each only by the closes so far.
    """
    blender = Blender(
        (1.0, 2.0, 1.0),
        Outcomes(4 * MINUTE_NS, 3 * MINUTE_NS, 1e-4),
        RecentLosses(3, 40),
        sharpness=0.5,
        min_resolved=5,
    )
    rows = []
    close = bars.close.tolist()
    for i, ts in enumerate(bars.ts_close.tolist()):
        blender.hear_bar(ts, close[min(i + ahead, len(close) - 1)])
        moved = math.tanh(200 * (close[i] / close[max(i - 3, 0)] - 1))
        rows.append(
            [*blender.answer(ts, (0.5 + moved / 3, 0.5 - moved / 3, 0.5)), *blender.weights]
        )
    return bars.ts_close, np.array(rows)


def test_ensemble_at_every_bar_knows_nothing_of_the_future() -> None:
    kept = np.ones(200, np.bool_)
    kept[[40, 41, 80, 110, 111, 112, 113]] = False
    bars = walk(200).take(kept)
    _, values = followed(bars)
    assert len(np.unique(values[:, 2])) > 100, "the weights must move, or nothing is shown"
    assert check_cut_history(followed, bars, range(1, len(bars) + 1)) == []
    assert check_changed_future(followed, bars, range(1, len(bars), 5)) == []


def test_planted_outcome_of_the_next_bar_is_found() -> None:
    bars = walk(120)
    assert check_cut_history(lambda cut: followed(cut, ahead=1), bars, range(20, 120))
    assert check_changed_future(lambda cut: followed(cut, ahead=1), bars, range(20, 120))
