"""Download Binance's public archive: one zip a month, each with its sha256 in a file beside it.

Zips are kept below ``downloads/binance-archive`` of the catalog. A zip that is there and agrees
with its checksum is not asked for again. Only when every month is there and right are all of them
imported, together.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.instruments import (
    InstrumentKind,
    InstrumentSettings,
    known_instruments,
    plain_symbol,
)
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.settings import Settings
from catalog.binance_archive import BinanceArchive
from catalog.cleaning import check_rules
from catalog.downloads import (
    DownloadReport,
    DownloadResult,
    Patience,
    RetrySettings,
    Watcher,
)
from catalog.import_funding import import_funding
from catalog.importing import ImportedSeries, ImportOptions, import_bars
from catalog.instruments import catalog_instruments
from catalog.periods import month_starts, parse_month
from catalog.places import places_held, runs
from catalog.recordings import RowChoice
from catalog.store import BarStore
from catalog.symbols import Naming

__all__ = ["ARCHIVE_URL", "BinanceArchiveDownload", "download_binance"]

ARCHIVE_URL = "https://data.binance.vision"
"""Where Binance publishes its archive; see https://github.com/binance/binance-public-data."""

_FOLDERS: dict[InstrumentKind, str] = {"spot": "spot", "perpetual": "futures/um"}


class BinanceArchiveDownload(Settings, frozen=True):
    """What to download.

    Parameters
    ----------
    symbols
        Binance's names: ``BTCUSDT``.
    interval
        Bar size: ``1m``.
    start, end
        First and last month, both included: ``2023-01``. Without an end, the last month that is
        over.
    market
        Spot, or USDT-margined perpetuals.
    funding
        Also funding rates; only for perpetuals.
    url
        Address in place of `ARCHIVE_URL`.
    repairs
        Rules of `catalog.cleaning.RULES` that may be applied.
    replace
        Let the archive win over stored bars with other values.
    retry
        How long to put up with a server that does not answer.
    """

    symbols: Annotated[tuple[str, ...], Meta(min_length=1)]
    interval: str
    start: str
    end: str | None = None
    market: InstrumentKind = "spot"
    funding: bool = False
    url: str = ARCHIVE_URL
    repairs: tuple[str, ...] = ()
    replace: bool = False
    retry: RetrySettings = RetrySettings()


def download_binance(
    settings: BinanceArchiveDownload,
    store: BarStore,
    extra: Sequence[InstrumentSettings] = (),
    watcher: Watcher | None = None,
) -> DownloadResult:
    """Download months of the archive and import them: all of them, or nothing.

    Parameters
    ----------
    settings
        What to download.
    store
        Where to.
    extra
        Instruments that the package's table lacks, or that override it.
    watcher
        Is told how it goes.

    Returns
    -------
    DownloadResult
        One report a symbol, in the order asked for.

    Raises
    ------
    UsageError
        For a month or a bar size that is none, or an empty period.
    DataError
        If a month is not in the archive, a checksum is wrong, the server does not answer, or the
        bars cannot be stored. Nothing is imported then; files that are right are kept.
    ConfigError
        If an instrument is not known.
    """
    began = time.monotonic()
    listener = watcher or Watcher()
    interval, months = _period(settings)
    rules = check_rules(settings.repairs)
    symbols = tuple(dict.fromkeys(plain_symbol(symbol) for symbol in settings.symbols))
    patience = Patience(settings.retry, "binance archive", listener)
    archive = BinanceArchive(settings.url, store.path / "downloads" / "binance-archive", patience)
    bar_files = {s: [_bar_path(settings.market, s, interval, m) for m in months] for s in symbols}
    rate_files = {s: [_funding_path(s, m) for m in months] for s in symbols if settings.funding}
    wanted = {s: [*bar_files[s], *rate_files.get(s, [])] for s in symbols}
    asyncio.run(archive.fetch_all(wanted, listener))

    naming = Naming(
        known=known_instruments([*catalog_instruments(store.path), *extra]), kind=settings.market
    )
    options = ImportOptions(
        naming=naming,
        interval=interval,
        rules=rules,
        replace=settings.replace,
    )
    files = [archive.folder / path for s in symbols for path in bar_files[s]]
    imported = {series.instrument_id: series for series in import_bars(store, files, options)}
    rates = [archive.folder / path for paths in rate_files.values() for path in paths]
    if rates:
        import_funding(store, rates, naming, RowChoice(), replace=settings.replace)
    return DownloadResult(
        reports=tuple(
            _report(store, symbol, imported[naming.instrument_id(symbol, symbol)], months)
            for symbol in symbols
        ),
        requests=patience.requests,
        retries=patience.retries,
        seconds=time.monotonic() - began,
    )


def _period(settings: BinanceArchiveDownload) -> tuple[Interval, list[dt.date]]:
    if settings.funding and settings.market != "perpetual":
        raise UsageError("download", "spot has no funding rates", todo="Leave out --funding")
    try:
        interval = Interval.parse(settings.interval)
        first = parse_month(settings.start)
        this_month = dt.datetime.now(dt.UTC).date().replace(day=1)
        before = (this_month - dt.timedelta(days=1)).replace(day=1)
        last = before if settings.end is None else parse_month(settings.end)
    except ValueError as e:
        raise UsageError("download", str(e), "the archive has whole months") from e
    if last < first:
        raise UsageError(
            "download", f"the last month, {last:%Y-%m}, is before the first, {first:%Y-%m}"
        )
    return interval, month_starts(first, last)


def _bar_path(market: InstrumentKind, symbol: str, interval: Interval, month: dt.date) -> str:
    name = f"{symbol}-{interval.text}-{month:%Y-%m}.zip"
    return f"data/{_FOLDERS[market]}/monthly/klines/{symbol}/{interval.text}/{name}"


def _funding_path(symbol: str, month: dt.date) -> str:
    name = f"{symbol}-fundingRate-{month:%Y-%m}.zip"
    return f"data/{_FOLDERS['perpetual']}/monthly/fundingRate/{symbol}/{name}"


def _report(
    store: BarStore, symbol: str, series: ImportedSeries, months: Sequence[dt.date]
) -> DownloadReport:
    step = series.interval.ns
    first_ns = parse_time(f"{months[0]:%Y-%m}") + step
    last_ns = parse_time(f"{(months[-1] + dt.timedelta(days=32)):%Y-%m}")
    held = places_held(store, series.bar_type, first_ns, last_ns, step)
    return DownloadReport(
        name=symbol,
        instrument_id=series.instrument_id,
        bar_type=series.bar_type,
        start_ns=first_ns,
        end_ns=last_ns,
        bars_added=series.rows_added,
        bars_held=int(held.sum()),
        gaps=tuple(runs(~held, first_ns, step)),
    )
