"""The REST answers that anybody gets: time, symbols, klines, book, trades, prices, funding.

References
----------
Binance, USDⓈ-M futures, Market Data REST endpoints
(https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.day_summary import day_summary
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.request_params import Params, whole

__all__ = [
    "PUBLIC_ROUTES",
    "book_ticker",
    "day_ticker",
    "depth",
    "klines",
    "one_or_all",
    "page_limit",
    "ping",
    "price_ticker",
    "server_time",
]


_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_DAY_MS = 86_400_000


def ping(_exchange: Exchange[Any], _params: Params) -> Any:
    """Answer that the exchange is there."""
    return {}


def server_time(exchange: Exchange[Any], _params: Params) -> Any:
    """Answer the time."""
    return {"serverTime": exchange.signing_ms()}


def exchange_info(exchange: FuturesExchange, _params: Params) -> Any:
    """Answer all symbols and limits."""
    assets = dict.fromkeys(m.rules.spec.quote for m in exchange.venue.markets.values())
    return {
        "timezone": "UTC",
        "serverTime": exchange.signing_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": exchange.limits.numbers.listing(),
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in assets
        ],
        "symbols": [market.rules.listing() for market in exchange.venue.markets.values()],
    }


def klines(exchange: Exchange[Any], params: Params) -> Any:
    """Answer klines of a symbol."""
    candles = exchange.venue.market(params.get("symbol")).candles
    interval = params.get("interval", "")
    length = candles.length(interval)
    found = candles.query(
        interval,
        whole(params, "startTime"),
        whole(params, "endTime"),
        page_limit(params, 500, 1500),
    )
    return [candles.row(candle, length) for candle in found]


def depth(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the order book of a symbol."""
    market = exchange.venue.market(params.get("symbol"))
    limit = page_limit(params, 500, 1000)
    if limit not in _DEPTHS:
        raise VenueError.of(-1130, "limit")
    bids, asks = market.levels(limit)
    now = exchange.now_ms()
    return {"lastUpdateId": market.update_id, "E": now, "T": now, "bids": bids, "asks": asks}


def trades(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the last trades of a symbol."""
    market = exchange.venue.market(params.get("symbol"))
    rules = market.rules
    return [
        {
            "id": number,
            "price": rules.price_text(trade.price),
            "qty": rules.size_text(trade.quantity),
            "quoteQty": rules.value_text(trade.price * trade.quantity),
            "time": trade.ts_ns // MS,
            "isBuyerMaker": trade.buyer_is_maker,
            "isRPITrade": False,
        }
        for number, trade in list(market.trades)[-page_limit(params, 500, 1000) :]
    ]


def agg_trades(exchange: FuturesExchange, params: Params) -> Any:
    """Answer aggregate trades of a symbol: by id, by time, or the last."""
    market = exchange.venue.market(params.get("symbol"))
    rules = market.rules
    first, start, end = (whole(params, name) for name in ("fromId", "startTime", "endTime"))
    limit = page_limit(params, 500, 1000)
    found = [
        (number, trade)
        for number, trade in market.trades
        if (first is None or number >= first)
        and (start is None or trade.ts_ns // MS >= start)
        and (end is None or trade.ts_ns // MS <= end)
    ]
    bounded = first is not None or start is not None
    return [
        {
            "a": number,
            "p": rules.price_text(trade.price),
            "q": rules.size_text(trade.quantity),
            "nq": rules.size_text(trade.quantity),
            "f": number,
            "l": number,
            "T": trade.ts_ns // MS,
            "m": trade.buyer_is_maker,
        }
        for number, trade in (found[:limit] if bounded else found[-limit:])
    ]


def premium_index(exchange: FuturesExchange, params: Params) -> Any:
    """Answer mark price and funding rate."""

    def one(market: Market) -> dict[str, Any]:
        mark = market.rules.price_text(market.mark_price or 0)
        due_ms, rate = market.next_funding()
        return {
            "symbol": market.rules.symbol,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": rate,
            "interestRate": "0.00010000",
            "nextFundingTime": due_ms,
            "time": exchange.now_ms(),
        }

    return one_or_all(exchange, params, one)


def funding_rate(exchange: FuturesExchange, params: Params) -> Any:
    """Answer settled funding rates."""
    start, end = whole(params, "startTime"), whole(params, "endTime")
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    rows = [
        row
        for market in exchange.venue.markets.values()
        for row in market.settlements
        if symbol in (None, row["symbol"])
        and (start is None or row["fundingTime"] >= start)
        and (end is None or row["fundingTime"] <= end)
    ]
    rows.sort(key=lambda row: int(row["fundingTime"]))
    limit = page_limit(params, 100, 1000)
    return rows[:limit] if start is not None else rows[-limit:]


def funding_info(_exchange: FuturesExchange, _params: Params) -> Any:
    """Answer the symbols whose funding differs from the usual: none."""
    return []


def book_ticker(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the best bid and ask."""

    def one(market: Market) -> dict[str, Any]:
        quote = market.quote()
        return {
            "symbol": market.rules.symbol,
            "bidPrice": quote["b"],
            "bidQty": quote["B"],
            "askPrice": quote["a"],
            "askQty": quote["A"],
            "time": exchange.now_ms(),
        }

    return one_or_all(exchange, params, one)


def price_ticker(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the last price."""

    def one(market: Market) -> dict[str, Any]:
        return {
            "symbol": market.rules.symbol,
            "price": market.rules.price_text(market.last_price or 0),
            "time": exchange.now_ms(),
        }

    return one_or_all(exchange, params, one)


def day_ticker(exchange: Exchange[Any], params: Params) -> Any:
    """Answer what the last 24 hours brought."""
    now = exchange.now_ms()

    def one(market: Market) -> dict[str, Any]:
        return day_summary(market, now - _DAY_MS, now)

    return one_or_all(exchange, params, one)


def open_interest(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the open interest: the account's own position, since nobody else is known."""
    market = exchange.venue.market(params.get("symbol"))
    amount = abs(exchange.venue.account.position(market.rules.symbol).amount)
    return {
        "openInterest": market.rules.size_text(amount),
        "symbol": market.rules.symbol,
        "time": exchange.now_ms(),
    }


def one_or_all(
    exchange: Exchange[Any], params: Params, one: Callable[[Market], dict[str, Any]]
) -> Any:
    """Return one row for the symbol that a request names, or a list for all of them."""
    if params.get("symbol") is not None:
        return one(exchange.venue.market(params["symbol"]))
    return [one(market) for market in exchange.venue.markets.values()]


def page_limit(params: Params, usual: int, most: int) -> int:
    """Return ``limit``, or refuse one beyond the most that is given."""
    limit = whole(params, "limit")
    if limit is None:
        return usual
    if not 1 <= limit <= most:
        raise VenueError.of(-1130, "limit")
    return limit


PUBLIC_ROUTES: Routes = {
    "GET /fapi/v1/ping": (1, ping),
    "GET /fapi/v1/time": (1, server_time),
    "GET /fapi/v1/exchangeInfo": (1, exchange_info),
    "GET /fapi/v1/klines": (5, klines),
    "GET /fapi/v1/depth": (10, depth),
    "GET /fapi/v1/trades": (5, trades),
    "GET /fapi/v1/aggTrades": (20, agg_trades),
    "GET /fapi/v1/premiumIndex": (1, premium_index),
    "GET /fapi/v1/fundingRate": (1, funding_rate),
    "GET /fapi/v1/fundingInfo": (1, funding_info),
    "GET /fapi/v1/ticker/bookTicker": (2, book_ticker),
    "GET /fapi/v1/ticker/price": (1, price_ticker),
    "GET /fapi/v2/ticker/price": (1, price_ticker),
    "GET /fapi/v1/ticker/24hr": (1, day_ticker),
    "GET /fapi/v1/openInterest": (1, open_interest),
}
"""``METHOD /path``: weight and handler."""
