"""``aitb data import``: files of bars, trades, quotes or funding rates into the catalog."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aitb_nautilus.cli.data_options import (
    catalog_option,
    choice_of,
    interval_of,
    plain_repair,
    print_repairs,
    row_options,
    show_time,
    split_pairs,
)
from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import InstrumentKind, config_instruments, known_instruments
from aitb_nautilus.market.times import iso
from catalog.cleaning import RULES, check_rules
from catalog.import_funding import import_funding
from catalog.import_ticks import import_quotes, import_trades
from catalog.imported import Imported
from catalog.importing import ImportedSeries, ImportOptions, import_bars
from catalog.instruments import catalog_instruments
from catalog.store import BarStore
from catalog.symbols import Naming

__all__ = ["command"]

type _Done = Sequence[ImportedSeries] | Sequence[Imported]

_RULES_HELP = "\b\nRepairs, none of which is done unless asked for:\n" + "\n".join(
    f"  {name:16} {what}" for name, what in RULES.items()
)


@click.command("import", epilog=_RULES_HELP)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@catalog_option
@click.option(
    "--kind",
    type=click.Choice(["bars", "trades", "quotes", "funding"]),
    default="bars",
    show_default=True,
    help="What the files hold: bars; trades, of which bars of --interval are made; quotes, best "
    "bids and asks, on which a back-test can fill; funding rates.",
)
@click.option(
    "--instrument",
    "instruments",
    multiple=True,
    metavar="[SYMBOL=]ID",
    help="The instrument, such as BTCUSDT.BINANCE; else told by file name or symbol column.",
)
@click.option("--venue", default="BINANCE", show_default=True, help="Venue of the symbols.")
@click.option(
    "--market",
    type=click.Choice(["spot", "perpetual"]),
    help="Market of the symbols. [default: spot; perpetual for funding]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="A config whose [[instruments]] are known as well.",
)
@row_options
@click.option(
    "--repair",
    "repairs",
    multiple=True,
    metavar="RULE",
    help="Repair by this rule, see below; may be repeated. What is repaired is written down.",
)
@click.option("--no-volume", is_flag=True, help="Accept files without volumes; they become 0.")
@click.option(
    "--rate-unit",
    type=click.Choice(["fraction", "percent"]),
    default="fraction",
    show_default=True,
    help="Unit of funding rates in the files.",
)
@click.option("--simulated", is_flag=True, help="Label the bars as simulated.")
@click.option("--replace", is_flag=True, help="Let the files win over stored values that differ.")
@json_option
def command(
    *,
    files: Sequence[Path],
    catalog: Path,
    kind: str,
    instruments: Sequence[str],
    venue: str,
    market: str | None,
    config: Path | None,
    interval: str | None,
    time: str | None,
    columns: Sequence[str],
    symbols: Sequence[str],
    filters: Sequence[str],
    start: str | None,
    end: str | None,
    repairs: Sequence[str],
    no_volume: bool,
    rate_unit: str,
    simulated: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Import files of bars, trades, quotes or funding rates: CSV, gzip, zip, Parquet.

    FILES are Binance's kline files (zip or CSV), or any CSV, CSV in gzip, CSV in zip, or Parquet
    with named columns, of one instrument or with a column of symbols. They may be given in any
    order and may overlap where they agree. All of them are imported, or nothing; importing the
    same again changes nothing. Trades and quotes must be in order of time; of trades the first and
    the last bar are left out, so give files that follow each other together.
    """
    begin = clock.perf_counter()
    store = BarStore(catalog)
    extra = config_instruments(config) if config else ()
    naming = Naming(
        known=known_instruments([*catalog_instruments(catalog), *extra]),
        venue=venue.upper(),
        kind=cast(InstrumentKind, market or ("perpetual" if kind == "funding" else "spot")),
        ids=_ids(instruments),
    )
    choice = choice_of(
        columns=columns,
        symbols=symbols,
        filters=filters,
        start=start,
        end=end,
    )
    paths = list(dict.fromkeys(files))
    with _progress(len(paths)) as on_file:
        done: _Done
        if kind == "quotes":
            done = import_quotes(
                store,
                paths,
                naming,
                choice,
                simulated=simulated,
                replace=replace,
                on_file=on_file,
            )
        elif kind == "trades":
            done = import_trades(
                store,
                paths,
                naming,
                choice,
                _needed(interval_of(interval)),
                simulated=simulated,
                replace=replace,
                on_file=on_file,
            )
        elif kind == "bars":
            options = ImportOptions(
                naming=naming,
                choice=choice,
                interval=interval_of(interval),
                time=time,
                rules=check_rules([r.strip() for text in repairs for r in text.split(",")]),
                no_volume=no_volume,
                replace=replace,
                simulated=simulated,
            )
            done = import_bars(store, paths, options, on_file)
        else:
            unit = 0.01 if rate_unit == "percent" else 1.0
            done = import_funding(
                store, paths, naming, choice, unit=unit, replace=replace, on_file=on_file
            )
    seconds = clock.perf_counter() - begin
    answer = {
        "catalog": catalog,
        "kind": kind,
        "files": len(paths),
        "rows_added": sum(s.rows_added for s in done),
        "rows_same": sum(s.rows_same for s in done),
        "rows_replaced": sum(s.rows_replaced for s in done),
        "seconds": round(seconds, 3),
        "series": [_plain(s) for s in done],
    }
    emit(answer, as_json, lambda: _show(catalog, done, len(paths), seconds))


def _needed(interval: Interval | None) -> Interval:
    if interval is None:
        raise UsageError(
            "aitb data import --kind trades",
            "was given no --interval",
            "must know how long the bars are that it makes of the trades",
            "Add it, such as --interval 1s or --interval 1m",
        )
    return interval


def _ids(texts: Sequence[str]) -> dict[str, str]:
    alone = [text for text in texts if "=" not in text]
    if len(alone) > 1 or (alone and len(texts) > 1):
        raise UsageError(
            f"--instrument {' --instrument '.join(texts)}",
            "names several instruments without saying which symbol is which",
            "must be one ID, or SYMBOL=ID for each",
        )
    return {"": alone[0]} if alone else split_pairs("--instrument", texts)


@contextmanager
def _progress(files: int) -> Iterator[Callable[[Path], None]]:
    """Show a bar over many files on a terminal's stderr; elsewhere, nothing."""
    err = progress_console()
    with Progress(
        TextColumn("import"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files {task.description}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=files < 2 or not err.is_terminal,
    ) as progress:
        task = progress.add_task("", total=files)
        yield lambda path: progress.update(task, advance=1, description=path.name)


def _plain(series: ImportedSeries | Imported) -> dict[str, Any]:
    plain: dict[str, Any] = {"instrument_id": series.instrument_id}
    if isinstance(series, ImportedSeries):
        plain["interval"] = series.interval.text
        plain["bar_type"] = series.bar_type
    plain |= {
        "first": iso(series.first_ns),
        "last": iso(series.last_ns),
        "rows_added": series.rows_added,
        "rows_same": series.rows_same,
        "rows_replaced": series.rows_replaced,
        "files": series.files,
    }
    if isinstance(series, ImportedSeries):
        plain["repairs"] = [plain_repair(repair) for repair in series.repairs]
    return plain


def _show(
    catalog: Path,
    done: _Done,
    files: int,
    seconds: float,
) -> None:
    replaced = any(s.rows_replaced for s in done)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("instrument", no_wrap=True)
    bars = any(isinstance(s, ImportedSeries) for s in done)
    if bars:
        table.add_column("every", no_wrap=True)
    table.add_column("from (UTC)", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("added", justify="right")
    table.add_column("same", justify="right")
    if replaced:
        table.add_column("replaced", justify="right")
    for s in done:
        first = s.first_ns - s.interval.ns if isinstance(s, ImportedSeries) else s.first_ns
        table.add_row(
            s.instrument_id,
            *([s.interval.text] if isinstance(s, ImportedSeries) else []),
            show_time(first),
            show_time(s.last_ns),
            f"{s.rows_added:,}",
            f"{s.rows_same:,}",
            *([f"{s.rows_replaced:,}"] if replaced else []),
        )
    out = console()
    out.print(table)
    for s in done:
        if isinstance(s, ImportedSeries):
            print_repairs(f"{s.instrument_id} {s.interval}", s.repairs)
    added = sum(s.rows_added for s in done)
    out.print(
        f"{added:,} rows added from {files} file{'s' if files > 1 else ''} "
        f"into {escape(str(catalog))} in {seconds:.1f} s."
    )
