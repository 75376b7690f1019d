"""Coinbase's Advanced Trade API, spot; shapes as its documentation gives them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from tests.exchange_servers import MINUTE_MS, Bar, bar
from tests.venue_servers.base import VenueServer, minutes, now_ms

_MOST = 350
_FIVE_MS = 5 * MINUTE_MS


class CoinbaseServer(VenueServer):
    """One product, BTC-USDT.

    Its socket brings candles of five minutes only, while they grow:
    https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
    """

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        path = path.removeprefix("/api/v3/brokerage").replace("/market/", "/")
        if path == "/products/BTC-USDT/candles":
            return _candles(query)
        return {
            "/products": {"products": [_PRODUCT], "num_products": 1, "pagination": None},
            "/products/BTC-USDT": _PRODUCT,
            "/accounts": {"accounts": _ACCOUNTS, "has_next": False, "cursor": "", "size": 2},
            "/orders/historical/batch": {"orders": [], "has_next": False, "cursor": ""},
            "/orders/historical/fills": {"fills": [], "cursor": ""},
        }.get(path)

    def hear(self, path: str, message: Any) -> list[Any]:
        if message["type"] != "subscribe":
            return []
        products = message.get("product_ids", [])
        return [_told("subscriptions", {"subscriptions": {message["channel"]: products}})]

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        channels = {one["channel"] for one in heard if one["type"] == "subscribe"}
        told = []
        if "candles" in channels:
            told.append(_told("candles", {"type": "update", "candles": [_growing(running)]}))
        if "ticker" in channels:
            told.append(_told("ticker", {"type": "update", "tickers": [_ticker(running)]}))
        if "level2" in channels:
            told.append(_told("l2_data", _book(running)))
        if "heartbeats" in channels:
            told.append(_told("heartbeats", {"current_time": _now(), "heartbeat_counter": "1"}))
        return told


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _told(channel: str, event: Any) -> dict[str, Any]:
    both = {"channel": channel, "client_id": "", "timestamp": _now(), "sequence_num": now_ms()}
    return both | {"events": [event]}


def _candles(query: Mapping[str, str]) -> Any:
    first, last = int(query["start"]) * 1000, int(query["end"]) * 1000
    found = minutes(first, last)
    if len(found) > _MOST:
        return None  # the venue refuses
    return {"candles": [_candle(b) for b in reversed(found)]}


def _candle(b: Bar) -> dict[str, str]:
    return {
        "start": str(b.open_ms // 1000),
        "low": b.low,
        "high": b.high,
        "open": b.open,
        "close": b.close,
        "volume": b.volume,
    }


def _growing(running: Bar) -> dict[str, str]:
    opened = bar(running.open_ms // _FIVE_MS * _FIVE_MS)
    return _candle(opened) | {"close": running.close, "product_id": "BTC-USDT"}


def _ticker(b: Bar) -> dict[str, str]:
    price = float(b.open)
    return {
        "type": "ticker",
        "product_id": "BTC-USDT",
        "price": b.open,
        "volume_24_h": "1",
        "low_24_h": b.low,
        "high_24_h": b.high,
        "low_52_w": b.low,
        "high_52_w": b.high,
        "price_percent_chg_24_h": "0",
        "best_bid": f"{price - 0.01:.2f}",
        "best_bid_quantity": "5",
        "best_ask": f"{price + 0.01:.2f}",
        "best_ask_quantity": "5",
    }


def _book(b: Bar) -> dict[str, Any]:
    price = float(b.open)
    sides = {"bid": price - 0.01, "offer": price + 0.01}
    return {
        "type": "snapshot",
        "product_id": "BTC-USDT",
        "updates": [
            {"side": side, "event_time": _now(), "price_level": f"{at:.2f}", "new_quantity": "5"}
            for side, at in sides.items()
        ],
    }


_FLAGS = (
    "watched is_disabled new cancel_only limit_only post_only trading_disabled auction_mode "
    "view_only is_alpha_testing"
)
_TEXTS = (
    "mid_market_price alias market_cap base_cbrn quote_cbrn product_cbrn icon_color icon_url "
    "display_name_overwrite about_description best_bid_price best_ask_price"
)
_PRODUCT = (
    dict.fromkeys(_FLAGS.split(), False)
    | dict.fromkeys(_TEXTS.split(), "")
    | {
        "product_id": "BTC-USDT",
        "price": "40000",
        "price_percentage_change_24h": "0",
        "volume_24h": "1",
        "volume_percentage_change_24h": "0",
        "base_increment": "0.001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "quote_max_size": "10000000",
        "base_min_size": "0.001",
        "base_max_size": "3400",
        "base_name": "Bitcoin",
        "quote_name": "Tether",
        "status": "online",
        "product_type": "SPOT",
        "quote_currency_id": "USDT",
        "base_currency_id": "BTC",
        "fcm_trading_session_details": None,
        "alias_to": [],
        "base_display_symbol": "BTC",
        "quote_display_symbol": "USDT",
        "price_increment": "0.01",
        "display_name": "BTC-USDT",
        "product_venue": "CBE",
        "approximate_quote_24h_volume": "1",
        "new_at": "2023-01-01T00:00:00Z",
    }
)


def _account(currency: str, value: str) -> dict[str, Any]:
    return {
        "uuid": f"00000000-0000-4000-8000-{sum(map(ord, currency)):012d}",
        "name": f"{currency} Wallet",
        "currency": currency,
        "available_balance": {"value": value, "currency": currency},
        "default": True,
        "active": True,
        "created_at": "2021-05-31T09:59:59Z",
        "updated_at": "2024-01-15T10:30:00Z",
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": "0", "currency": currency},
        "retail_portfolio_id": "1",
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


_ACCOUNTS = [_account("BTC", "0"), _account("USDT", "1000")]
