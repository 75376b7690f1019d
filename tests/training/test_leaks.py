from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.training.calibration import fit_calibration
from aitb_nautilus.training.fitting import fit_model
from aitb_nautilus.training.labels import label_bars
from aitb_nautilus.training.leaks import (
    Leak,
    changed_future,
    check_changed_future,
    check_cut_history,
    check_fitted_inside,
    check_splits,
    refuse,
)
from aitb_nautilus.training.samples import Samples
from aitb_nautilus.training.settings import (
    Algorithm,
    FoldSettings,
    Label,
    LightgbmSettings,
    LogisticSettings,
    MlpSettings,
    ReturnLabel,
    SignLabel,
    TripleBarrierLabel,
)
from aitb_nautilus.training.splits import Fold, chronological_folds
from tests.bar_samples import MINUTE_NS, walk
from tests.training.sample_maker import made_up, settings

FEATURES = parse_features(
    ["log_return(1)", "rsi(14)", "zscore(close,20)", "rsi(7)@5m"], interval="1m"
)


def features_of(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
    made = FeatureEngine(FEATURES).batch(bars)
    return made.ts_close[made.valid], made.values[made.valid]


def scaled_by_all(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
    return bars.ts_close, (bars.close - bars.close.mean()) / bars.close.std()


def centred_average(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
    return bars.ts_close, np.convolve(bars.close, np.ones(3) / 3, "same")


def next_close(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
    return bars.ts_close[:-1], bars.close[1:]


def test_features_at_every_bar_know_nothing_of_the_future() -> None:
    bars = walk(260)
    assert check_cut_history(features_of, bars, range(1, 261)) == []
    assert check_changed_future(features_of, bars, range(1, 260, 7)) == []


@pytest.mark.parametrize("label", [
    SignLabel(horizon_bars=7, cost_bps=3),
    ReturnLabel(horizon_bars=1),
    TripleBarrierLabel(horizon_bars=9, volatility_bars=12),
])  # fmt: skip
def test_labels_that_have_ended_know_nothing_of_the_future(label: Label) -> None:
    def labels_of(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
        made = label_bars(bars, label, MINUTE_NS)
        order = np.argsort(made.last_ns[made.known], kind="stable")
        values = np.column_stack([made.up, made.forward])[made.known][order]
        return made.last_ns[made.known][order], values

    bars = walk(200)
    assert check_cut_history(labels_of, bars, range(1, 201)) == []
    assert check_changed_future(labels_of, bars, range(1, 200)) == []


@pytest.mark.parametrize("leaky", [scaled_by_all, centred_average, next_close])
def test_planted_look_into_the_future_is_found(leaky: Any) -> None:
    bars = walk(100)
    for check in (check_cut_history, check_changed_future):
        (leak,) = check(leaky, bars, [50])
        assert "2023-01-01T00:50:00Z" in leak.where


def test_label_that_ends_later_than_it_says_is_found() -> None:
    def understated(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
        made = label_bars(bars, SignLabel(horizon_bars=5), MINUTE_NS)
        return made.last_ns[made.known] - MINUTE_NS, made.forward[made.known]

    assert check_changed_future(understated, walk(100), [50])


def test_difference_in_the_last_bit_or_the_sign_of_zero_is_found() -> None:
    def last_bit(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
        return bars.ts_close, np.nextafter(bars.close, len(bars) * 1e9)

    def sign_of_zero(bars: BarFrame) -> tuple[NDArray[np.int64], NDArray[Any]]:
        return bars.ts_close, np.full(len(bars), 0.0 if len(bars) > 50 else -0.0)

    assert check_cut_history(lambda b: (b.ts_close, last_bit(b)[1] * 1.0), walk(100), [50]) == []
    assert check_cut_history(sign_of_zero, walk(100), [50])


def test_other_future_leaves_the_past_alone_and_is_sound() -> None:
    bars = walk(50)
    other = changed_future(bars, 20)
    assert other.same_values(bars)[:20].all()
    assert not other.same_values(bars)[20:].any()
    assert (other.low <= np.minimum(other.open, other.close)).all()
    assert (other.high >= np.maximum(other.open, other.close)).all()


def test_split_without_a_purge_is_found_and_refused() -> None:
    samples = made_up(1000)
    folds = chronological_folds(samples, FoldSettings(count=2), purge_ns=0, embargo_ns=0)
    assert check_splits(samples, folds) == []
    planted = [Fold(1, np.arange(500), np.arange(500, 700))]
    (leak,) = check_splits(samples, planted)
    assert "5 of its 500 training rows look at bars of its test" in leak.found
    with pytest.raises(DataError, match="leak check 'label windows': fold 1: 5 of its 500"):
        refuse([leak])


@pytest.mark.parametrize(
    "train", [np.arange(496), np.r_[0:400, 704:900], np.r_[0:400, 600], np.arange(480, 520)]
)
def test_every_planted_overlap_is_found(train: NDArray[np.int64]) -> None:
    assert check_splits(made_up(1000), [Fold(1, train, np.arange(500, 700))])


def test_rows_that_only_just_do_not_touch_are_no_leak() -> None:
    train = np.r_[0:495, 705:900]
    assert check_splits(made_up(1000), [Fold(1, train, np.arange(500, 700))]) == []


FOLD = Fold(2, np.arange(200, 900), np.arange(905, 1100))
SMALL = LightgbmSettings(trees=10, min_rows_in_leaf=20)


@pytest.mark.parametrize("algorithm", [SMALL, LogisticSettings(), MlpSettings(epochs=3)])
@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_everything_is_fitted_inside_the_fold(algorithm: Algorithm, calibration: str) -> None:
    wanted = settings(algorithm=algorithm, calibration=calibration)
    leaks = check_fitted_inside(
        lambda samples, fold: fit_model(samples, fold.train, wanted).onnx, made_up(1200), [FOLD]
    )
    assert leaks == []


def with_a_global_scaler(samples: Samples, fold: Fold) -> bytes:
    samples.rows[:] = (samples.rows - samples.rows.mean(axis=0)) / samples.rows.std(axis=0)
    return fit_model(samples, fold.train, settings(algorithm=LogisticSettings())).onnx


def with_calibration_on_the_test(samples: Samples, fold: Fold) -> bytes:
    model = fit_model(
        samples, fold.train, settings(algorithm=LogisticSettings(), calibration="none")
    )
    test = samples.take(fold.test)
    return repr(fit_calibration("sigmoid", model.scorer.score(test.rows), test.up, "x")).encode()


def with_the_shares_of_all_labels(samples: Samples, fold: Fold) -> bytes:
    model = fit_model(samples, fold.train, settings(algorithm=LogisticSettings()))
    return model.onnx + str(samples.forward.std()).encode()


@pytest.mark.parametrize(
    "leaky", [with_a_global_scaler, with_calibration_on_the_test, with_the_shares_of_all_labels]
)
def test_planted_fit_outside_the_fold_is_found(leaky: Any) -> None:
    def on_a_copy(samples: Samples, fold: Fold) -> bytes:
        return leaky(samples.take(np.arange(len(samples))), fold)

    (leak,) = check_fitted_inside(on_a_copy, made_up(1200), [FOLD])
    assert leak == Leak(
        "fitted inside the fold",
        "fold 2",
        "the model changes when rows change that it must not have seen",
    )
