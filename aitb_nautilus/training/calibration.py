"""From a score to a probability: the logistic curve alone, Platt's sigmoid, or isotonic regression.

Fitted on rows that the model was not fitted on. All three rise with the score, or are level: a
score that ranks the calibration rows the wrong way round tells nothing, and gets the same answer
for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.training.graphs import GraphWriter

__all__ = ["Calibrator", "Isotonic", "Sigmoid", "fit_calibration"]

_MOST_BINS = 20
_FEWEST_IN_BIN = 20


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-(slope * score + offset))); slope 1 and offset 0 is no calibration."""

    slope: float = 1.0
    offset: float = 0.0

    def apply(self, score: FloatArray) -> FloatArray:
        """Return probabilities, (n,) float64."""
        return _logistic(self.slope * score + self.offset)

    def write(self, graph: GraphWriter, score: str) -> str:
        """Add it to a graph; return the name of the probability, (rows, 1)."""
        value = graph.node("Mul", [score, graph.number([self.slope])])
        value = graph.node("Add", [value, graph.number([self.offset])])
        return graph.node("Sigmoid", [value])


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between points, level outside of them.

    Parameters
    ----------
    scores
        (k,) float64, k >= 2, rising; exactly float32.
    chances
        (k,) float64, in (0, 1), not falling; exactly float32.
    """

    scores: FloatArray
    chances: FloatArray

    def apply(self, score: FloatArray) -> FloatArray:
        """Return probabilities, (n,) float64."""
        return np.interp(score, self.scores, self.chances)

    def write(self, graph: GraphWriter, score: str) -> str:
        """Add it to a graph; return the name of the probability, (rows, 1)."""
        scores, chances = graph.number(self.scores), graph.number(self.chances)
        inside = graph.node("Max", [score, graph.number(self.scores[:1])])
        inside = graph.node("Min", [inside, graph.number(self.scores[-1:])])
        # The point to the left: how many inner points are not above the score.
        reached = graph.node("GreaterOrEqual", [inside, graph.number(self.scores[1:-1])])
        reached = graph.node("Cast", [reached], to=7)  # int64
        axis = graph.number(np.array([1], np.int64))
        left = graph.node("ReduceSum", [reached, axis], keepdims=1)
        right = graph.node("Add", [left, graph.number(np.array([1], np.int64))])
        x0, x1 = (graph.node("Gather", [scores, side]) for side in (left, right))
        y0, y1 = (graph.node("Gather", [chances, side]) for side in (left, right))
        way = graph.node("Div", [graph.node("Sub", [inside, x0]), graph.node("Sub", [x1, x0])])
        rise = graph.node("Mul", [way, graph.node("Sub", [y1, y0])])
        return graph.node("Add", [y0, rise])


type Calibrator = Sigmoid | Isotonic


def fit_calibration(
    method: Literal["sigmoid", "isotonic"], score: FloatArray, up: NDArray[np.bool_], where: str
) -> Calibrator:
    """Fit a calibrator.

    Parameters
    ----------
    score
        (n,) float64, of rows that the model has not been fitted on.
    up
        (n,) bool, their class.
    where
        What an error names first.

    Raises
    ------
    DataError
        If all rows are of one class.
    """
    if up.all() or not up.any():
        raise DataError(
            where,
            f"the {len(up):,} rows for the calibration are all {'up' if up.all() else 'not up'}",
            "must be of both classes",
            "Train on a longer span, or lower label.cost_bps",
        )
    return _sigmoid(score, up) if method == "sigmoid" else _isotonic(score, up)


def _sigmoid(score: FloatArray, up: NDArray[np.bool_]) -> Sigmoid:
    """Fit Platt's sigmoid by Newton's method.

    References
    ----------
    Platt (1999), Probabilistic Outputs for Support Vector Machines; with the damping of Lin, Lin
    and Weng (2007), A Note on Platt's Probabilistic Outputs.
    """
    ups, downs = int(up.sum()), int((~up).sum())
    # Never quite 0 or 1: Platt's prior of one more row of each class.
    target = np.where(up, (ups + 1.0) / (ups + 2.0), 1.0 / (downs + 2.0))
    centre, spread = float(score.mean()), float(score.std())
    level = Sigmoid(0.0, _float32(np.log((ups + 1.0) / (downs + 1.0))))
    if spread <= 1e-9 * max(1.0, abs(centre)):
        return level
    z = (score - centre) / spread
    a, b = 0.0, level.offset
    loss = _cross_entropy(a * z + b, target)
    for _ in range(100):
        p = _logistic(a * z + b)
        w = np.maximum(p * (1.0 - p), 1e-12)
        gradient = np.array([np.dot(p - target, z), np.sum(p - target)])
        if np.abs(gradient).max() < 1e-9 * len(z):
            break
        curve = np.array([[np.dot(w * z, z), np.dot(w, z)], [np.dot(w, z), w.sum()]])
        step = np.linalg.solve(curve + 1e-12 * np.eye(2), gradient)
        size = 1.0
        while size > 1e-10:
            tried = _cross_entropy((a - size * step[0]) * z + b - size * step[1], target)
            if tried < loss:
                break
            size /= 2.0
        else:
            break
        a, b, loss = a - size * step[0], b - size * step[1], tried
    if a <= 0:
        return level
    return Sigmoid(_float32(a / spread), _float32(b - a * centre / spread))


def _isotonic(score: FloatArray, up: NDArray[np.bool_]) -> Isotonic:
    """Fit isotonic regression on the means of equally filled bins.

    Bins, because single rows give steps of any height between neighbouring scores: there the last
    bit of a float32 would decide. The ends are kept from 0 and 1 by Laplace's rule of succession.
    """
    bins = int(np.clip(len(score) // _FEWEST_IN_BIN, 2, _MOST_BINS))
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    x = np.array([score[part].mean() for part in parts])
    y = np.array([(up[part].sum() + 1.0) / (len(part) + 2.0) for part in parts])
    weights = np.array([float(len(part)) for part in parts])
    chances = IsotonicRegression().fit_transform(x, y, sample_weight=weights)
    x, chances = x.astype(np.float32), chances.astype(np.float32)
    # Points too close together would again make a step.
    least = max(2e-2 * float(score.std()), 1e-6 * float(np.abs(score).max()), 1e-12)
    kept = [0]
    for i in range(1, len(x)):
        if x[i] - x[kept[-1]] > least:
            kept.append(i)
    if len(kept) == 1:
        middle = np.float32(np.average(chances, weights=weights))
        x, chances, kept = np.array([x[0], x[0] + 1]), np.array([middle, middle]), [0, 1]
    return Isotonic(x[kept].astype(np.float64), chances[kept].astype(np.float64))


def _logistic(x: FloatArray) -> FloatArray:
    # Both branches are computed; each overflows only where it is not taken.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def _cross_entropy(x: FloatArray, target: FloatArray) -> float:
    return float(np.sum(np.logaddexp(0.0, x) - target * x))


def _float32(value: float) -> float:
    return float(np.float32(value))
