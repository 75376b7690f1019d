"""The events of the public spot streams, as Binance writes them.

References
----------
Binance, Spot, WebSocket Streams (github.com/binance/binance-spot-api-docs, web-socket-streams.md).
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.broadcast import Dialect
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.feed import Trade
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["SPOT"]


def _agg_trade(rules: Rules, trade: Trade, number: int, now_ms: int) -> dict[str, Any]:
    return {
        "e": "aggTrade",
        "E": now_ms,
        "s": rules.symbol,
        "a": number,
        "p": rules.price_text(trade.price),
        "q": rules.size_text(trade.quantity),
        "f": number,
        "l": number,
        "T": trade.ts_ns // MS,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def _public_trade(rules: Rules, trade: Trade, number: int, now_ms: int) -> dict[str, Any]:
    return {
        "e": "trade",
        "E": now_ms,
        "s": rules.symbol,
        "t": number,
        "p": rules.price_text(trade.price),
        "q": rules.size_text(trade.quantity),
        "T": trade.ts_ns // MS,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def _book_ticker(
    symbol: str, quote: dict[str, str], update_id: int, _ts_ms: int, _now_ms: int
) -> dict[str, Any]:
    return {"u": update_id, "s": symbol, **quote}


def _depth_update(
    symbol: str,
    ids: tuple[int, int, int],
    levels: list[list[list[str]]],
    _ts_ms: int,
    now_ms: int,
) -> dict[str, Any]:
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": symbol,
        "U": ids[0],
        "u": ids[1],
        "b": levels[0],
        "a": levels[1],
    }


def _partial_depth(
    _symbol: str,
    update_id: int,
    levels: tuple[list[list[str]], list[list[str]]],
    _ts_ms: int,
    _now_ms: int,
) -> dict[str, Any]:
    return {"lastUpdateId": update_id, "bids": levels[0], "asks": levels[1]}


SPOT = Dialect(
    agg_trade=_agg_trade,
    public_trade=_public_trade,
    book_ticker=_book_ticker,
    depth_update=_depth_update,
    partial_depth=_partial_depth,
    mark_price=None,
    kline_ms=2_000,
    depth_ms={"depth@100ms": 100, "depth": 1_000},
    partial_ms={"": 1_000, "@100ms": 100},
    mark_ms={},
)
"""Spot."""
