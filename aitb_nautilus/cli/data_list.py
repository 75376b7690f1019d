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
from catalog.quotes import QuoteSeries
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
    series, funding, quotes = store.list(), store.list_funding(), store.list_quotes()
    answer = {
        "catalog": catalog,
        "series": [_plain(s) for s in series],
        "funding": [_plain_other(f) for f in funding],
        "quotes": [_plain_other(q) for q in quotes],
    }
    emit(answer, as_json, lambda: _show(catalog, series, funding, quotes))


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


def _plain_other(one: FundingSeries | QuoteSeries) -> dict[str, Any]:
    return {
        "instrument_id": one.instrument_id,
        "first": iso(one.first_ns),
        "last": iso(one.last_ns),
        "rows": one.rows,
        "bytes": one.bytes,
        "simulated": one.simulated,
        "sources": [_plain_source(source) for source in one.sources],
    }


def _plain_source(source: Source) -> dict[str, Any]:
    return {"name": source.name, "sha256": source.sha256}


def _show(
    catalog: Path,
    series: Sequence[Series],
    funding: Sequence[FundingSeries],
    quotes: Sequence[QuoteSeries],
) -> None:
    out = console()
    if not series and not funding and not quotes:
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
    for what, others in (("rates", funding), ("quotes", quotes)):
        for other in others:
            table.add_row(
                other.instrument_id,
                what,
                show_time(other.first_ns)[:10],
                show_time(other.last_ns)[:10],
                f"{other.rows:,}",
                "",
                *([show_size(other.bytes)] if wide else []),
                _origin(other.sources, other.simulated, False, wide),
            )
    out.print(table)
    rows = sum(s.rows for s in series)
    sizes = [*(s.bytes for s in series), *(f.bytes for f in funding), *(q.bytes for q in quotes)]
    size = sum(sizes)
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
