"""Models of scikit-learn behind a scaler: logistic regression and the multi-layer perceptron.

The scaler is part of the pipeline that is fitted, and so sees the rows of the fit alone. Before the
pipeline answers anything its numbers are rounded to float32, so that the library and ONNX Runtime
compute with the same ones.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from aitb_nautilus.errors import ModelError
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.training.graphs import ML_DOMAIN, GraphWriter
from aitb_nautilus.training.samples import Rows
from aitb_nautilus.training.settings import LogisticSettings, MlpSettings
from aitb_nautilus.training.tables import FitTable

__all__ = ["Standardised", "fit_logistic", "fit_mlp"]

_TINY = 1e-12


class Standardised:
    """A scaler and layers of weights: no hidden layer for logistic regression.

    Parameters
    ----------
    pipeline
        Fitted: a scaler, and a model that answers with two classes or a number.
    weights, biases
        Of each layer, (inputs, outputs) and (outputs,). The model's own arrays, which are rounded
        here.
    rounds
        Iterations or epochs that the fit took.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        weights: Sequence[FloatArray],
        biases: Sequence[FloatArray],
        rounds: int,
    ) -> None:
        self.rounds = rounds
        scaler = pipeline[0]
        scaler.mean_ = _rounded(scaler.mean_)
        self._inverse = _rounded(1.0 / scaler.scale_)
        scaler.scale_ = 1.0 / self._inverse
        for array in (*weights, *biases):
            array[...] = _rounded(array)
        self._pipeline, self._weights, self._biases = pipeline, weights, biases

    def score(self, rows: Rows) -> FloatArray:
        """Return log odds, or the return, (n,) float64."""
        model, wide = self._pipeline, rows.astype(np.float64)
        if isinstance(model[1], LogisticRegression):
            return np.asarray(model.decision_function(wide), np.float64)
        if isinstance(model[1], MLPRegressor):
            return np.asarray(model.predict(wide), np.float64)
        chance = np.clip(model.predict_proba(wide)[:, 1], _TINY, 1.0 - _TINY)
        odds: FloatArray = np.log(chance / (1.0 - chance))
        return odds

    def write(self, graph: GraphWriter) -> str:
        """Add scaler and layers to a graph; return the name of the score, (rows, 1)."""
        value = graph.node(
            "Scaler",
            [graph.input_name],
            ML_DOMAIN,
            offset=self._pipeline[0].mean_.tolist(),
            scale=self._inverse.tolist(),
        )
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            if i:
                value = graph.node("Relu", [value])
            value = graph.node("MatMul", [value, graph.number(weight)])
            value = graph.node("Add", [value, graph.number(bias)])
        return value


def fit_logistic(settings: LogisticSettings, table: FitTable, seed: int) -> Standardised:
    """Fit logistic regression.

    Raises
    ------
    ModelError
        If the solver does not come to an end.
    """
    model = LogisticRegression(
        C=settings.inverse_penalty, max_iter=settings.most_iterations, random_state=seed
    )
    pipeline = Pipeline([("scaler", StandardScaler()), ("model", model)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            pipeline.fit(
                table.rows.astype(np.float64), table.target, model__sample_weight=table.weight
            )
        except ConvergenceWarning as e:
            raise ModelError(
                "logistic regression",
                f"has not converged after {settings.most_iterations} iterations",
                todo="Raise model.algorithm.most_iterations, or lower inverse_penalty",
            ) from e
    model.coef_ = model.coef_.copy()
    return Standardised(pipeline, [model.coef_.T], [model.intercept_], int(np.max(model.n_iter_)))


def fit_mlp(
    settings: MlpSettings, table: FitTable, validation: FitTable | None, seed: int
) -> Standardised:
    """Fit a perceptron epoch by epoch; with a validation part, keep the best epoch's weights.

    scikit-learn's own early stopping draws its validation rows at random, from among the rows whose
    labels they share; so it is not used.
    """
    scaler = StandardScaler().fit(table.rows.astype(np.float64))
    scaled = scaler.transform(table.rows.astype(np.float64))
    model = _new_mlp(settings, table, seed)
    held = None if validation is None else scaler.transform(validation.rows.astype(np.float64))
    best, best_loss, best_epoch = None, np.inf, 0
    for epoch in range(settings.epochs):
        if table.is_class:
            model.partial_fit(scaled, table.target, classes=[0.0, 1.0], sample_weight=table.weight)
        else:
            model.partial_fit(scaled, table.target, sample_weight=table.weight)
        if held is None or validation is None or not settings.early_stopping_epochs:
            best_epoch = epoch
            continue
        loss = _loss(model, held, validation)
        if loss < best_loss:
            best_loss, best_epoch = loss, epoch
            best = copy.deepcopy((model.coefs_, model.intercepts_))
        elif epoch - best_epoch >= settings.early_stopping_epochs:
            break
    if best is not None:
        model.coefs_, model.intercepts_ = best
    if not all(np.isfinite(array).all() for array in model.coefs_):
        raise ModelError(
            "the perceptron",
            "has weights that are not finite",
            todo="Lower model.algorithm.learning_rate",
        )
    pipeline = Pipeline([("scaler", scaler), ("model", model)])
    return Standardised(pipeline, model.coefs_, model.intercepts_, best_epoch + 1)


def _new_mlp(settings: MlpSettings, table: FitTable, seed: int) -> Any:
    kind = MLPClassifier if table.is_class else MLPRegressor
    return kind(
        hidden_layer_sizes=settings.layers,
        alpha=settings.l2,
        batch_size=min(settings.batch_rows, len(table.rows)),
        learning_rate_init=settings.learning_rate,
        # A generator, not a seed: each epoch must shuffle anew; scikit-learn takes no other kind.
        random_state=np.random.RandomState(seed),
    )


def _loss(model: Any, scaled: FloatArray, table: FitTable) -> float:
    """Return the weighted log loss, or squared error, on a validation part."""
    if table.is_class:
        chance = np.clip(model.predict_proba(scaled)[:, 1], _TINY, 1.0 - _TINY)
        loss = -np.where(table.target > 0, np.log(chance), np.log(1.0 - chance))
    else:
        loss = (model.predict(scaled) - table.target) ** 2
    return float(np.average(loss, weights=table.weight))


def _rounded(values: FloatArray) -> FloatArray:
    return values.astype(np.float32).astype(np.float64)
