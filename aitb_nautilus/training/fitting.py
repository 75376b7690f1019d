"""One fit, all of which happens inside the rows that it was given.

The rows are divided in order of time, and purged where they meet::

    fit ------------------------ | validation --- | calibration ---
    scaler, weights, trees         when to stop     score to probability
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.models.export import check_export
from aitb_nautilus.models.graphs import inspect
from aitb_nautilus.models.manifest import Role
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.training.calibration import Calibrator, Sigmoid, fit_calibration
from aitb_nautilus.training.graphs import GraphWriter
from aitb_nautilus.training.samples import Rows, Samples
from aitb_nautilus.training.settings import (
    LightgbmSettings,
    LogisticSettings,
    MlpSettings,
    ModelSettings,
    ReturnLabel,
)
from aitb_nautilus.training.splits import Places, holdout
from aitb_nautilus.training.standardised import fit_logistic, fit_mlp
from aitb_nautilus.training.tables import FitTable, fit_table
from aitb_nautilus.training.trees import fit_trees

__all__ = ["TOLERANCE", "FittedModel", "Parts", "Scorer", "divide", "fit_model", "gate"]

TOLERANCE = 1e-5
"""How far ONNX Runtime's probability may be from the library's, absolute."""


# Made once: looking for the libraries that have threads takes longer than a small fit.
_THREADS = ThreadpoolController()


class Scorer(Protocol):
    """A fitted model before calibration."""

    @property
    def rounds(self) -> int:
        """Trees, iterations or epochs."""

    def score(self, rows: Rows) -> FloatArray:
        """Return the library's own score, (n,) float64."""

    def write(self, graph: GraphWriter) -> str:
        """Add the model to a graph; return the name of the score, (rows, 1)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Places of the rows of one fit. Validation and calibration may be empty."""

    fit: Places
    validation: Places
    calibration: Places


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A model, calibrated and exported.

    Attributes
    ----------
    scorer, calibrator
        In the library's arithmetic.
    return_scale
        The expected return is the score times this; None if the model gives none.
    onnx
        The same in ONNX.
    parts
        Which rows it has seen, and for what.
    seconds
        That the library took to fit, without calibration and export.
    """

    scorer: Scorer
    calibrator: Calibrator
    return_scale: float | None
    onnx: bytes
    parts: Parts
    seconds: float

    def probability(self, rows: Rows) -> FloatArray:
        """Return the library's probabilities of up, (n,) float64."""
        return self.calibrator.apply(self.scorer.score(rows))

    def session(self) -> ModelSession:
        """Return the model as it answers live."""
        return ModelSession(self.onnx, inspect(self.onnx, "the export"), "the export")


def divide(samples: Samples, places: Places, settings: ModelSettings, purge_ns: int) -> Parts:
    """Divide the rows of one fit into its parts.

    Raises
    ------
    DataError
        If a part has too few rows.
    """
    empty = places[:0]
    calibration = validation = empty
    if settings.calibration != "none":
        places, calibration = holdout(
            samples, places, settings.calibration_share, purge_ns, "the calibration part"
        )
    if _stops_early(settings):
        places, validation = holdout(
            samples, places, settings.validation_share, purge_ns, "the validation part"
        )
    return Parts(places, validation, calibration)


def fit_model(
    samples: Samples, places: Places, settings: ModelSettings, purge_ns: int = 0
) -> FittedModel:
    """Fit, calibrate and export a model on some of the samples; the others change nothing.

    Parameters
    ----------
    places
        The rows to learn from, with labels, in order of time.
    purge_ns
        Free time between the parts, besides the labels.

    Raises
    ------
    DataError
        If there are too few rows, or one class only.
    ModelError
        If the fit does not come to an end.
    """
    parts = divide(samples, places, settings, purge_ns)
    fit, validation = samples.take(parts.fit), samples.take(parts.validation)
    is_return = isinstance(settings.label, ReturnLabel)
    scale = float(fit.forward.std()) if is_return else 1.0
    _refuse_one_class(fit, scale, is_return)
    if _stops_early(settings):
        _refuse_one_class(validation, 1.0, is_return)
    # More threads would add the same numbers in another order.
    with _THREADS.limit(limits=1):
        held = fit_table(validation, settings, scale) if len(validation) else None
        began = time.perf_counter()
        scorer = _fit(fit_table(fit, settings, scale), held, settings)
        seconds = time.perf_counter() - began
        calibrator: Calibrator = Sigmoid()
        if settings.calibration != "none":
            newest = samples.take(parts.calibration)
            calibrator = fit_calibration(
                settings.calibration, scorer.score(newest.rows), newest.up, "the calibration"
            )
    graph = GraphWriter(samples.rows.shape[1])
    score = scorer.write(graph)
    outputs: dict[Role, str] = {"probability": calibrator.write(graph, score)}
    if is_return:
        outputs["expected_return"] = graph.node("Mul", [score, graph.number([scale])])
    return FittedModel(
        scorer, calibrator, scale if is_return else None, graph.finish(outputs), parts, seconds
    )


def gate(model: FittedModel, rows: Rows, thresholds: tuple[float, ...] = (0.5,)) -> float:
    """Refuse a model whose ONNX does not answer as the library; return the largest difference.

    Raises
    ------
    ModelError
        As `check_export`.
    """
    score = model.scorer.score(rows)
    probability = model.calibrator.apply(score)
    check = check_export(model.onnx, rows, probability, tolerance=TOLERANCE, thresholds=thresholds)
    if model.return_scale is not None:
        check_export(
            model.onnx,
            rows,
            score * model.return_scale,
            tolerance=TOLERANCE * model.return_scale,
            role="expected_return",
            thresholds=(),
        )
    return check.largest_difference


def _fit(table: FitTable, validation: FitTable | None, settings: ModelSettings) -> Scorer:
    match settings.algorithm:
        case LightgbmSettings() as algorithm:
            return fit_trees(algorithm, table, validation, settings.seed)
        case LogisticSettings() as algorithm:
            return fit_logistic(algorithm, table, settings.seed)
        case MlpSettings() as algorithm:
            return fit_mlp(algorithm, table, validation, settings.seed)


def _stops_early(settings: ModelSettings) -> bool:
    match settings.algorithm:
        case LightgbmSettings(early_stopping_rounds=patience):
            return patience > 0
        case MlpSettings(early_stopping_epochs=patience):
            return patience > 0
        case _:
            return False


def _refuse_one_class(samples: Samples, scale: float, is_return: bool) -> None:
    share = float(samples.up.mean())
    if is_return:
        if scale <= 0.0 or not np.isfinite(scale):
            raise DataError(
                "the labels",
                f"all {len(samples):,} returns are the same",
                "must differ",
                "Look at the bars: aitb data check",
            )
    elif share in {0.0, 1.0}:
        raise DataError(
            "the labels",
            f"all {len(samples):,} rows of a part of the fit are {'up' if share else 'not up'}",
            "must be of both classes",
            "Train on a longer span, lower label.cost_bps, or choose another horizon",
        )
