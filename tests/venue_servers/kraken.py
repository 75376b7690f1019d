"""Kraken's API of spot (REST, WebSocket v2) and that of futures; shapes as documented."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from tests.exchange_servers import MINUTE_MS, Bar
from tests.venue_servers.base import VenueServer, minutes, now_ms


class KrakenSpotServer(VenueServer):
    """XBT/USDT; https://docs.kraken.com/api/docs/websocket-v2/ohlc."""

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        if path == "/0/public/OHLC":
            rows = _ohlc(int(query.get("since", 0)) * 1000)
            return _ok({"XBTUSDT": rows, "last": rows[-1][0]})
        results: dict[str, Any] = {
            "/0/public/AssetPairs": {} if "aclass_base" in query else {"XBTUSDT": _PAIR},
            "/0/private/GetWebSocketsToken": {"token": "t", "expires": 900},
            "/0/private/BalanceEx": {"USDT": {"balance": "1000.0", "hold_trade": "0.0"}},
            "/0/private/OpenOrders": {"open": {}},
            "/0/private/ClosedOrders": {"closed": {}, "count": 0},
            "/0/private/TradesHistory": {"trades": {}, "count": 0},
        }
        return _ok(results[path]) if path in results else None

    def greet(self, path: str) -> list[Any]:
        data = [{"system": "online", "api_version": "v2", "connection_id": 1, "version": "2.0.0"}]
        return [{"channel": "status", "type": "update", "data": data}]

    def hear(self, path: str, message: Any) -> list[Any]:
        if message["method"] == "ping":
            return [{"method": "pong", "req_id": message.get("req_id")}]
        params = message["params"]
        answers = []
        for symbol in params.get("symbol", [None]):
            result = {k: v for k, v in params.items() if k not in {"symbol", "token"}}
            answers.append(
                {
                    "method": message["method"],
                    "req_id": message.get("req_id"),
                    "result": result | ({} if symbol is None else {"symbol": symbol}),
                    "success": True,
                    "time_in": _iso(now_ms()),
                    "time_out": _iso(now_ms()),
                }
            )
        return answers

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        told = []
        for one in heard:
            if one["method"] != "subscribe":
                continue
            for symbol in one["params"].get("symbol", []):
                data = _SPOT_DATA.get(one["params"]["channel"])
                if data is not None:
                    told.append(
                        {
                            "channel": one["params"]["channel"],
                            "type": "update",
                            "data": [{"symbol": symbol} | data(running)],
                        }
                    )
        return told


class KrakenFuturesServer(VenueServer):
    """PF_XBTUSDT; https://docs.kraken.com/api/docs/guides/futures-websockets."""

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        if path.startswith("/api/charts/v1/trade/PF_XBTUSDT/1m"):
            return {"candles": _charts(query), "more_candles": False}
        if path.startswith("/api/history/"):
            return {"elements": [], "len": 0}
        endings = {
            "/instruments": {"instruments": [_FUTURE]},
            "/tickers": {"tickers": []},
            "/openorders": {"openOrders": []},
            "/openpositions": {"openPositions": []},
            "/fills": {"fills": []},
            "/accounts": {"accounts": {"flex": _FLEX}},
        }
        for ending, answer in endings.items():
            if path.endswith(ending):
                return {"result": "success", "serverTime": _iso(now_ms())} | answer
        return None

    def greet(self, path: str) -> list[Any]:
        return [{"event": "info", "version": 1}]

    def hear(self, path: str, message: Any) -> list[Any]:
        if message["event"] == "challenge":
            return [{"event": "challenge", "message": "226aee50-88fc-4618-a42a-34f7709570b2"}]
        if message["event"] == "subscribe":
            answer = {"event": "subscribed", "feed": message["feed"]}
            return [answer | {"product_ids": message.get("product_ids", [])}]
        return []

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        feeds = {one["feed"] for one in heard if one["event"] == "subscribe"}
        told: list[Any] = []
        if "ticker" in feeds:
            told.append(_future_ticker(running))
        if "book" in feeds:
            told.append(_future_book(running))
        return told


def _ok(result: Any) -> dict[str, Any]:
    return {"error": [], "result": result}


def _iso(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _ohlc(since_ms: int) -> list[list[Any]]:
    """The newest 720, with the one that has not closed."""
    newest = now_ms() // MINUTE_MS * MINUTE_MS
    rows: list[list[Any]] = []
    for b in minutes(max(since_ms + 1, newest - 719 * MINUTE_MS), newest):
        prices = [b.open, b.high, b.low, b.close]
        rows.append([b.open_ms // 1000, *prices, b.close, b.volume, 5])
    return rows


def _spot_ohlc(b: Bar) -> dict[str, Any]:
    names = {"open": b.open, "high": b.high, "low": b.low, "close": b.close, "vwap": b.close}
    return {name: float(text) for name, text in names.items()} | {
        "interval": 1,
        "interval_begin": _iso(b.open_ms),
        "volume": float(b.volume),
        "trades": 1,
        "timestamp": _iso(b.open_ms + MINUTE_MS),
    }


def _spot_ticker(b: Bar) -> dict[str, Any]:
    price = float(b.open)
    names = ("last", "vwap", "low", "high")
    return dict.fromkeys(names, price) | {
        "bid": round(price - 0.01, 2),
        "bid_qty": 5.0,
        "ask": round(price + 0.01, 2),
        "ask_qty": 5.0,
        "volume": 1.0,
        "change": 0.0,
        "change_pct": 0.0,
        "timestamp": _iso(now_ms()),
    }


_SPOT_DATA = {"ohlc": _spot_ohlc, "ticker": _spot_ticker}
_PAIR = {
    "altname": "XBTUSDT",
    "wsname": "XBT/USDT",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "USDT",
    "lot": "unit",
    "cost_decimals": 5,
    "pair_decimals": 2,
    "lot_decimals": 3,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.001",
    "costmin": "0.5",
    "tick_size": "0.01",
    "status": "online",
}


def _charts(query: Mapping[str, str]) -> list[dict[str, Any]]:
    last = int(query.get("to", now_ms() // 1000)) * 1000
    first = int(query.get("from", (last - 2000 * MINUTE_MS) // 1000)) * 1000
    return [
        {
            "time": b.open_ms,
            "open": b.open,
            "high": b.high,
            "low": b.low,
            "close": b.close,
            "volume": b.volume,
        }
        for b in minutes(first, last)
    ]


def _future_ticker(b: Bar) -> dict[str, Any]:
    price = float(b.open)
    names = ("index", "last", "markPrice", "open", "high", "low")
    return dict.fromkeys(names, price) | {
        "time": now_ms(),
        "product_id": "PF_XBTUSDT",
        "feed": "ticker",
        "funding_rate": 0.0,
        "funding_rate_prediction": 0.0,
        "relative_funding_rate": 0.0,
        "relative_funding_rate_prediction": 0.0,
        "next_funding_rate_time": (now_ms() // 3_600_000 + 1) * 3_600_000,
        "bid": round(price - 0.01, 2),
        "ask": round(price + 0.01, 2),
        "bid_size": 5.0,
        "ask_size": 5.0,
        "volume": 1.0,
        "dtm": 0,
        "leverage": "50x",
        "premium": 0.0,
        "change": 0.0,
        "suspended": False,
        "tag": "perpetual",
        "pair": "XBT:USDT",
        "openInterest": 1.0,
        "maturityTime": 0,
        "post_only": False,
        "volumeQuote": 1.0,
    }


def _future_book(b: Bar) -> dict[str, Any]:
    price = float(b.open)
    return {
        "feed": "book_snapshot",
        "product_id": "PF_XBTUSDT",
        "timestamp": now_ms(),
        "seq": now_ms(),
        "tickSize": None,
        "bids": [{"price": round(price - 0.01, 2), "qty": 5.0}],
        "asks": [{"price": round(price + 0.01, 2), "qty": 5.0}],
    }


_FUTURE = {
    "symbol": "PF_XBTUSDT",
    "type": "flexible_futures",
    "tickSize": 0.01,
    "contractSize": 1,
    "tradeable": True,
    "impactMidSize": 1.0,
    "maxPositionSize": 1000.0,
    "openingDate": "2022-03-22T13:18:45Z",
    "marginLevels": [
        {"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01}
    ],
    "fundingRateCoefficient": 24,
    "maxRelativeFundingRate": 0.0025,
    "isin": "GB00J62YGL67",
    "contractValueTradePrecision": 3,
    "postOnly": False,
    "feeScheduleUid": "a6cbc326-9477-4a6c-911a-d4cb3ed7481e",
    "mtf": True,
    "base": "BTC",
    "quote": "USDT",
    "pair": "BTC:USDT",
}
_FLEX = {
    "type": "multiCollateralMarginAccount",
    "currencies": {
        "USDT": {"quantity": 1000.0, "value": 1000.0, "collateral": 1000.0, "available": 1000.0}
    },
    "initialMargin": 0.0,
    "initialMarginWithOrders": 0.0,
    "maintenanceMargin": 0.0,
    "balanceValue": 1000.0,
    "portfolioValue": 1000.0,
    "collateralValue": 1000.0,
    "pnl": 0.0,
    "unrealizedFunding": 0.0,
    "totalUnrealized": 0.0,
    "totalUnrealizedAsMargin": 0.0,
    "availableMargin": 1000.0,
    "marginEquity": 1000.0,
}
