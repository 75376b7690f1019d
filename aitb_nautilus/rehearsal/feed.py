"""What happens in the market: the events that are fed to the exchange, in the order of time.

Every time is one of the exchange, ns UTC; prices and quantities are whole units of the symbol.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aitb_nautilus.rehearsal.candles import Candle

__all__ = [
    "BarClose",
    "BarOpen",
    "BookSet",
    "DepthChange",
    "Event",
    "FundingSettled",
    "Levels",
    "MarkPrice",
    "Quote",
    "Timeline",
    "Trade",
    "merge",
]

type Levels = list[tuple[int, int]]
"""Prices and their quantities."""


@dataclass(frozen=True)
class Trade:
    """A trade between others."""

    ts_ns: int
    symbol: str
    price: int
    quantity: int
    buyer_is_maker: bool


@dataclass(frozen=True)
class BookSet:
    """The whole book of the market: what is not named is not there."""

    ts_ns: int
    symbol: str
    bids: Levels
    asks: Levels


@dataclass(frozen=True)
class DepthChange:
    """New quantities at some prices; 0 is none."""

    ts_ns: int
    symbol: str
    bids: Levels
    asks: Levels


@dataclass(frozen=True)
class Quote:
    """The best bid and ask: price and quantity."""

    ts_ns: int
    symbol: str
    bid: tuple[int, int]
    ask: tuple[int, int]


@dataclass(frozen=True)
class BarOpen:
    """A bar begins."""

    ts_ns: int
    symbol: str
    price: int


@dataclass(frozen=True)
class BarClose:
    """A bar ends; `candle` is the bar as it was fed, or None to keep what the trades made."""

    ts_ns: int
    symbol: str
    candle: Candle | None


@dataclass(frozen=True)
class MarkPrice:
    """The venue's mark price."""

    ts_ns: int
    symbol: str
    price: int


@dataclass(frozen=True)
class FundingSettled:
    """A funding settlement; `rate` is a fraction of the position's value, as text."""

    ts_ns: int
    symbol: str
    rate: str


type Event = Trade | BookSet | DepthChange | Quote | BarOpen | BarClose | MarkPrice | FundingSettled


@dataclass(frozen=True)
class Timeline:
    """Where recorded times lie on the exchange's clock.

    Parameters
    ----------
    recorded_ns
        A recorded time.
    exchange_ns
        The exchange's time for it.
    speed
        How many recorded seconds pass in one of the exchange, >= 1, a whole number.
    """

    recorded_ns: int
    exchange_ns: int
    speed: int = 1

    def at(self, recorded_ns: int) -> int:
        """Return the exchange's time of a recorded one, ns.

        Examples
        --------
        >>> Timeline(1_000, 50_000, speed=10).at(1_500)
        50050
        """
        return self.exchange_ns + (recorded_ns - self.recorded_ns) // self.speed


def merge(feeds: Iterable[Iterable[Event]]) -> Iterator[Event]:
    """Return the events of several feeds in the order of time.

    At one time the feeds keep the order in which they were given.
    """
    return heapq.merge(*feeds, key=lambda event: event.ts_ns)
