"""The REST answers of spot that anybody gets.

References
----------
Binance, Spot, REST API, General and Market data endpoints.
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.average import AVERAGE_MINS
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.public_routes import (
    day_ticker,
    klines,
    one_or_all,
    page_limit,
    ping,
    server_time,
)
from aitb_nautilus.rehearsal.request_params import Params
from aitb_nautilus.rehearsal.spot.account import BNB
from aitb_nautilus.rehearsal.spot.listing import listing
from aitb_nautilus.rehearsal.spot.venue import SpotVenue

__all__ = ["PUBLIC_ROUTES"]

_MOST_LEVELS = 5_000


def exchange_info(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer all symbols and limits."""
    asked = params.get("symbol")
    markets = [exchange.venue.market(asked)] if asked else exchange.venue.markets.values()
    return {
        "timezone": "UTC",
        "serverTime": exchange.signing_ms(),
        "rateLimits": exchange.limits.numbers.listing(),
        "exchangeFilters": [],
        "symbols": [listing(market.rules) for market in markets],
    }


def depth(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer the order book of a symbol."""
    market = exchange.venue.market(params.get("symbol"))
    bids, asks = market.levels(page_limit(params, 100, _MOST_LEVELS))
    return {"lastUpdateId": market.update_id, "bids": bids, "asks": asks}


def trades(exchange: Exchange[SpotVenue], params: Params) -> Any:
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
            "isBestMatch": True,
        }
        for number, trade in list(market.trades)[-page_limit(params, 500, 1_000) :]
    ]


def book_ticker(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer the best bid and ask."""

    def one(market: Market) -> dict[str, Any]:
        quote = market.quote()
        return {
            "symbol": market.rules.symbol,
            "bidPrice": quote["b"],
            "bidQty": quote["B"],
            "askPrice": quote["a"],
            "askQty": quote["A"],
        }

    return one_or_all(exchange, params, one)


def price_ticker(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer the last price."""

    def one(market: Market) -> dict[str, Any]:
        return {
            "symbol": market.rules.symbol,
            "price": market.rules.price_text(market.last_price or 0),
        }

    asked = params.get("symbol") or ""
    if asked.startswith(BNB) and asked not in exchange.venue.markets:
        bnb = exchange.venue.bnb_price(asked.removeprefix(BNB))
        if bnb is not None:
            return {"symbol": asked, "price": f"{bnb:f}"}
    return one_or_all(exchange, params, one)


def average_price(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer the price by which filters judge orders at the market."""
    market = exchange.venue.market(params.get("symbol"))
    average = market.average_price()
    if average is None:
        raise VenueError.of(-1121)
    return {
        "mins": AVERAGE_MINS,
        "price": f"{average * market.rules.price_unit:.8f}",
        "closeTime": exchange.now_ms(),
    }


def spot_day_ticker(exchange: Exchange[SpotVenue], params: Params) -> Any:
    """Answer what the last 24 hours brought."""
    found = day_ticker(exchange, params)
    for row in found if isinstance(found, list) else [found]:
        quote = exchange.venue.market(row["symbol"]).quote()
        row |= {
            "prevClosePrice": row["openPrice"],
            "bidPrice": quote["b"],
            "bidQty": quote["B"],
            "askPrice": quote["a"],
            "askQty": quote["A"],
        }
    return found


PUBLIC_ROUTES: Routes = {
    "GET /api/v3/ping": (1, ping),
    "GET /api/v3/time": (1, server_time),
    "GET /api/v3/exchangeInfo": (20, exchange_info),
    "GET /api/v3/depth": (5, depth),
    "GET /api/v3/trades": (25, trades),
    "GET /api/v3/klines": (2, klines),
    "GET /api/v3/avgPrice": (2, average_price),
    "GET /api/v3/ticker/24hr": (2, spot_day_ticker),
    "GET /api/v3/ticker/price": (2, price_ticker),
    "GET /api/v3/ticker/bookTicker": (2, book_ticker),
}
"""``METHOD /path``: weight and handler."""
