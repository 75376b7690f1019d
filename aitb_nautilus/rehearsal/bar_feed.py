"""A market made from bars: a price that walks through each bar, and a modelled book around it.

A bar says where the price began, ended, and how far it went; not in which order, nor who stood in
the book. The walk goes from the open to the nearer extreme, to the other, to the close, in straight
lines. Each step is one trade with its share of the bar's volume, and a book of equal levels on both
sides. The bar that is published at its close is the bar that was fed, to the last decimal.
"""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.binance_klines import interval_name
from aitb_nautilus.rehearsal.candles import Candle
from aitb_nautilus.rehearsal.feed import (
    BarClose,
    BarOpen,
    BookSet,
    Event,
    Levels,
    Timeline,
    Trade,
)
from aitb_nautilus.rehearsal.symbols import Rules
from aitb_nautilus.settings import Settings

__all__ = ["BookModel", "bar_events", "scaled_interval_ms", "shifted"]


class BookModel(Settings, frozen=True):
    """The book that stands around the price of a bar.

    Parameters
    ----------
    steps
        Trades in one bar, >= 4.
    levels
        Prices on each side, >= 1.
    level_bps
        Distance between two levels in basis points of the bar's open; at least one tick.
    depth_frac
        Quantity at each level, as a fraction of the bar's volume; at least one lot.
    spread_ticks
        Distance between best bid and best ask in ticks, >= 1.
    """

    steps: int = 12
    levels: int = 10
    level_bps: float = 0.5
    depth_frac: float = 0.05
    spread_ticks: int = 1

    def __post_init__(self) -> None:
        if self.steps < 4:
            raise ValueError(f"steps was {self.steps}, must be at least 4")
        if self.levels < 1:
            raise ValueError(f"levels was {self.levels}, must be at least 1")
        if self.level_bps < 0 or self.depth_frac <= 0:
            raise ValueError("level_bps must be at least 0 and depth_frac above 0")
        if self.spread_ticks < 1:
            raise ValueError(f"spread_ticks was {self.spread_ticks}, must be at least 1")


def scaled_interval_ms(interval_ns: int, speed: int, *, spot: bool = False) -> int:
    """Return the length of a bar on the exchange's clock, ms.

    Raises
    ------
    ConfigError
        If Binance has no kline of that length, with the speeds that would do.
    """
    length, rest = divmod(interval_ns, speed * 1_000_000)
    if rest == 0 and interval_name(length, spot=spot) is not None:
        return length
    possible = [
        n
        for n in range(1, interval_ns // 1_000_000_000 + 1)
        if interval_ns % (n * 1_000_000) == 0
        and interval_name(interval_ns // n // 1_000_000, spot=spot)
    ]
    product = "spot" if spot else "perpetuals"
    raise ConfigError(
        "rehearsal speed",
        f"was {speed} for bars of {interval_ns // 1_000_000_000} s",
        f"must be one of {', '.join(map(str, possible))}" if possible else "cannot be rehearsed",
        f"Binance names no kline of {product} of the length that this speed would make",
    )


def shifted(frame: BarFrame, timeline: Timeline) -> BarFrame:
    """Return bars with the exchange's times; values are not touched."""
    closes = timeline.exchange_ns + (frame.ts_close - timeline.recorded_ns) // timeline.speed
    return BarFrame(closes, frame.open, frame.high, frame.low, frame.close, frame.volume)


def bar_events(
    rules: Rules, frame: BarFrame, interval_ms: int, model: BookModel | None = None
) -> Iterator[Event]:
    """Return the market that bars stand for.

    Parameters
    ----------
    rules
        The symbol.
    frame
        Bars with the exchange's times, oldest first.
    interval_ms
        Their length on the exchange's clock, ms.
    model
        The book around the price.
    """
    shape = model or BookModel()
    length = interval_ms * 1_000_000
    columns = (frame.ts_close, frame.open, frame.high, frame.low, frame.close, frame.volume)
    for close_ns, opened, high, low, closed, volume in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        prices = [rules.nearest_price(value) for value in (opened, high, low, closed)]
        yield from _bar(
            rules, (close_ns - length, length), prices, rules.nearest_size(volume), shape=shape
        )


def _bar(
    rules: Rules, span: tuple[int, int], prices: list[int], volume: int, *, shape: BookModel
) -> Iterator[Event]:
    open_ns, length = span
    symbol = rules.symbol
    path, marks = _path(prices, shape.steps, rules.tick)
    shares = _shares(volume, len(path), marks)
    gap = max(1, round(prices[0] * shape.level_bps / 10_000 / rules.tick)) * rules.tick
    size = max(1, int(volume * shape.depth_frac) // rules.lot) * rules.lot
    made = Candle(open_ns // 1_000_000, *prices)
    before = prices[0]
    yield BarOpen(open_ns, symbol, prices[0])
    for step, (price, quantity) in enumerate(zip(path, shares, strict=True)):
        ts = open_ns + length * step // shape.steps
        selling = price < before or (price == before and step % 2 == 1)
        before = price
        hit = quantity if selling else -quantity
        yield BookSet(ts, symbol, *_book(price, hit, size=size, gap=gap, shape=shape, rules=rules))
        if quantity > 0:
            yield Trade(ts, symbol, price, quantity, selling)
            made.trades += 1
            made.volume += quantity
            made.value += price * quantity
            if not selling:
                made.taker_volume += quantity
                made.taker_value += price * quantity
    yield BarClose(open_ns + length, symbol, made)


def _shares(volume: int, steps: int, marks: list[int]) -> list[int]:
    """Return the quantity that trades at each step; all of it sums to the volume."""
    shares = [0] * steps
    places = range(steps) if volume >= steps else sorted(marks, reverse=True)[:volume]
    for place in places:
        shares[place] = volume // len(places)
    shares[-1] += volume - sum(shares)
    return shares


def _path(prices: list[int], steps: int, tick: int) -> tuple[list[int], list[int]]:
    """Return the price at each step, and at which steps the four prices of the bar stand.

    They are open, the nearer extreme, the other, and close.
    """
    opened, high, low, closed = prices
    first, second = (high, low) if high - opened < opened - low else (low, high)
    marks = [opened, first, second, closed]
    last = steps - 1
    places = [0, last // 3, 2 * last // 3, last]
    path = []
    for part in range(3):
        begin, end = places[part], places[part + 1]
        for place in range(begin, end):
            moved = (marks[part + 1] - marks[part]) * (place - begin) // max(end - begin, 1)
            price = marks[part] if place == begin else (marks[part] + moved) // tick * tick
            path.append(min(max(price, low), high))
    path.append(closed)
    return path, places


def _book(
    price: int, hit: int, *, size: int, gap: int, shape: BookModel, rules: Rules
) -> tuple[Levels, Levels]:
    """Return the bids and asks among which a trade at a price happens.

    The trade takes `hit` units from the best bid, or, below 0, from the best ask. They are there in
    addition, so that the level stands after the trade. Behind the best price the levels lie on a
    grid of `gap`, so that they stay where they are while the price moves.
    """
    spread = shape.spread_ticks * rules.tick
    below, above = price // rules.tick * rules.tick, -(-price // rules.tick) * rules.tick
    best_bid = below if hit > 0 else above - spread
    best_ask = best_bid + spread
    next_bid, next_ask = (best_bid - 1) // gap * gap, -(-(best_ask + 1) // gap) * gap
    behind = range(shape.levels - 1)
    bids = [(best_bid, size + max(hit, 0)), *((next_bid - gap * n, size) for n in behind)]
    asks = [(best_ask, size + max(-hit, 0)), *((next_ask + gap * n, size) for n in behind)]
    return [level for level in bids if level[0] > 0], asks
