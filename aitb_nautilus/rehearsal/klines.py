"""The event of a kline stream, the same for perpetuals and spot."""

from __future__ import annotations

from typing import Any

from aitb_nautilus.market.binance_klines import INTERVALS_MS
from aitb_nautilus.rehearsal.candles import Candle
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["kline"]


def kline(
    rules: Rules, candle: Candle, interval: str, now_ms: int, *, closed: bool
) -> dict[str, Any]:
    """Return a kline as it stands."""
    price, size, value = rules.price_text, rules.size_text, rules.value_text
    return {
        "e": "kline",
        "E": now_ms,
        "s": rules.symbol,
        "k": {
            "t": candle.open_ms,
            "T": candle.open_ms + INTERVALS_MS[interval] - 1,
            "s": rules.symbol,
            "i": interval,
            "f": candle.first_id,
            "L": candle.last_id,
            "o": price(candle.open),
            "c": price(candle.close),
            "h": price(candle.high),
            "l": price(candle.low),
            "v": size(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": value(candle.value),
            "V": size(candle.taker_volume),
            "Q": value(candle.taker_value),
            "B": "0",
        },
    }
