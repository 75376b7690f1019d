"""Rows of features beside their labels, of one or more instruments, in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.market.bars import BarFrame, FloatArray
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.training.labels import Labels, label_bars
from aitb_nautilus.training.settings import Label

__all__ = ["Rows", "Samples", "TrainingBars", "make_samples"]

type Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingBars:
    """The bars that a training sees.

    Attributes
    ----------
    bars
        Instrument id to its bars at the base bar size; also of instruments that only features name.
    sha256
        Of all of them, for the record.
    simulated
        Whether any of them were made by a random generator.
    """

    bars: Mapping[str, BarFrame]
    sha256: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class Samples:
    """n rows of features and their labels, ordered by time and, at one time, by instrument.

    Attributes
    ----------
    ts
        (n,) int64: close of the bar that the row belongs to, ns UTC.
    last_ns
        (n,) int64: close of the last bar that the label looks at.
    instrument
        (n,) int16: place in the list of instruments.
    rows
        (n, n_features) float32, finite.
    known
        (n,) bool: whether there is a label. Only the newest rows and those before gaps have none.
    up
        (n,) bool: the class.
    forward, previous
        (n,) float64: simple return of the label's span, and of the bar itself.
    """

    ts: TimeArray
    last_ns: TimeArray
    instrument: NDArray[np.int16]
    rows: Rows
    known: NDArray[np.bool_]
    up: NDArray[np.bool_]
    forward: FloatArray
    previous: FloatArray

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, which: NDArray[Any] | slice) -> Samples:
        """Return some of the samples, by their places or where a mask is true."""
        return Samples(
            self.ts[which],
            self.last_ns[which],
            self.instrument[which],
            self.rows[which],
            self.known[which],
            self.up[which],
            self.forward[which],
            self.previous[which],
        )

    def labelled(self) -> Samples:
        """Return those that have a label."""
        return self if self.known.all() else self.take(self.known)


def make_samples(
    features: FeatureSet, bars: TrainingBars, instruments: Sequence[str], label: Label
) -> Samples:
    """Compute features and labels.

    The features come from the engine that also computes them live.

    Parameters
    ----------
    instruments
        That the model learns from, together.

    Raises
    ------
    DataError
        If bars are not sound, if there are fewer than the features need to warm up, or fewer than
        the horizon is long.
    """
    parts = []
    for place, instrument in enumerate(instruments):
        needed = (instrument, *(other for other in features.others if other != instrument))
        engine = FeatureEngine(features, instrument)
        made = engine.batch({id_: bars.bars[id_] for id_ in needed})
        own = bars.bars[instrument]
        if not made.valid.any():
            raise DataError(
                f"bars of {instrument}",
                f"{len(own):,} are there, too few for a single row of features",
                f"must be more than {features.warmup:,} without a gap of more than "
                f"{features.longest_gap_bars} bars",
                "Train on a longer span, or use features that look back less far",
            )
        labels = label_bars(own, label, features.interval.ns, features.longest_gap_bars)
        if not (labels.known & made.valid).any():
            raise DataError(
                f"bars of {instrument}",
                f"none of the {int(made.valid.sum()):,} rows of features has a label: the horizon "
                f"of {label.horizon_bars:,} bars reaches beyond the data",
                f"must be clearly more than the warm-up of {features.warmup:,} and the horizon",
                "Train on a longer span, or choose a shorter horizon",
            )
        parts.append(_samples_of(place, own, made.values, made.valid, labels))
    return parts[0] if len(parts) == 1 else _merged(parts)


def _samples_of(
    place: int, bars: BarFrame, rows: Rows, valid: NDArray[np.bool_], labels: Labels
) -> Samples:
    previous = np.zeros(len(bars))
    previous[1:] = bars.close[1:] / bars.close[:-1] - 1.0
    return Samples(
        bars.ts_close,
        labels.last_ns,
        np.full(len(bars), place, np.int16),
        rows,
        labels.known,
        labels.up,
        labels.forward,
        previous,
    ).take(valid)


def _merged(parts: Sequence[Samples]) -> Samples:
    """Return the samples of several instruments in order of time."""
    order = np.lexsort(
        (np.concatenate([p.instrument for p in parts]), np.concatenate([p.ts for p in parts]))
    )
    joined = [
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in Samples.__dataclass_fields__
    ]
    return Samples(*joined)
