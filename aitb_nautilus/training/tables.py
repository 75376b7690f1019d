"""What a fit is given: rows, targets, weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.training.samples import Rows, Samples
from aitb_nautilus.training.settings import ModelSettings, ReturnLabel

__all__ = ["FitTable", "fit_table"]


@dataclass(frozen=True, slots=True)
class FitTable:
    """n rows to fit.

    Attributes
    ----------
    rows
        (n, n_features) float32.
    target
        (n,) float64: 0 or 1; or the return, divided by its standard deviation.
    weight
        (n,) float64, on average 1.
    is_class
        Whether the target is a class.
    """

    rows: Rows
    target: FloatArray
    weight: FloatArray
    is_class: bool


def fit_table(samples: Samples, settings: ModelSettings, return_scale: float) -> FitTable:
    """Return samples as a fit wants them.

    Parameters
    ----------
    return_scale
        What a target return is divided by: one number for all parts of one fit.
    """
    weight = np.ones(len(samples))
    if isinstance(settings.label, ReturnLabel):
        return FitTable(samples.rows, samples.forward / return_scale, weight, False)
    if settings.class_weight == "balanced":
        share = samples.up.mean()
        weight = np.where(samples.up, 0.5 / share, 0.5 / (1.0 - share))
    return FitTable(samples.rows, samples.up.astype(np.float64), weight, True)
