"""``aitb data list``: what the catalog holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.data_options import (
    catalog_option,
    plain_repair,
    print_repairs,
    show_size,
    show_time,
)
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.market.times import iso
from catalog.funding import FundingSeries
from catalog.provenance import Source
from catalog.store import BarStore, Series

__all__ = ["command"]

_WIDE = 120
_SOURCE_WIDTH = 24


@click.command("list")
@catalog_option
@json_option
def command(catalog: Path, as_json: bool) -> None:
    """Show what the catalog holds."""
    store = BarStore(catalog)
    series, funding = store.list(), store.list_funding()
    answer = {
        "catalog": catalog,
        "series": [_plain(s) for s in series],
        "funding": [_plain_funding(f) for f in funding],
    }
    emit(answer, as_json, lambda: _show(catalog, series, funding))


def _plain(series: Series) -> dict[str, Any]:
    return {
        "instrument_id": series.instrument_id,
        "interval": series.interval.text,
        "bar_type": series.bar_type,
        "first": iso(series.first_ns),
        "last": iso(series.last_ns),
        "rows": series.rows,
        "gaps": series.gaps,
        "missing": series.missing,
        "bytes": series.bytes,
        "price_precision": series.price_precision,
        "size_precision": series.size_precision,
        "simulated": series.simulated,
        "sources": [_plain_source(source) for source in series.sources],
        "repairs": [plain_repair(repair) for repair in series.repairs],
    }


def _plain_funding(funding: FundingSeries) -> dict[str, Any]:
    return {
        "instrument_id": funding.instrument_id,
        "first": iso(funding.first_ns),
        "last": iso(funding.last_ns),
        "rows": funding.rows,
        "bytes": funding.bytes,
        "simulated": funding.simulated,
        "sources": [_plain_source(source) for source in funding.sources],
    }


def _plain_source(source: Source) -> dict[str, Any]:
    return {"name": source.name, "sha256": source.sha256}


def _show(catalog: Path, series: Sequence[Series], funding: Sequence[FundingSeries]) -> None:
    out = console()
    if not series and not funding:
        out.print(f"The catalog {catalog} is empty. Fill it with:", markup=False)
        for verb in ("import FILES", "download --help", "simulate --help"):
            out.print(f"  aitb data {verb}")
        return
    wide = out.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("instrument", no_wrap=True)
    table.add_column("every", no_wrap=True)
    table.add_column("from (UTC)", no_wrap=True)
    table.add_column("to", no_wrap=True)
    for name in ("rows", "gaps", "size") if wide else ("rows", "gaps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source" if wide else "kind", no_wrap=True)
    for s in series:
        table.add_row(
            s.instrument_id,
            s.interval.text,
            show_time(s.first_ns - s.interval.ns)[:10],
            show_time(s.last_ns)[:10],
            f"{s.rows:,}",
            f"{s.gaps:,}" if s.gaps else "-",
            *([show_size(s.bytes)] if wide else []),
            _origin(s.sources, s.simulated, bool(s.repairs), wide),
        )
    for f in funding:
        table.add_row(
            f.instrument_id,
            "rates",
            show_time(f.first_ns)[:10],
            show_time(f.last_ns)[:10],
            f"{f.rows:,}",
            "",
            *([show_size(f.bytes)] if wide else []),
            _origin(f.sources, f.simulated, False, wide),
        )
    out.print(table)
    rows = sum(s.rows for s in series)
    size = sum(s.bytes for s in series) + sum(f.bytes for f in funding)
    out.print(f"{len(series)} series, {rows:,} bars, {show_size(size)} in {escape(str(catalog))}.")
    for s in series:
        print_repairs(f"{s.instrument_id} {s.interval}", s.repairs)


def _origin(sources: Sequence[Source], simulated: bool, repaired: bool, wide: bool) -> str:
    label = "[magenta]simulated[/]" if simulated else "recorded"
    if repaired and not simulated:
        label = "[yellow]repaired[/]"
    if not wide:
        return label
    name = sources[0].name if sources else ""
    if len(name) > _SOURCE_WIDTH:
        name = f"{name[: _SOURCE_WIDTH - 3]}..."
    more = f" +{len(sources) - 1}" if len(sources) > 1 else ""
    return f"{label}: {escape(name)}{more}"
