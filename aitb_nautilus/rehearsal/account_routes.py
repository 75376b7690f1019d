"""The REST answers about the account and its user data stream.

References
----------
Binance, USDⓈ-M futures, Account and User Data Streams REST endpoints
(https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api).
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.reports import account_report, balance_report, position_report
from aitb_nautilus.rehearsal.request_params import Params, flag, page, whole, within
from aitb_nautilus.rehearsal.user_events import leverage_update

__all__ = [
    "ACCOUNT_ROUTES",
    "KEY_ROUTES",
    "account",
    "balance",
    "close_stream",
    "keep_stream",
    "open_stream",
    "position_risk",
]


_MAX_LEVERAGE = 125


def account(exchange: FuturesExchange, _params: Params) -> Any:
    """Answer balances, margins and positions."""
    venue = exchange.venue
    return account_report(
        venue.account, list(venue.markets.values()), venue.orders.open(), exchange.now_ms()
    )


def balance(exchange: FuturesExchange, _params: Params) -> Any:
    """Answer the wallet."""
    venue = exchange.venue
    return balance_report(
        venue.account, list(venue.markets.values()), venue.orders.open(), exchange.now_ms()
    )


def position_risk(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the position of one or of all symbols."""
    venue = exchange.venue
    symbol = params.get("symbol")
    markets = [venue.market(symbol)] if symbol is not None else list(venue.markets.values())
    return [position_report(market, venue.account) for market in markets]


def income(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the funding settlements of the account."""
    symbol, kind = params.get("symbol"), params.get("incomeType")
    found = [
        row
        for row in exchange.venue.income
        if symbol in (None, row["symbol"])
        and kind in (None, row["incomeType"])
        and within(row["time"], params)
    ]
    return page(found, params, 100)


def set_leverage(exchange: FuturesExchange, params: Params) -> Any:
    """Change a symbol's leverage."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    leverage = whole(params, "leverage")
    if leverage is None:
        raise VenueError.malformed("leverage")
    if not 1 <= leverage <= _MAX_LEVERAGE:
        raise VenueError.of(-4028)
    exchange.venue.account.set_leverage(symbol, leverage)
    exchange.venue.on_user_event(leverage_update(symbol, leverage, exchange.now_ms()))
    return {"leverage": leverage, "maxNotionalValue": "100000000", "symbol": symbol}


def set_margin_type(exchange: FuturesExchange, params: Params) -> Any:
    """Keep crossed margin, which is all that is rehearsed."""
    exchange.venue.market(params.get("symbol"))
    kind = params.get("marginType", "")
    if kind not in ("CROSSED", "ISOLATED"):
        raise VenueError.malformed("marginType")
    raise VenueError.of(-4046 if kind == "CROSSED" else -1020)


def position_mode(_exchange: FuturesExchange, _params: Params) -> Any:
    """Answer that positions are netted."""
    return {"dualSidePosition": False}


def set_position_mode(_exchange: FuturesExchange, params: Params) -> Any:
    """Keep one-way mode, which is all that is rehearsed."""
    raise VenueError.of(-1020 if flag(params, "dualSidePosition") else -4059)


def commission_rate(exchange: FuturesExchange, params: Params) -> Any:
    """Answer a symbol's fees."""
    rules = exchange.venue.market(params.get("symbol")).rules
    return {
        "symbol": rules.symbol,
        "makerCommissionRate": str(rules.maker_fee),
        "takerCommissionRate": str(rules.taker_fee),
        "rpiCommissionRate": str(rules.maker_fee),
    }


def open_stream(exchange: Exchange[Any], _params: Params) -> Any:
    """Answer the listen key of the user data stream."""
    return {"listenKey": exchange.open_listen_key()}


def keep_stream(exchange: Exchange[Any], _params: Params) -> Any:
    """Extend the listen key."""
    return {"listenKey": exchange.keep_listen_key()}


def close_stream(exchange: Exchange[Any], _params: Params) -> Any:
    """End the listen key."""
    exchange.end_listen_key(expired=False)
    return {}


KEY_ROUTES: Routes = {
    "POST /fapi/v1/listenKey": (1, open_stream),
    "PUT /fapi/v1/listenKey": (1, keep_stream),
    "DELETE /fapi/v1/listenKey": (1, close_stream),
}
"""Requests that need a key but no signature: weight and handler."""

ACCOUNT_ROUTES: Routes = {
    "GET /fapi/v2/account": (5, account),
    "GET /fapi/v3/account": (5, account),
    "GET /fapi/v2/balance": (5, balance),
    "GET /fapi/v3/balance": (5, balance),
    "GET /fapi/v2/positionRisk": (5, position_risk),
    "GET /fapi/v3/positionRisk": (5, position_risk),
    "GET /fapi/v1/income": (30, income),
    "POST /fapi/v1/leverage": (1, set_leverage),
    "POST /fapi/v1/marginType": (1, set_margin_type),
    "GET /fapi/v1/positionSide/dual": (30, position_mode),
    "POST /fapi/v1/positionSide/dual": (1, set_position_mode),
    "GET /fapi/v1/commissionRate": (20, commission_rate),
}
"""Requests that must be signed: weight and handler."""
