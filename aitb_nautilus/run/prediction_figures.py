"""What became of the predictions of a run: outcomes beside them, and a record for each model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aitb_nautilus.errors import ModelError, RunError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import Interval, TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import FeatureImportance, LabelRecord, ModelRecord
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.run.prediction_measures import Predicted, measure_predictions
from aitb_nautilus.training.labels import label_bars
from aitb_nautilus.training.settings import Label

__all__ = ["model_records", "resolve_outcomes"]

MOST_FEATURES = 30


def resolve_outcomes(
    predictions: pa.Table,
    sources: Mapping[str, PredictionSource],
    frames: Mapping[str, BarFrame],
) -> pa.Table:
    """Return the run folder's table of predictions: what was recorded, and what happened.

    Parameters
    ----------
    predictions
        The columns of ``TABLES["predictions"]`` but the last two; times may be int ns.
    sources
        By the name in the column ``model``.
    frames
        All bars of the run, by instrument id.

    Returns
    -------
    pa.Table
        In the same order, of the schema ``TABLES["predictions"]``. Where the horizon has not ended
        in the bars, or has a gap that the model does not bridge, there is no outcome.

    Raises
    ------
    ModelError
        If a model's label is of a form that this version does not know.
    RunError
        If a prediction answers no bar of the run.
    """
    schema = TABLES["predictions"]
    count = predictions.num_rows
    ts = _int64(predictions, "ts")
    names = {name: _codes(predictions, name) for name in ("instrument_id", "model", "version")}
    forward, up, known = np.zeros(count), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    (ids, instrument), (models, model) = names["instrument_id"], names["model"]
    pair = model.astype(np.int64) * len(ids) + instrument
    for key in np.flatnonzero(np.bincount(pair)).tolist():
        rows = np.flatnonzero(pair == key)
        source, id_ = sources[models[key // len(ids)]], ids[key % len(ids)]
        bars = frames[id_]
        place = _places(bars, ts[rows], source, id_)
        interval_ns = Interval.parse(source.interval).ns
        labels = label_bars(bars, _taught(source), interval_ns, source.longest_gap_bars)
        known[rows] = labels.known[place]
        forward[rows], up[rows] = labels.forward[place], labels.up[place]
    made = {
        "forward_return": pa.array(forward, mask=~known),
        "up": pa.array(up, mask=~known),
    } | {
        name: pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(texts, pa.string()))
        for name, (texts, codes) in names.items()
    }
    columns = [
        made[field.name] if field.name in made else predictions.column(field.name).cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def model_records(
    sources: Mapping[str, PredictionSource],
    table: pa.Table,
    late: Mapping[str, int],
    run_first_open_ns: int,
) -> list[ModelRecord]:
    """Return what run.json says of each source of predictions, in the order given.

    Parameters
    ----------
    table
        From `resolve_outcomes`.
    late
        Number of dropped answers by model; a model that is not there had none.
    run_first_open_ns
        Open of the run's first bar, ns UTC.
    """
    models, model = _codes(table, "model")
    ts, probability = _int64(table, "ts"), table.column("probability").to_numpy()
    known = table.column("up").is_valid().to_numpy()
    up = table.column("up").fill_null(fill_value=False).to_numpy()
    forward = table.column("forward_return").to_numpy()
    records = []
    for name, source in sources.items():
        own = np.flatnonzero(model == models.index(name)) if name in models else slice(0)
        predicted = Predicted(ts[own], probability[own], known[own], up[own], forward[own])
        figures = measure_predictions(
            predicted,
            interval_ns=Interval.parse(source.interval).ns,
            horizon_bars=source.label.horizon_bars,
            late=late.get(name, 0),
        )
        largest = sorted(source.importance.items(), key=lambda item: (-item[1], item[0]))
        records.append(
            ModelRecord(
                id=source.model,
                version=source.version,
                sha256=source.sha256,
                manifest_sha256=source.manifest_sha256,
                alias=source.alias,
                algorithm=source.algorithm,
                interval=source.interval,
                instruments=list(source.instruments),
                label=LabelRecord(
                    kind=source.label.kind,
                    horizon_bars=source.label.horizon_bars,
                    horizon_ns=source.label.horizon_ns,
                    cost_bps=source.label.parameters.get("cost_bps", 0.0),
                ),
                trained_first=_iso(source.trained_first_ns),
                trained_last=_iso(source.trained_last_ns),
                simulated=source.simulated,
                trials=source.trials,
                expires=_iso(source.expires_ns),
                members=list(source.members),
                importance=[
                    FeatureImportance(feature=feature, log_loss_rise=rise)
                    for feature, rise in largest[:MOST_FEATURES]
                ],
                sample=_sample(source, run_first_open_ns),
                figures=figures,
            )
        )
    return records


def _sample(
    source: PredictionSource, run_first_open_ns: int
) -> Literal["out", "in", "walk-forward"]:
    """Return whether the training looked at the time of the run, or at later time."""
    if source.trained_last_ns is None:
        return "walk-forward"
    # The last row of the training looks ahead for a horizon to get its label.
    seen_until = source.trained_last_ns + source.label.horizon_ns
    return "in" if run_first_open_ns < seen_until else "out"


def _taught(source: PredictionSource) -> Label:
    """Return the label as the training has it."""
    label = source.label
    plain: dict[str, Any] = {"kind": label.kind, "horizon_bars": label.horizon_bars}
    # A manifest holds every parameter as a float; the whole ones are counts of bars.
    plain |= {k: int(v) if k.endswith("_bars") else v for k, v in label.parameters.items()}
    try:
        return msgspec.convert(plain, Label)  # type: ignore[no-any-return]
    except msgspec.ValidationError as e:
        raise ModelError(
            f"model {source.model}@{source.version}",
            f"its label cannot be understood: {e}",
            "must be a label that this version of AITB knows",
            "Use the version of AITB that trained it, or train it again",
        ) from e


def _places(
    bars: BarFrame, ts: TimeArray, source: PredictionSource, instrument_id: str
) -> NDArray[np.int64]:
    """Return the place of the bar that closes at each time, (n,) int64."""
    place = np.searchsorted(bars.ts_close, ts)
    lost = np.flatnonzero(np.append(bars.ts_close, -1)[place] != ts)
    if len(lost):
        raise RunError(
            f"model {source.model}@{source.version}",
            f"answered for {instrument_id} at {iso(int(ts[lost[0]]))}, where no bar closes",
            "must answer closed bars of the run",
            "This is a defect of the actor that publishes it",
        )
    return place


def _codes(table: pa.Table, name: str) -> tuple[list[str], NDArray[np.int32]]:
    """Return the texts of a column and, for each row, which of them it has."""
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(), np.int32)


def _int64(table: pa.Table, name: str) -> TimeArray:
    return np.asarray(table.column(name).cast(pa.int64()).to_numpy(), np.int64)


def _iso(ns: int | None) -> str | None:
    return None if ns is None else iso(ns)
