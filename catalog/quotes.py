"""Best bids and asks: one file a day and instrument, in the layout of the engine's catalog.

Unlike bars, quotes have no place of their own in time: several may have one stamp, and their order
is that of the recording. So a recording is merged as a whole: where it and what is stored overlap
in time, they must be equal, or the new one wins over the whole of its time if that is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from catalog.arrays import arrow_of, numpy_of, whole
from catalog.barfiles import Period
from catalog.decimals import DECIMAL, MAX_VALUE, decimals_of_floats, floats_of_decimals, off_grid
from catalog.provenance import Provenance, Source
from catalog.staging import Staging

__all__ = ["QuoteFrame", "QuoteSeries", "list_quotes", "read_quotes", "stage_quotes"]

_PRICES = ("bid_price", "ask_price")
_SIZES = ("bid_size", "ask_size")
_COLUMNS = (*_PRICES, *_SIZES)
_TIME = pa.timestamp("ns", "UTC")
_TIMES = ("ts_event", "ts_init")
_DAY_NS = 86_400_000_000_000
_OPTIONS = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_page_checksum": True,
    "column_encoding": {
        **dict.fromkeys(_COLUMNS, "BYTE_STREAM_SPLIT"),
        **dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
    },
}


@dataclass(frozen=True, slots=True)
class QuoteFrame:
    """Quotes of one instrument in the order of the recording, arrays of one length n.

    Parameters
    ----------
    ts
        The venue's time, (n,) int64, ns UTC, never falling.
    bid_price, ask_price
        In quote currency, (n,) float64.
    bid_size, ask_size
        In base currency, (n,) float64, >= 0.
    """

    ts: TimeArray
    bid_price: FloatArray
    ask_price: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: Any) -> QuoteFrame:
        """Return the quotes of a slice, or where a mask is true."""
        return QuoteFrame(self.ts[rows], *(getattr(self, name)[rows] for name in _COLUMNS))

    def between(self, start_ns: int, end_ns: int) -> QuoteFrame:
        """Return the quotes from `start_ns` to `end_ns`, both included."""
        first, last = (
            np.searchsorted(self.ts, start_ns, "left"),
            np.searchsorted(self.ts, end_ns, "right"),
        )
        return self.take(slice(int(first), int(last)))

    def equals(self, other: QuoteFrame) -> bool:
        """Return whether every value is the same."""
        return all(np.array_equal(getattr(self, c), getattr(other, c)) for c in ("ts", *_COLUMNS))

    def sha256(self, instrument_id: str) -> str:
        """Return the hash of the quotes, in hex: the instrument, then each column whole."""
        digest = hashlib.sha256(f"{instrument_id} quotes".encode())
        digest.update(self.ts.astype("<i8", copy=False).data)
        for name in _COLUMNS:
            digest.update(getattr(self, name).astype("<f8", copy=False).data)
        return digest.hexdigest()


class QuoteSeries(msgspec.Struct, frozen=True):
    """What the catalog holds of one instrument's quotes; times are the venue's."""

    instrument_id: str
    first_ns: int
    last_ns: int
    rows: int
    bytes: int
    price_precision: int
    size_precision: int
    simulated: bool
    sources: tuple[Source, ...]


def stage_quotes(
    staging: Staging,
    catalog: Path,
    instrument: InstrumentSettings,
    quotes: QuoteFrame,
    origin: Provenance,
    *,
    replace: bool,
) -> tuple[int, int, int]:
    """Merge quotes into the files of their days.

    Returns
    -------
    rows_added, rows_same, rows_replaced

    Raises
    ------
    DataError
        If they are not sound, contradict stored ones, or mix simulated with recorded ones.
    """
    where = f"quotes of {instrument.id}"
    _require_sound(where, instrument, quotes)
    folder = _folder(catalog, instrument.id)
    for path in sorted(folder.glob("*.parquet"))[:1]:
        if _info(path)[1].simulated != origin.simulated:
            raise DataError(
                f"{catalog}: {where}",
                "simulated and recorded quotes were to be mixed",
                "must be of one kind",
                "Put them into a catalog of their own with --catalog",
            )
    added = same = replaced = 0
    days = quotes.ts // _DAY_NS
    for day in np.unique(days).tolist():
        new = quotes.take(days == day)
        span = Period(day * _DAY_NS, (day + 1) * _DAY_NS - 1)
        path = folder / span.file_name
        merged, fresh = new, origin.within(int(new.ts[0]), int(new.ts[-1]))
        if staging.exists(path):
            stored, before = _read(staging.current(path))
            mine = new.between(int(stored.ts[0]), int(stored.ts[-1]))
            theirs = stored.between(int(new.ts[0]), int(new.ts[-1]))
            is_equal = mine.equals(theirs)
            if not is_equal and not replace:
                raise DataError(
                    f"{where}, {iso(int(new.ts[0]))} to {iso(int(new.ts[-1]))}",
                    f"{len(theirs)} quotes are stored of that time, and are others",
                    "must be the same quotes where recordings overlap",
                    "If the new ones are right, run the same command with --replace",
                )
            added += max(0, len(new) - len(theirs)) if not is_equal else len(new) - len(mine)
            same += len(mine) if is_equal else 0
            replaced += 0 if is_equal else len(theirs)
            if is_equal and len(mine) == len(new):
                continue
            earlier, later = stored.ts < new.ts[0], stored.ts > new.ts[-1]
            merged = _join([stored.take(earlier), new, stored.take(later)])
            fresh = before.joined([fresh])
        else:
            added += len(new)
        staging.stage(path, _table(instrument, merged, fresh), **_OPTIONS)
    return added, same, replaced


def read_quotes(
    catalog: Path, instrument_id: str, start_ns: int | None, end_ns: int | None
) -> QuoteFrame:
    """Return the quotes from `start_ns` to `end_ns`, both included; empty if there are none.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    parts = [_read(path)[0] for path in sorted(_folder(catalog, instrument_id).glob("*.parquet"))]
    all_of_them = _join(parts)
    return all_of_them.between(
        -(2**63) if start_ns is None else start_ns, 2**63 - 1 if end_ns is None else end_ns
    )


def list_quotes(catalog: Path) -> list[QuoteSeries]:
    """Return which quotes are there, sorted by instrument.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    found = []
    for folder in sorted((catalog / "data" / "quotes").glob("*")):
        files = sorted(folder.glob("*.parquet"))
        if not files:
            continue
        infos = [_info(path) for path in files]
        about = infos[0][0]
        origin = Provenance().joined(one for _, one, _ in infos)
        found.append(
            QuoteSeries(
                instrument_id=about["instrument_id"],
                first_ns=int(_read(files[0])[0].ts[0]),
                last_ns=int(_read(files[-1])[0].ts[-1]),
                rows=sum(rows for _, _, rows in infos),
                bytes=sum(path.stat().st_size for path in files),
                price_precision=int(about["price_precision"]),
                size_precision=int(about["size_precision"]),
                simulated=origin.simulated,
                sources=origin.sources,
            )
        )
    return sorted(found, key=lambda one: one.instrument_id)


def _folder(catalog: Path, instrument_id: str) -> Path:
    return catalog / "data" / "quotes" / instrument_id.replace("/", "")


def _join(frames: Sequence[QuoteFrame]) -> QuoteFrame:
    if not frames:
        return QuoteFrame(np.empty(0, np.int64), *(np.empty(0) for _ in _COLUMNS))
    return QuoteFrame(
        *(np.concatenate([getattr(f, name) for f in frames]) for name in ("ts", *_COLUMNS))
    )


def _table(instrument: InstrumentSettings, quotes: QuoteFrame, origin: Provenance) -> pa.Table:
    times = arrow_of(quotes.ts, _TIME)
    columns = [
        decimals_of_floats(
            getattr(quotes, name),
            instrument.price_precision if name in _PRICES else instrument.size_precision,
        )
        for name in _COLUMNS
    ]
    schema = pa.schema(
        [pa.field(name, DECIMAL, nullable=False) for name in _COLUMNS]
        + [pa.field(name, _TIME, nullable=False) for name in _TIMES],
        metadata={
            b"instrument_id": instrument.id.encode(),
            b"price_precision": b"%d" % instrument.price_precision,
            b"size_precision": b"%d" % instrument.size_precision,
            b"type_name": b"QuoteTick",
            **origin.metadata(),
        },
    )
    return pa.Table.from_arrays([*columns, times, times], schema=schema)


def _info(path: Path) -> tuple[dict[str, str], Provenance, int]:
    """Return what a file says about itself, and how many quotes it holds."""
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            names = ("instrument_id", "price_precision", "size_precision")
            about = {name: metadata[name.encode()].decode() for name in names}
            return about, Provenance.of_metadata(metadata), file.metadata.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError, msgspec.MsgspecError) as e:
        raise _damaged(path, e) from e


def _read(path: Path) -> tuple[QuoteFrame, Provenance]:
    about, origin, _ = _info(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=[*_COLUMNS, "ts_event"])
        price, size = int(about["price_precision"]), int(about["size_precision"])
        values = [
            floats_of_decimals(whole(table[name]), price if name in _PRICES else size)
            for name in _COLUMNS
        ]
        return QuoteFrame(numpy_of(table["ts_event"].cast(_TIME), np.int64), *values), origin
    except (pa.ArrowException, OSError, ValueError) as e:
        raise _damaged(path, e) from e


def _damaged(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(
        str(path),
        f"is damaged or is no file of quotes ({reason})",
        "must be a file of this catalog",
        "Remove the file and import its day again",
    )


def _require_sound(where: str, instrument: InstrumentSettings, quotes: QuoteFrame) -> None:
    """Refuse quotes that the catalog must not hold, naming the first that is wrong by its time."""
    if not len(quotes):
        raise DataError(where, "was given no quotes", "must be given at least one")
    bid, ask = quotes.bid_price, quotes.ask_price
    values = [bid, ask, quotes.bid_size, quotes.ask_size]
    finite = np.logical_and.reduce([np.isfinite(v) & (v < MAX_VALUE) for v in values])
    early = np.zeros(len(quotes), np.bool_)
    early[1:] = quotes.ts[1:] < quotes.ts[:-1]
    empty = (quotes.bid_size < 0) | (quotes.ask_size < 0)
    for wrong, found, wanted in (
        (~finite, "has a value that is no finite number below 1e13", "must be one"),
        (early, "is earlier than the quote before it", "must be in order"),
        ((bid <= 0) | empty, "has a price not above 0 or a size below 0", "must be positive"),
        (bid > ask, "has its bid above its ask", "must not be crossed"),
    ):
        rows = np.flatnonzero(wrong)
        if len(rows):
            raise DataError(f"{where}, {iso(int(quotes.ts[rows[0]]))}", found, wanted)
    for name in _COLUMNS:
        is_price = name in _PRICES
        precision = instrument.price_precision if is_price else instrument.size_precision
        column: FloatArray = getattr(quotes, name)
        rows = np.flatnonzero(off_grid(column, precision))
        if len(rows):
            key = "tick_size" if is_price else "lot_size"
            raise DataError(
                f"{where}, {iso(int(quotes.ts[rows[0]]))}",
                f"{name} was {float(column[rows[0]])!r} ({len(rows)} quotes are like it)",
                f"{key} of {instrument.id} keeps {precision} decimals",
                f"Write a finer {key} in an [[instruments]] block of a config, and name it with "
                f"--config",
            )
