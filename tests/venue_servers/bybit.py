"""Bybit's v5 API, for linear perpetuals and spot; shapes as its documentation gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.exchange_servers import MINUTE_MS, Bar
from tests.venue_servers.base import VenueServer, minutes, now_ms

_LIMIT = 1000


class BybitServer(VenueServer):
    """One instrument, BTCUSDT.

    https://bybit-exchange.github.io/docs/v5/market/kline, .../websocket/public/kline
    """

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        category = query.get("category", "")
        empty = {"category": category, "list": [], "nextPageCursor": ""}
        results: dict[str, Any] = {
            "/v5/market/instruments-info": {"category": category, "list": [_instrument(category)]},
            "/v5/account/wallet-balance": {"list": [_WALLET]},
            "/v5/account/info": _ACCOUNT,
            "/v5/position/list": empty,
            "/v5/order/realtime": empty,
            "/v5/order/history": empty,
            "/v5/execution/list": empty,
        }
        if path == "/v5/market/kline":
            return _ok({"category": category, "symbol": "BTCUSDT", "list": _klines(query)})
        return _ok(results[path]) if path in results else None

    def hear(self, path: str, message: Any) -> list[Any]:
        answer = {"success": True, "ret_msg": "", "conn_id": "1", "op": message["op"]}
        if message["op"] == "auth":
            return [{"success": True, "retCode": 0, "retMsg": "OK", "op": "auth", "connId": "1"}]
        if message["op"] == "ping":
            return [{"success": True, "ret_msg": "pong", "conn_id": "1", "op": "ping"}]
        return [answer | {"req_id": message.get("req_id", "")}]

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        topics = [topic for one in heard if one["op"] == "subscribe" for topic in one["args"]]
        told: list[Any] = []
        for topic in topics:
            if topic.startswith("kline."):
                told += [_kline(topic, one, closed is one) for one in (closed, running) if one]
            elif topic.startswith("orderbook.1."):
                told.append(_book(topic, running))
            elif topic.startswith("tickers."):
                told.append(_ticker(topic, running))
        return told


def _ok(result: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms()}


def _instrument(category: str) -> dict[str, Any]:
    both = {
        "symbol": "BTCUSDT",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "priceFilter": {"minPrice": "0.01", "maxPrice": "1999999.8", "tickSize": "0.01"},
    }
    if category == "spot":
        return both | {
            "innovation": "0",
            "marginTrading": "utaOnly",
            "lotSizeFilter": {
                "basePrecision": "0.001",
                "quotePrecision": "0.00000001",
                "minOrderQty": "0.001",
                "maxOrderQty": "71.73956243",
                "minOrderAmt": "5",
                "maxOrderAmt": "4000000",
            },
        }
    return both | {
        "contractType": "LinearPerpetual",
        "launchTime": "1584230400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "postOnlyMaxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": "USDT",
    }


def _klines(query: Mapping[str, str]) -> list[Any]:
    """Newest first; with the bar that has not closed, as the venue does."""
    last = int(query.get("end", now_ms()))
    limit = int(query.get("limit", 200))
    first = int(query.get("start", last - (limit - 1) * MINUTE_MS))
    found = minutes(max(first, last - _LIMIT * MINUTE_MS), last)[-limit:]
    return [
        [str(b.open_ms), b.open, b.high, b.low, b.close, b.volume, "0"] for b in reversed(found)
    ]


def _kline(topic: str, one: Bar, is_closed: bool) -> dict[str, Any]:
    return {
        "topic": topic,
        "type": "snapshot",
        "ts": now_ms(),
        "data": [
            {
                "start": one.open_ms,
                "end": one.open_ms + MINUTE_MS - 1,
                "interval": "1",
                "open": one.open,
                "close": one.close,
                "high": one.high,
                "low": one.low,
                "volume": one.volume,
                "turnover": "0",
                "confirm": is_closed,
                "timestamp": now_ms(),
            }
        ],
    }


def _book(topic: str, one: Bar) -> dict[str, Any]:
    price = float(one.open)
    return {
        "topic": topic,
        "type": "snapshot",
        "ts": now_ms(),
        "data": {
            "s": "BTCUSDT",
            "b": [[f"{price - 0.01:.2f}", "5.000"]],
            "a": [[f"{price + 0.01:.2f}", "5.000"]],
            "u": 1,
            "seq": now_ms(),
        },
        "cts": now_ms(),
    }


def _ticker(topic: str, one: Bar) -> dict[str, Any]:
    price = float(one.open)
    data = {
        "symbol": "BTCUSDT",
        "tickDirection": "PlusTick",
        "price24hPcnt": "0",
        "lastPrice": one.open,
        "prevPrice24h": one.open,
        "highPrice24h": one.high,
        "lowPrice24h": one.low,
        "prevPrice1h": one.open,
        "markPrice": one.open,
        "indexPrice": one.open,
        "openInterest": "1",
        "openInterestValue": "1",
        "turnover24h": "1",
        "volume24h": "1",
        "nextFundingTime": str((now_ms() // 28_800_000 + 1) * 28_800_000),
        "fundingRate": "0.0001",
        "bid1Price": f"{price - 0.01:.2f}",
        "bid1Size": "5.000",
        "ask1Price": f"{price + 0.01:.2f}",
        "ask1Size": "5.000",
        "fundingIntervalHour": "8",
    }
    return {"topic": topic, "type": "snapshot", "data": data, "cs": 1, "ts": now_ms()}


_ACCOUNT = {
    "marginMode": "REGULAR_MARGIN",
    "updatedTime": "1697078946000",
    "unifiedMarginStatus": 4,
    "dcpStatus": "OFF",
    "timeWindow": 10,
    "smpGroup": 0,
    "isMasterTrader": False,
    "spotHedgingStatus": "OFF",
}
_COIN = {
    "coin": "USDT",
    "availableToBorrow": "0",
    "bonus": "0",
    "accruedInterest": "0",
    "availableToWithdraw": "1000",
    "totalOrderIM": "0",
    "equity": "1000",
    "totalPositionMM": "0",
    "usdValue": "1000",
    "unrealisedPnl": "0",
    "borrowAmount": "0",
    "totalPositionIM": "0",
    "walletBalance": "1000",
    "cumRealisedPnl": "0",
    "locked": "0",
    "collateralSwitch": True,
    "marginCollateral": True,
    "spotBorrow": "0",
}
_WALLET = {
    "accountType": "UNIFIED",
    "totalEquity": "1000",
    "accountIMRate": "0",
    "totalMarginBalance": "1000",
    "totalInitialMargin": "0",
    "totalAvailableBalance": "1000",
    "accountMMRate": "0",
    "totalPerpUPL": "0",
    "totalWalletBalance": "1000",
    "accountLTV": "0",
    "totalMaintenanceMargin": "0",
    "coin": [_COIN],
}
