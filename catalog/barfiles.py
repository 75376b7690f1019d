"""Bar files: one calendar period of one series, in the layout and schema of the engine's catalog.

The name of a file follows from its period alone, ``<first possible close>_<last possible close>``,
and not from the bars in it. New bars of that period therefore replace the file under the same name,
in one atomic step. Bars shorter than an hour are kept by month, longer ones by year. A period holds
the bars that begin in it: the bar that closes at midnight of the first of February is January's.
"""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, Interval, TimeArray
from aitb_nautilus.market.instruments import InstrumentSettings
from catalog.arrays import arrow_of, numpy_of, whole
from catalog.decimals import DECIMAL, decimals_of_floats, floats_of_decimals
from catalog.provenance import Provenance

__all__ = [
    "WRITE_OPTIONS",
    "BarFileInfo",
    "Period",
    "bar_table",
    "is_whole_period",
    "may_hold",
    "periods_of",
    "read_bars",
    "read_closes",
    "read_info",
    "series_folder",
]

_TIME = pa.timestamp("ns", "UTC")
_TIMES = ("ts_event", "ts_init")
WRITE_OPTIONS = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_page_checksum": True,
    "column_encoding": {
        **dict.fromkeys(VALUE_COLUMNS, "BYTE_STREAM_SPLIT"),
        **dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
    },
}
_HOUR_NS = 3_600_000_000_000
_STAMP = r"(\d{4}-\d\d-\d\d)T(\d\d-\d\d-\d\d)-(\d{9})Z"
_NAME = re.compile(rf"{_STAMP}_{_STAMP}\.parquet")


class Period(msgspec.Struct, frozen=True):
    """A calendar month or year: the close times that belong to it, both ends included, ns UTC."""

    first_close_ns: int
    last_close_ns: int

    @property
    def file_name(self) -> str:
        """The name that the engine gives to a file of these bars."""
        return f"{_stamp(self.first_close_ns)}_{_stamp(self.last_close_ns)}.parquet"


class BarFileInfo(msgspec.Struct, frozen=True):
    """What a bar file says about itself."""

    bar_type: str
    instrument_id: str
    price_precision: int
    size_precision: int
    rows: int
    provenance: Provenance


def series_folder(catalog: Path, bar_type: str) -> Path:
    """Return the folder of one series; the engine leaves out the slash of ``BTC/USD``."""
    return catalog / "data" / "bars" / bar_type.replace("/", "")


def periods_of(ts_close: TimeArray, interval: Interval) -> list[tuple[Period, slice]]:
    """Split bars into calendar periods.

    Parameters
    ----------
    ts_close
        (n,) int64, in order.
    interval
        Length of the bars.

    Returns
    -------
    list of (Period, slice)
        The periods that have bars, in order, and where their bars stand.
    """
    unit: Literal["M", "Y"] = "M" if interval.ns < _HOUR_NS else "Y"
    opens = (ts_close - interval.ns).astype("datetime64[ns]").astype(f"datetime64[{unit}]")
    if not len(opens):
        return []
    starts = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
    parts = []
    for start, stop in pairwise([*starts, len(opens)]):
        begin = opens[start]
        first = int(begin.astype("datetime64[ns]").astype(np.int64)) + interval.ns
        last = int((begin + np.timedelta64(1, unit)).astype("datetime64[ns]").astype(np.int64))
        parts.append((Period(first, last), slice(int(start), int(stop))))
    return parts


def bar_table(
    instrument: InstrumentSettings, interval: Interval, bars: BarFrame, provenance: Provenance
) -> pa.Table:
    """Return the table of one file.

    Raises
    ------
    ValueError
        If a price or a volume is not on the instrument's grid.
    """
    closes = arrow_of(bars.ts_close, _TIME)
    columns = [
        decimals_of_floats(
            getattr(bars, name),
            instrument.size_precision if name == "volume" else instrument.price_precision,
        )
        for name in VALUE_COLUMNS
    ]
    schema = pa.schema(
        [pa.field(name, DECIMAL, nullable=False) for name in VALUE_COLUMNS]
        + [pa.field(name, _TIME, nullable=False) for name in _TIMES],
        metadata={
            b"bar_type": interval.bar_type(instrument.id).encode(),
            b"instrument_id": instrument.id.encode(),
            b"price_precision": b"%d" % instrument.price_precision,
            b"size_precision": b"%d" % instrument.size_precision,
            b"type_name": b"Bar",
            **provenance.metadata(),
        },
    )
    return pa.Table.from_arrays([*columns, closes, closes], schema=schema)


def read_info(path: Path) -> BarFileInfo:
    """Return what a bar file says about itself, without reading its bars.

    Raises
    ------
    DataError
        If the file is damaged or is no bar file.
    """
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            return BarFileInfo(
                bar_type=metadata[b"bar_type"].decode(),
                instrument_id=metadata[b"instrument_id"].decode(),
                price_precision=int(metadata[b"price_precision"]),
                size_precision=int(metadata[b"size_precision"]),
                rows=file.metadata.num_rows,
                provenance=Provenance.of_metadata(metadata),
            )
    except (pa.ArrowException, OSError, KeyError, ValueError, msgspec.MsgspecError) as e:
        raise _damaged(path, e) from e


def read_closes(path: Path) -> TimeArray:
    """Return only the close times of a bar file, (n,) int64.

    Raises
    ------
    DataError
        If the file is damaged or is no bar file.
    """
    try:
        with pq.ParquetFile(path) as file:
            return _times(file.read(columns=["ts_event"]))
    except (pa.ArrowException, OSError) as e:
        raise _damaged(path, e) from e


def read_bars(path: Path) -> BarFrame:
    """Return the bars of a file, each value the double nearest to its decimal.

    Raises
    ------
    DataError
        If the file is no bar file, or is damaged, if only by one bit: its checksums are verified.
    """
    info = read_info(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=[*VALUE_COLUMNS, "ts_event"])
        return BarFrame(
            _times(table),
            *(
                floats_of_decimals(
                    whole(table[name]),
                    info.size_precision if name == "volume" else info.price_precision,
                )
                for name in VALUE_COLUMNS
            ),
        )
    except (pa.ArrowException, OSError, ValueError) as e:
        raise _damaged(path, e) from e


def is_whole_period(path: Path, interval: Interval) -> bool:
    """Return whether a file's name is that of a whole period, as this catalog names its files."""
    span = _span_of_name(path.name)
    if span is None:
        return False
    closes = np.array([span[1]], np.int64)
    return periods_of(closes, interval)[0][0].file_name == path.name


def may_hold(path: Path, start_ns: int | None, end_ns: int | None) -> bool:
    """Return whether a file may have bars of a range, by its name."""
    span = _span_of_name(path.name)
    if span is None:
        return True
    begins = end_ns is None or span[0] <= end_ns
    return begins and (start_ns is None or span[1] >= start_ns)


def _span_of_name(name: str) -> tuple[int, int] | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    first, last = (
        np.datetime64(f"{day}T{time.replace('-', ':')}.{rest}", "ns").astype(np.int64)
        for day, time, rest in (match.groups()[:3], match.groups()[3:])
    )
    return int(first), int(last)


def _times(table: pa.Table) -> TimeArray:
    return numpy_of(table["ts_event"].cast(_TIME), np.int64)


def _stamp(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}-{rest:09d}Z"


def _damaged(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(
        str(path),
        f"is damaged or is no bar file ({reason})",
        "must be a bar file of this catalog",
        "Remove the file and import its period again",
    )
