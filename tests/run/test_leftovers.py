"""How often a venue is asked for an order whose cancel it has refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from nautilus_trader.common import Cache

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.leftovers import Leftovers
from tests.risk.rig import BTC, T0, make_context

SECOND = 1_000_000_000


class Venue:
    """A venue at which a stop rests until it is cancelled."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.now = T0
        self.rests = True

    def find(
        self, client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]] | None:
        self.asked.append((self.now - T0) // SECOND)
        found = VenueOrder(
            client_order_id=client_order_id,
            venue_order_id="1",
            instrument_id=instrument_id,
            side="SELL",
            kind="STOP_MARKET",
            quantity=Decimal(1),
            status="ACCEPTED" if self.rests else "CANCELED",
            trigger_price=90.0,
            ts=T0,
        )
        return found, []

    def cancel(self, *_: str) -> None:
        self.rests = False


class Desk:
    """A stop that rests, and what looks after it."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.context, self.venue, self._pool = make_context(), Venue(), pool
        self.stop = Order(
            client_order_id="stop",
            strategy_id="s",
            instrument_id=BTC,
            side="SELL",
            kind="STOP_MARKET",
            quantity=Decimal(1),
            price=None,
            trigger_price=90.0,
            reduce_only=True,
            purpose="exit:stop",
            ts_sent=T0,
            is_exit=True,
        )
        self.context.ledger.apply_order(self.stop)
        self.context.ledger.apply_update(OrderUpdate("stop", BTC, T0, "ACCEPTED"))
        asker: Any = self.venue
        asking = Asking(self.context, [], {"BINANCE": asker}, Cache(), pool, lambda *_: None)
        self._leftovers = Leftovers(asking)

    def let_pass(self, seconds: int) -> None:
        for _ in range(10 * seconds):
            self.venue.now += SECOND // 10
            self._leftovers.go_on(self.venue.now)
            self._pool.submit(int).result()  # What was asked by now is answered.

    def refuse(self) -> None:
        self.stop.ask_end()
        self.let_pass(1)
        self.context.ledger.apply_update(OrderUpdate("stop", BTC, T0 + 1, None))
        assert self.stop.ending == "refused"


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ThreadPoolExecutor(1) as pool:
        yield Desk(pool)


def test_order_whose_cancel_was_refused_is_asked_for_ever_more_seldom(desk: Desk) -> None:
    desk.refuse()
    desk.let_pass(600)
    between = [b - a for a, b in pairwise(desk.venue.asked)]
    assert all(b - a >= -1 for a, b in pairwise(between))  # whole seconds
    assert 60 <= between[-1] <= 61
    assert len(desk.venue.asked) < 20  # At four seconds each it would be 150.
    assert desk.venue.rests


def test_order_that_is_cancelled_once_more_is_asked_for_soon(desk: Desk) -> None:
    desk.refuse()
    desk.let_pass(600)
    desk.stop.ask_end()
    desk.let_pass(2)
    assert not desk.venue.rests
    assert not desk.stop.is_open
