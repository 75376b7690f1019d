"""The events of the public streams, as Binance writes them.

References
----------
Binance, USDⓈ-M futures, WebSocket Market Streams
(https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams):
Aggregate Trade, Mark Price, Kline/Candlestick, Individual Symbol Book Ticker, Partial Book Depth,
Diff. Book Depth. The event ``trade`` is not documented there; its fields are those that the venue
sends, as recorded in 2024.
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.broadcast import Dialect
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.feed import Trade
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["USD_M"]

_PERPETUAL = 1
"""``st``, the kind of the symbol: 1 in all that the venue sends of USDⓈ-M perpetuals."""


def agg_trade(rules: Rules, trade: Trade, number: int, now_ms: int) -> dict[str, Any]:
    """Return an aggregate trade: each fed trade is one of its own."""
    return {
        "e": "aggTrade",
        "E": now_ms,
        "a": number,
        "s": rules.symbol,
        "p": rules.price_text(trade.price),
        "q": rules.size_text(trade.quantity),
        "nq": rules.size_text(trade.quantity),
        "f": number,
        "l": number,
        "T": trade.ts_ns // MS,
        "m": trade.buyer_is_maker,
        "st": _PERPETUAL,
    }


def public_trade(rules: Rules, trade: Trade, number: int, now_ms: int) -> dict[str, Any]:
    """Return a single trade."""
    return {
        "e": "trade",
        "E": now_ms,
        "T": trade.ts_ns // MS,
        "s": rules.symbol,
        "t": number,
        "p": rules.price_text(trade.price),
        "q": rules.size_text(trade.quantity),
        "X": "MARKET",
        "m": trade.buyer_is_maker,
    }


def book_ticker(
    symbol: str, quote: dict[str, str], update_id: int, ts_ms: int, now_ms: int
) -> dict[str, Any]:
    """Return the best bid and ask."""
    return {
        "e": "bookTicker",
        "u": update_id,
        "s": symbol,
        "ps": symbol,
        **quote,
        "T": ts_ms,
        "E": now_ms,
        "st": _PERPETUAL,
    }


def depth_update(
    symbol: str,
    ids: tuple[int, int, int],
    levels: list[list[list[str]]],
    ts_ms: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return what changed in the book; `ids` are first, last, and last of the event before."""
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": ts_ms,
        "s": symbol,
        "ps": symbol,
        "st": _PERPETUAL,
        "U": ids[0],
        "u": ids[1],
        "pu": ids[2],
        "b": levels[0],
        "a": levels[1],
    }


def partial_depth(
    symbol: str,
    update_id: int,
    levels: tuple[list[list[str]], list[list[str]]],
    ts_ms: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return the first levels of the book."""
    ids = (update_id, update_id, update_id - 1)
    return depth_update(symbol, ids, list(levels), ts_ms, now_ms)


def mark_price_update(
    symbol: str, mark: str, rate: str, next_funding_ms: int, now_ms: int
) -> dict[str, Any]:
    """Return the mark price; the rehearsal's index and settle prices equal it."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": symbol,
        "p": mark,
        "ap": mark,
        "i": mark,
        "P": mark,
        "r": rate,
        "T": next_funding_ms,
        "st": _PERPETUAL,
    }


USD_M = Dialect(
    agg_trade=agg_trade,
    public_trade=public_trade,
    book_ticker=book_ticker,
    depth_update=depth_update,
    partial_depth=partial_depth,
    mark_price=mark_price_update,
    kline_ms=250,
    depth_ms={"depth@0ms": 0, "depth@100ms": 100, "depth": 250, "depth@500ms": 500},
    partial_ms={"": 250, "@100ms": 100, "@500ms": 500},
    mark_ms={"markPrice": 3_000, "markPrice@3s": 3_000, "markPrice@1s": 1_000},
)
"""USDⓈ-M perpetuals."""
