"""A model for each stretch of time, trained on what came before it, and one out-of-sample stream.

Every probability in the stream comes from a model that had seen nothing of its time or after it.
The stream is a Parquet file with the columns ts, instrument_id, probability, expected_return and
model_version; what it is stands in its metadata under the key ``aitb``, as JSON.
"""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.models.folders import write_whole
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.training.baselines import BASELINES
from aitb_nautilus.training.fitting import fit_model, gate
from aitb_nautilus.training.judging import MODEL, compare
from aitb_nautilus.training.leaks import check_splits, refuse
from aitb_nautilus.training.metrics import CalibrationBin, calibration_table, measure
from aitb_nautilus.training.record import label_of
from aitb_nautilus.training.samples import Samples, TrainingBars, make_samples
from aitb_nautilus.training.settings import ModelSettings, WalkForwardSettings
from aitb_nautilus.training.splits import walk_forward_windows
from aitb_nautilus.training.train import Progress

__all__ = ["Stream", "WalkForwardReport", "Window", "walk_forward", "write_stream"]

_DAY_NS = 86_400_000_000_000
_GATE_ROWS = 2000
_FEWEST_MEASURED = 20


class Window(msgspec.Struct, frozen=True):
    """One retraining: its spans in ns UTC, its model, and what that did on the stretch after it."""

    number: int
    model_version: str
    model_sha256: str
    train_first_ns: int
    train_last_ns: int
    test_first_ns: int
    test_last_ns: int
    train_rows: int
    test_rows: int
    rounds: int
    metrics: dict[str, dict[str, float | None]]


class WalkForwardReport(msgspec.Struct, frozen=True):
    """What a walk-forward did.

    Attributes
    ----------
    label, longest_gap_bars
        What was foretold, and how many missing bars in a row are bridged.
    trials
        How many models were tried before this one was chosen, itself included.
    rows
        Of the stream.
    summary
        ``model`` and each baseline: metric over the whole stream.
    useful, verdict
        As in `aitb_nautilus.training.judging.Judgement`, over the windows.
    seconds
        For features, training (the library's fits alone), export (calibration, ONNX and its gate),
        prediction, total.
    path
        Of the stream; empty before it has been written.
    """

    id: str
    algorithm: str
    instruments: tuple[str, ...]
    features: tuple[str, ...]
    feature_fingerprint: str
    interval: str
    horizon_ns: int
    label: Label
    longest_gap_bars: int
    trials: int
    simulated: bool
    data_sha256: str
    rows: int
    windows: list[Window]
    summary: dict[str, dict[str, float | None]]
    calibration: list[CalibrationBin]
    useful: bool
    verdict: str
    seconds: dict[str, float]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """Out-of-sample predictions of n rows, in order of time.

    Attributes
    ----------
    ts
        (n,) int64, bar close, ns UTC.
    instrument
        (n,) int16, place in the list of instruments.
    probability
        (n,) float32.
    expected_return
        (n,) float32, or None.
    window
        (n,) int32, number of the window.
    """

    ts: NDArray[np.int64]
    instrument: NDArray[np.int16]
    probability: NDArray[np.float32]
    expected_return: NDArray[np.float32] | None
    window: NDArray[np.int32]


def walk_forward(
    settings: ModelSettings,
    plan: WalkForwardSettings,
    features: FeatureSet,
    bars: TrainingBars,
    progress: Progress = lambda *_: None,
) -> tuple[WalkForwardReport, Stream]:
    """Train on a schedule and join the predictions.

    Raises
    ------
    DataError, ModelError
        As `aitb_nautilus.training.train.train`; also if the data are shorter than a window.
    """
    began = time.perf_counter()
    interval_ns = features.interval.ns
    purge_ns = settings.purge_bars * interval_ns
    progress("features", 0, 1)
    samples = make_samples(features, bars, settings.instruments, settings.label)
    seconds = {"features": time.perf_counter() - began, "training": 0.0, "export": 0.0}
    seconds["prediction"] = 0.0
    folds = list(
        walk_forward_windows(
            samples,
            train_ns=round(plan.train_days * _DAY_NS),
            step_ns=round(plan.step_days * _DAY_NS),
            purge_ns=purge_ns,
            embargo_ns=settings.embargo_bars * interval_ns,
        )
    )
    refuse(check_splits(samples, folds))
    probability = np.full(len(samples), np.nan, np.float32)
    expected = np.full(len(samples), np.nan, np.float32)
    number = np.zeros(len(samples), np.int32)
    windows, baselines = [], {name: np.full(len(samples), np.nan) for name in BASELINES}
    for fold in folds:
        progress("windows", fold.number - 1, len(folds))
        started = time.perf_counter()
        model = fit_model(samples, fold.train, settings, purge_ns)
        gate(model, samples.rows[fold.test[:: max(1, len(fold.test) // _GATE_ROWS)]])
        trained = time.perf_counter()
        test = samples.take(fold.test)
        found = model.session().rows_exact(test.rows)
        seconds["training"] += model.seconds
        seconds["export"] += trained - started - model.seconds
        seconds["prediction"] += time.perf_counter() - trained
        probability[fold.test], number[fold.test] = found.probability, fold.number
        if found.expected_return is not None:
            expected[fold.test] = found.expected_return
        train = samples.take(fold.train)
        for name, baseline in BASELINES.items():
            baselines[name][fold.test] = baseline(train, test)
        windows.append(
            Window(
                fold.number,
                _version(settings, fold.number),
                hashlib.sha256(model.onnx).hexdigest(),
                int(train.ts[0]),
                int(train.ts[-1]),
                int(test.ts[0]),
                int(test.ts[-1]),
                len(train),
                len(test),
                model.scorer.rounds,
                _measured(samples, fold.test, probability, baselines),
            )
        )
    progress("windows", len(folds), len(folds))
    places = np.flatnonzero(number)
    summary = _measured(samples, places, probability, baselines)
    if not summary:
        raise DataError(
            "walk-forward",
            "almost no predicted row has a label",
            "must be more rows than the horizon is long",
            "Train on a longer span, or choose a shorter horizon",
        )
    labelled = places[samples.known[places]]
    useful, verdict = compare([w.metrics for w in windows if w.metrics], "windows")
    seconds["total"] = time.perf_counter() - began
    report = WalkForwardReport(
        settings.id,
        str(settings.algorithm.__struct_config__.tag),
        settings.instruments,
        features.names,
        features.fingerprint,
        features.interval.text,
        settings.label.horizon_bars * interval_ns,
        label_of(settings, features.interval),
        features.longest_gap_bars,
        settings.trials,
        bars.simulated,
        bars.sha256,
        len(places),
        windows,
        summary,
        calibration_table(probability[labelled].astype(np.float64), samples.up[labelled]),
        useful,
        verdict,
        seconds,
    )
    has_return = not np.isnan(expected[places]).any()
    return report, Stream(
        samples.ts[places],
        samples.instrument[places],
        probability[places],
        expected[places] if has_return else None,
        number[places],
    )


def write_stream(folder: Path, report: WalkForwardReport, stream: Stream) -> WalkForwardReport:
    """Write ``<folder>/<id>.parquet``, whole or not at all; return the report with its path."""
    path = folder / f"{report.id}.parquet"
    report = msgspec.structs.replace(report, path=str(path))
    names = pa.array(report.instruments, pa.string())
    versions = pa.array([window.model_version for window in report.windows], pa.string())
    expected = stream.expected_return
    table = pa.table(
        {
            "ts": pa.array(stream.ts).cast(pa.timestamp("ns", tz="UTC")),
            "instrument_id": names.take(pa.array(stream.instrument)),
            "probability": pa.array(stream.probability),
            "expected_return": pa.nulls(len(stream.ts), pa.float32())
            if expected is None
            else pa.array(expected),
            "model_version": versions.take(pa.array(stream.window - 1)),
        }
    ).replace_schema_metadata({"aitb": msgspec.json.encode(report)})
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.getvalue(), 0o644)
    return report


def _version(settings: ModelSettings, number: int) -> str:
    return f"{settings.id}/window-{number}"


def _measured(
    samples: Samples,
    places: NDArray[np.int64],
    probability: NDArray[np.float32],
    baselines: dict[str, FloatArray],
) -> dict[str, dict[str, float | None]]:
    """Return the metrics over those rows that have a label; empty if these are too few."""
    places = places[samples.known[places]]
    if len(places) < _FEWEST_MEASURED:
        return {}
    given = {MODEL: probability.astype(np.float64), **baselines}
    return {
        name: measure(values[places], samples.up[places], samples.forward[places])
        for name, values in given.items()
    }
