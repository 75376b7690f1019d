"""Settled funding rates of perpetuals: one file a calendar year and instrument.

They lie in ``funding/<instrument>/<year>.parquet`` of the catalog, where the engine does not look:
`ts` as timestamp[ns, UTC], `rate` as float64. A rate is a fraction of the position's value; where
it is positive, longs pay shorts.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from catalog.arrays import arrow_of, numpy_of
from catalog.provenance import Provenance, Source
from catalog.staging import Staging

__all__ = ["FundingSeries", "list_funding", "read_funding", "stage_funding"]

_TIME = pa.timestamp("ns", "UTC")
_SCHEMA = pa.schema(
    [
        pa.field("ts", _TIME, nullable=False),
        pa.field("rate", pa.float64(), nullable=False),
    ]
)
_OPTIONS = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True}
_MINUTE_NS = 60_000_000_000

# Binance caps the rate of one settlement at 3 % (and most pairs far below); beyond 5 % the number
# is a percentage or no rate at all.
MAX_RATE = 0.05


class FundingSeries(msgspec.Struct, frozen=True):
    """What the catalog holds of one perpetual's funding rates; times are settlements."""

    instrument_id: str
    first_ns: int
    last_ns: int
    rows: int
    bytes: int
    simulated: bool
    sources: tuple[Source, ...]


def stage_funding(
    staging: Staging,
    catalog: Path,
    instrument_id: str,
    *,
    ts: TimeArray,
    rate: FloatArray,
    origin: Provenance,
    replace: bool,
) -> tuple[int, int, int]:
    """Merge rates into the files of their years.

    Returns
    -------
    rows_added, rows_same, rows_replaced

    Raises
    ------
    DataError
        If they are not sound, contradict stored ones, or mix simulated with recorded ones.
    """
    where = f"funding rates of {instrument_id}"
    _require_sound(where, ts, rate)
    folder = _folder(catalog, instrument_id)
    for path in sorted(folder.glob("*.parquet"))[:1]:
        if _read(path)[2].simulated != origin.simulated:
            raise DataError(
                f"{catalog}: {where}",
                "simulated and recorded rates were to be mixed",
                "must be of one kind",
                "Put them into a catalog of their own with --catalog",
            )
    years = ts.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    added = same = replaced = 0
    for year in np.unique(years):
        path = folder / f"{year}.parquet"
        rows = years == year
        merged = dict(zip(ts[rows].tolist(), rate[rows].tolist(), strict=True))
        fresh = origin.within(int(ts[rows][0]), int(ts[rows][-1]))
        if staging.exists(path):
            old_ts, old_rate, before, _ = _read(staging.current(path))
            stored = dict(zip(old_ts.tolist(), old_rate.tolist(), strict=True))
            common = merged.keys() & stored.keys()
            differing = sorted(t for t in common if merged[t] != stored[t])
            if differing and not replace:
                raise _contradiction(where, differing, stored, merged)
            added += len(merged) - len(common)
            same += len(common) - len(differing)
            replaced += len(differing)
            if not differing and len(common) == len(merged):
                continue
            merged = {**stored, **merged}
            fresh = before.joined([fresh])
        else:
            added += len(merged)
        times = sorted(merged)
        about = {b"instrument_id": instrument_id.encode(), **fresh.metadata()}
        columns = [
            arrow_of(np.array(times, np.int64), _TIME),
            arrow_of(np.array([merged[t] for t in times], np.float64), pa.float64()),
        ]
        table = pa.Table.from_arrays(columns, schema=_SCHEMA.with_metadata(about))
        staging.stage(path, table, **_OPTIONS)
    return added, same, replaced


def read_funding(
    catalog: Path, instrument_id: str, start_ns: int | None, end_ns: int | None
) -> tuple[TimeArray, FloatArray]:
    """Return settlement times and rates from `start_ns` to `end_ns`, both included."""
    parts = [_read(path) for path in sorted(_folder(catalog, instrument_id).glob("*.parquet"))]
    ts = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    rate = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    first = 0 if start_ns is None else int(np.searchsorted(ts, start_ns, "left"))
    last = len(ts) if end_ns is None else int(np.searchsorted(ts, end_ns, "right"))
    return ts[first:last], rate[first:last]


def list_funding(catalog: Path) -> list[FundingSeries]:
    """Return which funding rates are there, sorted by instrument."""
    found = []
    for folder in sorted((catalog / "funding").glob("*")):
        files = sorted(folder.glob("*.parquet"))
        if files:
            parts = [_read(path) for path in files]
            origin = Provenance().joined(part[2] for part in parts)
            found.append(
                FundingSeries(
                    instrument_id=parts[0][3],
                    first_ns=int(parts[0][0][0]),
                    last_ns=int(parts[-1][0][-1]),
                    rows=sum(len(part[0]) for part in parts),
                    bytes=sum(path.stat().st_size for path in files),
                    simulated=origin.simulated,
                    sources=origin.sources,
                )
            )
    return sorted(found, key=lambda series: series.instrument_id)


def _require_sound(where: str, ts: TimeArray, rate: FloatArray) -> None:
    if not len(ts):
        raise DataError(where, "was given no rates", "must be given at least one")
    for rows, found, wanted in (
        (~np.isfinite(rate), "is no finite number", "must be finite"),
        (np.r_[False, ts[1:] <= ts[:-1]], "does not follow the rate before it", "must be in order"),
        (ts % _MINUTE_NS != 0, "is not settled on a whole minute", "must be on a whole minute"),
        (
            np.abs(rate) > MAX_RATE,
            f"is above {MAX_RATE:.0%} in one settlement",
            "must be a fraction: 0.0001 is one basis point",
        ),
    ):
        bad = np.flatnonzero(rows)
        if len(bad):
            row = bad[0]
            raise DataError(
                f"{where}, {iso(int(ts[row]))}", f"{float(rate[row])!r} {found}", wanted
            )


def _contradiction(
    where: str, differing: list[int], stored: dict[int, float], given: dict[int, float]
) -> DataError:
    ts = differing[0]
    return DataError(
        f"{where}, {iso(ts)}",
        f"{stored[ts]!r} is stored and {given[ts]!r} was given ({len(differing)} are like it)",
        "must be the same",
        "If the new values are right, run the same command with --replace",
    )


def _folder(catalog: Path, instrument_id: str) -> Path:
    return catalog / "funding" / instrument_id.replace("/", "")


def _read(path: Path) -> tuple[TimeArray, FloatArray, Provenance, str]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        metadata = table.schema.metadata or {}
        return (
            numpy_of(table["ts"].cast(_TIME), np.int64),
            numpy_of(table["rate"], np.float64),
            Provenance.of_metadata(metadata),
            metadata[b"instrument_id"].decode(),
        )
    except (pa.ArrowException, OSError, KeyError, msgspec.MsgspecError) as e:
        raise DataError(
            str(path),
            f"is damaged or is no file of funding rates ({type(e).__name__})",
            "must be a file of this catalog",
            "Remove the file and import its year again",
        ) from e
