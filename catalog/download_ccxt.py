"""Download bars from any exchange that ccxt can read them from.

What the catalog already holds is not asked for again, so that a download that was stopped goes on
where it stopped; chunks that were written stay. Bars that are still open are never stored. Bars
that the exchange does not have stay missing: they are reported and remembered, not invented.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from aitb_nautilus.errors import AitbError, DataError, UsageError
from aitb_nautilus.market.instruments import InstrumentSettings, known_instruments
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.market.times import iso, parse_time
from aitb_nautilus.settings import Settings
from catalog.ccxt_exchange import CcxtExchange
from catalog.ccxt_series import CcxtSeries
from catalog.cleaning import check_rules
from catalog.downloads import DownloadReport, DownloadResult, Patience, RetrySettings, Watcher
from catalog.instruments import catalog_instruments
from catalog.store import BarStore

__all__ = ["CcxtDownload", "download_ccxt"]


class CcxtDownload(Settings, frozen=True):
    """What to download.

    Parameters
    ----------
    exchange
        ccxt's name: ``binance``, ``binanceusdm``, ``kraken``.
    symbols
        ccxt's symbols, ``BTC/USDT`` or ``BTC/USDT:USDT``, or the exchange's own names.
    interval
        Bar size: ``1m``, ``1h``.
    start
        Bars that open at or after this time, UTC: ``2024-01-31``.
    end
        Bars that close at or before this time; by default all that are final.
    url
        Scheme and host in place of the exchange's own, for a mirror or a test server.
    rate_limit_ms
        Time between two requests of ordinary weight, in place of what the exchange asks for.
    ask_gaps_again
        Ask once more for what the exchange did not have last time.
    repairs
        Rules of `catalog.cleaning.RULES` that may be applied; only ``round-prices`` and
        ``round-volumes`` have an effect here.
    chunk_bars
        Write at the latest after so many bars of a symbol.
    retry
        How long to put up with a server that does not answer.
    """

    exchange: str
    symbols: Annotated[tuple[str, ...], Meta(min_length=1)]
    interval: str
    start: str
    end: str | None = None
    url: str | None = None
    rate_limit_ms: Annotated[float, Meta(gt=0)] | None = None
    ask_gaps_again: bool = False
    repairs: tuple[str, ...] = ()
    chunk_bars: Annotated[int, Meta(ge=1)] = 50_000
    retry: RetrySettings = RetrySettings()


def download_ccxt(
    settings: CcxtDownload,
    store: BarStore,
    extra: Sequence[InstrumentSettings] = (),
    watcher: Watcher | None = None,
) -> DownloadResult:
    """Download bars into the catalog, all symbols at once.

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
        For an unknown exchange, a bar size or a time that is none, or a period without a finished
        bar.
    DataError
        If the exchange refuses or does not answer, lacks a symbol or the bar size, or gives bars
        that cannot be stored. The other symbols are finished first, and what came is kept.
    """
    return asyncio.run(_download(settings, store, extra, watcher or Watcher()))


async def _download(
    settings: CcxtDownload,
    store: BarStore,
    extra: Sequence[InstrumentSettings],
    watcher: Watcher,
) -> DownloadResult:
    began = time.monotonic()
    try:
        interval = Interval.parse(settings.interval)
        start = parse_time(settings.start)
        end = None if settings.end is None else parse_time(settings.end)
    except ValueError as e:
        raise UsageError("download", str(e)) from e
    if end is not None and end <= start:
        raise UsageError("download", f"the end {settings.end} is not after {settings.start}")
    rules = check_rules(settings.repairs)
    patience = Patience(settings.retry, settings.exchange, watcher)
    async with CcxtExchange(
        settings.exchange, settings.url, settings.rate_limit_ms, patience
    ) as exchange:
        exchange.check_interval(interval)
        period = _period(interval, start, end, exchange.settled_ns())
        described = known_instruments(extra)
        known = known_instruments([*catalog_instruments(store.path), *extra])
        source = f"ccxt {exchange.name}" + (f" at {settings.url}" if settings.url else "")
        jobs: dict[str, CcxtSeries] = {}
        for symbol in settings.symbols:
            market = exchange.market(symbol)
            instrument = exchange.instrument(market, known)
            if instrument.id in jobs:
                continue
            jobs[instrument.id] = CcxtSeries(
                exchange,
                market,
                instrument,
                interval,
                store,
                learnt=instrument.id not in described,
                period_ns=period,
                symbol=symbol,
                source=f"{source} {market['symbol']}",
                rules=rules,
                chunk_bars=settings.chunk_bars,
                ask_gaps_again=settings.ask_gaps_again,
                watcher=watcher,
            )
        results = await asyncio.gather(
            *(series.fill() for series in jobs.values()), return_exceptions=True
        )
    return DownloadResult(
        reports=_reports(results),
        requests=patience.requests,
        retries=patience.retries,
        seconds=time.monotonic() - began,
    )


def _period(interval: Interval, start: int, end: int | None, settled: int) -> tuple[int, int]:
    """Return the first and the last close time that can be had."""
    last = settled if end is None else min(end, settled)
    first_ns = -(-start // interval.ns) * interval.ns + interval.ns
    last_ns = last // interval.ns * interval.ns
    if last_ns < first_ns:
        raise UsageError(
            "download",
            f"from {iso(start)} to {iso(last)} no bar of {interval.text} is finished",
            todo="Ask for an earlier or a longer period",
        )
    return first_ns, last_ns


def _reports(results: Sequence[DownloadReport | BaseException]) -> tuple[DownloadReport, ...]:
    """Return the reports, or raise what went wrong: one error, or all of them in one paragraph."""
    errors = [r for r in results if isinstance(r, BaseException)]
    for error in errors:
        if not isinstance(error, AitbError):
            raise error
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DataError(
            f"download: {len(errors)} of {len(results)} symbols failed",
            " ".join(str(error) for error in errors),
        )
    return tuple(r for r in results if isinstance(r, DownloadReport))
