"""What a model loses when one feature is shuffled among the rows of a test.

References
----------
Breiman (2001), Random Forests, section 10.
"""

from __future__ import annotations

import numpy as np

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.models.runtime import ModelSession
from aitb_nautilus.training.metrics import log_losses
from aitb_nautilus.training.samples import Rows, Samples

__all__ = ["MOST_ROWS", "permutation_importance"]

MOST_ROWS = 4000


def permutation_importance(session: ModelSession, test: Samples, seed: int) -> FloatArray:
    """Return the rise of the log loss for each feature, (n_features,) float64.

    About 0 for a feature that the model does not use; below 0 for one that misled it here.

    Parameters
    ----------
    test
        Rows that the model has not seen; of more than `MOST_ROWS`, evenly spaced ones are taken.
    seed
        Of the shuffles.
    """
    if len(test) > MOST_ROWS:
        test = test.take(np.linspace(0, len(test) - 1, MOST_ROWS).astype(np.int64))
    random = np.random.default_rng(seed)
    rows = test.rows.copy()
    whole = _loss(session, rows, test)
    lost = np.empty(rows.shape[1])
    for column in range(rows.shape[1]):
        kept = rows[:, column].copy()
        rows[:, column] = kept[random.permutation(len(rows))]
        lost[column] = _loss(session, rows, test) - whole
        rows[:, column] = kept
    return lost


def _loss(session: ModelSession, rows: Rows, test: Samples) -> float:
    probability = session.predict_rows(rows).probability
    if probability is None:
        raise ValueError("the model gives no probability")
    return float(log_losses(probability.astype(np.float64), test.up).mean())
