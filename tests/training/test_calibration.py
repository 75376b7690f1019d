from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.training.calibration import Isotonic, Sigmoid, fit_calibration


def drawn(slope: float, offset: float, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    score = random.normal(size=count)
    chance = 1 / (1 + np.exp(-(slope * score + offset)))
    return score, random.random(count) < chance


def test_sigmoid_finds_the_curve_that_the_classes_were_drawn_from() -> None:
    found = fit_calibration("sigmoid", *drawn(0.7, -0.3), "x")
    assert isinstance(found, Sigmoid)
    assert (found.slope, found.offset) == pytest.approx((0.7, -0.3), abs=0.04)


def test_isotonic_is_near_the_curve_that_the_classes_were_drawn_from() -> None:
    score, up = drawn(1.5, 0.2)
    found = fit_calibration("isotonic", score, up, "x")
    assert isinstance(found, Isotonic)
    inner = np.linspace(-1.2, 1.2, 30)
    assert found.apply(inner) == pytest.approx(1 / (1 + np.exp(-(1.5 * inner + 0.2))), abs=0.04)
    assert (np.diff(found.scores) > 0).all()
    assert (np.diff(found.chances) >= 0).all()
    assert 0 < found.chances[0] < found.chances[-1] < 1


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_score_that_ranks_backwards_gives_one_answer_to_all(method: str) -> None:
    score, up = drawn(-1.0, 0.4)
    answers = fit_calibration(method, score, up, "x").apply(np.linspace(-3, 3, 50))
    assert np.ptp(answers) < 1e-6
    assert answers[0] == pytest.approx(up.mean(), abs=0.01)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_constant_score_gives_the_share_of_ups(method: str) -> None:
    up = np.arange(300) % 3 == 0
    answers = fit_calibration(method, np.full(300, 0.25), up, "x").apply(np.array([-1.0, 0.25, 9]))
    assert answers == pytest.approx([1 / 3] * 3, abs=0.02)


def test_perfect_score_never_gives_certainty() -> None:
    score = np.linspace(-1, 1, 400)
    for method in ("sigmoid", "isotonic"):
        answers = fit_calibration(method, score, score > 0, "x").apply(score)
        assert 0 < answers[0] < 0.1
        assert 0.9 < answers[-1] < 1


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="the 60 rows for the calibration are all not up"):
        fit_calibration("sigmoid", np.arange(60.0), np.zeros(60, bool), "model m")
