"""What a venue check does with the answers that it asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.common import Cache

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.firewall import Explained
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.engine_log import EngineLog
from aitb_nautilus.run.leftovers import Leftovers
from aitb_nautilus.run.reconnects import Reconnects
from aitb_nautilus.run.venue_check import VENUE, VenueCheck
from aitb_nautilus.run.venue_look import VenueLook
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


def test_order_that_waits_here_and_is_taken_back_while_others_are_asked_for_is_passed_over(
    tmp_path: Path,
) -> None:
    made = make_context()
    ledger, cache, turns = made.ledger, Cache(), Turns(made.ledger, 10 * SECOND)
    context = Context(made.run_state, ledger, made.guard, made.instruments, turns=turns)
    ledger.apply_order(order("close"))
    ledger.apply_update(OrderUpdate("close", BTC, T0, "ACCEPTED"))
    entry = order("entry", side="BUY", reduce_only=False, is_exit=False)
    ledger.apply_order(entry)
    turns.take(entry, T0, lambda: None, lambda: None)
    assert context.holds("entry")
    with ThreadPoolExecutor(1) as pool:
        look = VenueLook(
            ledger,
            ["BINANCE"],
            {},
            instruments=context.instruments,
            cache=cache,
            holds=context.holds,
            pool=pool,
            note=lambda *_: None,
        )
        asker: Any = Venue()
        asking = Asking(context, [], {"BINANCE": asker}, cache, pool, lambda *_: None)
        check = VenueCheck(
            asking,
            look=look,
            explained=Explained,
            leftovers=Leftovers(asking),
            firewall=lambda *_: None,
            reconnects=Reconnects(EngineLog(tmp_path)),
            every_ns=60 * SECOND,
            timeout_ns=3_600 * SECOND,
        )
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
