"""Examine bars, in the catalog or in a file, and say what is wrong or strange about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np

from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval, TimeArray
from aitb_nautilus.market.intervals import beside_grid, spell_ns
from catalog.cleaning import Recording
from catalog.defects import Rows, broken_range, disorder, duplicates, not_finite, not_positive
from catalog.outliers import OUTLIER_RULE, outliers
from catalog.steps import Stretch, find_interval, stretches, unique_times

__all__ = ["Finding", "Run", "SeriesCheck", "Verdict", "check_recording"]

type Severity = Literal["error", "warning"]
type Verdict = Literal["sound", "usable", "broken"]

_FLAT_BARS = 10


class Run(msgspec.Struct, frozen=True):
    """Neighbouring bars with the same finding.

    Parameters
    ----------
    first_ns, last_ns
        Open times of the first and the last bar, ns UTC.
    bars
        How many.
    note
        What is to say about it, or empty.
    """

    first_ns: int
    last_ns: int
    bars: int
    note: str = ""


class Finding(msgspec.Struct, frozen=True):
    """All that one examination found.

    Parameters
    ----------
    kind
        Such as ``"gap"``.
    severity
        An error makes the data unusable as they are; a warning is to be known.
    bars
        How many bars are concerned.
    runs
        Where, the largest first.
    meaning
        What that is, in words.
    """

    kind: str
    severity: Severity
    bars: int
    runs: tuple[Run, ...]
    meaning: str


class SeriesCheck(msgspec.Struct, frozen=True):
    """The result for one series; times are opens of bars.

    Parameters
    ----------
    missing
        Bars that gaps lack.
    findings
        Errors first.
    """

    name: str
    interval: Interval | None
    rows: int
    first_ns: int
    last_ns: int
    missing: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """``"broken"`` with an error, ``"usable"`` with a warning, else ``"sound"``."""
        severities = {finding.severity for finding in self.findings}
        if "error" in severities:
            return "broken"
        return "usable" if severities else "sound"


def check_recording(
    recording: Recording, *, stamps_are_close: bool, interval: Interval | None = None
) -> SeriesCheck:
    """Examine one recording.

    Parameters
    ----------
    interval
        Of the bars; None: found from their times.
    """
    bars = recording.bars
    ts = unique_times(bars.ts_close)
    parts: Sequence[Stretch] = ()
    findings: list[Finding | None] = []
    try:
        parts = stretches(ts)
        interval = interval or find_interval(ts)
    except ValueError as e:
        run = Run(int(ts[0]), int(ts[-1]), len(bars), str(e))
        findings.append(
            Finding(
                "no interval", "error", len(bars), (run,), "times that follow no fixed interval"
            )
        )
    if stamps_are_close and interval is not None:
        bars = dataclasses.replace(bars, ts_close=bars.ts_close - interval.ns)
        ts = ts - interval.ns
        parts = [
            Stretch(p.interval, p.first_ns - interval.ns, p.last_ns - interval.ns) for p in parts
        ]
    findings += [_mixed(parts), *_broken(bars, interval)]
    missing = 0
    if interval is not None:
        gaps = _gaps(ts, parts, interval)
        missing = gaps.bars if gaps else 0
        findings += [gaps, *_strange(_good(bars), interval)]
    return SeriesCheck(
        name=recording.where,
        interval=interval,
        rows=len(bars),
        first_ns=int(ts[0]),
        last_ns=int(ts[-1]),
        missing=missing,
        findings=tuple(finding for finding in findings if finding is not None),
    )


def _mixed(parts: Sequence[Stretch]) -> Finding | None:
    if len({part.interval for part in parts}) < 2:
        return None
    runs = tuple(
        Run(
            p.first_ns,
            p.last_ns,
            (p.last_ns - p.first_ns) // p.interval.ns + 1,
            f"every {p.interval}",
        )
        for p in parts
    )
    return Finding(
        "mixed intervals",
        "error",
        sum(run.bars for run in runs),
        runs,
        "the interval changes in the middle",
    )


def _broken(bars: BarFrame, interval: Interval | None) -> list[Finding | None]:
    """Examine for what an import refuses."""
    ts = bars.ts_close
    equal, different = duplicates(bars)
    found = [
        _finding("disorder", "error", ts, disorder(ts), "a row earlier than the row before it"),
        _finding(
            "repeated bar", "error", ts, equal, "a time that was there before, with the same values"
        ),
        _finding(
            "contradiction",
            "error",
            ts,
            different,
            "a time that was there before, with other values",
        ),
        _finding("not finite", "error", ts, not_finite(bars), "an empty or infinite value"),
        _finding(
            "not positive",
            "error",
            ts,
            not_positive(bars),
            "a price not above 0, or a volume below 0",
        ),
        _finding(
            "broken range", "error", ts, broken_range(bars), "an open or close outside low to high"
        ),
    ]
    if interval is not None:
        beside = np.flatnonzero(beside_grid(ts, interval.ns))
        meaning = f"a time that is no whole number of {interval} since midnight UTC"
        found.insert(0, _finding("off grid", "error", ts, beside, meaning))
    return found


def _gaps(ts: TimeArray, parts: Sequence[Stretch], interval: Interval) -> Finding | None:
    """Examine for missing bars; where the interval changes, inside each stretch."""
    spans = parts if len(parts) > 1 else [Stretch(interval, int(ts[0]), int(ts[-1]))]
    runs = []
    for span in spans:
        inside = ts[(ts >= span.first_ns) & (ts <= span.last_ns)]
        step = span.interval.ns
        for row in np.flatnonzero(np.diff(inside) > step):
            first, last = int(inside[row]) + step, int(inside[row + 1]) - step
            bars = round((last - first) / step) + 1
            runs.append(Run(first, last, bars, f"{spell_ns(bars * step)} without bars"))
    return _sorted_finding("gap", runs, "no bar where one belongs")


def _strange(bars: BarFrame, interval: Interval) -> list[Finding | None]:
    """Examine sound bars in order for what a user should know."""
    ts = bars.ts_close
    empty = bars.volume == 0
    flat = (bars.high == bars.low) & ~empty
    flat_runs = [
        (first, last)
        for first, last in _runs(np.flatnonzero(flat), bars.close)
        if last - first + 1 >= _FLAT_BARS
    ]
    rows, moves = outliers(bars, interval.ns)
    size = np.argsort(-np.abs(moves), kind="stable")
    strange = tuple(
        Run(int(ts[row]), int(ts[row]), 1, f"{np.expm1(move):+.2%} to {bars.close[row]:.10g}")
        for row, move in zip(rows[size], moves[size], strict=True)
    )
    return [
        _finding("zero volume", "warning", ts, np.flatnonzero(empty), "a bar without a trade"),
        _sorted_finding(
            "flat",
            [
                Run(int(ts[a]), int(ts[b]), b - a + 1, f"all at {bars.close[a]:.10g}")
                for a, b in flat_runs
            ],
            f"at least {_FLAT_BARS} neighbouring bars with trades, all at one price",
        ),
        Finding("outlier", "warning", len(strange), strange, OUTLIER_RULE) if strange else None,
    ]


def _good(bars: BarFrame) -> BarFrame:
    """Return the bars whose values make sense, in order, each time once."""
    equal, different = duplicates(bars)
    bad = np.r_[equal, different, not_finite(bars), not_positive(bars), broken_range(bars)]
    keep = np.ones(len(bars), np.bool_)
    keep[bad.astype(np.int64)] = False
    good = bars.take(keep)
    return good.take(np.argsort(good.ts_close, kind="stable"))


def _finding(
    kind: str, severity: Severity, ts: TimeArray, rows: Rows, meaning: str
) -> Finding | None:
    runs = [Run(int(ts[a]), int(ts[b]), b - a + 1) for a, b in _runs(rows)]
    return _sorted_finding(kind, runs, meaning, severity)


def _sorted_finding(
    kind: str, runs: Sequence[Run], meaning: str, severity: Severity = "warning"
) -> Finding | None:
    if not runs:
        return None
    largest_first = tuple(sorted(runs, key=lambda run: (-run.bars, run.first_ns)))
    return Finding(kind, severity, sum(run.bars for run in runs), largest_first, meaning)


def _runs(rows: Rows, values: FloatArray | None = None) -> Iterator[tuple[int, int]]:
    """Give first and last row of each run of neighbours, with one value where values are given."""
    if not len(rows):
        return
    breaks = np.diff(rows) > 1
    if values is not None:
        breaks |= values[rows[1:]] != values[rows[:-1]]
    begins = np.r_[0, np.flatnonzero(breaks) + 1]
    ends = np.r_[begins[1:] - 1, len(rows) - 1]
    for begin, end in zip(begins, ends, strict=True):
        yield int(rows[begin]), int(rows[end])
