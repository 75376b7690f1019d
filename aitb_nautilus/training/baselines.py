"""What one would answer without a model. A model that is no better than these is useless."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.training.samples import Samples

__all__ = ["BASELINES", "class_prior", "last_return_sign"]

type Baseline = Callable[[Samples, Samples], FloatArray]


def class_prior(train: Samples, test: Samples) -> FloatArray:
    """Answer each row with the share of ups in the training, (n,) float64."""
    return np.full(len(test), _share(train, np.ones(len(train), bool)))


def last_return_sign(train: Samples, test: Samples) -> FloatArray:
    """Answer with the share of ups that followed, in training, a bar of the same direction."""
    rises = train.previous > 0, test.previous > 0
    return np.where(rises[1], _share(train, rises[0]), _share(train, ~rises[0]))


BASELINES: Mapping[str, Baseline] = {
    "class prior": class_prior,
    "last return's sign": last_return_sign,
}


def _share(samples: Samples, rows: NDArray[np.bool_]) -> float:
    """Return the share of ups among some rows, by Laplace's rule of succession."""
    return float((samples.up[rows].sum() + 1) / (rows.sum() + 2))
