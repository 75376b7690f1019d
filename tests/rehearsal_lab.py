"""A small exchange without sockets for the tests of the rehearsal: one symbol, a clock in hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.rehearsal.account import Account
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.candles import Candles
from aitb_nautilus.rehearsal.clock import SteppedClock
from aitb_nautilus.rehearsal.feed import BookSet, Trade
from aitb_nautilus.rehearsal.futures_api import USD_M_API
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.futures_venue import FuturesVenue
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.signing import ApiKey
from aitb_nautilus.rehearsal.symbols import Rules

START_NS = 1_700_000_040_000_000_000
"""A whole minute, at which the clock of a `Lab` begins."""
SECOND_NS = 1_000_000_000

SPEC = InstrumentSettings(
    id="BTCUSDT-PERP.BINANCE",
    kind="perpetual",
    base="BTC",
    quote="USDT",
    tick_size="0.10",
    lot_size="0.001",
    min_notional="100",
)


class Lab:
    """BTCUSDT with prices in steps of 0.1, written with two decimals, and lots of 0.001.

    Fees are 0.02 % for makers and 0.05 % for takers, the leverage is 10, the wallet holds 10,000.
    """

    def __init__(self, wallet: str = "10000") -> None:
        self.clock = SteppedClock(START_NS)
        self.hub = Hub()
        self.venue = FuturesVenue(
            self.clock, self.hub, Account({"USDT": Decimal(wallet)}, leverage=10)
        )
        self.rules = Rules(SPEC)
        self.market = self.venue.list_symbol(self.rules, Candles(self.rules, 60_000))
        self.exchange = FuturesExchange(
            self.venue, self.hub, {"key": ApiKey("key", secret="secret")}, USD_M_API
        )
        self.events: list[dict[str, Any]] = []
        self.venue.on_user_event = self.events.append

    def book(
        self, bids: list[tuple[str, str]], asks: list[tuple[str, str]], after_s: float = 0
    ) -> None:
        """Feed the whole book of the market."""
        levels = [
            [(self.rules.price_units(p), self.rules.size_units(q)) for p, q in side]
            for side in (bids, asks)
        ]
        self._apply(BookSet(self._step(after_s), "BTCUSDT", levels[0], levels[1]))

    def trade(self, price: str, quantity: str, *, seller: bool, after_s: float = 0) -> None:
        """Feed a trade between others; `seller` if it hit the bid."""
        self._apply(
            Trade(
                self._step(after_s),
                "BTCUSDT",
                self.rules.price_units(price),
                self.rules.size_units(quantity),
                seller,
            )
        )

    def place(self, side: str, quantity: str, price: str | None = None, **more: str) -> Any:
        """Place a limit order, or without a price a market order."""
        kind = {"type": "MARKET"} if price is None else {"type": "LIMIT", "price": price}
        good = {} if price is None else {"timeInForce": "GTC"}
        params = {"symbol": "BTCUSDT", "side": side, "quantity": quantity} | kind | good | more
        return self.venue.place(params)

    def refused(self, side: str, quantity: str, price: str | None = None, **more: str) -> int:
        """Return the code with which an order is refused."""
        try:
            order = self.place(side, quantity, price, **more)
        except VenueError as e:
            return e.code
        raise AssertionError(f"{order} was taken")

    def names(self) -> list[str]:
        """Return what the user data stream told, in short."""
        return [
            f"{e['o']['x']} {e['o']['X']}"
            if e["e"] == "ORDER_TRADE_UPDATE"
            else f"ALGO {e['o']['X']}"
            if e["e"] == "ALGO_UPDATE"
            else e["e"]
            for e in self.events
            if e["e"] not in ("TRADE_LITE", "ACCOUNT_UPDATE")
        ]

    def position(self) -> str:
        """Return the position as text."""
        return self.rules.size_text(self.venue.account.position("BTCUSDT").amount)

    def _step(self, after_s: float) -> int:
        self.clock.advance_to(self.clock.now_ns() + round(after_s * SECOND_NS))
        return self.clock.now_ns()

    def _apply(self, event: BookSet | Trade) -> None:
        self.venue.apply(event)


def hour_bars(count: int, seed: int = 7) -> BarFrame:
    """Return a random walk of hourly bars round 60,000 with one decimal, from 2023-11-14 on."""
    rng = np.random.default_rng(seed)
    closes = np.round(60_000 + np.cumsum(rng.normal(0, 30, count)), 1)
    opens = np.concatenate([[60_000.0], closes[:-1]])
    highs = np.round(np.maximum(opens, closes) + rng.integers(1, 200, count) / 10, 1)
    lows = np.round(np.minimum(opens, closes) - rng.integers(1, 200, count) / 10, 1)
    hour = 3_600 * SECOND_NS
    first = START_NS // hour * hour
    return BarFrame(
        first + np.arange(1, count + 1, dtype=np.int64) * hour,
        opens,
        highs,
        lows,
        closes,
        np.round(rng.uniform(1, 50, count), 3),
    )
