"""Klines of one symbol: kept at the finest interval, offered at every coarser one.

A closed kline that was fed is offered exactly as it was fed. A coarser one is the sum of those
inside it, up to the moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.binance_klines import INTERVALS_MS
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["Candle", "Candles"]


@dataclass
class Candle:
    """One kline in whole units; `value` and `taker_value` are price times quantity units."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    value: int = 0
    trades: int = 0
    taker_volume: int = 0
    taker_value: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, price: int, quantity: int, trade_id: int, *, buyer_is_maker: bool) -> None:
        """Count a trade."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += quantity
        self.value += price * quantity
        self.trades += 1
        if not buyer_is_maker:
            self.taker_volume += quantity
            self.taker_value += price * quantity
        self.first_id = trade_id if self.first_id < 0 else self.first_id
        self.last_id = trade_id

    def join(self, later: Candle) -> None:
        """Count a later kline into this one."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.value += later.value
        self.trades += later.trades
        self.taker_volume += later.taker_volume
        self.taker_value += later.taker_value
        self.first_id = later.first_id if self.first_id < 0 else self.first_id
        self.last_id = max(self.last_id, later.last_id)

    def copy(self) -> Candle:
        """Return a kline of its own with the same values."""
        return Candle(**vars(self))


class Candles:
    """All klines of one symbol.

    Parameters
    ----------
    rules
        The symbol.
    base_ms
        The finest interval, ms.
    history
        Closed bars before the start, whose times are already those of this exchange; None is none.
    """

    def __init__(self, rules: Rules, base_ms: int, history: BarFrame | None = None) -> None:
        self.rules = rules
        self.base_ms = base_ms
        self.current: Candle | None = None
        self._table = _history_table(rules, base_ms, history)
        self._closed: list[Candle] = []

    @property
    def last_close(self) -> int | None:
        """The last closed price in price units, or None."""
        if self._closed:
            return self._closed[-1].close
        return int(self._table[-1, 4]) if len(self._table) else None

    def open_at(self, open_ms: int, price: int) -> Candle:
        """Begin a kline."""
        self.current = Candle(open_ms, price, price, price, price)
        return self.current

    def close_current(self, fed: Candle | None = None) -> Candle | None:
        """End the current kline, and keep it, or `fed` in its place; return what was kept."""
        kept = fed or self.current
        if kept is not None:
            if self.current is not None and fed is not None:
                fed.first_id, fed.last_id = self.current.first_id, self.current.last_id
            self._closed.append(kept)
        self.current = None
        return kept

    def at(self, interval: str, ts_ms: int) -> Candle | None:
        """Return the kline of an interval that holds a time, as far as it has come, or None."""
        length = self.length(interval)
        begin = ts_ms - ts_ms % length
        return next(self._between(begin, begin + length, length), None)

    def query(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Candle]:
        """Return klines by opening time, both bounds included, oldest first.

        With a start the first `limit` are returned, without one the last.
        """
        length = self.length(interval)
        last = self._last_open() if end_ms is None else min(end_ms, self._last_open())
        if start_ms is None:
            start_ms = last - last % length - (limit - 1) * length
        begin = start_ms + -start_ms % length
        found: list[Candle] = []
        # Gaps leave some intervals empty, so the window is only a first guess of what is needed.
        for candle in self._between(begin, last - last % length + length, length):
            found.append(candle)
            if len(found) == limit:
                break
        return found

    def since(self, start_ms: int) -> Iterator[Candle]:
        """Return the finest klines that begin at a time or later."""
        return self._base_rows(start_ms, self._last_open() + 1)

    def length(self, interval: str) -> int:
        """Return the length of an interval in ms.

        Raises
        ------
        VenueError
            -1120 if Binance has no such interval, or it is finer than what is fed.
        """
        length = INTERVALS_MS.get(interval)
        if length is None or length % self.base_ms:
            raise VenueError.of(-1120)
        return length

    def row(self, candle: Candle, length: int) -> list[Any]:
        """Return a kline as ``GET /fapi/v1/klines`` gives it.

        References
        ----------
        Binance, USDⓈ-M futures, Kline/Candlestick Data.
        """
        price, size, value = self.rules.price_text, self.rules.size_text, self.rules.value_text
        return [
            candle.open_ms,
            price(candle.open),
            price(candle.high),
            price(candle.low),
            price(candle.close),
            size(candle.volume),
            candle.open_ms + length - 1,
            value(candle.value),
            candle.trades,
            size(candle.taker_volume),
            value(candle.taker_value),
            "0",
        ]

    def _last_open(self) -> int:
        if self.current is not None:
            return self.current.open_ms
        if self._closed:
            return self._closed[-1].open_ms
        return int(self._table[-1, 0]) if len(self._table) else 0

    def _between(self, begin: int, end: int, length: int) -> Iterator[Candle]:
        joined: Candle | None = None
        for base in self._base_rows(begin, end):
            bucket = base.open_ms - base.open_ms % length
            if joined is not None and joined.open_ms == bucket:
                joined.join(base)
                continue
            if joined is not None:
                yield joined
            joined = base.copy()
            joined.open_ms = bucket
        if joined is not None:
            yield joined

    def _base_rows(self, begin: int, end: int) -> Iterator[Candle]:
        opens = self._table[:, 0]
        first, last = np.searchsorted(opens, [begin, end])
        for row in self._table[first:last].tolist():
            yield Candle(*row)
        since = bisect_left(self._closed, begin, key=lambda candle: candle.open_ms)
        until = bisect_left(self._closed, end, key=lambda candle: candle.open_ms)
        yield from self._closed[since:until]
        if self.current is not None and begin <= self.current.open_ms < end:
            yield self.current


def _history_table(rules: Rules, base_ms: int, history: BarFrame | None) -> NDArray[np.int64]:
    if history is None or len(history) == 0:
        return np.empty((0, 10), np.int64)
    prices = [
        np.rint(getattr(history, name) * 10**rules.spec.price_precision).astype(np.int64)
        for name in ("open", "high", "low", "close")
    ]
    volume = np.rint(history.volume * 10**rules.spec.size_precision).astype(np.int64)
    value = volume * (sum(prices) // 4)
    taker = volume // 2
    columns = [
        history.ts_close // 1_000_000 - base_ms,
        *prices,
        volume,
        value,
        np.where(volume > 0, 1, 0),
        taker,
        value // 2,
    ]
    return np.stack(columns, axis=1).astype(np.int64)
