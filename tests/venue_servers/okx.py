"""OKX's v5 API, for swaps and spot; shapes as its documentation gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.exchange_servers import MINUTE_MS, Bar
from tests.venue_servers.base import VenueServer, minutes, now_ms


class OkxServer(VenueServer):
    """BTC-USDT-SWAP and BTC-USDT.

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-candlesticks-channel
    """

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        if path in {"/api/v5/market/candles", "/api/v5/market/history-candles"}:
            return _ok(_candles(query))
        if path in {"/api/v5/public/instruments", "/api/v5/account/instruments"}:
            return _ok([_instrument(query["instType"])])
        if path == "/api/v5/account/balance":
            return _ok([_BALANCE])
        if path.startswith(("/api/v5/account/positions", "/api/v5/trade/")):
            return _ok([])
        return None

    def hear(self, path: str, message: Any) -> list[Any]:
        if message["op"] == "login":
            return [{"event": "login", "code": "0", "msg": "", "connId": "a"}]
        return [{"event": message["op"], "arg": arg, "connId": "a"} for arg in message["args"]]

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        channels = [arg for one in heard if one["op"] == "subscribe" for arg in one["args"]]
        told: list[Any] = []
        for arg in channels:
            match arg["channel"]:
                case "candle1m":
                    bars = [(one, one is closed) for one in (closed, running) if one]
                    told += [{"arg": arg, "data": [_candle(*pair)]} for pair in bars]
                case "bbo-tbt":
                    told.append({"arg": arg, "data": [_book(running)]})
                case "tickers":
                    told.append({"arg": arg, "data": [_ticker(arg["instId"], running)]})
        return told


def _ok(data: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": data}


def _instrument(kind: str) -> dict[str, Any]:
    is_swap = kind == "SWAP"
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "" if is_swap else "BTC",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "1" if is_swap else "",
        "ctType": "linear" if is_swap else "",
        "ctVal": "1" if is_swap else "",
        "ctValCcy": "BTC" if is_swap else "",
        "expTime": "",
        "futureSettlement": False,
        "instFamily": "BTC-USDT" if is_swap else "",
        "instId": "BTC-USDT-SWAP" if is_swap else "BTC-USDT",
        "instIdCode": 10459,
        "instType": kind,
        "lever": "100" if is_swap else "10",
        "listTime": "1573557408000",
        "lotSz": "0.001",
        "maxIcebergSz": "100000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000",
        "maxMktAmt": "" if is_swap else "1000000",
        "maxMktSz": "20000",
        "maxStopSz": "20000",
        "maxTriggerSz": "100000000",
        "maxTwapSz": "100000000",
        "minSz": "0.001",
        "openType": "call_auction",
        "optType": "",
        "posLmtAmt": "",
        "posLmtPct": "",
        "preMktSwTime": "",
        "quoteCcy": "" if is_swap else "USDT",
        "ruleType": "normal",
        "settleCcy": "USDT" if is_swap else "",
        "state": "live",
        "stk": "",
        "tickSz": "0.01",
        "tradeQuoteCcyList": [] if is_swap else ["USDT"],
        "uly": "BTC-USDT" if is_swap else "",
    }


def _candles(query: Mapping[str, str]) -> list[list[str]]:
    """Newest first; `after` is the first time that is too new, `before` the last too old."""
    last = int(query.get("after", now_ms() + 1)) - 1
    limit = int(query.get("limit", 100))
    first = max(int(query.get("before", 0)) + 1, last - 300 * MINUTE_MS)
    found = minutes(first, last)[-limit:]
    return [_candle(b, b.open_ms + MINUTE_MS <= now_ms()) for b in reversed(found)]


def _candle(b: Bar, is_closed: bool) -> list[str]:
    confirm = "1" if is_closed else "0"
    return [str(b.open_ms), b.open, b.high, b.low, b.close, b.volume, "0", "0", confirm]


def _book(b: Bar) -> dict[str, Any]:
    price = float(b.open)
    return {
        "asks": [[f"{price + 0.01:.2f}", "5", "0", "1"]],
        "bids": [[f"{price - 0.01:.2f}", "5", "0", "1"]],
        "ts": str(now_ms()),
        "seqId": now_ms(),
    }


def _ticker(instrument: str, b: Bar) -> dict[str, Any]:
    price = float(b.open)
    return {
        "instType": "SWAP" if instrument.endswith("SWAP") else "SPOT",
        "instId": instrument,
        "last": b.open,
        "lastSz": "1",
        "askPx": f"{price + 0.01:.2f}",
        "askSz": "5",
        "bidPx": f"{price - 0.01:.2f}",
        "bidSz": "5",
        "open24h": b.open,
        "high24h": b.high,
        "low24h": b.low,
        "sodUtc0": b.open,
        "sodUtc8": b.open,
        "volCcy24h": "1",
        "vol24h": "1",
        "ts": str(now_ms()),
    }


_BLANK = (
    "accAvgPx adjEq borrowFroz clSpotInUseAmt crossLiab interest isoLiab liab maxLoan "
    "maxSpotInUseAmt mgnRatio notionalUsd notionalUsdForBorrow notionalUsdForFutures "
    "notionalUsdForOption notionalUsdForSwap openAvgPx ordFroz spotBal spotInUseAmt spotUpl "
    "spotUplRatio totalPnl totalPnlRatio uplLiab"
)
_DETAIL = dict.fromkeys(_BLANK.split(), "") | {
    "availBal": "1000",
    "availEq": "1000",
    "cashBal": "1000",
    "ccy": "USDT",
    "collateralEnabled": False,
    "disEq": "1000",
    "eq": "1000",
    "eqUsd": "1000",
    "fixedBal": "0",
    "frozenBal": "0",
    "imr": "0",
    "isoEq": "0",
    "isoUpl": "0",
    "mmr": "0",
    "notionalLever": "0",
    "ordFrozen": "0",
    "rewardBal": "0",
    "smtSyncEq": "0",
    "spotCopyTradingEq": "0",
    "spotIsoBal": "0",
    "stgyEq": "0",
    "twap": "0",
    "uTime": "1744498994783",
    "upl": "0",
}
_BALANCE = dict.fromkeys(_BLANK.split(), "") | {
    "imr": "",
    "mmr": "",
    "upl": "",
    "details": [_DETAIL],
    "isoEq": "0",
    "totalEq": "1000",
    "uTime": "1744499648556",
}
