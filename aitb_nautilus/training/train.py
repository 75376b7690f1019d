"""From bars to a judged model in a signed bundle."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.models.manifest import Label as LabelRecord, Span
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.training.fitting import fit_model, gate
from aitb_nautilus.training.judging import Judgement, judge
from aitb_nautilus.training.record import contract_of, training_of
from aitb_nautilus.training.samples import Samples, TrainingBars, make_samples
from aitb_nautilus.training.settings import ModelSettings
from aitb_nautilus.training.splits import chronological_folds

__all__ = ["Progress", "PublishedModel", "TrainingReport", "train"]

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_PROBES = 16
_GATE_ROWS = 20_000
_DAY_NS = 86_400_000_000_000


class PublishedModel(msgspec.Struct, frozen=True):
    """The bundle that a training came to; `new` is False if this very model was there already."""

    id: str
    version: int
    sha256: str
    bytes: int
    path: str
    new: bool


class TrainingReport(msgspec.Struct, frozen=True):
    """What a training did.

    Attributes
    ----------
    rows, unlabelled
        Rows with a label, and those without.
    up_share
        Share of the labels that are up.
    span
        First and last row, ns UTC.
    rounds
        Trees, iterations or epochs of the final fit.
    calibration_rows, validation_rows
        Held out by the final fit.
    export_difference
        The largest between ONNX Runtime's probability and the library's.
    seconds
        For features, folds, fit (with export and its gate), publish, total.
    """

    model: PublishedModel
    algorithm: str
    label: LabelRecord
    features: tuple[str, ...]
    instruments: tuple[str, ...]
    interval: str
    simulated: bool
    data_sha256: str
    rows: int
    unlabelled: int
    up_share: float
    span: Span
    rounds: int
    calibration: str
    calibration_rows: int
    validation_rows: int
    export_difference: float
    judgement: Judgement
    seconds: dict[str, float]


def train(
    settings: ModelSettings,
    features: FeatureSet,
    bars: TrainingBars,
    registry: Registry,
    *,
    config_sha256: str | None = None,
    progress: Progress = lambda *_: None,
) -> TrainingReport:
    """Judge a model by folds, fit it on all rows, and publish it.

    Parameters
    ----------
    bars
        Of the span to train on, and nothing after it.
    registry
        Where the bundle goes.
    config_sha256
        Of the resolved config, for the record.

    Raises
    ------
    ConfigError
        If the model would have expired already.
    DataError
        If the bars are not sound, too few, or of one class only.
    ModelError
        If a fit does not come to an end, or the export does not answer as the library does. Nothing
        has been published then.
    """
    began = time.perf_counter()
    interval_ns = features.interval.ns
    purge_ns = settings.purge_bars * interval_ns
    _refuse_expired(settings, bars)
    progress("features", 0, 1)
    samples = make_samples(features, bars, settings.instruments, settings.label)
    labelled = samples.labelled()
    featured = time.perf_counter()
    folds = chronological_folds(
        labelled,
        settings.folds,
        purge_ns=purge_ns,
        embargo_ns=settings.embargo_bars * interval_ns,
    )
    steps = len(folds) + 1
    progress("folds", 0, steps)
    judgement = judge(
        labelled,
        folds,
        settings,
        names=features.names,
        purge_ns=purge_ns,
        progress=lambda done: progress("folds", done, steps),
    )
    judged = time.perf_counter()
    progress("final fit", len(folds), steps)
    model = fit_model(labelled, np.arange(len(labelled)), settings, purge_ns)
    difference = gate(model, _spread_rows(labelled, _GATE_ROWS).rows)
    fitted = time.perf_counter()
    training = training_of(
        settings,
        features,
        bars,
        samples=labelled,
        model=model,
        judgement=judgement,
        config_sha256=config_sha256,
    )
    publication = registry.publish(
        settings.id,
        model.onnx,
        contract=contract_of(settings, features),
        training=training,
        probe_rows=_spread_rows(labelled, _PROBES).rows,
        expires_ns=_expiry(settings, bars),
    )
    progress("final fit", steps, steps)
    ended = time.perf_counter()
    manifest = publication.bundle.manifest
    return TrainingReport(
        PublishedModel(
            manifest.id,
            manifest.version,
            manifest.model.sha256,
            manifest.model.size,
            str(publication.bundle.path),
            publication.new,
        ),
        manifest.training.algorithm,
        manifest.contract.label,
        features.names,
        settings.instruments,
        features.interval.text,
        bars.simulated,
        bars.sha256,
        len(labelled),
        len(samples) - len(labelled),
        float(labelled.up.mean()),
        Span(first_ns=int(labelled.ts[0]), last_ns=int(labelled.ts[-1])),
        model.scorer.rounds,
        settings.calibration,
        len(model.parts.calibration),
        len(model.parts.validation),
        difference,
        judgement,
        {
            "features": featured - began,
            "folds": judged - featured,
            "fit": fitted - judged,
            "publish": ended - fitted,
            "total": ended - began,
        },
    )


def _expiry(settings: ModelSettings, bars: TrainingBars) -> int | None:
    """Return from when on the model must not be loaded, ns UTC: counted from its newest bar."""
    if settings.expires_days is None:
        return None
    newest = max(int(bars.bars[id_].ts_close[-1]) for id_ in settings.instruments)
    return newest + round(settings.expires_days * _DAY_NS)


def _refuse_expired(settings: ModelSettings, bars: TrainingBars) -> None:
    expires = _expiry(settings, bars)
    if expires is not None and expires <= time.time_ns():
        when = np.datetime64(expires, "ns").astype("datetime64[s]")
        raise ConfigError(
            "model.expires_days",
            f"was {settings.expires_days:g}: counted from the newest bar, the model expired at "
            f"{when}Z",
            "must reach beyond now",
            "Train on newer bars, or set a longer time",
        )


def _spread_rows(samples: Samples, count: int) -> Samples:
    """Return at most so many samples, evenly spaced."""
    if len(samples) <= count:
        return samples
    return samples.take(np.linspace(0, len(samples) - 1, count).astype(np.int64))
