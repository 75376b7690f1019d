"""What a venue check does with the answers that it asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from nautilus_trader.common import Cache

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.firewall import Explained
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.engine_log import EngineLog
from aitb_nautilus.run.leftovers import Leftovers
from aitb_nautilus.run.reconnects import Reconnects
from aitb_nautilus.run.venue_check import VENUE, VenueCheck
from aitb_nautilus.run.venue_look import Asker, VenueLook
from tests.risk.rig import BTC, T0, make_context

SECOND = 1_000_000_000


def order(name: str, **terms: Any) -> Order:
    sent: dict[str, Any] = {
        "client_order_id": name,
        "strategy_id": "s",
        "instrument_id": BTC,
        "side": "SELL",
        "kind": "MARKET",
        "quantity": Decimal(1),
        "price": None,
        "trigger_price": None,
        "reduce_only": True,
        "purpose": "exit:signal",
        "ts_sent": T0,
        "is_exit": True,
    }
    return Order(**sent | terms)


class Venue:
    """A venue at which every order rests as it was sent."""

    def find(
        self, client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]] | None:
        resting = VenueOrder(
            client_order_id=client_order_id,
            venue_order_id="1",
            instrument_id=instrument_id,
            side="SELL",
            kind="MARKET",
            quantity=Decimal(1),
            ts=T0,
        )
        return resting, []


def checking(
    kind: type[VenueLook],
    venue: Venue,
    context: Context,
    pool: ThreadPoolExecutor,
    folder: Path,
    on_firewall: Callable[[int], None] = lambda _: None,
) -> tuple[VenueLook, VenueCheck]:
    """Return what compares a venue's books and what asks it; `on_firewall` hears when rows stay."""
    cache, asker = Cache(), cast("Asker", venue)
    look = kind(
        context.ledger,
        ["BINANCE"],
        {},
        instruments=context.instruments,
        cache=cache,
        holds=context.holds,
        pool=pool,
        note=lambda *_: None,
    )
    asking = Asking(context, [], {"BINANCE": asker}, cache, pool, lambda *_: None)
    check = VenueCheck(
        asking,
        look=look,
        explained=Explained,
        leftovers=Leftovers(asking),
        firewall=lambda _, now: on_firewall(now),
        reconnects=Reconnects(EngineLog(folder)),
        every_ns=60 * SECOND,
        timeout_ns=3_600 * SECOND,
    )
    return look, check


def test_order_that_waits_here_and_is_taken_back_while_others_are_asked_for_is_passed_over(
    tmp_path: Path,
) -> None:
    made = make_context()
    ledger, turns = made.ledger, Turns(made.ledger, 10 * SECOND)
    context = Context(made.run_state, ledger, made.guard, made.instruments, turns=turns)
    ledger.apply_order(order("close"))
    ledger.apply_update(OrderUpdate("close", BTC, T0, "ACCEPTED"))
    entry = order("entry", side="BUY", reduce_only=False, is_exit=False)
    ledger.apply_order(entry)
    turns.take(entry, T0, lambda: None, lambda: None)
    assert context.holds("entry")
    with ThreadPoolExecutor(1) as pool:
        look, check = checking(VenueLook, Venue(), context, pool, tmp_path)
        assert check.ask("close")
        check.go_on(T0)
        assert VENUE in context.guard.withheld
        context.take_back("entry")
        ledger.withdraw_order("entry")
        now, until = T0, time.monotonic() + 10
        while not look.due:
            assert time.monotonic() < until
            now += SECOND // 1_000
            check.go_on(now)
    assert list(ledger.orders) == ["close"]
    assert ledger.orders["close"].is_open


class PartFilled(Venue):
    """A venue that has filled a part of an entry before it was cancelled."""

    def find(
        self, client_order_id: str, instrument_id: str
    ) -> tuple[VenueOrder, list[VenueFill]] | None:
        part = Decimal("0.4")
        cancelled = VenueOrder(
            client_order_id=client_order_id,
            venue_order_id="1",
            instrument_id=instrument_id,
            side="BUY",
            kind="LIMIT",
            quantity=Decimal(1),
            status="CANCELED",
            filled=part,
            price=100.0,
            ts=T0,
        )
        return cancelled, [VenueFill(trade_id="lost", price=100.0, quantity=part, ts=T0)]


class Holding(VenueLook):
    """Says of all venues at once that the part is held."""

    def go_on(self, now: int) -> VenueFacts | None:
        if now < self.due:
            return None
        return VenueFacts(venues=("BINANCE",), positions={BTC: Decimal("0.4")})


@pytest.mark.parametrize("is_told", [True, False], ids=["engine finds it", "position differs"])
def test_fill_that_was_missed_of_an_order_that_was_cancelled_since_is_asked_for(
    tmp_path: Path, is_told: bool
) -> None:
    context = make_context()
    ledger, given_up = context.ledger, list[int]()
    entry = {"side": "BUY", "kind": "LIMIT", "price": 100.0, "reduce_only": False, "is_exit": False}
    ledger.apply_order(order("entry", **entry))
    for status in ("ACCEPTED", "CANCELED"):
        ledger.apply_update(OrderUpdate("entry", BTC, T0, status))
    with ThreadPoolExecutor(1) as pool:
        _, check = checking(Holding, PartFilled(), context, pool, tmp_path, given_up.append)
        if is_told:
            assert check.ask("entry")
        for tenth in range(100):
            check.go_on(T0 + tenth * SECOND // 10)
            pool.submit(int).result()  # What was asked by now is answered.
    assert ledger.position("s", BTC).quantity == Decimal("0.4")
    assert (given_up, context.guard.withheld) == ([], {})


class Stubborn(Venue):
    """A venue that cancels nothing."""

    def cancel(self, *_: str) -> None:
        raise AskError("HTTP 503")


def test_stop_whose_cancel_was_refused_long_ago_binds_only_once_a_later_cancel_is_late() -> None:
    context = make_context()
    ledger, now = context.ledger, T0
    stop = order("stop", kind="STOP_MARKET", trigger_price=90.0)
    ledger.apply_order(stop)
    ledger.apply_update(OrderUpdate("stop", BTC, T0, "ACCEPTED"))
    with ThreadPoolExecutor(1) as pool:
        asker: Any = Stubborn()
        asking = Asking(context, [], {"BINANCE": asker}, Cache(), pool, lambda *_: None)
        leftovers = Leftovers(asking)

        def let_pass(seconds: int) -> None:
            nonlocal now
            for _ in range(10 * seconds):
                now += SECOND // 10
                leftovers.go_on(now)
                pool.submit(int).result()  # What was asked by now is answered.

        stop.ask_end()
        let_pass(1)
        ledger.apply_update(OrderUpdate("stop", BTC, T0 + 1, None))
        let_pass(60)
        stop.ask_end()
        let_pass(9)
        assert context.guard.halts == []
        let_pass(9)
    (halt,) = context.guard.halts
    assert (halt.level, halt.who) == ("reducing", "venue")
