"""What a time brought in one symbol, as the tickers of 24 hours tell it."""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.candles import Candle
from aitb_nautilus.rehearsal.market import Market

__all__ = ["day_summary"]


def day_summary(market: Market, start_ms: int, now_ms: int) -> dict[str, Any]:
    """Return the change since a time as ``GET /fapi/v1/ticker/24hr`` gives it."""
    rules, joined = market.rules, None
    for candle in market.candles.since(start_ms):
        if joined is None:
            joined = candle.copy()
        else:
            joined.join(candle)
    day = joined or Candle(now_ms, *([market.last_price or 0] * 4))
    change = day.close - day.open
    average = day.value // day.volume if day.volume else day.close
    return {
        "symbol": rules.symbol,
        "priceChange": rules.price_text(change),
        "priceChangePercent": f"{100 * change / day.open if day.open else 0:.3f}",
        "weightedAvgPrice": rules.price_text(average),
        "lastPrice": rules.price_text(day.close),
        "lastQty": rules.size_text(market.trades[-1][1].quantity if market.trades else 0),
        "openPrice": rules.price_text(day.open),
        "highPrice": rules.price_text(day.high),
        "lowPrice": rules.price_text(day.low),
        "volume": rules.size_text(day.volume),
        "quoteVolume": rules.value_text(day.value),
        "openTime": start_ms,
        "closeTime": now_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }
