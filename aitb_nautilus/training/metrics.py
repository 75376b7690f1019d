"""How good probabilities are.

============ =====================================================================================
auc          chance that a row that went up is rated above one that did not; 0.5 is guessing
log_loss     mean of -log of the probability given to what happened; lower is better
brier        mean squared difference of probability and class; lower is better
ic           correlation of probability and forward return; 0 is guessing
rank_ic      the same of their ranks
hit_rate     share of rows on the right side of 0.5
============ =====================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import FloatArray

__all__ = [
    "METRICS",
    "CalibrationBin",
    "Spread",
    "calibration_table",
    "log_losses",
    "measure",
    "ranks_of",
    "spreads",
]

METRICS: Final = ("auc", "log_loss", "brier", "ic", "rank_ic", "hit_rate")
_TINY = 1e-7  # float32 knows no probability nearer to 1
_BINS = 10


class Spread(msgspec.Struct, frozen=True):
    """Mean and standard deviation over folds; None where no fold, or one alone, has a value."""

    mean: float | None
    deviation: float | None


class CalibrationBin(msgspec.Struct, frozen=True):
    """Rows with similar probabilities: what was foretold on average, and what happened."""

    rows: int
    probability: float
    up_share: float


def log_losses(probability: FloatArray, up: NDArray[np.bool_]) -> FloatArray:
    """Return the log loss of each row, (n,) float64."""
    chance = np.clip(probability, _TINY, 1.0 - _TINY)
    return -np.log(np.where(up, chance, 1.0 - chance))


def ranks_of(values: FloatArray) -> FloatArray:
    """Return the rank of each value, from 1, (n,) float64; equal values share their mean rank.

    Parameters
    ----------
    values
        (n,) float64, finite.
    """
    order = np.argsort(values)
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(values)])
    counts = np.diff(first, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    return ranks


def measure(
    probability: FloatArray, up: NDArray[np.bool_], forward: FloatArray
) -> dict[str, float | None]:
    """Return every metric of one set of answers; None where it is not defined.

    Parameters
    ----------
    probability
        (n,) float64, n >= 1.
    up, forward
        What happened: (n,) bool, and the return, (n,) float64.
    """
    ranks = ranks_of(probability)
    ups, downs = int(up.sum()), int((~up).sum())
    auc = None
    if ups and downs:
        # Mann and Whitney's U of the rows that went up, as a share of all pairs.
        auc = float((ranks[up].sum() - ups * (ups + 1) / 2) / (ups * downs))
    return {
        "auc": auc,
        "log_loss": float(log_losses(probability, up).mean()),
        "brier": float(np.mean((probability - up) ** 2)),
        "ic": _correlation(probability, forward),
        "rank_ic": _correlation(ranks, ranks_of(forward)),
        "hit_rate": float(np.mean((probability > 0.5) == up)),
    }


def spreads(measured: Sequence[Mapping[str, float | None]]) -> dict[str, Spread]:
    """Return mean and standard deviation of each metric over folds."""
    found = {}
    for name in METRICS:
        values = [value for fold in measured if (value := fold[name]) is not None]
        found[name] = Spread(
            float(np.mean(values)) if values else None,
            float(np.std(values, ddof=1)) if len(values) > 1 else None,
        )
    return found


def calibration_table(
    probability: FloatArray, up: NDArray[np.bool_], bins: int = _BINS
) -> list[CalibrationBin]:
    """Return equally filled bins of rows in order of probability.

    Equally wide bins would put nearly all rows of a usual model into the two about 0.5.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return [
        CalibrationBin(len(part), float(probability[part].mean()), float(up[part].mean()))
        for part in parts
    ]


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    """Return Pearson's correlation; None if one of the two is constant."""
    a, b = a - a.mean(), b - b.mean()
    # Not by BLAS: its threads would wait for each other, and change the last bits.
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    least = 1e-12 * len(a) * float(np.abs(a).max(initial=0.0)) * float(np.abs(b).max(initial=0.0))
    if size == 0.0 or size <= least:
        return None
    return float((a * b).sum() / size)
