"""Samples made up for tests: normal features, and returns that some of them foretell."""

from __future__ import annotations

import numpy as np

from aitb_nautilus.training.samples import Samples
from aitb_nautilus.training.settings import ModelSettings, SignLabel
from tests.bar_samples import MINUTE_NS

HORIZON = 5


def made_up(
    count: int = 3000, *, strength: float = 0.5, seed: int = 1, columns: int = 6
) -> Samples:
    """Return one row a minute; column 0 foretells the return, column 1 has an awkward scale."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, columns)).astype(np.float32)
    forward = (strength * rows[:, 0] + random.normal(size=count)) * 1e-3
    rows[:, 1] = rows[:, 1] * 300 + 60_000
    ts = np.arange(1, count + 1, dtype=np.int64) * MINUTE_NS
    return Samples(
        ts,
        ts + HORIZON * MINUTE_NS,
        np.zeros(count, np.int16),
        rows,
        np.ones(count, np.bool_),
        forward > 0,
        forward,
        random.normal(size=count),
    )


def settings(**changes: object) -> ModelSettings:
    """Return settings of a small training."""
    given = {
        "id": "m",
        "instruments": ("BTCUSDT.BINANCE",),
        "label": SignLabel(horizon_bars=HORIZON),
    }
    return ModelSettings(**(given | changes))
