from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib

import numpy as np
import onnx
import pytest

from aitb_nautilus.errors import DataError, ModelError
from aitb_nautilus.settings import Settings, decode
from aitb_nautilus.training.fitting import FittedModel, fit_model, gate
from aitb_nautilus.training.metrics import measure
from aitb_nautilus.training.settings import (
    Algorithm,
    LightgbmSettings,
    LogisticSettings,
    MlpSettings,
    ReturnLabel,
)
from tests.training.sample_maker import HORIZON, made_up, settings

TREES = LightgbmSettings(trees=30, leaves=15, min_rows_in_leaf=20)
ALGORITHMS = (TREES, LogisticSettings(), MlpSettings(layers=(8,), epochs=20, batch_rows=32))
TRAIN = np.arange(2400)


def named(value: object) -> str:
    return type(value).__name__.removesuffix("Settings").removesuffix("Label")


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=named)
@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
def test_every_model_learns_and_answers_in_onnx_as_in_its_library(
    algorithm: Algorithm, calibration: str
) -> None:
    samples = made_up(3000)
    model = fit_model(samples, TRAIN, settings(algorithm=algorithm, calibration=calibration))
    test = samples.take(slice(2400, None))
    assert gate(model, samples.rows) < 2e-6
    found = measure(model.probability(test.rows), test.up, test.forward)
    assert found["auc"] > 0.58
    assert found["log_loss"] < 0.69
    (answer,) = model.session().predict_rows(test.rows[:1]).probability
    assert answer == pytest.approx(model.probability(test.rows[:1])[0], abs=1e-6)


@pytest.mark.parametrize("algorithm", [TREES, ALGORITHMS[2]], ids=named)
def test_return_label_gives_a_probability_and_an_expected_return(algorithm: Algorithm) -> None:
    samples = made_up(3000)
    label = ReturnLabel(horizon_bars=HORIZON)
    model = fit_model(samples, TRAIN, settings(algorithm=algorithm, label=label))
    gate(model, samples.rows)
    test = samples.take(slice(2400, None))
    found = model.session().predict_rows(test.rows)
    assert measure(found.probability.astype(float), test.up, test.forward)["auc"] > 0.58
    assert np.corrcoef(found.expected_return, test.forward)[0, 1] > 0.2
    assert 1e-5 < np.std(found.expected_return) < 1e-3


def test_graph_has_the_house_form() -> None:
    model = fit_model(made_up(3000), TRAIN, settings(algorithm=TREES))
    graph = onnx.load_from_string(model.onnx).graph
    assert graph.name == "aitb"
    assert [v.name for v in graph.input] == ["features"]
    assert [v.name for v in graph.output] == ["probability"]


def test_trees_take_the_same_paths_for_values_beside_their_thresholds() -> None:
    samples = made_up(1500, columns=3)
    # Neighbouring float32 values: the middle between two of them is no float32.
    near = np.float32(1.0) + np.arange(40, dtype=np.float32) * np.spacing(np.float32(1.0))
    samples.rows[:, 0] = np.random.default_rng(4).choice(near, 1500)
    samples.up[:] = samples.rows[:, 0] > near[17]
    algorithm = LightgbmSettings(trees=20, min_rows_in_leaf=5, early_stopping_rounds=0)
    model = fit_model(samples, np.arange(1500), settings(algorithm=algorithm, calibration="none"))
    assert gate(model, samples.rows) < 1e-6
    assert ((model.probability(samples.rows) > 0.5) == samples.up).all()


def test_trees_that_find_nothing_to_split_answer_with_the_share_of_ups() -> None:
    samples = made_up(400)
    algorithm = LightgbmSettings(trees=5, min_rows_in_leaf=1000, early_stopping_rounds=0)
    model = fit_model(samples, np.arange(400), settings(algorithm=algorithm, calibration="none"))
    assert gate(model, samples.rows) < 1e-6
    assert model.probability(samples.rows) == pytest.approx([samples.up.mean()] * 400)


class Chosen(Settings, frozen=True):
    """A file with an algorithm in it."""

    algorithm: Algorithm


RESTLESS = MlpSettings(layers=(64,), epochs=40, batch_rows=32, learning_rate=0.02)


@pytest.mark.parametrize("algorithm", [TREES, RESTLESS], ids=named)
def test_fit_on_noise_stops_early(algorithm: Algorithm) -> None:
    samples = made_up(3000, strength=0.0)
    model = fit_model(samples, TRAIN, settings(algorithm=algorithm))
    assert model.scorer.rounds < 15


def test_early_stopping_can_be_turned_off_in_a_file() -> None:
    """Zero keeps every round, and holds out nothing to stop by; TOML has no word for None."""
    text = '{ kind = "lightgbm", trees = 20, early_stopping_rounds = 0 }'
    algorithm = decode(tomllib.loads(f"algorithm = {text}"), Chosen, "x").algorithm
    model = fit_model(made_up(3000, strength=0.0), TRAIN, settings(algorithm=algorithm))
    assert model.scorer.rounds == 20
    assert len(model.parts.validation) == 0


def test_parts_of_a_fit_are_in_order_of_time_and_apart() -> None:
    samples = made_up(3000)
    parts = fit_model(samples, TRAIN, settings(algorithm=TREES)).parts
    for older, newer in ((parts.fit, parts.validation), (parts.validation, parts.calibration)):
        assert samples.last_ns[older].max() < samples.ts[newer].min()
    assert parts.calibration[-1] == TRAIN[-1]


def test_calibration_takes_back_what_balanced_classes_distort() -> None:
    samples = made_up(6000)
    samples.up[:] &= np.random.default_rng(1).random(6000) < 0.3
    balanced = settings(algorithm=LogisticSettings(), class_weight="balanced")
    model = fit_model(samples, np.arange(5000), balanced)
    share = samples.up[5000:].mean()
    assert share < 0.2
    assert model.scorer.score(samples.rows).mean() > -0.3
    assert model.probability(samples.rows[5000:]).mean() == pytest.approx(share, abs=0.02)


def test_one_class_is_refused() -> None:
    samples = made_up(1500)
    samples.up[:] = False
    with pytest.raises(
        DataError, match=r"the labels: all [\d,]+ rows of a part of the fit are not up"
    ):
        fit_model(samples, np.arange(1500), settings(algorithm=TREES))


def test_fit_that_does_not_converge_is_refused() -> None:
    stubborn = LogisticSettings(inverse_penalty=1e6, most_iterations=1)
    with pytest.raises(ModelError, match="has not converged after 1 iterations"):
        fit_model(made_up(500), np.arange(500), settings(algorithm=stubborn))


def test_gate_refuses_an_onnx_file_that_is_another_model() -> None:
    samples = made_up(1500)
    one = fit_model(samples, np.arange(1500), settings(algorithm=LogisticSettings()))
    two = fit_model(samples, np.arange(900), settings(algorithm=LogisticSettings()))
    mixed = FittedModel(one.scorer, one.calibrator, None, two.onnx, one.parts, 0.0)
    with pytest.raises(ModelError, match="the library that trained it answers"):
        gate(mixed, samples.rows)


def hashes() -> str:
    """Return the hash of each kind of model, trained here."""
    samples = made_up(1500)
    found = []
    for algorithm in ALGORITHMS:
        for calibration in ("sigmoid", "isotonic"):
            model = fit_model(
                samples, np.arange(1500), settings(algorithm=algorithm, calibration=calibration)
            )
            found.append(hashlib.sha256(model.onnx).hexdigest())
    return " ".join(found)


def test_two_processes_with_other_hash_seeds_train_the_same_bytes() -> None:
    code = "from tests.training.test_fitting import hashes; print(hashes())"
    running = []
    for seed in ("1", "77"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code]
        running.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    answers = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert answers[0] == answers[1]
    assert len(set(answers[0])) == 2 * len(ALGORITHMS)
    assert answers[0] == hashes().split()
