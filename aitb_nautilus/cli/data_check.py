"""``aitb data check``: gaps, broken bars and oddities, in the catalog or in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.data_options import (
    catalog_option,
    choice_of,
    interval_of,
    plain_repair,
    print_repairs,
    row_options,
    show_time,
)
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.intervals import spell_ns
from aitb_nautilus.market.times import iso
from aitb_nautilus.settings import nearest
from catalog.check import Finding, SeriesCheck, check_recording
from catalog.cleaning import Recording
from catalog.provenance import Repair
from catalog.recordings import RowChoice, read_recordings
from catalog.store import BarStore, Series

__all__ = ["command"]

_SHOWN_RUNS = 5
_COLOURS = {"sound": "green", "usable": "yellow", "broken": "red"}


class _Checked(msgspec.Struct, frozen=True):
    """A check with what the catalog knows beside it."""

    check: SeriesCheck
    simulated: bool = False
    repairs: tuple[Repair, ...] = ()


@click.command("check")
@click.argument("what", nargs=-1)
@catalog_option
@row_options
@click.option("--all", "show_all", is_flag=True, help="Show every place, not the largest few.")
@json_option
def command(
    *,
    what: Sequence[str],
    catalog: Path,
    interval: str | None,
    time: str | None,
    columns: Sequence[str],
    symbols: Sequence[str],
    filters: Sequence[str],
    start: str | None,
    end: str | None,
    show_all: bool,
    as_json: bool,
) -> int:
    """Look for gaps, broken bars, mixed intervals, zero runs and outliers.

    And for duplicates, disorder, values that are missing or not positive, and times off the grid.

    WHAT are bar types or instruments of the catalog, or files that are not imported yet; by default
    the whole catalog. Leaves with 0 if the data can be used, and with 4 if something is broken.
    """
    choice = choice_of(columns=columns, symbols=symbols, filters=filters, start=start, end=end)
    results = list(_check_all(BarStore(catalog), what, choice, interval_of(interval), time))
    worst = max((r.check.verdict for r in results), key=list(_COLOURS).index, default="sound")
    answer = {"verdict": worst, "series": [_plain(result) for result in results]}
    emit(answer, as_json, lambda: _show(results, show_all))
    return DataError.exit_code if worst == "broken" else 0


def _check_all(
    store: BarStore,
    what: Sequence[str],
    choice: RowChoice,
    interval: Interval | None,
    time: str | None,
) -> Iterator[_Checked]:
    files = [name for name in what if Path(name).exists() or _looks_like_file(name)]
    names = [name for name in what if name not in files]
    for name in files:
        for part in read_recordings(Path(name), choice):
            close = part.stamps_are_close if time is None else time == "close"
            yield _Checked(
                check_recording(part.recording, stamps_are_close=close, interval=interval)
            )
    if files and not names:
        return
    for series in _choose(store, names):
        bars = store.read_as_stored(series.bar_type).between(choice.start_ns, choice.end_ns)
        if not len(bars):
            raise DataError(
                series.bar_type,
                f"has no bars in the range; it has {iso(series.first_ns)} to {iso(series.last_ns)}",
                "must have some between --start and --end",
            )
        rows = np.arange(1, len(bars) + 1)
        recording = Recording(f"{series.instrument_id} {series.interval}", "", rows, bars)
        check = check_recording(recording, stamps_are_close=True, interval=series.interval)
        yield _Checked(check, series.simulated, series.repairs)


def _looks_like_file(name: str) -> bool:
    return name.lower().endswith((".csv", ".gz", ".zip", ".parquet", ".txt"))


def _choose(store: BarStore, names: Sequence[str]) -> Sequence[Series]:
    """Return the series with these bar types or instruments; all without a name."""
    there = store.list()
    if not names:
        return there
    chosen = []
    for name in names:
        matching = [s for s in there if name in (s.bar_type, s.instrument_id)]
        if not matching:
            known = sorted({s.instrument_id for s in there} | {s.bar_type for s in there})
            close = nearest(name, known)
            raise DataError(
                f"catalog {store.path}",
                f"has no series {name}",
                f"did you mean {close}?" if close else "",
                f"See what it has: aitb data list --catalog {store.path}",
            )
        chosen += matching
    return chosen


def _plain(result: _Checked) -> dict[str, Any]:
    check = result.check
    return {
        "name": check.name,
        "interval": check.interval.text if check.interval else None,
        "rows": check.rows,
        "first_open": iso(check.first_ns),
        "last_open": iso(check.last_ns),
        "missing": check.missing,
        "verdict": check.verdict,
        "simulated": result.simulated,
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "bars": finding.bars,
                "meaning": finding.meaning,
                "runs": [
                    {
                        "first_open": iso(run.first_ns),
                        "last_open": iso(run.last_ns),
                        "bars": run.bars,
                        "note": run.note,
                    }
                    for run in finding.runs
                ],
            }
            for finding in check.findings
        ],
        "repairs": [plain_repair(repair) for repair in result.repairs],
    }


def _show(results: Sequence[_Checked], show_all: bool) -> None:
    out = console()
    if not results:
        out.print("The catalog is empty: nothing to check.")
        return
    if len(results) > 1:
        _show_summary(results)
    for result in results:
        if len(results) == 1 or show_all or result.check.verdict == "broken":
            _show_series(result, show_all)
    if len(results) > 1 and not show_all:
        out.print("Details: aitb data check NAME, or --all.")


def _show_summary(results: Sequence[_Checked]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("series", overflow="fold")
    for name in ("bars", "missing", "zero", "outliers", "errors"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for result in sorted(results, key=lambda r: -list(_COLOURS).index(r.check.verdict)):
        check = result.check
        by_kind = {finding.kind: finding.bars for finding in check.findings}
        errors = sum(f.bars for f in check.findings if f.severity == "error")
        counts = (
            check.missing,
            by_kind.get("zero volume", 0),
            by_kind.get("outlier", 0),
            errors,
        )
        table.add_row(
            escape(check.name),
            f"{check.rows:,}",
            *(f"{count:,}" if count else "-" for count in counts),
            _coloured(check),
        )
    console().print(table)


def _show_series(result: _Checked, show_all: bool) -> None:
    out = console()
    check = result.check
    label = "[magenta]simulated[/] " if result.simulated else ""
    out.print(
        f"[bold]{escape(check.name)}[/]  {label}{check.rows:,} bars  "
        f"{show_time(check.first_ns)} to {show_time(check.last_ns)}",
        soft_wrap=True,  # a path must stay whole, so that it can be copied
    )
    if check.findings:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("finding", no_wrap=True)
        table.add_column("first open (UTC)", no_wrap=True)
        table.add_column("last open", no_wrap=True)
        table.add_column("bars", justify="right")
        table.add_column("note")
        for finding in check.findings:
            _add_rows(table, finding, show_all)
        out.print(table)
        for finding in check.findings:
            out.print(f"[dim]{finding.kind}: {finding.meaning}[/]")
    print_repairs("at import", result.repairs)
    out.print(f"{_coloured(check)}: {_sentence(check)}")


def _add_rows(table: Table, finding: Finding, show_all: bool) -> None:
    shown = finding.runs if show_all else finding.runs[:_SHOWN_RUNS]
    colour = "red" if finding.severity == "error" else "yellow"
    for i, run in enumerate(shown):
        table.add_row(
            f"[{colour}]{finding.kind}[/]" if i == 0 else "",
            show_time(run.first_ns),
            show_time(run.last_ns) if run.last_ns != run.first_ns else "",
            f"{run.bars:,}",
            run.note,
        )
    left = finding.runs[len(shown) :]
    if left:
        bars = sum(run.bars for run in left)
        table.add_row("", f"[dim]and {len(left):,} more places[/]", "", f"{bars:,}", "")


def _coloured(check: SeriesCheck) -> str:
    return f"[{_COLOURS[check.verdict]}]{check.verdict}[/]"


def _sentence(check: SeriesCheck) -> str:
    if not check.findings:
        return "nothing was found."
    parts = ", ".join(f"{f.kind} ({f.bars:,} bars)" for f in check.findings)
    if check.verdict == "broken":
        return f"{parts}. An import refuses this without --repair."
    if not check.missing or check.interval is None:
        return f"{parts}."
    share = check.missing / (check.rows + check.missing)
    length = spell_ns(check.missing * check.interval.ns)
    return f"{parts}. {share:.2%} of the time is missing, {length} in all."
