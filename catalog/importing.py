"""Import of bar files into the catalog: all files, or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.bars import BarFrame, Interval, join_frames
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.times import iso
from catalog.batch import Batch, WriteResult
from catalog.cleaning import clean, round_to_grid
from catalog.defects import duplicates
from catalog.provenance import Repair, Source
from catalog.recordings import RowChoice, SymbolRows, read_recordings
from catalog.store import BarStore
from catalog.symbols import Naming, interval_of_name, symbol_of_name, unknown_instrument
from catalog.tables import file_sha256

__all__ = ["ImportOptions", "ImportedSeries", "import_bars"]

type OnFile = Callable[[Path], None]
type SeriesKey = tuple[str, Interval]

# Bars that are held in memory before they are staged on disk, about 500 MB.
_HELD_ROWS = 4_000_000


class ImportOptions(msgspec.Struct, frozen=True):
    """How to read the files.

    Parameters
    ----------
    naming
        How symbols become instruments.
    choice
        Which columns and rows to take.
    interval
        Of the bars; None: found from the data.
    time
        Whether rows are stamped with ``"open"`` or ``"close"``; None: the close only if the column
        is called so.
    rules
        Repairs that may be done.
    no_volume
        Accept files without volumes; they become 0.
    replace
        Let the files win over stored bars with other values.
    simulated
        Whether a random generator made the bars.
    """

    naming: Naming
    choice: RowChoice = RowChoice()
    interval: Interval | None = None
    time: str | None = None
    rules: frozenset[str] = frozenset()
    no_volume: bool = False
    replace: bool = False
    simulated: bool = False


class ImportedSeries(msgspec.Struct, frozen=True):
    """What one import did to one series; `first_ns` and `last_ns` are of the imported bars."""

    instrument_id: str
    interval: Interval
    bar_type: str
    first_ns: int
    last_ns: int
    rows_added: int
    rows_same: int
    rows_replaced: int
    files: int
    repairs: tuple[Repair, ...]


@dataclasses.dataclass(slots=True)
class _Pending:
    """Clean bars of one series that wait for their place, and the tally of what got one."""

    frames: list[BarFrame]
    sources: list[Source]
    repairs: list[Repair]
    done: WriteResult = dataclasses.field(default_factory=WriteResult)
    first_ns: int = 2**63 - 1
    last_ns: int = 0
    files: int = 0
    all_repairs: tuple[Repair, ...] = ()


def import_bars(
    store: BarStore, files: Sequence[Path], options: ImportOptions, on_file: OnFile | None = None
) -> Sequence[ImportedSeries]:
    """Import bars from files given in any order, all of them or none.

    Files may overlap where they agree.

    Parameters
    ----------
    on_file
        Called after each file, for a progress bar.

    Returns
    -------
    list of ImportedSeries
        Sorted by instrument and interval.

    Raises
    ------
    DataError
        If a file is damaged, its bars are not sound, or they contradict each other or the catalog.
    ConfigError
        If an instrument is not known.
    UsageError
        If nothing tells the instrument.
    """
    with store.batch() as batch:
        task = _Import(batch, options)
        for path in files:
            task.add(path)
            if on_file is not None:
                on_file(path)
        return task.finish()


class _Import:
    """One import under way."""

    def __init__(self, batch: Batch, options: ImportOptions) -> None:
        self._batch = batch
        self._options = options
        self._series: dict[SeriesKey, _Pending] = {}
        self._unknown: dict[str, BarFrame] = {}
        self._held = 0

    def add(self, path: Path) -> None:
        """Read a file and hold its bars."""
        parts = list(read_recordings(path, self._options.choice))
        named = self._options.naming.ids.get("")
        if named and len(parts) > 1:
            symbols = ", ".join(str(part.symbol or part.name) for part in parts[:6])
            raise UsageError(
                f"--instrument {named}",
                f"{path} holds {len(parts)} symbols: {symbols}",
                "one instrument cannot be all of them",
                "Take one with --symbol NAME, or name each: --instrument NAME=ID",
            )
        sha256 = file_sha256(path)
        for part in parts:
            self._add_symbol(part, Source(path.name, sha256))
        if self._held > _HELD_ROWS:
            self._store()

    def finish(self) -> Sequence[ImportedSeries]:
        """Stage what is held and return what was done."""
        self._store()
        return [
            ImportedSeries(
                instrument_id=instrument_id,
                interval=interval,
                bar_type=interval.bar_type(instrument_id),
                first_ns=pending.first_ns,
                last_ns=pending.last_ns,
                rows_added=pending.done.rows_added,
                rows_same=pending.done.rows_same,
                rows_replaced=pending.done.rows_replaced,
                files=pending.files,
                repairs=pending.all_repairs,
            )
            for (instrument_id, interval), pending in sorted(
                self._series.items(), key=lambda item: (item[0][0], item[0][1].ns)
            )
        ]

    def _add_symbol(self, part: SymbolRows, source: Source) -> None:
        options = self._options
        sets = clean(
            part.recording,
            interval=options.interval or interval_of_name(part.name),
            stamps_are_close=(
                part.stamps_are_close if options.time is None else options.time == "close"
            ),
            rules=options.rules,
        )
        symbol = part.symbol or symbol_of_name(part.name, options.naming)
        instrument_id = options.naming.instrument_id(symbol, part.recording.where)
        if not part.has_volume and not options.no_volume:
            raise DataError(
                f"{part.recording.where}: columns",
                f"found {', '.join(part.columns)}",
                "no column looks like volume",
                "Name it: --columns volume=NAME; or store bars with volume 0: --no-volume",
            )
        spec = options.naming.known.get(instrument_id)
        for cleaned in sets:
            if spec is None:
                self._unknown[instrument_id] = cleaned.bars
                continue
            bars, rounded = round_to_grid(cleaned.bars, spec, options.rules, source.name)
            repairs = cleaned.repairs + rounded
            if not part.has_volume:
                said = "the file has no volumes; they are 0"
                repairs += (Repair("no-volume", len(bars), source.name, said),)
            self._hold((instrument_id, cleaned.interval), bars, repairs, source)

    def _hold(
        self, key: SeriesKey, bars: BarFrame, repairs: tuple[Repair, ...], source: Source
    ) -> None:
        pending = self._series.setdefault(key, _Pending([], [], []))
        first, last = int(bars.ts_close[0]), int(bars.ts_close[-1])
        pending.frames.append(bars)
        pending.sources.append(msgspec.structs.replace(source, first_ns=first, last_ns=last))
        pending.repairs.extend(repairs)
        pending.first_ns = min(pending.first_ns, first)
        pending.last_ns = max(pending.last_ns, last)
        pending.files += 1
        self._held += len(bars)

    def _store(self) -> None:
        """Stage the bars that are held."""
        if self._unknown:
            raise unknown_instrument(
                self._unknown, self._options.naming.known, self._options.naming.kind
            )
        for (instrument_id, interval), pending in self._series.items():
            if not pending.frames:
                continue
            spec: InstrumentSettings = self._options.naming.known[instrument_id]
            bars, repeated, repairs = _join(
                interval.bar_type(instrument_id),
                pending.frames,
                pending.sources,
                self._options.rules,
            )
            repairs = (*pending.repairs, *repairs)
            done = self._batch.write(
                spec,
                interval,
                bars,
                source=pending.sources,
                repairs=repairs,
                simulated=self._options.simulated,
                replace=self._options.replace,
            )
            pending.done = WriteResult(
                pending.done.rows_added + done.rows_added,
                pending.done.rows_same + done.rows_same + repeated,
                pending.done.rows_replaced + done.rows_replaced,
            )
            pending.all_repairs += repairs
            pending.frames, pending.sources, pending.repairs = [], [], []
        self._held = 0


def _join(
    bar_type: str,
    frames: Sequence[BarFrame],
    sources: Sequence[Source],
    rules: frozenset[str],
) -> tuple[BarFrame, int, tuple[Repair, ...]]:
    """Put the bars of several files together.

    Returns
    -------
    bars
        In order, each close time once.
    repeated
        Rows that a file had in common with an earlier one.
    repairs
        What rules dropped.
    """
    bars = join_frames(frames)
    if len(frames) == 1:
        return bars, 0, ()
    origin = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    equal, different = duplicates(bars)
    keep = np.ones(len(bars), np.bool_)
    keep[equal] = False
    repairs: tuple[Repair, ...] = ()
    if len(different):
        rule = next((r for r in ("keep-first", "keep-last") if r in rules), None)
        row = different[0]
        before = int(np.argmax(bars.ts_close == bars.ts_close[row]))
        names = f"{sources[origin[before]].name} and {sources[origin[row]].name}"
        if rule is None:
            raise DataError(
                f"{bar_type}, bar of {iso(int(bars.ts_close[row]))}",
                f"{names} have different values for it ({len(different)} bars are like it)",
                "must agree",
                "Leave one of them out, or choose by the order in which the files are given: "
                "--repair keep-first or --repair keep-last",
            )
        if rule == "keep-first":
            keep[different] = False
        else:
            times = np.unique(bars.ts_close[different])
            contested = np.isin(bars.ts_close, times)
            last_first = np.flatnonzero(contested)[::-1]
            _, winners = np.unique(bars.ts_close[last_first], return_index=True)
            keep[contested] = False
            keep[last_first[winners]] = True
        repairs = (Repair(rule, len(different), names, "files that overlap"),)
    bars = bars.take(keep)
    return bars.take(np.argsort(bars.ts_close, kind="stable")), len(equal), repairs
