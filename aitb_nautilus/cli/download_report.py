"""What ``aitb data download`` prints: the result as plain data, and as people read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.data_options import show_time
from aitb_nautilus.cli.plumbing import console
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.market.times import iso
from catalog.downloads import DownloadReport, DownloadResult

__all__ = ["plain_report", "show_result"]

_SHOWN_GAPS = 5


def plain_report(report: DownloadReport) -> dict[str, Any]:
    """Return one report as plain data for JSON."""
    return {
        "name": report.name,
        "instrument_id": report.instrument_id,
        "interval": Interval.of_bar_type(report.bar_type).text,
        "bar_type": report.bar_type,
        "first": iso(report.start_ns),
        "last": iso(report.end_ns),
        "bars_added": report.bars_added,
        "bars_held": report.bars_held,
        "bars_missing": report.bars_missing,
        "gaps": [
            {"first": iso(gap.first_ns), "last": iso(gap.last_ns), "bars": gap.bars}
            for gap in report.gaps
        ],
        "notes": report.notes,
    }


def show_result(catalog: Path, result: DownloadResult) -> None:
    """Print a table of the series, their largest gaps, and what a person should know."""
    out = console()
    # Eighty columns hold dates, not times.
    length = None if out.width >= 100 else 10
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("instrument", "every", "from (UTC)", "to"):
        table.add_column(name, no_wrap=True)
    for name in ("added", "there", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in result.reports:
        interval = Interval.of_bar_type(report.bar_type)
        table.add_row(
            report.instrument_id,
            interval.text,
            show_time(report.start_ns - interval.ns)[:length],
            show_time(report.end_ns)[:length],
            f"{report.bars_added:,}",
            f"{report.bars_held:,}",
            f"[yellow]{report.bars_missing:,}[/]" if report.bars_missing else "-",
        )
    out.print(table)
    for report in result.reports:
        _show_gaps(report)
        for note in report.notes:
            out.print(f"[yellow]note[/] {escape(note)}.")
    added = sum(report.bars_added for report in result.reports)
    retries = f", {result.retries:,} of them again" if result.retries else ""
    out.print(
        f"{added:,} bars added to {catalog} in {result.seconds:.1f} s "
        f"({result.requests:,} requests{retries})."
    )


def _show_gaps(report: DownloadReport) -> None:
    out = console()
    largest = sorted(report.gaps, key=lambda gap: -gap.bars)[:_SHOWN_GAPS]
    for gap in sorted(largest, key=lambda gap: gap.first_ns):
        bars = "1 bar" if gap.bars == 1 else f"{gap.bars:,} bars"
        step = Interval.of_bar_type(report.bar_type).ns
        out.print(
            f"[yellow]gap[/] {report.instrument_id}: {show_time(gap.first_ns - step)} to "
            f"{show_time(gap.last_ns)}, {bars}"
        )
    if len(report.gaps) > len(largest):
        more = len(report.gaps) - len(largest)
        out.print(f"[yellow]gap[/] {report.instrument_id}: and {more:,} smaller")
