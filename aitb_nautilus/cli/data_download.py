"""``aitb data download``: bars from an exchange, or from Binance's archive, into the catalog."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from aitb_nautilus.cli.data_options import catalog_option
from aitb_nautilus.cli.download_report import plain_report, show_result
from aitb_nautilus.cli.plumbing import emit, json_option, progress_console
from aitb_nautilus.errors import RunError, UsageError
from aitb_nautilus.market.instruments import InstrumentSettings, config_instruments
from catalog.downloads import DownloadResult, Watcher
from catalog.store import BarStore

__all__ = ["command"]

# ccxt takes seconds to import, so that a source is imported only when it is asked.
_SOURCES = {"ccxt": "catalog.download_ccxt", "binance-archive": "catalog.download_binance"}
_MARKETS = {"spot": "spot", "perpetual": "perpetual", "um": "perpetual"}

_EXAMPLES = """\b
Examples:
  aitb data download --exchange binance --symbol BTC/USDT --interval 1m
      --start 2024-01-01
  aitb data download --exchange binanceusdm --symbol BTC/USDT:USDT
      --symbol ETH/USDT:USDT --interval 1h --start 2023-01-01 --end 2024-01-01
  aitb data download --source binance-archive --market perpetual --funding
      --symbol BTCUSDT --interval 1m --start 2023-01 --end 2023-06
"""


@click.command("download", epilog=_EXAMPLES)
@click.option(
    "--source",
    type=click.Choice(list(_SOURCES)),
    default="ccxt",
    show_default=True,
    help="An exchange through ccxt, or Binance's public monthly files.",
)
@click.option("--exchange", metavar="NAME", help="ccxt's name of the exchange: binance, kraken.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    required=True,
    metavar="NAME",
    help="BTC/USDT, BTC/USDT:USDT or the exchange's own name; may be repeated.",
)
@click.option("--interval", required=True, metavar="1m", help="Length of the bars.")
@click.option(
    "--start",
    required=True,
    metavar="TIME",
    help="2023-01-31, UTC; of the archive a month, 2023-01.",
)
@click.option(
    "--end",
    metavar="TIME",
    help="Bars that close until then; of the archive the last month. [default: all there are]",
)
@click.option(
    "--market",
    type=click.Choice(list(_MARKETS)),
    help="Of the archive: spot, or perpetuals (um). [default: spot]",
)
@click.option("--funding", is_flag=True, help="Of the archive's perpetuals: also funding rates.")
@catalog_option
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="A config whose [[instruments]] are known as well.",
)
@click.option("--url", metavar="URL", help="Another address, such as a mirror.")
@click.option(
    "--rate-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Time between requests to an exchange, instead of what it asks for.",
)
@click.option(
    "--ask-gaps-again",
    is_flag=True,
    help="Ask an exchange once more for bars that it did not have last time.",
)
@click.option(
    "--repair",
    "repairs",
    multiple=True,
    metavar="RULE",
    help="Repair by this rule, see aitb data import --help; may be repeated.",
)
@click.option("--replace", is_flag=True, help="Let the archive win over stored values that differ.")
@json_option
def command(
    *,
    source: str,
    exchange: str | None,
    symbols: Sequence[str],
    interval: str,
    start: str,
    end: str | None,
    market: str | None,
    funding: bool,
    catalog: Path,
    config: Path | None,
    url: str | None,
    rate_limit: float | None,
    ask_gaps_again: bool,
    repairs: Sequence[str],
    replace: bool,
    as_json: bool,
) -> None:
    """Download bars into the catalog.

    What the catalog holds is not asked for again: a download that was stopped goes on where it
    stopped. Bars that are still open are never stored. Bars that the source does not have stay
    missing and are reported.
    """
    common: dict[str, Any] = {
        "symbols": tuple(symbols),
        "interval": interval,
        "start": start,
        "end": end,
        "repairs": tuple(r.strip() for text in repairs for r in text.split(",")),
    }
    ccxt_only: dict[str, Any] = {
        "exchange": exchange,
        "rate_limit_ms": rate_limit,
        "ask_gaps_again": ask_gaps_again or None,
    }
    archive_only: dict[str, Any] = {
        "market": None if market is None else _MARKETS[market],
        "funding": funding or None,
        "replace": replace or None,
    }
    own, foreign = (ccxt_only, archive_only) if source == "ccxt" else (archive_only, ccxt_only)
    _refuse_foreign(source, foreign)
    if source == "ccxt" and exchange is None:
        raise UsageError(
            "aitb data download",
            "--exchange is missing",
            "must name the exchange to ask",
            "For example: --exchange binance",
        )
    given = {key: value for key, value in {**own, "url": url}.items() if value is not None}
    extra = config_instruments(config) if config else ()
    result = _download(source, {**common, **given}, BarStore(catalog), extra)
    answer = {
        "catalog": catalog,
        "source": source,
        "exchange": exchange,
        "bars_added": sum(report.bars_added for report in result.reports),
        "requests": result.requests,
        "retries": result.retries,
        "seconds": round(result.seconds, 3),
        "series": [plain_report(report) for report in result.reports],
    }
    emit(answer, as_json, lambda: show_result(catalog, result))


def _refuse_foreign(source: str, options: dict[str, Any]) -> None:
    """Refuse options that the source would ignore."""
    names = {"rate_limit_ms": "rate-limit"}
    for key, value in options.items():
        if value is not None:
            option = f"--{names.get(key, key).replace('_', '-')}"
            raise UsageError(
                f"aitb data download {option}",
                f"means nothing with --source {source}",
                todo=f"Leave out {option}, or choose the other source",
            )


def _download(
    source: str,
    settings: dict[str, Any],
    store: BarStore,
    extra: Sequence[InstrumentSettings],
) -> DownloadResult:
    module: Any = importlib.import_module(_SOURCES[source])
    with _progress() as watcher:
        try:
            result: DownloadResult
            if source == "ccxt":
                wanted = module.CcxtDownload(**settings)
                result = module.download_ccxt(wanted, store, extra, watcher)
            else:
                wanted = module.BinanceArchiveDownload(**settings)
                result = module.download_binance(wanted, store, extra, watcher)
        except KeyboardInterrupt as e:
            raise RunError(
                "aitb data download",
                "interrupted",
                todo="What came so far is kept. Run the same command again to go on",
            ) from e
    return result


class _Bars(Watcher):
    """Shows a bar a symbol on a terminal's stderr, and notices as lines on any stderr."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def progress(self, name: str, fraction: float, bars: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(escape(name), total=1.0, bars="")
        self._bars.update(
            self._tasks[name], completed=fraction, bars=f"{bars:,} bars" if bars else ""
        )

    def notice(self, text: str) -> None:
        self._bars.console.print(escape(text), soft_wrap=not self._bars.console.is_terminal)


@contextmanager
def _progress() -> Iterator[Watcher]:
    err = progress_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[bars]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as bars:
        yield _Bars(bars)
