"""Options and spellings that the verbs of ``aitb data`` share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from aitb_nautilus.cli.plumbing import console
from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.settings import nearest
from catalog.columns import ROLES
from catalog.provenance import Repair
from catalog.recordings import RowChoice

__all__ = [
    "catalog_option",
    "choice_of",
    "interval_of",
    "plain_repair",
    "print_repairs",
    "row_options",
    "show_size",
    "show_time",
    "split_pairs",
]


def catalog_option[F: Callable[..., Any]](function: F) -> F:
    """Add ``--catalog``; it arrives as the argument ``catalog: Path``."""
    return click.option(
        "--catalog",
        type=click.Path(path_type=Path),
        default=Path("data"),
        show_default=True,
        help="Folder of the catalog.",
    )(function)


def row_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options that say how to read a file; `choice_of` takes most of them."""
    for option in reversed(
        (
            click.option(
                "--interval", metavar="1m", help="Length of the bars; else found from their times."
            ),
            click.option(
                "--time",
                type=click.Choice(["open", "close"]),
                help="Whether rows are stamped with the open or the close of their bar; else open, "
                "unless the column's name says close.",
            ),
            click.option(
                "--columns",
                multiple=True,
                metavar="ROLE=NAME,...",
                help=f"Names of columns that are not recognised. Roles: {', '.join(ROLES)}.",
            ),
            click.option(
                "--symbol",
                "symbols",
                multiple=True,
                metavar="NAME",
                help="Of a table with many symbols, take only this one; may be repeated.",
            ),
            click.option(
                "--filter",
                "filters",
                multiple=True,
                metavar="COLUMN=VALUE",
                help="Take only rows with this value; may be repeated.",
            ),
            click.option(
                "--start",
                metavar="TIME",
                help="Take rows stamped from then on, such as 2023-01-31.",
            ),
            click.option("--end", metavar="TIME", help="Take rows stamped before then."),
        )
    ):
        function = option(function)
    return function


def choice_of(
    *,
    columns: Sequence[str],
    symbols: Sequence[str],
    filters: Sequence[str],
    start: str | None,
    end: str | None,
) -> RowChoice:
    """Return what `row_options` chose.

    Raises
    ------
    UsageError
        If an option cannot be read, or the range is empty.
    """
    start_ns, end_ns = _time("--start", start), _time("--end", end)
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise UsageError(f"--start {start} --end {end}", "is an empty range", "must be some time")
    return RowChoice(
        columns=split_pairs("--columns", columns),
        symbols=symbols,
        filters=dict(_pair("--filter", text) for text in filters),
        start_ns=start_ns,
        end_ns=end_ns,
    )


def interval_of(text: str | None) -> Interval | None:
    """Return the interval of ``--interval``.

    Raises
    ------
    UsageError
        If it is none.
    """
    if text is None:
        return None
    try:
        return Interval.parse(text)
    except ValueError as e:
        close = nearest(text, ("1m", "5m", "15m", "30m", "1h", "4h", "1d"))
        raise UsageError(
            f"--interval {text}", str(e), f"did you mean {close}?" if close else ""
        ) from e


def split_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Return ``a=b,c=d`` as a dict.

    Raises
    ------
    UsageError
        If a part has no equals sign.
    """
    return dict(_pair(option, part) for text in texts for part in text.split(","))


def show_time(ts_ns: int) -> str:
    """Return a time in UTC to the minute, or to the second where it has one."""
    moment = dt.datetime.fromtimestamp(ts_ns // 1_000_000_000, dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M}" + (f":{moment:%S}" if moment.second else "")


def show_size(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def plain_repair(repair: Repair) -> dict[str, Any]:
    """Return a repair for JSON."""
    return {
        "rule": repair.rule,
        "rows": repair.rows,
        "source": repair.source,
        "detail": repair.detail,
    }


def print_repairs(what: str, repairs: Sequence[Repair]) -> None:
    """Print one line a repair for people."""
    out = console()
    for r in repairs:
        rows = "1 row" if r.rows == 1 else f"{r.rows:,} rows"
        words = escape(f"{what}: {r.rule}, {rows} of {r.source}: {r.detail}")
        out.print(f"[yellow]repaired[/] {words}")


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.strip().partition("=")
    if not equals or not key or not value:
        raise UsageError(f"{option} {text}", "has no NAME=VALUE", "must be such as open=px_open")
    return key.strip(), value.strip()


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as e:
        raise UsageError(f"{option} {text}", str(e)) from e
