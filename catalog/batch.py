"""Writes to the catalog that take effect together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import (
    VALUE_COLUMNS,
    BarFrame,
    FloatArray,
    Interval,
    TimeArray,
    canonical_close_ns,
    join_frames,
)
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from catalog.barfiles import (
    WRITE_OPTIONS,
    bar_table,
    is_whole_period,
    periods_of,
    read_bars,
    read_info,
    series_folder,
)
from catalog.decimals import FINEST_STEP, MAX_VALUE, decimals_wanted, off_grid
from catalog.defects import Rows, broken_range, disorder, duplicates, not_finite, not_positive
from catalog.funding import stage_funding
from catalog.provenance import Provenance, Repair, Source
from catalog.quotes import QuoteFrame, stage_quotes
from catalog.staging import Staging

__all__ = ["Batch", "WriteResult"]


class WriteResult(msgspec.Struct, frozen=True):
    """What a write did.

    Parameters
    ----------
    rows_added
        Rows that were not there.
    rows_same
        Rows that were there with the same values.
    rows_replaced
        Rows that were there with other values and were replaced, because that was asked for.
    """

    rows_added: int = 0
    rows_same: int = 0
    rows_replaced: int = 0


class Batch:
    """Writes that wait for the end of a `BarStore.batch` block; arguments as in `BarStore`."""

    def __init__(self, catalog: Path, staging: Staging) -> None:
        self._catalog = catalog
        self._staging = staging

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
        """Merge bars of one series; see `BarStore.write`."""
        bar_type = interval.bar_type(instrument.id)
        require_sound(bar_type, instrument, interval, bars)
        folder = series_folder(self._catalog, bar_type)
        self._require_same_kind(folder, bar_type, interval, simulated)
        self._keep_one_grid(folder, bar_type, instrument, interval)
        origin = Provenance(simulated, _sources(source), tuple(repairs))
        added = same = replaced = 0
        for period, rows in periods_of(bars.ts_close, interval):
            path = folder / period.file_name
            new = bars.take(rows)
            fresh = origin.within(period.first_close_ns, period.last_close_ns)
            if not self._staging.exists(path):
                self._stage(path, instrument, interval, new, fresh)
                added += len(new)
                continue
            stored_path = self._staging.current(path)
            stored = read_bars(stored_path)
            merged, overlap, differing = merge(stored, new)
            if len(differing) and not replace:
                raise _contradiction(bar_type, stored, differing)
            added += len(merged) - len(stored)
            same += overlap - len(differing)
            replaced += len(differing)
            if len(merged) > len(stored) or len(differing):
                before = read_info(stored_path).provenance
                self._stage(path, instrument, interval, merged, before.joined([fresh]))
        return WriteResult(added, same, replaced)

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
        """Merge funding rates of one perpetual; see `BarStore.write_funding`."""
        origin = Provenance(simulated, _sources(source))
        counts = stage_funding(
            self._staging,
            self._catalog,
            instrument_id,
            ts=ts_ns,
            rate=rate,
            origin=origin,
            replace=replace,
        )
        return WriteResult(*counts)

    def write_quotes(
        self,
        instrument: InstrumentSettings,
        quotes: QuoteFrame,
        source: str | Source | Sequence[Source],
        *,
        simulated: bool = False,
        replace: bool = False,
    ) -> WriteResult:
        """Merge quotes of one instrument; see `BarStore.write_quotes`."""
        origin = Provenance(simulated, _sources(source))
        counts = stage_quotes(
            self._staging, self._catalog, instrument, quotes, origin, replace=replace
        )
        return WriteResult(*counts)

    def _stage(
        self,
        path: Path,
        instrument: InstrumentSettings,
        interval: Interval,
        bars: BarFrame,
        origin: Provenance,
    ) -> None:
        self._staging.stage(path, bar_table(instrument, interval, bars, origin), **WRITE_OPTIONS)

    def _require_same_kind(
        self, folder: Path, bar_type: str, interval: Interval, simulated: bool
    ) -> None:
        """Refuse to mix simulated with recorded bars, or with files of another hand."""
        for path in sorted(folder.glob("*.parquet")):
            if not is_whole_period(path, interval):
                raise DataError(
                    str(path),
                    "was not written by this catalog",
                    "must be a file of a whole month or year",
                    "Move the file out of the catalog and import it: aitb data import FILE",
                )
        for path in sorted(folder.glob("*.parquet"))[:1]:
            if read_info(path).provenance.simulated != simulated:
                found, kept = ("simulated", "recorded") if simulated else ("recorded", "simulated")
                raise DataError(
                    f"{self._catalog}: {bar_type}",
                    f"holds {kept} bars and was given {found} ones",
                    "must hold one kind",
                    "Put them into a catalog of their own with --catalog",
                )

    def _keep_one_grid(
        self, folder: Path, bar_type: str, instrument: InstrumentSettings, interval: Interval
    ) -> None:
        """Write stored files anew if the instrument's decimals were changed since."""
        for path in sorted(folder.glob("*.parquet")):
            stored_path = self._staging.current(path)
            info = read_info(stored_path)
            stored = (info.price_precision, info.size_precision)
            if stored == (instrument.price_precision, instrument.size_precision):
                continue
            bars = read_bars(stored_path)
            require_sound(f"{bar_type}, stored in {path.name}", instrument, interval, bars)
            self._stage(path, instrument, interval, bars, info.provenance)


def merge(stored: BarFrame, new: BarFrame) -> tuple[BarFrame, int, Rows]:
    """Merge two frames, each in order and without duplicates; `new` wins.

    Returns
    -------
    merged
        In order, each close time once.
    overlap
        Number of close times that both have.
    differing
        Rows of `stored` for which `new` has other values.
    """
    place = np.searchsorted(stored.ts_close, new.ts_close)
    inside = place < len(stored)
    both = np.zeros(len(new), np.bool_)
    both[inside] = stored.ts_close[place[inside]] == new.ts_close[inside]
    common = place[both]
    differing = common[~stored.take(common).same_values(new.take(both))]
    kept = np.ones(len(stored), np.bool_)
    kept[common] = False
    joined = join_frames([stored.take(kept), new])
    return joined.take(np.argsort(joined.ts_close, kind="stable")), int(both.sum()), differing


def require_sound(
    where: str, instrument: InstrumentSettings, interval: Interval, bars: BarFrame
) -> None:
    """Refuse bars that the catalog must not hold.

    Raises
    ------
    DataError
        Naming the first bar that is wrong, by its close time.
    """
    if not len(bars):
        raise DataError(where, "was given no bars", "must be given at least one")
    equal, different = duplicates(bars)
    try:
        on_grid = canonical_close_ns(bars.ts_close, interval.ns) == bars.ts_close
    except ValueError as e:
        raise DataError(where, str(e), f"must close every {interval}") from e
    findings: list[tuple[Rows, str, str]] = [
        (not_finite(bars), "has a value that is no finite number", "must be finite"),
        (disorder(bars.ts_close), "is earlier than the bar before it", "must be in order"),
        (np.sort(np.r_[equal, different]), "is there twice", "must be there once"),
        (np.flatnonzero(~on_grid), "closes beside the grid", f"must close every {interval}"),
        (not_positive(bars), "has a price not above 0 or a volume below 0", "must be positive"),
        (broken_range(bars), "has an open or close outside low to high", "must lie inside"),
    ]
    for rows, found, wanted in findings:
        if len(rows):
            raise DataError(f"{where}, bar of {_close(bars, rows[0])}", found, wanted)
    for name in VALUE_COLUMNS:
        _require_grid(where, instrument, bars, name)


def _require_grid(where: str, instrument: InstrumentSettings, bars: BarFrame, name: str) -> None:
    values: FloatArray = getattr(bars, name)
    is_volume = name == "volume"
    key = "lot_size" if is_volume else "tick_size"
    step = instrument.lot_size if is_volume else instrument.tick_size
    precision = instrument.size_precision if is_volume else instrument.price_precision
    large = np.flatnonzero(values >= MAX_VALUE)
    if len(large):
        value = values[large[0]]
        raise DataError(
            f"{where}, bar of {_close(bars, large[0])}",
            f"{name} was {float(value)!r}",
            "must be below 1e13",
        )
    rows = np.flatnonzero(off_grid(values, precision))
    if not len(rows):
        return
    wanted = decimals_wanted(values, FINEST_STEP)
    rule = "round-volumes" if is_volume else "round-prices"
    todo = f"or have them rounded: --repair {rule}"
    if wanted is not None:
        wider = f"{step}{'' if '.' in step else '.'}{'0' * (wanted - precision)}"
        todo = f'Write {key} = "{wider}" in an [[instruments]] block of the config, {todo}'
    else:
        todo = f"No venue has a step so fine: they are sums or averages, {todo}"
    raise DataError(
        f"{where}, bar of {_close(bars, rows[0])}",
        f"{name} was {float(values[rows[0]])!r} ({len(rows)} of {len(values)} bars are like it)",
        f'{key} = "{step}" of {instrument.id} keeps {precision} decimals',
        todo,
    )


def _contradiction(bar_type: str, stored: BarFrame, differing: Rows) -> DataError:
    close = _close(stored, differing[0])
    return DataError(
        f"{bar_type}, bar of {close}",
        f"is stored with other values than were given ({len(differing)} bars are like it)",
        "must be the same bar",
        "If the new values are right, run the same command with --replace",
    )


def _close(bars: BarFrame, row: int | np.int64) -> str:
    return iso(int(bars.ts_close[row]))


def _sources(source: str | Source | Sequence[Source]) -> tuple[Source, ...]:
    if isinstance(source, str):
        return (Source(source),)
    if isinstance(source, Source):
        return (source,)
    return tuple(source)
