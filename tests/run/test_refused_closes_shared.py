"""A refused close of a strategy that shares its instrument: whose is what the venue still holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.common import Cache

from aitb_nautilus.messages import BarClosed, OrderIntent
from aitb_nautilus.risk.trading_states import Halt, StateScope
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.refused_closes import REFUSED_CLOSE, RefusedCloses
from aitb_nautilus.run.venue_look import VenueLook
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, T0, Scripted, make_context

SECOND = 1_000_000_000
ONE, TWO = Decimal("0.1"), Decimal("0.2")


class Venue:
    """A venue that holds an amount, and has filled some stops that nobody has heard of."""

    def __init__(self, holds: Decimal) -> None:
        self.holds = holds
        self.filled: set[str] = set()

    def get(self, path: str) -> list[dict[str, Any]]:
        if path != "/fapi/v3/positionRisk":
            return []
        return [{"symbol": "BTCUSDT", "positionAmt": str(self.holds), "entryPrice": "30000"}]

    def find(self, client_order_id: str, instrument_id: str) -> tuple[VenueOrder, list[VenueFill]]:
        done = client_order_id in self.filled
        order = VenueOrder(
            client_order_id=client_order_id,
            venue_order_id="1",
            instrument_id=instrument_id,
            side="SELL",
            kind="STOP_MARKET",
            quantity=ONE,
            status="FILLED" if done else "ACCEPTED",
            filled=ONE if done else Decimal(0),
            ts=T0,
        )
        fill = VenueFill(trade_id=f"T-{client_order_id}", price=29_900.0, quantity=ONE, ts=T0)
        return order, [fill] if done else []


class Desk:
    """Two strategies that are long in one instrument, and what asks a venue for them.

    The entry of the second one may be on its way still, as far as we have heard.
    """

    def __init__(self, pool: ThreadPoolExecutor, venue: Venue, *, heard: bool = True) -> None:
        self.context = make_context()
        self.dry = DryDesk(self.context)
        self.ours, self.theirs = (
            Scripted(Settings(), self.context, name) for name in ("one-001", "two-002")
        )
        self.dry.add(self.ours)
        self.dry.add(self.theirs)
        self.dry.bar(BarClosed(BTC, T0, 30_000.0, 30_000.0, 30_000.0, 30_000.0, 5.0))
        for strategy, quantity in ((self.ours, ONE), (self.theirs, TWO)):
            self._send(strategy, quantity, "BUY", "MARKET", None)
            if heard or strategy is self.ours:
                self.dry.fill(self.dry.commands[-1].client_order_id, price=30_000.0)
        self._send(self.ours, ONE, "SELL", "STOP_MARKET", 29_900.0)
        self.stop = self.dry.commands[-1].client_order_id
        self.dry.update(self.stop, "ACCEPTED")
        asker: Any = venue
        self.look = VenueLook(
            self.context.ledger,
            ["BINANCE"],
            {"BINANCE": asker},
            instruments=self.context.instruments,
            cache=Cache(),
            holds=self.context.holds,
            pool=pool,
            note=lambda *_: None,
        )
        strategies = [self.ours, self.theirs]
        asking = Asking(
            self.context, strategies, {"BINANCE": asker}, Cache(), pool, lambda *_: None
        )
        self.refused = RefusedCloses(asking, self.look)
        self.sent = len(self.dry.commands)
        scope = StateScope.strategy("one-001")
        halt = Halt(T0, "no close is taken", "one-001", scope=scope, who="exits", flatten=True)
        assert self.refused.ask(self.context.ledger.orders[self.stop], halt)
        self.now = T0

    @staticmethod
    def _send(
        strategy: Scripted, quantity: Decimal, side: Any, kind: Any, trigger: float | None
    ) -> None:
        order = OrderIntent(
            instrument_id=BTC,
            side=side,
            kind=kind,
            quantity=quantity,
            trigger_price=trigger,
            reduce_only=side == "SELL",
        )
        strategy.answering.act([order])

    def go_on(self, seconds: float) -> None:
        """Let a node's clock go on, and the venue answer meanwhile."""
        until = self.now + round(seconds * SECOND)
        while self.now < until and REFUSED_CLOSE in self.context.guard.withheld:
            self.refused.go_on(self.now)
            time.sleep(0.005)
            self.now += SECOND // 10

    def held(self, name: str) -> Decimal:
        return self.context.ledger.position(name, BTC).quantity


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("heard", [True, False])
def test_stop_that_has_filled_halts_nobody_though_another_strategy_holds_the_instrument(
    pool: ThreadPoolExecutor, heard: bool
) -> None:
    venue = Venue(holds=TWO)
    desk = Desk(pool, venue, heard=heard)
    venue.filled.add(desk.stop)
    desk.go_on(4)
    assert desk.context.guard.halts == []
    assert (desk.held("one-001"), desk.held("two-002")) == (0, TWO if heard else 0)
    # One more close would have sold what the other one holds.
    assert len(desk.dry.commands) == desk.sent


def test_position_that_the_venue_holds_beside_that_of_another_strategy_is_closed_once_more(
    pool: ThreadPoolExecutor,
) -> None:
    desk = Desk(pool, Venue(holds=ONE + TWO))
    desk.go_on(3)
    (close,) = desk.dry.commands[desk.sent :]
    assert (close.strategy_id, desk.context.guard.halts) == ("one-001", [])
    desk.dry.fill(close.client_order_id, price=29_900.0)
    desk.go_on(3)
    assert desk.context.guard.halts == []
    assert REFUSED_CLOSE not in desk.context.guard.withheld
    assert (desk.held("one-001"), desk.held("two-002")) == (0, TWO)


def test_position_that_the_venue_holds_beside_that_of_another_strategy_brings_the_halt(
    pool: ThreadPoolExecutor,
) -> None:
    desk = Desk(pool, Venue(holds=ONE + TWO))
    desk.go_on(3)
    (close,) = desk.dry.commands[desk.sent :]
    desk.dry.update(close.client_order_id, "REJECTED")
    desk.go_on(1.8)
    assert len(desk.dry.commands) == desk.sent + 1
    (halt,) = desk.context.guard.halts
    assert halt.reason == "no close is taken"
    assert (desk.held("one-001"), desk.held("two-002")) == (ONE, TWO)


def test_what_another_strategy_holds_is_not_sold_while_nothing_explains_what_is_gone(
    pool: ThreadPoolExecutor,
) -> None:
    desk = Desk(pool, Venue(holds=TWO))
    desk.go_on(4)
    assert desk.context.guard.halts == []
    assert desk.look.due > 0  # All that the venues hold is compared.
    assert len(desk.dry.commands) == desk.sent
    desk.go_on(4)
    (halt,) = desk.context.guard.halts
    assert halt.flatten
