from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from aitb_nautilus.training.baselines import class_prior, last_return_sign
from aitb_nautilus.training.metrics import calibration_table, measure, ranks_of, spreads
from tests.training.sample_maker import made_up


def test_metrics_of_four_rows_are_those_computed_by_hand() -> None:
    probability = np.array([0.2, 0.6, 0.6, 0.9])
    up = np.array([False, False, True, True])
    found = measure(probability, up, np.array([-1.0, 0.0, 1.0, 2.0]))
    assert found["auc"] == pytest.approx(3.5 / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.4, 0.6, 0.9]).mean())
    assert found["brier"] == pytest.approx((0.04 + 0.36 + 0.16 + 0.01) / 4)
    assert found["hit_rate"] == 0.75
    assert found["rank_ic"] == pytest.approx(0.9486833)


def test_metrics_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    probability, up = random.random(500).round(2), random.random(500) < 0.4
    probability = probability.clip(0.01, 0.99)
    found = measure(probability, up, random.normal(size=500))
    assert found["auc"] == pytest.approx(roc_auc_score(up, probability))
    assert found["log_loss"] == pytest.approx(log_loss(up, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(up, probability))


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_ranks_are_those_of_scipy_ties_included(count: int) -> None:
    random = np.random.default_rng(count)
    for values in (random.normal(size=count), random.integers(0, 9, count) / 8, np.zeros(count)):
        assert (ranks_of(values) == rankdata(values)).all()


def test_what_is_not_defined_is_none() -> None:
    found = measure(np.full(5, 0.5), np.ones(5, bool), np.arange(5.0))
    assert (found["auc"], found["ic"], found["rank_ic"]) == (None, None, None)
    other = measure(np.linspace(0.1, 0.9, 5), np.arange(5) > 2, np.arange(5.0))
    summary = spreads([found, other])
    assert summary["auc"].mean == 1.0
    assert summary["auc"].deviation is None
    assert summary["hit_rate"].mean == pytest.approx((0.0 + 1.0) / 2)


def test_calibration_bins_are_equally_filled_and_in_order() -> None:
    probability = np.linspace(0.49, 0.51, 100)
    table = calibration_table(probability, probability > 0.5, bins=4)
    assert [row.rows for row in table] == [25] * 4
    assert [row.up_share for row in table] == [0, 0, 1, 1]
    assert table[0].probability == pytest.approx(probability[:25].mean())


def test_baselines_answer_from_the_training_alone() -> None:
    train, test = made_up(1000, seed=1), made_up(200, seed=2)
    train.up[:] = train.previous > 0
    prior = class_prior(train, test)
    assert np.unique(prior) == pytest.approx([(train.up.sum() + 1) / 1002])
    sign = last_return_sign(train, test)
    assert (sign[test.previous > 0] > 0.99).all()
    assert (sign[test.previous <= 0] < 0.01).all()
