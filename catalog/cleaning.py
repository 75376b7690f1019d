"""From rows as recorded to bars that the catalog takes: refuse, or repair by a named rule.

Nothing is repaired unless its rule was asked for. What a rule changed is counted and written down
with the data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame, FloatArray, Interval
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.intervals import beside_grid, nearest_close_ns
from aitb_nautilus.market.times import iso
from aitb_nautilus.settings import nearest
from catalog.decimals import off_grid
from catalog.defects import Rows, broken_range, disorder, duplicates, not_finite, not_positive
from catalog.provenance import Repair
from catalog.steps import Stretch, find_interval, stretches, unique_times

__all__ = ["RULES", "CleanBars", "Recording", "check_rules", "clean", "round_to_grid"]

RULES = {
    "sort": "put rows into the order of time",
    "drop-duplicates": "drop rows that repeat a time with the same values",
    "keep-first": "of rows with one time and different values, keep the first",
    "keep-last": "of rows with one time and different values, keep the last",
    "split-interval": "where the interval changes, import each stretch as its own series",
    "drop-off-grid": "drop rows whose time is not on the interval's grid",
    "drop-broken": "drop rows with a value missing, infinite, not positive, or outside low to high",
    "widen-range": "move high and low so that open and close lie between them",
    "round-prices": "round prices to the decimals of tick_size",
    "round-volumes": "round volumes to the decimals of lot_size",
}
"""The repairs, and what each does."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """Rows of one symbol as a file has them.

    Parameters
    ----------
    where
        What an error names: the file, and the symbol where there are several.
    source
        Name of the file, for the record.
    rows
        Number of each row in the file, counted from 1, (n,) int64.
    bars
        The values; their `ts_close` is the stamp as recorded, open or close, in any order.
    """

    where: str
    source: str
    rows: NDArray[np.int64]
    bars: BarFrame

    def take(self, keep: NDArray[np.bool_] | Rows) -> Recording:
        """Return some of the rows."""
        return dataclasses.replace(self, rows=self.rows[keep], bars=self.bars.take(keep))

    def without(self, rows: Rows) -> Recording:
        """Return all rows but these."""
        keep = np.ones(len(self.rows), np.bool_)
        keep[rows] = False
        return self.take(keep)

    def at(self, row: int | np.int64) -> str:
        """Return file, row and time, for an error."""
        return f"{self.where}, row {self.rows[row]}, {iso(int(self.bars.ts_close[row]))}"


@dataclasses.dataclass(frozen=True, slots=True)
class CleanBars:
    """Bars of one interval, in order, on the grid of time, and what was repaired."""

    interval: Interval
    bars: BarFrame
    repairs: tuple[Repair, ...]


def check_rules(names: Collection[str]) -> frozenset[str]:
    """Return the names of repairs, or refuse one that does not exist.

    Raises
    ------
    UsageError
        Names the nearest rule.
    """
    for name in names:
        if name not in RULES:
            close = nearest(name, list(RULES))
            raise UsageError(
                f"--repair {name}",
                "is no rule",
                f"did you mean {close!r}?" if close else f"must be one of {', '.join(RULES)}",
            )
    return frozenset(names)


def clean(
    recording: Recording,
    *,
    interval: Interval | None,
    stamps_are_close: bool,
    rules: frozenset[str],
) -> Sequence[CleanBars]:
    """Return the bars of a recording: one set, or several if its interval changes.

    Parameters
    ----------
    interval
        What the user or the file's name says; None: find it.
    stamps_are_close
        Whether rows are stamped with the close of their bar.
    rules
        Repairs that may be done, see `RULES`.

    Raises
    ------
    DataError
        If something is wrong and the rule that repairs it was not asked for. Names the first row.
    """
    ts = unique_times(recording.bars.ts_close)
    try:
        parts = stretches(ts)
        found = find_interval(ts)
    except ValueError as e:
        raise DataError(recording.where, str(e), todo="Give the interval: --interval 1m") from e
    if len({part.interval for part in parts}) > 1:
        return _split(recording, parts, interval, stamps_are_close, rules)
    if interval is None:
        if found is None:
            raise DataError(
                recording.where,
                "has one row, which does not tell its interval",
                todo="Give the interval: --interval 1m",
            )
        interval = found
    elif found is not None and found != interval:
        steps = np.diff(ts)
        if found.ns % interval.ns or not (steps == interval.ns).any():
            raise DataError(
                recording.where,
                f"has a row every {found}",
                f"the interval was said to be {interval}",
                f"Give the true one: --interval {found}",
            )
    return [_clean_uniform(recording, interval, stamps_are_close, rules, ())]


def round_to_grid(
    bars: BarFrame, instrument: InstrumentSettings, rules: frozenset[str], source: str
) -> tuple[BarFrame, tuple[Repair, ...]]:
    """Round prices and volumes to the instrument's decimals, where the rules say so."""
    repairs: list[Repair] = []
    columns: dict[str, FloatArray] = {name: getattr(bars, name) for name in VALUE_COLUMNS}
    for rule, names, precision in (
        ("round-prices", ("open", "high", "low", "close"), instrument.price_precision),
        ("round-volumes", ("volume",), instrument.size_precision),
    ):
        if rule not in rules:
            continue
        touched = np.zeros(len(bars), np.bool_)
        largest = 0.0
        for name in names:
            values = columns[name]
            beside = off_grid(values, precision)
            rounded = np.round(values * 10.0**precision) / 10.0**precision
            if beside.any():
                columns[name] = np.where(beside, rounded, values)
                largest = max(largest, float(np.abs(rounded - values).max()))
            touched |= beside
        if touched.any():
            detail = f"to {precision} decimals, by at most {largest:.3g}"
            repairs.append(Repair(rule, int(touched.sum()), source, detail))
    return BarFrame(bars.ts_close, **columns), tuple(repairs)


def _split(
    recording: Recording,
    parts: Sequence[Stretch],
    interval: Interval | None,
    stamps_are_close: bool,
    rules: frozenset[str],
) -> Sequence[CleanBars]:
    """Take each stretch for itself, or say where the interval changes."""
    ts = recording.bars.ts_close
    if "split-interval" not in rules:
        change = int(np.argmax(ts >= parts[1].first_ns))
        times = ", ".join(f"{p.interval} from {iso(p.first_ns)}" for p in parts[:3])
        more = f" and {len(parts) - 3} more changes" if len(parts) > 3 else ""
        raise DataError(
            recording.at(change),
            f"the interval changes here ({times}{more})",
            "must be one interval",
            f"Take one part of the time with --start or --end {iso(parts[1].first_ns)}, "
            "or all parts as series of their own with --repair split-interval",
        )
    wanted = sorted({p.interval for p in parts}, key=lambda i: i.ns)
    if interval is not None:
        if interval not in wanted:
            raise DataError(
                recording.where,
                f"has rows every {' and every '.join(map(str, wanted))}",
                f"none every {interval}",
            )
        wanted = [interval]
    used = np.zeros(len(ts), np.bool_)
    masks: dict[Interval, NDArray[np.bool_]] = {}
    for each in wanted:
        masks[each] = np.zeros(len(ts), np.bool_)
        for part in parts:
            if part.interval == each:
                masks[each] |= (ts >= part.first_ns) & (ts <= part.last_ns)
        used |= masks[each]
    left = int((~used).sum())
    whole = ", ".join(f"{p.interval} {iso(p.first_ns)} to {iso(p.last_ns)}" for p in parts)
    done = (Repair("split-interval", left, recording.source, f"{whole}; other rows left out"),)
    return [
        _clean_uniform(recording.take(masks[each]), each, stamps_are_close, rules, done)
        for each in wanted
    ]


def _clean_uniform(
    recording: Recording,
    interval: Interval,
    stamps_are_close: bool,
    rules: frozenset[str],
    done: tuple[Repair, ...],
) -> CleanBars:
    work = _Work(recording, rules, list(done))
    shift = 0 if stamps_are_close else interval.ns
    work.drop(
        np.flatnonzero(beside_grid(work.bars.ts_close + shift, interval.ns)),
        "drop-off-grid",
        f"is not on the grid of {interval}",
        "must be a whole number of intervals since midnight UTC",
    )
    work.drop(
        not_finite(work.bars), "drop-broken", "has an empty or infinite value", "must be a number"
    )
    work.sort()
    work.drop_duplicates()
    work.drop(
        not_positive(work.bars),
        "drop-broken",
        "has a price not above 0 or a volume below 0",
        "must be positive",
    )
    work.widen_range()
    if not len(work.bars):
        raise DataError(recording.where, "has no rows left after the repairs", "must have some")
    closes = nearest_close_ns(work.bars.ts_close + shift, interval.ns)
    bars = dataclasses.replace(work.bars, ts_close=closes)
    return CleanBars(interval, bars, tuple(work.repairs))


class _Work:
    """A recording under repair."""

    def __init__(self, recording: Recording, rules: frozenset[str], repairs: list[Repair]) -> None:
        self._recording = recording
        self._rules = rules
        self.repairs = repairs

    @property
    def bars(self) -> BarFrame:
        return self._recording.bars

    def drop(self, rows: Rows, rule: str, found: str, wanted: str, more: str = "") -> None:
        """Drop bad rows if the rule was asked for, else refuse the first of them."""
        if not len(rows):
            return
        if rule not in self._rules:
            raise self._refusal(rows, rule, found, wanted, more)
        self._recording = self._recording.without(rows)
        self._note(rule, rows, "dropped")

    def sort(self) -> None:
        late = disorder(self.bars.ts_close)
        if not len(late):
            return
        if "sort" not in self._rules:
            raise self._refusal(
                late, "sort", "is earlier than the row before it", "must be in the order of time"
            )
        self._recording = self._recording.take(np.argsort(self.bars.ts_close, kind="stable"))
        self._note("sort", late, "stood after a later row")

    def drop_duplicates(self) -> None:
        equal, _ = duplicates(self.bars)
        self.drop(
            equal,
            "drop-duplicates",
            "repeats a time with the same values",
            "must be there once",
        )
        _, different = duplicates(self.bars)
        if not len(different):
            return
        if "keep-last" in self._rules and "keep-first" not in self._rules:
            ts = self.bars.ts_close  # in order by now
            before_another = np.flatnonzero(ts[1:] == ts[:-1])
            self.drop(before_another, "keep-last", "", "")
            return
        self.drop(
            different,
            "keep-first",
            "repeats a time with other values",
            "must be there once",
            " or --repair keep-last",
        )

    def widen_range(self) -> None:
        rows = broken_range(self.bars)
        if not len(rows) or "widen-range" not in self._rules:
            self.drop(
                rows,
                "drop-broken",
                "has an open or close outside low to high",
                "must lie inside",
                " or --repair widen-range",
            )
            return
        bars = self.bars
        low = np.minimum.reduce([bars.low, bars.open, bars.close])
        high = np.maximum.reduce([bars.high, bars.open, bars.close])
        widened = dataclasses.replace(bars, low=low, high=high)
        self._recording = dataclasses.replace(self._recording, bars=widened)
        self._note("widen-range", rows, "high or low moved")

    def _note(self, rule: str, rows: Rows, detail: str) -> None:
        self.repairs.append(Repair(rule, len(rows), self._recording.source, detail))

    def _refusal(self, rows: Rows, rule: str, found: str, wanted: str, more: str = "") -> DataError:
        like = f" ({len(rows)} rows are like it)" if len(rows) > 1 else ""
        return DataError(
            self._recording.at(rows[0]),
            f"{found}{like}",
            wanted,
            f"To repair it by rule: --repair {rule}{more}",
        )
