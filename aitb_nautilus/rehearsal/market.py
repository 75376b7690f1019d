"""The public side of one symbol: the fed market as it stands."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.average import AveragePrice
from aitb_nautilus.rehearsal.candles import Candle, Candles
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
from aitb_nautilus.rehearsal.matching import Matcher
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["FUNDING_MS", "Market"]

FUNDING_MS = 8 * 3_600_000
"""Time between two funding settlements, ms (Binance's default)."""
_NO_RATE = "0.00000000"
_KEPT_TRADES = 1_000
_KEPT_SETTLEMENTS = 1_000


class Market:
    """One symbol.

    Parameters
    ----------
    rules, matcher, candles
        The symbol, its book and its klines.
    clock
        The exchange's time.
    """

    def __init__(self, rules: Rules, matcher: Matcher, candles: Candles, clock: Clock) -> None:
        self.rules, self.matcher, self.candles = rules, matcher, candles
        self._clock = clock
        self.last_price = candles.last_close
        self.mark_price = self.last_price
        self.mark_is_fed = False
        self.funding: deque[tuple[int, str]] = deque()
        """Settlements to come: time in ms, and rate."""
        self.update_id = 1
        """Number of the book's last change."""
        self.trade_id = 0
        self.trades: deque[tuple[int, Trade]] = deque(maxlen=_KEPT_TRADES)
        self._average = AveragePrice()
        self.settlements: deque[dict[str, Any]] = deque(maxlen=_KEPT_SETTLEMENTS)

    def now_ms(self) -> int:
        """Return the exchange's time, ms."""
        return self._clock.now_ns() // MS

    def average_price(self) -> Decimal | None:
        """Return the average of the last minutes in price units, or the last price."""
        average = self._average.at(self.now_ms())
        if average is None and self.last_price is not None:
            return Decimal(self.last_price)
        return average

    def next_funding(self) -> tuple[int, str]:
        """Return time, ms, and rate of the next settlement; Binance's grid where none is known."""
        now = self.now_ms()
        return self.funding[0] if self.funding else (now - now % FUNDING_MS + FUNDING_MS, _NO_RATE)

    def note_settlement(self, ts_ms: int, rate: str, mark: str) -> None:
        """Keep a settlement for those who ask for the past."""
        self.settlements.append(
            {
                "symbol": self.rules.symbol,
                "fundingTime": ts_ms,
                "fundingRate": rate,
                "markPrice": mark,
            }
        )

    def next_trade_id(self) -> int:
        """Return the number of the next trade."""
        self.trade_id += 1
        return self.trade_id

    def apply(self, event: Event) -> Candle | None:
        """Let an event happen; return the kline that it closed, if it closed one."""
        closed = None
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
                closed = self.candles.close_current(event.candle)
            case MarkPrice():
                self.mark_price, self.mark_is_fed = event.price, True
            case FundingSettled():
                self._settle(event)
        return closed

    def quote(self) -> dict[str, str]:
        """Return the best bid and ask with their quantities as texts."""
        (bid, bid_size), (ask, ask_size) = (
            next(iter(book.levels(1)), (0, 0)) for book in (self.matcher.bids, self.matcher.asks)
        )
        price, size = self.rules.price_text, self.rules.size_text
        return {"b": price(bid), "B": size(bid_size), "a": price(ask), "A": size(ask_size)}

    def levels(self, limit: int | None = None) -> tuple[list[list[str]], list[list[str]]]:
        """Return bids and asks as texts, best first."""
        price_text, size_text = self.rules.price_text, self.rules.size_text
        bids, asks = (
            [[price_text(price), size_text(quantity)] for price, quantity in book.levels(limit)]
            for book in (self.matcher.bids, self.matcher.asks)
        )
        return bids, asks

    def _trade(self, trade: Trade) -> None:
        number = self.next_trade_id()
        self.trades.append((number, trade))
        self._average.add(trade.ts_ns // MS, trade.price, trade.quantity)
        self.last_price = trade.price
        if not self.mark_is_fed:
            self.mark_price = trade.price
        candle = self.candles.current
        if candle is None:  # a recording begins within a bar
            open_ms = trade.ts_ns // MS - trade.ts_ns // MS % self.candles.base_ms
            candle = self.candles.open_at(open_ms, trade.price)
        candle.add(trade.price, trade.quantity, number, buyer_is_maker=trade.buyer_is_maker)
        self.matcher.pass_trade(trade.price, trade.quantity, buyer_is_maker=trade.buyer_is_maker)

    def _settle(self, event: FundingSettled) -> None:
        while self.funding and self.funding[0][0] <= event.ts_ns // MS:
            self.funding.popleft()
        mark = self.rules.price_text(self.mark_price or 0)
        self.note_settlement(event.ts_ns // MS, event.rate, mark)
