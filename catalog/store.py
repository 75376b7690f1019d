"""The store of bars and funding rates: write, list, read.

``BarStore(path).write(...)`` merges bars into what is there. The same bars again change nothing;
other values for a bar that is there are refused unless they are wanted. `BarStore.batch` does the
same for many series at once, all or none.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from nautilus_trader.model import Bar
from nautilus_trader.persistence import ParquetDataCatalog

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import (
    VALUE_COLUMNS,
    BarFrame,
    FloatArray,
    Interval,
    TimeArray,
    join_frames,
)
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.settings import nearest
from catalog.barfiles import (
    BarFileInfo,
    may_hold,
    read_bars,
    read_closes,
    read_info,
    series_folder,
)
from catalog.batch import Batch, WriteResult
from catalog.funding import FundingSeries, list_funding, read_funding
from catalog.provenance import Provenance, Repair, Source
from catalog.quotes import QuoteFrame, QuoteSeries, list_quotes
from catalog.staging import Staging, exclusive

__all__ = ["BarStore", "Series", "bars_sha256"]


class Series(msgspec.Struct, frozen=True):
    """What the catalog holds of one instrument at one interval.

    Parameters
    ----------
    first_ns, last_ns
        Close times of the first and the last bar.
    gaps, missing
        Stretches without bars between them, and how many bars these lack.
    bytes
        On disk.
    """

    instrument_id: str
    interval: Interval
    bar_type: str
    first_ns: int
    last_ns: int
    rows: int
    gaps: int
    missing: int
    bytes: int
    price_precision: int
    size_precision: int
    simulated: bool
    sources: tuple[Source, ...]
    repairs: tuple[Repair, ...]


class BarStore:
    """A catalog folder.

    Parameters
    ----------
    path
        The folder. It is made by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Collect writes and put them into place together when the block ends.

        An error or an interrupt inside the block leaves the catalog as it was. Other writers wait
        until the block ends.
        """
        with exclusive(self.path):
            staging = Staging()
            try:
                yield Batch(self.path, staging)
                staging.commit()
            finally:
                staging.discard()

    def write(
        self,
        instrument: InstrumentSettings,
        interval: Interval,
        bars: BarFrame,
        *,
        source: str | Source | Sequence[Source],
        simulated: bool = False,
        repairs: Sequence[Repair] = (),
        replace: bool = False,
    ) -> WriteResult:
        """Merge bars of one series into the catalog.

        Parameters
        ----------
        bars
            In order, at most one a close time, on the interval's and the instrument's grid.
        source
            Where they come from, for the record.
        simulated
            Whether a random generator made them.
        repairs
            What was repaired on the way, for the record.
        replace
            Let these bars win over stored bars of the same time with other values.

        Raises
        ------
        DataError
            If the bars are not sound, contradict stored bars, mix simulated with recorded ones, or
            cannot be written. Nothing is changed then.
        """
        with self.batch() as batch:
            return batch.write(
                instrument,
                interval,
                bars,
                source=source,
                simulated=simulated,
                repairs=repairs,
                replace=replace,
            )

    def list(self) -> list[Series]:
        """Return what is there, sorted by instrument and interval.

        Series that the engine itself wrote with bars of no fixed interval are left out.

        Raises
        ------
        DataError
            If a file is damaged.
        """
        found = []
        for folder in sorted((self.path / "data" / "bars").glob("*")):
            files = sorted(folder.glob("*.parquet"))
            if files:
                info = read_info(files[0])
                try:
                    interval = Interval.of_bar_type(info.bar_type)
                except ValueError:
                    continue
                found.append(_describe(info, interval, files))
        return sorted(found, key=lambda s: (s.instrument_id, s.interval.ns))

    def series(self, bar_type: str) -> Series:
        """Return one series.

        Raises
        ------
        DataError
            If it is not there. Names the nearest that is, and the command that imports it.
        """
        files = self._files(bar_type)
        return _describe(read_info(files[0]), _interval_of(bar_type), files)

    def read(
        self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> BarFrame:
        """Return the bars that close from `start_ns` to `end_ns`, both included.

        Every value is the double of the source.

        Raises
        ------
        DataError
            If the series is not there, a file is damaged, or files overlap.
        """
        bars = self.read_as_stored(bar_type, start_ns, end_ns)
        if (np.diff(bars.ts_close) <= 0).any():
            raise DataError(
                f"{self.path}: {bar_type}",
                "has files that overlap, or bars out of order",
                "must hold each bar once",
                f"See: aitb data check --catalog {self.path} {bar_type}",
            )
        return bars.between(start_ns, end_ns)

    def read_as_stored(
        self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> BarFrame:
        """Return the bars of the files that may have bars of a range, file after file, unexamined.

        Raises
        ------
        DataError
            If the series is not there or a file is damaged.
        """
        paths = [p for p in self._files(bar_type) if may_hold(p, start_ns, end_ns)]
        frames = [read_bars(path) for path in paths]
        frames.sort(key=lambda frame: int(frame.ts_close[0]) if len(frame) else 0)
        return join_frames(frames)

    def engine_bars(
        self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> builtins.list[Bar]:
        """Return the same bars as the engine's own objects, read by the engine's own catalog.

        Raises
        ------
        DataError
            If the series is not there or a file is damaged.
        """
        self._files(bar_type)
        try:
            bars: builtins.list[Bar] = ParquetDataCatalog(str(self.path)).query_bars(
                [bar_type], start=start_ns, end=end_ns
            )
        except OSError as e:
            raise DataError(
                f"{self.path}: {bar_type}",
                f"cannot be read by the engine ({e})",
                "must be whole",
                f"See which file is damaged: aitb data check --catalog {self.path} {bar_type}",
            ) from e
        return bars

    def data_sha256(
        self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> str:
        """Return a hash of the bars alone, however they lie in files; see `bars_sha256`."""
        return bars_sha256(bar_type, self.read(bar_type, start_ns, end_ns))

    def write_funding(
        self,
        instrument_id: str,
        ts_ns: TimeArray,
        rate: FloatArray,
        source: str | Source | Sequence[Source],
        *,
        simulated: bool = False,
        replace: bool = False,
    ) -> WriteResult:
        """Merge settled funding rates of one perpetual into the catalog.

        Parameters
        ----------
        ts_ns
            Settlement times, (n,) int64, in order, on whole minutes.
        rate
            Fraction of the position's value that longs pay to shorts, (n,) float64.

        Raises
        ------
        DataError
            As `write` does.
        """
        with self.batch() as batch:
            return batch.write_funding(
                instrument_id, ts_ns, rate, source, simulated=simulated, replace=replace
            )

    def read_funding(
        self, instrument_id: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> tuple[TimeArray, FloatArray]:
        """Return the settlement times and rates from `start_ns` to `end_ns`, both included.

        Both arrays are empty if the catalog has no rates of this instrument.
        """
        return read_funding(self.path, instrument_id, start_ns, end_ns)

    def write_quotes(
        self,
        instrument: InstrumentSettings,
        quotes: QuoteFrame,
        source: str | Source | Sequence[Source],
        *,
        simulated: bool = False,
        replace: bool = False,
    ) -> WriteResult:
        """Merge best bids and asks of one instrument into the catalog.

        Raises
        ------
        DataError
            As `write` does.
        """
        with self.batch() as batch:
            return batch.write_quotes(
                instrument, quotes, source, simulated=simulated, replace=replace
            )

    def list_quotes(self) -> Sequence[QuoteSeries]:
        """Return which quotes are there, sorted by instrument."""
        return list_quotes(self.path)

    def list_funding(self) -> Sequence[FundingSeries]:
        """Return which funding rates are there, sorted by instrument."""
        return list_funding(self.path)

    def _files(self, bar_type: str) -> Sequence[Path]:
        """Return the files of a series, or say what is there instead."""
        files = sorted(series_folder(self.path, bar_type).glob("*.parquet"))
        if files:
            return files
        interval = _interval_of(bar_type)
        instrument_id = Interval.instrument_of_bar_type(bar_type)
        known = sorted(
            read_info(next(folder.glob("*.parquet"))).bar_type
            for folder in (self.path / "data" / "bars").glob("*")
            if any(folder.glob("*.parquet"))
        )
        close = nearest(bar_type, known)
        raise DataError(
            f"catalog {self.path}",
            f"has no bars {bar_type}",
            f"the nearest it has is {close}" if close else f"it has {len(known)} other series",
            "Import them: aitb data import FILES "
            f"--instrument {instrument_id} --interval {interval} --catalog {self.path}",
        )


def bars_sha256(bar_type: str, bars: BarFrame) -> str:
    """Return the hash of bars, in hex.

    It covers the bar type, then each column whole: close times as int64, then open, high, low,
    close and volume as float64, little endian.
    """
    digest = hashlib.sha256(bar_type.encode())
    digest.update(bars.ts_close.astype("<i8", copy=False).data)
    for name in VALUE_COLUMNS:
        digest.update(getattr(bars, name).astype("<f8", copy=False).data)
    return digest.hexdigest()


def _interval_of(bar_type: str) -> Interval:
    try:
        return Interval.of_bar_type(bar_type)
    except ValueError as e:
        raise DataError(f"bar type {bar_type}", str(e)) from e


def _describe(info: BarFileInfo, interval: Interval, files: Sequence[Path]) -> Series:
    infos = [read_info(path) for path in files]
    closes = np.sort(np.concatenate([read_closes(path) for path in files]))
    steps = np.diff(closes) // interval.ns
    origin = Provenance().joined(info.provenance for info in infos)
    return Series(
        instrument_id=info.instrument_id,
        interval=interval,
        bar_type=info.bar_type,
        first_ns=int(closes[0]),
        last_ns=int(closes[-1]),
        rows=len(closes),
        gaps=int((steps > 1).sum()),
        missing=int((steps[steps > 1] - 1).sum()),
        bytes=sum(path.stat().st_size for path in files),
        price_precision=info.price_precision,
        size_precision=info.size_precision,
        simulated=origin.simulated,
        sources=origin.sources,
        repairs=origin.repairs,
    )
