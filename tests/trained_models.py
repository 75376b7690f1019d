"""Real models, small and seeded, in the house form beside the library that trained them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aitb_nautilus.models.export import house_model

COLUMNS = 12
NAMES = ("lightgbm", "logistic", "mlp", "lightgbm_return")


@dataclass(frozen=True)
class Trained:
    """A converter's bytes, those of the house, and what the library answers, (n,) float64."""

    converted: bytes
    onnx: bytes
    role: str
    answer: Callable[[NDArray[np.float32]], NDArray[np.float64]]


def sample(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows of features and whether the price rose."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, COLUMNS)).astype(np.float32)
    return x, (x[:, 0] + 0.3 * x[:, 1] * x[:, 2] + random.normal(size=count) > 0).astype(np.int64)


def train(name: str) -> Trained:
    """Train one of the models `NAMES`."""
    x, y = sample(2000, seed=1)
    if name == "lightgbm":
        trees = {"n_estimators": 20, "num_leaves": 15, "n_jobs": 1, "verbose": -1}
        model = LGBMClassifier(random_state=1, deterministic=True, force_row_wise=True, **trees)
        model.fit(x, y)
        kind = [("x", FloatTensorType([None, COLUMNS]))]
        proto = convert_lightgbm(model, initial_types=kind, zipmap=False)
    elif name == "lightgbm_return":
        trees = {"n_estimators": 20, "num_leaves": 15, "n_jobs": 1, "verbose": -1}
        model = LGBMRegressor(random_state=1, deterministic=True, force_row_wise=True, **trees)
        model.fit(x, y - 0.5)
        proto = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, COLUMNS]))])
        data = proto.SerializeToString()
        onnx = house_model(data, "expected_return")
        return Trained(data, onnx, "expected_return", model.predict)
    else:
        last = (
            LogisticRegression(max_iter=200)
            if name == "logistic"
            else MLPClassifier((16, 8), max_iter=300, random_state=1, tol=1e-3)
        )
        model = make_pipeline(StandardScaler(), last).fit(x, y)
        proto = to_onnx(model, x[:1], options={"zipmap": False})
    data = proto.SerializeToString()
    return Trained(
        data,
        house_model(data),
        "probability",
        lambda rows: model.predict_proba(rows)[:, 1].astype(np.float64),
    )
