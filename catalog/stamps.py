"""Time stamps of any usual kind as int64 nanoseconds UTC."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from catalog.arrays import numpy_of

__all__ = ["stamps_ns"]

_NS = pa.timestamp("ns")
_NS_UTC = pa.timestamp("ns", "UTC")
_WANTED = (
    "must be a time: seconds, ms, us or ns since 1970, or ISO text; without an offset it is UTC"
)

# A count since 1970 tells its unit by its size: this many seconds are the year 5138, this many
# milliseconds are 1973. Binance changed its spot files from ms to us in 2025; each value is judged
# on its own, so that a file may hold both.
_LIMITS = ((10**11, 1_000_000_000), (10**14, 1_000_000), (10**17, 1_000))
_EARLIEST_NS = 631_152_000_000_000_000  # 1990-01-01
_LATEST_NS = 4_102_444_800_000_000_000  # 2100-01-01


def stamps_ns(column: pa.ChunkedArray, where: str) -> TimeArray:
    """Return a column of times as ns UTC.

    Parameters
    ----------
    column
        Timestamps, dates, integers or floats since 1970 in s, ms, us or ns, or texts of these.
    where
        File and column, for the error.

    Returns
    -------
    (n,) int64

    Raises
    ------
    DataError
        If a value is missing, is no time, or lies outside of 1990 to 2100.
    """
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py() + 1
        raise DataError(f"{where}, row {row}", "is empty", _WANTED)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _of_text(column, where)
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        times = column.cast(_NS_UTC if getattr(kind, "tz", None) else _NS)
        stamps = numpy_of(times, np.int64)
    elif pa.types.is_integer(kind):
        stamps = _of_counts(numpy_of(column.cast(pa.int64()), np.int64))
    elif pa.types.is_floating(kind):
        stamps = _of_floats(numpy_of(column.cast(pa.float64()), np.float64), where)
    else:
        raise DataError(where, f"is a column of {kind}", _WANTED)
    beside = np.flatnonzero((stamps < _EARLIEST_NS) | (stamps > _LATEST_NS))
    if len(beside):
        row = int(beside[0])
        raise DataError(
            f"{where}, row {row + 1}",
            f"was {column[row].as_py()!r}, which is {iso(int(stamps[row]))}",
            "must lie between 1990 and 2100",
        )
    return stamps


def _of_text(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    for kind in (pa.int64(), pa.float64(), _NS_UTC, _NS):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise DataError(where, f"holds texts such as {column[0].as_py()!r}", _WANTED)


def _of_counts(counts: TimeArray) -> TimeArray:
    size = np.abs(counts)
    factor = np.ones_like(counts)
    for limit, unit in reversed(_LIMITS):
        factor[size < limit] = unit
    return counts * factor


def _of_floats(counts: FloatArray, where: str) -> TimeArray:
    bad = np.flatnonzero(~np.isfinite(counts) | (np.abs(counts) >= 2.0**63))
    if len(bad):
        raise DataError(f"{where}, row {bad[0] + 1}", f"was {float(counts[bad[0]])!r}", _WANTED)
    whole = counts.astype(np.int64)
    stamps = _of_counts(whole)
    # Fractions of a second; a double holds them to the microsecond.
    parts = (whole != counts) & (np.abs(counts) < _LIMITS[0][0])
    stamps[parts] = np.round(counts[parts] * 1e6).astype(np.int64) * 1_000
    return stamps
