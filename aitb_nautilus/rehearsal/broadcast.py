"""What the public streams say of one symbol, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aitb_nautilus.market.binance_klines import INTERVALS_MS
from aitb_nautilus.rehearsal.candles import Candle
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.feed import Event, Trade
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.klines import kline
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["Broadcast", "Dialect"]

_PARTIAL_LEVELS = (5, 10, 20)


@dataclass(frozen=True)
class Dialect:
    """How a product writes its streams, and how often.

    Parameters
    ----------
    kline_ms
        Shortest time between two messages of a kline.
    depth_ms
        Streams of changes of the book, and the time between two messages.
    partial_ms
        What follows ``depth5``, ``depth10`` and ``depth20``, and the time between two messages.
    mark_ms
        Streams of the mark price.
    """

    agg_trade: Callable[[Rules, Trade, int, int], Any]
    public_trade: Callable[[Rules, Trade, int, int], Any]
    book_ticker: Callable[[str, dict[str, str], int, int, int], Any]
    depth_update: Callable[[str, tuple[int, int, int], list[list[list[str]]], int, int], Any]
    partial_depth: Callable[
        [str, int, tuple[list[list[str]], list[list[str]]], int, int], dict[str, Any]
    ]
    mark_price: Callable[[str, str, str, int, int], Any] | None
    kline_ms: int
    depth_ms: Mapping[str, int]
    partial_ms: Mapping[str, int]
    mark_ms: Mapping[str, int]


class _Diff:
    """One stream of changes of the book, and what has changed since its last message."""

    def __init__(self, stream: str, period_ms: int) -> None:
        self.stream, self.period_ms = stream, period_ms
        self.last_id = 1
        self.bids: set[int] = set()
        self.asks: set[int] = set()

    def restart(self, update_id: int) -> None:
        self.last_id = update_id
        self.bids.clear()
        self.asks.clear()


class Broadcast:
    """The streams of one symbol.

    Parameters
    ----------
    market
        The symbol's market.
    hub
        Who listens.
    dialect
        How it is written.
    """

    def __init__(self, market: Market, hub: Hub, dialect: Dialect) -> None:
        self._market, self._hub, self._rules = market, hub, market.rules
        self._dialect = dialect
        name = market.rules.symbol.lower()
        self._prefix = f"{name}@"
        self._diffs = [_Diff(f"{name}@{stream}", ms) for stream, ms in dialect.depth_ms.items()]
        self._partials = [
            (f"{name}@depth{count}{speed}", count, ms)
            for count in _PARTIAL_LEVELS
            for speed, ms in dialect.partial_ms.items()
        ]
        self._marks = [(f"{name}@{stream}", ms) for stream, ms in dialect.mark_ms.items()]
        base = market.candles.base_ms
        self._klines = [
            (interval, f"{name}@kline_{interval}", length)
            for interval, length in INTERVALS_MS.items()
            if length % base == 0
        ]
        self._best: tuple[tuple[int, int], ...] = ()
        self._sent: dict[str, int] = {}

    def tell(self, event: Event, closed: Candle | None) -> None:
        """Publish an event that has happened, and the kline that it closed."""
        ts_ms = event.ts_ns // MS
        if closed is not None:
            self._tell_close(closed)
        if isinstance(event, Trade):
            self._tell_trade(event, ts_ms)
        self.tell_book(ts_ms)
        if self._market.mark_price is not None:
            for stream, period in self._marks:
                if self._hub.wanted(stream) and self._due(stream, period):
                    self._hub.publish(stream, self._mark)

    def tell_book(self, ts_ms: int) -> None:
        """Publish what has changed in the book since the last time."""
        matcher = self._market.matcher
        bids, asks = matcher.bids.changed, matcher.asks.changed
        if bids or asks:
            self._market.update_id += 1
            for diff in self._diffs:
                if self._hub.wanted(diff.stream):
                    diff.bids |= bids
                    diff.asks |= asks
                else:
                    diff.restart(self._market.update_id)
            bids.clear()
            asks.clear()
            self._tell_quote(ts_ms)
        for diff in self._diffs:
            if (diff.bids or diff.asks) and self._due(diff.stream, diff.period_ms):
                self._hub.publish(diff.stream, partial(self._depth, diff, ts_ms))
                diff.restart(self._market.update_id)
        for stream, count, period in self._partials:
            if self._hub.wanted(stream) and self._due(stream, period):
                self._hub.publish(stream, partial(self._partial_depth, count, ts_ms))

    def _tell_trade(self, trade: Trade, ts_ms: int) -> None:
        market, rules = self._market, self._rules
        number, now = market.trades[-1][0], market.now_ms()
        self._publish("aggTrade", lambda: self._dialect.agg_trade(rules, trade, number, now))
        self._publish("trade", lambda: self._dialect.public_trade(rules, trade, number, now))
        for interval, stream, _ in self._klines:
            if self._hub.wanted(stream) and self._due(stream, self._dialect.kline_ms):
                self._hub.publish(stream, partial(self._kline, interval, ts_ms, closed=False))

    def _tell_close(self, candle: Candle) -> None:
        end_ms = candle.open_ms + self._market.candles.base_ms
        for interval, stream, length in self._klines:
            if end_ms % length == 0:
                self._hub.publish(
                    stream, partial(self._kline, interval, candle.open_ms, closed=True)
                )

    def _tell_quote(self, ts_ms: int) -> None:
        market = self._market
        best = (*market.matcher.bids.levels(1), *market.matcher.asks.levels(1))
        if best == self._best or len(best) < 2:
            return
        self._best = best

        def build() -> Any:
            return self._dialect.book_ticker(
                self._rules.symbol, market.quote(), market.update_id, ts_ms, market.now_ms()
            )

        self._publish("bookTicker", build)
        self._hub.publish("!bookTicker", build)

    def _publish(self, stream: str, build: Callable[[], Any]) -> None:
        self._hub.publish(self._prefix + stream, build)

    def _due(self, stream: str, period_ms: int) -> bool:
        now = self._market.now_ms()
        if now - self._sent.get(stream, -period_ms) < period_ms:
            return False
        self._sent[stream] = now
        return True

    # the events themselves

    def _kline(self, interval: str, ts_ms: int, *, closed: bool) -> dict[str, Any]:
        candle = self._market.candles.at(interval, ts_ms) or Candle(ts_ms, 0, 0, 0, 0)
        return kline(self._rules, candle, interval, self._market.now_ms(), closed=closed)

    def _depth(self, diff: _Diff, ts_ms: int) -> Any:
        price_text, size_text = self._rules.price_text, self._rules.size_text
        matcher, update_id = self._market.matcher, self._market.update_id
        levels = [
            [[price_text(price), size_text(book.quantity(price))] for price in sorted(prices)]
            for book, prices in ((matcher.bids, diff.bids), (matcher.asks, diff.asks))
        ]
        ids = (diff.last_id + 1, update_id, diff.last_id)
        return self._dialect.depth_update(
            self._rules.symbol, ids, levels, ts_ms, self._market.now_ms()
        )

    def _partial_depth(self, count: int, ts_ms: int) -> Any:
        market = self._market
        levels = market.levels(count)
        symbol = self._rules.symbol
        return self._dialect.partial_depth(symbol, market.update_id, levels, ts_ms, market.now_ms())

    def _mark(self) -> Any:
        market, tell = self._market, self._dialect.mark_price
        if tell is None:
            return {}
        due_ms, rate = market.next_funding()
        mark = self._rules.price_text(market.mark_price or 0)
        return tell(self._rules.symbol, mark, rate, due_ms, market.now_ms())
