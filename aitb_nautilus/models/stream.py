"""The out-of-sample stream of a walk-forward: read from its file, and not believed before checked.

``aitb train CONFIG --walk-forward`` writes it: a Parquet file with the columns ts, instrument_id,
probability, expected_return and model_version, and what it is as JSON in its metadata under the key
``aitb``. Each stretch of it claims to come from a model that had seen nothing of that time. The
claim is checked here against the file's own windows, row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aitb_nautilus.errors import ModelError
from aitb_nautilus.market.intervals import Interval, TimeArray
from aitb_nautilus.models.manifest import Label
from aitb_nautilus.models.references import check_id

__all__ = ["PredictionStream", "StreamAbout", "StreamRows", "StreamWindow", "read_stream"]

_COLUMNS = pa.schema(
    [
        ("ts", pa.timestamp("ns", tz="UTC")),
        ("instrument_id", pa.string()),
        ("probability", pa.float32()),
        ("expected_return", pa.float32()),
        ("model_version", pa.string()),
    ]
)
_FAR_NS = 2**62 - 1  # the year 2116: a time and a horizon up to it add up within int64
_AGAIN = "Write it again: aitb train CONFIG --walk-forward"

type _Time = Annotated[int, msgspec.Meta(ge=0, le=_FAR_NS)]


class StreamWindow(msgspec.Struct, frozen=True):
    """One model of the stream, and the first and last row that it saw and answered, ns UTC."""

    model_version: str
    train_first_ns: _Time
    train_last_ns: _Time
    test_first_ns: _Time
    test_last_ns: _Time


class StreamAbout(msgspec.Struct, frozen=True):
    """What of the metadata is needed here; the rest is a report.

    Attributes
    ----------
    id
        Of the model that was trained again and again.
    longest_gap_bars
        So many missing bars in a row are bridged.
    trials
        How many models were tried before it was chosen, itself included.
    data_sha256
        Of the bars that it was made on.
    rows
        Of the whole stream.
    """

    id: str
    algorithm: str
    instruments: tuple[str, ...]
    features: tuple[str, ...]
    feature_fingerprint: str
    interval: str
    label: Label
    longest_gap_bars: int
    trials: int
    simulated: bool
    data_sha256: str
    rows: int
    windows: tuple[StreamWindow, ...]

    def __post_init__(self) -> None:
        check_id(self.id)
        if Interval.parse(self.interval).text != self.interval:
            raise ValueError(f"the interval {self.interval!r} is not in its shortest spelling")
        if self.label.horizon_ns > _FAR_NS:
            raise ValueError("the horizon is longer than anybody can wait")
        if self.longest_gap_bars < 0:
            raise ValueError("longest_gap_bars must not be negative")
        if self.trials < 1:
            raise ValueError("trials must be at least 1: this model is one")
        versions = [window.model_version for window in self.windows]
        if not versions or len(set(versions)) != len(versions):
            raise ValueError("windows must be one or more, each of a version of its own")


@dataclass(frozen=True, slots=True)
class StreamRows:
    """The n rows of one instrument, in order of time.

    Attributes
    ----------
    ts
        (n,) int64, bar close, ns UTC, strictly increasing.
    probability
        (n,) float32, in [0, 1].
    expected_return
        (n,) float32, finite, a fraction over the horizon; or None.
    window
        (n,) int64, place in `StreamAbout.windows`.
    """

    ts: TimeArray
    probability: NDArray[np.float32]
    expected_return: NDArray[np.float32] | None
    window: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PredictionStream:
    """A stream that has passed every check.

    Attributes
    ----------
    sha256
        Of the file.
    rows
        By instrument id, in the order of `StreamAbout.instruments`.
    """

    about: StreamAbout
    sha256: str
    rows: dict[str, StreamRows]


def read_stream(path: Path) -> PredictionStream:
    """Return the stream in a file.

    Raises
    ------
    ModelError
        If there is no such file, it is no stream, a value in it is broken, or a row does not lie
        after everything that its model was trained on, the labels included.
    """
    where = str(path)
    if not path.is_file():
        raise ModelError(
            where,
            "is no file" if path.exists() else "is not there",
            "must be the stream of a walk-forward",
            "Write one: aitb train CONFIG --walk-forward",
        )
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ModelError(where, f"cannot be read: {(e.strerror or str(e)).lower()}") from e
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        table.validate(full=True)  # a damaged text need not be UTF-8
    except (pa.ArrowException, OSError, UnicodeError) as e:
        raise ModelError(
            where, f"is no Parquet file, or a damaged one ({_first_line(e)})", todo=_AGAIN
        ) from e
    about = _about(table.schema, where)
    _check_columns(table, about, where)
    rows = _rows_by_instrument(table, about, where)
    return PredictionStream(about, hashlib.sha256(data).hexdigest(), rows)


def _about(schema: pa.Schema, where: str) -> StreamAbout:
    text = (schema.metadata or {}).get(b"aitb")
    if text is None:
        raise ModelError(
            where,
            "does not say what it is",
            "must hold the report of a walk-forward in its metadata, under the key aitb",
            _AGAIN,
        )
    try:
        return msgspec.json.decode(text, type=StreamAbout)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ModelError(where, f"says what it is in words not understood ({e})", "", _AGAIN) from e


def _check_columns(table: pa.Table, about: StreamAbout, where: str) -> None:
    if not table.schema.equals(_COLUMNS):
        found, wanted = (
            ", ".join(f"{field.name} {field.type}" for field in schema)
            for schema in (table.schema, _COLUMNS)
        )
        raise ModelError(where, f"has the columns {found}", f"must have {wanted}", _AGAIN)
    if len(table) != about.rows or not about.rows:
        raise ModelError(
            where, f"has {len(table):,} rows", f"must have the {about.rows:,} of its report", _AGAIN
        )
    for name in _COLUMNS.names:
        absent = table[name].null_count
        if absent and not (name == "expected_return" and absent == len(table)):
            raise ModelError(where, f"{absent:,} rows lack the {name}", todo=_AGAIN)


def _rows_by_instrument(table: pa.Table, about: StreamAbout, where: str) -> dict[str, StreamRows]:
    rows = StreamRows(
        table["ts"].cast(pa.int64()).to_numpy(),
        table["probability"].to_numpy(),
        None if table["expected_return"].null_count else table["expected_return"].to_numpy(),
        _places(table["model_version"], [w.model_version for w in about.windows], where),
    )
    instrument = _places(table["instrument_id"], about.instruments, where)
    _check_values(rows, about, where)
    _check_honest(rows, about, where)
    found = {}
    for place, instrument_id in enumerate(about.instruments):
        own = np.flatnonzero(instrument == place)
        early = np.zeros(len(rows.ts), np.bool_)
        early[own[1:]] = np.diff(rows.ts[own]) <= 0
        _refuse(early, rows.ts, where, f"does not come after the row of {instrument_id} before it")
        expected = rows.expected_return
        found[instrument_id] = StreamRows(
            rows.ts[own],
            rows.probability[own],
            None if expected is None else expected[own],
            rows.window[own],
        )
    return found


def _check_values(rows: StreamRows, about: StreamAbout, where: str) -> None:
    # NaN is not within any bounds.
    chance = (rows.probability >= 0.0) & (rows.probability <= 1.0)
    _refuse(~chance, rows.ts, where, "holds a probability that is not in [0, 1]")
    if rows.expected_return is not None:
        infinite = ~np.isfinite(rows.expected_return)
        _refuse(infinite, rows.ts, where, "holds an expected return that is not finite")
    beside = rows.ts % Interval.parse(about.interval).ns != 0
    _refuse(beside, rows.ts, where, f"is not the time of the close of a bar of {about.interval}")


def _check_honest(rows: StreamRows, about: StreamAbout, where: str) -> None:
    """Refuse a row that its model may have been trained on, or whose time a label looked at."""
    trained, first, last = (
        np.array([getattr(window, name) for window in about.windows], np.int64)[rows.window]
        for name in ("train_last_ns", "test_first_ns", "test_last_ns")
    )
    seen = rows.ts <= trained + about.label.horizon_ns
    _refuse(seen, rows.ts, where, "is answered by a model that was trained on bars of that time")
    outside = (rows.ts < first) | (rows.ts > last)
    _refuse(outside, rows.ts, where, "does not lie in the stretch that its model answered")


def _refuse(broken: NDArray[np.bool_], ts: TimeArray, where: str, found: str) -> None:
    rows = np.flatnonzero(broken)
    if len(rows):
        time = np.datetime64(int(ts[rows[0]]), "ns").astype("datetime64[s]")
        more = f" (the first of {len(rows):,} such rows)" if len(rows) > 1 else ""
        raise ModelError(f"{where}: row {rows[0] + 1:,} of {time}Z", f"{found}{more}", todo=_AGAIN)


def _places(column: pa.ChunkedArray, known: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return the place of each text among those that the metadata name."""
    texts = column.combine_chunks().dictionary_encode()
    place = {text: i for i, text in enumerate(known)}
    strange = [text for text in texts.dictionary.to_pylist() if text not in place]
    if strange:
        raise ModelError(where, f"holds rows of {strange[0]!r}", "its report knows none", _AGAIN)
    places = np.array([place[text] for text in texts.dictionary.to_pylist()], np.int64)
    found: NDArray[np.int64] = places[texts.indices.to_numpy()]
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
