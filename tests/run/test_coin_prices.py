"""A venue is asked what the coin of a fee is worth, and what waits for that is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nautilus_trader.common import Cache

from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.coin_prices import CoinPrices
from tests.risk.rig import BTC, T0, make_context

SECOND = 1_000_000_000
PAIR = ("BNB", "USDT")


class Venue:
    """A venue that answers, knows no such symbol, or is not there."""

    def __init__(self) -> None:
        self.answer: float | None = 600.0
        self.is_away = False
        self.asked = 0

    def price(self, coin: str, quote: str) -> float | None:
        assert (coin, quote) == PAIR
        self.asked += 1
        if self.is_away:
            raise AskError("HTTP 503")
        return self.answer


class Desk:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.context, self.venue, self.now, self._pool = make_context(), Venue(), T0, pool
        asker: Any = self.venue
        asking = Asking(self.context, [], {"BINANCE": asker}, Cache(), pool, lambda *_: None)
        self._prices = CoinPrices(asking)
        self.told: list[float | None] = []

    def wait_for_price(self, instrument_id: str = BTC) -> bool:
        def tell() -> None:
            self.told.append(self.context.coin_prices.get(PAIR))

        return self.context.unpriced.take("c", instrument_id, PAIR, tell)

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(10 * seconds)):
            self.now += SECOND // 10
            self._prices.go_on(self.now)
            self._pool.submit(int).result()  # What was asked by now is answered.


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ThreadPoolExecutor(1) as pool:
        yield Desk(pool)


def test_price_is_asked_for_when_it_is_wanted_and_now_and_then_from_then_on(desk: Desk) -> None:
    desk.let_pass(1)
    assert desk.venue.asked == 0
    assert desk.wait_for_price()
    desk.let_pass(0.2)
    assert (desk.told, desk.venue.asked) == ([600.0], 1)
    desk.venue.answer = 610.0
    desk.let_pass(31)
    assert (desk.context.coin_prices, desk.venue.asked) == ({PAIR: 610.0}, 2)


def test_venue_that_is_away_for_a_while_is_asked_again(desk: Desk) -> None:
    desk.venue.is_away = True
    assert desk.wait_for_price()
    desk.let_pass(3)
    assert desk.told == []
    desk.venue.is_away = False
    desk.let_pass(1)
    assert desk.told == [600.0]


def test_nothing_waits_for_a_price_that_nobody_says(desk: Desk) -> None:
    desk.venue.is_away = True
    assert desk.wait_for_price()
    desk.let_pass(4.8)
    assert desk.told == []
    desk.let_pass(0.5)
    assert desk.told == [None]
    assert not desk.wait_for_price()


def test_nothing_waits_for_a_coin_without_a_price(desk: Desk) -> None:
    desk.venue.answer = None
    assert desk.wait_for_price()
    desk.let_pass(0.2)
    assert desk.told == [None]


def test_nothing_waits_where_nobody_can_be_asked(desk: Desk) -> None:
    assert not desk.wait_for_price("BTCUSDT-PERP.OTHER")
