"""The public side of one symbol: the fed market as it moves, and what the streams say of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from aitb_nautilus.rehearsal.candles import INTERVALS_MS, Candle, Candles
from aitb_nautilus.rehearsal.clock import MS, Clock
from aitb_nautilus.rehearsal.feed import (
    BarClose,
    BarOpen,
    BookSet,
    DepthChange,
    Event,
    FundingSettled,
    MarkPrice,
    Quote,
    Trade,
)
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.matching import Matcher
from aitb_nautilus.rehearsal.messages import (
    agg_trade,
    book_ticker,
    depth_update,
    kline,
    mark_price_update,
    partial_depth,
    public_trade,
)
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["FUNDING_MS", "Market"]

FUNDING_MS = 8 * 3_600_000
"""Time between two funding settlements, ms (Binance's default)."""
_KLINE_MS = 250
_DEPTH_MS = {"depth@0ms": 0, "depth@100ms": 100, "depth": 250, "depth@500ms": 500}
_PARTIAL = [f"depth{n}{speed}" for n in (5, 10, 20) for speed in ("", "@100ms", "@500ms")]
_MARK_MS = {"markPrice": 3_000, "markPrice@3s": 3_000, "markPrice@1s": 1_000}
_KEPT_TRADES = 1_000


class Market:
    """One symbol.

    Parameters
    ----------
    rules, matcher, candles
        The symbol, its book and its klines.
    hub
        Where the streams go.
    clock
        The exchange's time.
    """

    def __init__(
        self, rules: Rules, matcher: Matcher, candles: Candles, hub: Hub, clock: Clock
    ) -> None:
        self.rules, self.matcher, self.candles = rules, matcher, candles
        self._hub, self._clock = hub, clock
        self.last_price = candles.last_close
        self.mark_price = self.last_price
        self.mark_is_fed = False
        self.funding_rate = "0.00010000"
        self.update_id = 1
        self.trade_id = 0
        self.trades: deque[tuple[int, Trade]] = deque(maxlen=_KEPT_TRADES)
        self.settlements: list[dict[str, Any]] = []
        self._name = rules.symbol.lower()
        self._best: tuple[Any, ...] = ()
        self._sent: dict[str, int] = {}
        self._depth_ids = dict.fromkeys(_DEPTH_MS, 1)
        self._depth_changes: dict[str, tuple[set[int], set[int]]] = {
            stream: (set(), set()) for stream in _DEPTH_MS
        }

    def now_ms(self) -> int:
        """Return the exchange's time, ms."""
        return self._clock.now_ns() // MS

    def next_funding_ms(self) -> int:
        """Return the next settlement, ms."""
        now = self.now_ms()
        return now - now % FUNDING_MS + FUNDING_MS

    def next_trade_id(self) -> int:
        """Return the number of the next trade."""
        self.trade_id += 1
        return self.trade_id

    def apply(self, event: Event) -> None:
        """Let an event happen, and publish what it changed."""
        match event:
            case Trade():
                self._trade(event)
            case BookSet():
                self.matcher.replace_market(event.bids, event.asks)
            case DepthChange():
                self.matcher.set_levels(event.bids, event.asks)
            case Quote():
                self.matcher.set_best(event.bid, event.ask)
            case BarOpen():
                self.candles.open_at(event.ts_ns // MS, event.price)
            case BarClose():
                self._close_bar(event)
            case MarkPrice():
                self.mark_price, self.mark_is_fed = event.price, True
            case FundingSettled():
                self._settle(event)
        self.publish_book(event.ts_ns // MS)
        self._publish_mark()

    def publish_book(self, ts_ms: int) -> None:
        """Publish what changed in the book since the last time."""
        bids, asks = self.matcher.bids, self.matcher.asks
        if bids.changed or asks.changed:
            self.update_id += 1
            for changes in self._depth_changes.values():
                changes[0].update(bids.changed)
                changes[1].update(asks.changed)
            bids.changed.clear()
            asks.changed.clear()
            self._publish_quote(ts_ms)
        for stream, period in _DEPTH_MS.items():
            changed_bids, changed_asks = self._depth_changes[stream]
            if (changed_bids or changed_asks) and self._due(stream, period):
                self._publish_depth(stream, ts_ms, changed_bids, changed_asks)
        for stream in _PARTIAL:
            self._publish_partial(stream, ts_ms)

    def quote(self) -> dict[str, str]:
        """Return the best bid and ask with their quantities as texts."""
        (bid, bid_size), (ask, ask_size) = (
            next(iter(book.levels(1)), (0, 0)) for book in (self.matcher.bids, self.matcher.asks)
        )
        price, size = self.rules.price_text, self.rules.size_text
        return {"b": price(bid), "B": size(bid_size), "a": price(ask), "A": size(ask_size)}

    def levels(self, limit: int | None = None) -> tuple[list[list[str]], list[list[str]]]:
        """Return bids and asks as texts, best first."""
        bids, asks = (
            [self._level(*level) for level in book.levels(limit)]
            for book in (self.matcher.bids, self.matcher.asks)
        )
        return bids, asks

    def day_summary(self, start_ms: int, now_ms: int) -> dict[str, Any]:
        """Return the change since a time as ``GET /fapi/v1/ticker/24hr`` gives it."""
        rules, joined = self.rules, None
        for candle in self.candles.since(start_ms):
            if joined is None:
                joined = candle.copy()
            else:
                joined.join(candle)
        day = joined or Candle(now_ms, *([self.last_price or 0] * 4))
        change = day.close - day.open
        average = day.value // day.volume if day.volume else day.close
        return {
            "symbol": rules.symbol,
            "priceChange": rules.price_text(change),
            "priceChangePercent": f"{100 * change / day.open if day.open else 0:.3f}",
            "weightedAvgPrice": rules.price_text(average),
            "lastPrice": rules.price_text(day.close),
            "lastQty": rules.size_text(self.trades[-1][1].quantity if self.trades else 0),
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

    def _level(self, price: int, quantity: int) -> list[str]:
        return [self.rules.price_text(price), self.rules.size_text(quantity)]

    def _trade(self, trade: Trade) -> None:
        number = self.next_trade_id()
        self.trades.append((number, trade))
        self.last_price = trade.price
        if not self.mark_is_fed:
            self.mark_price = trade.price
        candle = self.candles.current
        open_ms = trade.ts_ns // MS - trade.ts_ns // MS % self.candles.base_ms
        if candle is not None and candle.open_ms < open_ms:  # a feed of trades, without bars
            self._close_bar(BarClose((candle.open_ms + self.candles.base_ms) * MS, "", None))
            candle = None
        if candle is None:
            candle = self.candles.open_at(open_ms, trade.price)
        candle.add(trade.price, trade.quantity, number, buyer_is_maker=trade.buyer_is_maker)
        self._publish("aggTrade", lambda: agg_trade(self.rules, trade, number, self.now_ms()))
        self._publish("trade", lambda: public_trade(self.rules, trade, number, self.now_ms()))
        self._publish_klines(trade.ts_ns // MS)
        self.matcher.pass_trade(trade.price, trade.quantity, buyer_is_maker=trade.buyer_is_maker)

    def _close_bar(self, event: BarClose) -> None:
        closed = self.candles.close_current(event.candle)
        if closed is None:
            return
        for interval, length in INTERVALS_MS.items():
            end_ms = closed.open_ms + self.candles.base_ms
            if length >= self.candles.base_ms and end_ms % length == 0:
                self._publish_kline(interval, closed.open_ms, closed=True)

    def _settle(self, event: FundingSettled) -> None:
        self.funding_rate = event.rate
        self.settlements.append(
            {
                "symbol": self.rules.symbol,
                "fundingTime": event.ts_ns // MS,
                "fundingRate": event.rate,
                "markPrice": self.rules.price_text(self.mark_price or 0),
            }
        )

    def _publish(self, stream: str, build: Callable[[], Any]) -> None:
        self._hub.publish(f"{self._name}@{stream}", build)

    def _due(self, stream: str, period_ms: int) -> bool:
        now = self.now_ms()
        if now - self._sent.get(stream, -period_ms) < period_ms:
            return False
        self._sent[stream] = now
        return True

    def _publish_klines(self, ts_ms: int) -> None:
        for interval, length in INTERVALS_MS.items():
            stream = f"kline_{interval}"
            if (
                length % self.candles.base_ms == 0
                and self._hub.wanted(f"{self._name}@{stream}")
                and self._due(stream, _KLINE_MS)
            ):
                self._publish_kline(interval, ts_ms, closed=False)

    def _publish_kline(self, interval: str, ts_ms: int, *, closed: bool) -> None:
        def build() -> dict[str, Any]:
            candle = self.candles.at(interval, ts_ms) or Candle(ts_ms, 0, 0, 0, 0)
            return kline(self.rules, candle, interval, self.now_ms(), closed=closed)

        self._publish(f"kline_{interval}", build)

    def _publish_quote(self, ts_ms: int) -> None:
        best = (*self.matcher.bids.levels(1), *self.matcher.asks.levels(1))
        if best == self._best or len(best) < 2:
            return
        self._best = best

        def build() -> dict[str, Any]:
            return book_ticker(
                self.rules.symbol, self.quote(), self.update_id, ts_ms, self.now_ms()
            )

        self._publish("bookTicker", build)
        self._hub.publish("!bookTicker", build)

    def _publish_depth(self, stream: str, ts_ms: int, bids: set[int], asks: set[int]) -> None:
        before = self._depth_ids[stream]

        def build() -> dict[str, Any]:
            changed = [
                [self._level(price, book.quantity(price)) for price in sorted(prices)]
                for book, prices in ((self.matcher.bids, bids), (self.matcher.asks, asks))
            ]
            return depth_update(
                self.rules.symbol,
                (before + 1, self.update_id, before),
                changed,
                ts_ms,
                self.now_ms(),
            )

        self._publish(stream, build)
        self._depth_ids[stream] = self.update_id
        bids.clear()
        asks.clear()

    def _publish_partial(self, stream: str, ts_ms: int) -> None:
        if not self._hub.wanted(f"{self._name}@{stream}"):
            return
        count, _, speed = stream.removeprefix("depth").partition("@")
        if self._due(stream, int(speed.removesuffix("ms") or 250)):
            levels = self.levels(int(count))
            self._publish(
                stream,
                lambda: partial_depth(
                    self.rules.symbol, self.update_id, levels, ts_ms, self.now_ms()
                ),
            )

    def _publish_mark(self) -> None:
        for stream, period in _MARK_MS.items():
            if (
                self.mark_price is not None
                and self._hub.wanted(f"{self._name}@{stream}")
                and self._due(stream, period)
            ):
                mark = self.rules.price_text(self.mark_price)
                self._publish(
                    stream,
                    lambda mark=mark: mark_price_update(  # type: ignore[misc]
                        self.rules.symbol,
                        mark,
                        self.funding_rate,
                        self.next_funding_ms(),
                        self.now_ms(),
                    ),
                )
