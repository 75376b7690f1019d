"""One exchange, seen through ccxt: its markets, its clock and its pages of bars.

ccxt knows the wire protocols and keeps the rate limits. This file adds what it lacks: patience that
obeys ``Retry-After``, a second look at answers that were cut off, and errors that say what to do.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support as ccxt
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.settings import nearest
from catalog.ccxt_markets import find_market, market_instrument
from catalog.downloads import Patience, TransientError, parse_retry_after

__all__ = ["CcxtExchange"]

# An exchange may still book trades of the second that has just passed.
_SETTLE_MS = 2_000
_USUAL_PAGE = 500
# The server understood and said no; asking again changes nothing.
_REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 406, 407, 410, 451})


class _Answer:
    """What the server last said to the request that runs in this context."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None
        self.cut_off = False


_answer: contextvars.ContextVar[_Answer] = contextvars.ContextVar("ccxt_answer")


class CcxtExchange:
    """An open exchange; use it as an asynchronous context.

    Parameters
    ----------
    name
        ccxt's name: ``binance``, ``kraken``.
    url
        Scheme and host that replace those of the exchange, for a mirror or a test server.
    rate_limit_ms
        Time between two requests of ordinary weight; None takes what ccxt knows of the exchange.
    patience
        Asks, and asks again.

    Raises
    ------
    UsageError
        If ccxt does not know the exchange. Names the nearest.
    DataError
        If the exchange does not give bars.
    """

    def __init__(
        self, name: str, url: str | None, rate_limit_ms: float | None, patience: Patience
    ) -> None:
        if name not in ccxt.exchanges:
            close = nearest(name.lower(), ccxt.exchanges)
            raise UsageError(
                f"exchange {name!r}",
                "is not known to ccxt",
                f"did you mean {close!r}?" if close else "must be one of its names",
                "See all: python -c 'import ccxt; print(ccxt.exchanges)'",
            )
        self.name = name
        self._patience = patience
        self._clock_ahead_ms = 0
        options: dict[str, Any] = {
            "enableRateLimit": True,
            "aiohttp_trust_env": True,
            "timeout": round(patience.settings.timeout_s * 1_000),
        }
        if rate_limit_ms is not None:
            options["rateLimit"] = rate_limit_ms
        if url is not None and not url.startswith("https:"):
            # ccxt waits at the end for TLS to close; without TLS there is nothing to wait for.
            options["timeout_on_exit"] = 0
        self._api: Any = getattr(ccxt, name)(options)
        self._api.on_rest_response = self._check_answer
        if not self._api.has.get("fetchOHLCV"):
            raise DataError(
                f"exchange {name}",
                "does not give bars through ccxt",
                "must have fetchOHLCV",
                "Choose another exchange, or import files with: aitb data import",
            )
        if url is not None:
            self._api.urls["api"] = _moved(self._api.urls["api"], url.rstrip("/"))

    async def __aenter__(self) -> Self:
        try:
            await self._ask("markets", self._api.load_markets)
            if self._api.has.get("fetchTime"):
                server_ms = await self._ask("server time", self._api.fetch_time)
                if server_ms is not None:
                    self._clock_ahead_ms = int(server_ms) - _local_ms()
        except BaseException:
            await self._api.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._api.close()

    def settled_ns(self) -> int:
        """Return the time up to which bars are final, by the exchange's clock, ns UTC."""
        return (_local_ms() + self._clock_ahead_ms - _SETTLE_MS) * 1_000_000

    def check_interval(self, interval: Interval) -> None:
        """Refuse a bar size that the exchange does not have.

        Raises
        ------
        DataError
            Names those that it has.
        """
        if interval.text not in (self._api.timeframes or {}):
            raise DataError(
                f"exchange {self.name}",
                f"has no bars of {interval.text}",
                "must be one of " + ", ".join(self._api.timeframes or ["(none)"]),
            )

    def has_interval(self, interval: Interval) -> bool:
        """Return whether the exchange has bars of this size."""
        return interval.text in (self._api.timeframes or {})

    def market(self, symbol: str) -> Mapping[str, Any]:
        """Return ccxt's description of a market; see `catalog.ccxt_markets.find_market`."""
        return find_market(self._api, symbol)

    def instrument(
        self, market: Mapping[str, Any], known: Mapping[str, InstrumentSettings]
    ) -> InstrumentSettings:
        """Return the instrument of a market; see `catalog.ccxt_markets.market_instrument`."""
        return market_instrument(self._api, market, known)

    def page_bars(self, market: Mapping[str, Any]) -> int:
        """Return how many bars the exchange gives in one answer."""
        limit = self._api.feature_value(market["symbol"], "fetchOHLCV", "limit", _USUAL_PAGE)
        return int(limit or _USUAL_PAGE)

    async def page(
        self, market: Mapping[str, Any], interval: Interval, since_ns: int
    ) -> NDArray[np.float64]:
        """Ask for the bars that open at or after a time.

        Parameters
        ----------
        market
            From `market`.
        interval
            Bar size.
        since_ns
            Open time, ns UTC.

        Returns
        -------
        (n, 6) float64
            Open time in ms UTC, open, high, low, close, volume; as the exchange gave them. Empty
            where it has none.

        Raises
        ------
        DataError
            If the exchange refuses, does not answer, or gives bars with holes in a row.
        """
        symbol = str(market["symbol"])
        rows = await self._ask(
            f"{symbol} {interval.text}",
            lambda: self._api.fetch_ohlcv(
                symbol, interval.text, since=since_ns // 1_000_000, limit=self.page_bars(market)
            ),
        )
        return self._table(symbol, rows)

    def _table(self, symbol: str, rows: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        if not rows:
            return np.empty((0, 6))
        for row in rows:
            if len(row) < 6 or any(value is None for value in row[:6]):
                raise DataError(
                    f"exchange {self.name}: {symbol}",
                    f"gave the bar {list(row)}",
                    "must have time, open, high, low, close and volume",
                )
        return np.array([row[:6] for row in rows], dtype=np.float64)

    async def _ask[T](self, what: str, request: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            answer = _Answer()
            _answer.set(answer)
            try:
                return await request()
            except (ccxt.BaseError, aiohttp.ClientError) as e:
                raise self._judged(what, e, answer) from e

        return await self._patience.ask(what, attempt)

    def _judged(self, what: str, error: Exception, answer: _Answer) -> Exception:
        """Return what an error of ccxt means: ask again, or give up."""
        limited = isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection)
        broken = isinstance(error, aiohttp.ClientError) or isinstance(
            error.__cause__, aiohttp.ClientError
        )
        failed = limited or broken or isinstance(error, ccxt.OperationFailed)
        refused = answer.status in _REFUSALS and not limited
        if failed and not refused:
            if answer.status is not None and not 200 <= answer.status < 300:
                reason = f"HTTP {answer.status}"
            elif answer.cut_off:
                reason = "the answer was cut off, or no JSON"
            elif isinstance(error, ccxt.RequestTimeout):
                reason = f"no answer in {self._patience.settings.timeout_s:g} s"
            elif broken:
                reason = f"the connection broke ({type(error.__cause__ or error).__name__})"
            else:
                reason = _short(error)
            wait = parse_retry_after(answer.retry_after, dt.datetime.now(dt.UTC))
            return TransientError(reason, wait)
        return DataError(
            f"exchange {self.name}: {what}",
            f"the exchange refused: {_short(error)}",
            todo="Some exchanges do not serve every country; try another exchange, or import files "
            "with: aitb data import"
            if answer.status in {403, 451}
            else "Check symbol, bar size and period",
        )

    def _check_answer(self, code: int, *details: Any) -> str:
        """Note the status for `_judged`, and catch bodies that were cut off; ccxt calls this."""
        _reason, _url, _method, response_headers, response_body, *_request = details
        answer = _answer.get()
        answer.status = code
        headers = {key.lower(): value for key, value in response_headers.items()}
        answer.retry_after = headers.get("retry-after")
        body = response_body.strip()
        if 200 <= code < 300:
            try:
                json.loads(body)
            except ValueError as e:
                answer.cut_off = True
                raise ccxt.NetworkError(f"{self.name}: {e}") from e
        return str(body)


def _moved(urls: Any, base: str) -> Any:
    """Put another scheme and host under every address of ccxt's nested table."""
    if isinstance(urls, dict):
        return {key: _moved(value, base) for key, value in urls.items()}
    return base + urlsplit(urls).path


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 240 else text[:237] + "..."


def _local_ms() -> int:
    return time.time_ns() // 1_000_000
