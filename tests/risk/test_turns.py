"""What opens waits for the close before it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import Fill, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.turns import Turns

BTC = "BTCUSDT-PERP.BINANCE"
ONE = Decimal(1)


def order_of(**terms: Any) -> Order:
    """Return a close at the market, or what the terms make of it."""
    return Order(
        **{
            "client_order_id": "c",
            "strategy_id": "S-001",
            "instrument_id": BTC,
            "side": "SELL",
            "kind": "MARKET",
            "quantity": ONE,
            "price": None,
            "trigger_price": None,
            "reduce_only": True,
            "purpose": "exit:signal",
            "ts_sent": 1,
            "is_exit": True,
            **terms,
        }
    )


def close(ledger: Ledger, **terms: Any) -> None:
    """Put a close at the market on its way."""
    ledger.apply_order(order_of(**terms))


ENTRY = order_of(client_order_id="e", is_exit=False, reduce_only=False, purpose="entry")


def held(turns: Turns, ts: int = 0) -> list[str]:
    """Hold an order; return what becomes of it."""
    became: list[str] = []
    turns.take(ENTRY, ts, lambda: became.append("sent"), lambda: became.append("given up"))
    return became


def test_entry_that_follows_no_close_leaves_at_once() -> None:
    assert held(Turns(Ledger(1_000.0), 10)) == ["sent"]


def test_entry_waits_for_the_fill_of_the_close() -> None:
    ledger = Ledger(1_000.0)
    turns = Turns(ledger, 10)
    assert not turns.must_wait("S-001", BTC)
    close(ledger)
    assert turns.must_wait("S-001", BTC)
    became = held(turns)
    turns.go_on("S-001", BTC)
    assert became == []
    ledger.apply_fill(Fill("S-001", BTC, "c", "t", 2, "SELL", 100.0, ONE, 0.0, "TAKER"))
    turns.go_on("S-001", BTC)
    assert became == ["sent"]
    assert not turns.must_wait("S-001", BTC)


def test_entry_leaves_once_the_close_is_rejected() -> None:
    ledger = Ledger(1_000.0)
    turns = Turns(ledger, 10)
    close(ledger)
    became = held(turns)
    ledger.apply_update(OrderUpdate("c", BTC, 2, "REJECTED"))
    turns.go_on("S-001", BTC)
    assert became == ["sent"]


def test_only_closes_at_the_market_of_the_same_strategy_count() -> None:
    ledger = Ledger(1_000.0)
    turns = Turns(ledger, 10)
    close(ledger, client_order_id="stop", kind="STOP_MARKET", trigger_price=90.0)
    close(ledger, client_order_id="other", strategy_id="S-002")
    close(ledger, client_order_id="entry", is_exit=False, reduce_only=False)
    assert not turns.must_wait("S-001", BTC)
    assert turns.must_wait("S-002", BTC)


def test_order_that_was_held_too_long_is_given_up_and_never_sent() -> None:
    ledger = Ledger(1_000.0)
    turns = Turns(ledger, 10)
    close(ledger)
    early, late = held(turns, ts=0), held(turns, ts=5)
    turns.expire(10)
    assert (early, late) == (["given up"], [])
    turns.expire(15)
    assert late == ["given up"]
    ledger.apply_update(OrderUpdate("c", BTC, 2, "REJECTED"))
    turns.go_on("S-001", BTC)
    assert (early, late) == (["given up"], ["given up"])


def test_second_entry_waits_behind_the_first() -> None:
    ledger = Ledger(1_000.0)
    turns = Turns(ledger, 10)
    close(ledger)
    became: list[int] = []
    for number in (1, 2):
        turns.take(ENTRY, 0, lambda n=number: became.append(n), lambda: None)  # type: ignore[misc]
    ledger.apply_update(OrderUpdate("c", BTC, 2, "CANCELED"))
    turns.go_on("S-001", BTC)
    assert became == [1, 2]
