"""What is left of an order that has ended, for as long as a node runs."""

from __future__ import annotations

import gc
import tracemalloc
from decimal import Decimal

from msgspec.structs import replace

from aitb_nautilus.messages import CloseIntent, Fill, OrderIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.permits import Permit, Permits
from aitb_nautilus.settings import Settings
from tests.risk.rig import ROOMY, Scripted, flat_bars, make_context, run

BTC = "BTCUSDT-PERP.BINANCE"
MOST_BYTES = 1_000


def trade(ledger: Ledger, permits: Permits, number: int) -> None:
    """Let an order be sent, taken and filled; each id is a new text, as the engine gives it."""
    name = f"{number:032x}"
    quantity = Decimal(number + 1) / 1_000
    order = Order(
        client_order_id=name,
        strategy_id="S-001",
        instrument_id=BTC,
        side="BUY" if number % 2 else "SELL",
        kind="MARKET",
        quantity=quantity,
        price=None,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=10**18 + number,
    )
    permit = Permit(BTC, order.side, quantity, reduce_only=False)
    permits.give(name, permit)
    ledger.apply_order(order)
    assert permits.objection("".join(name), permit, "S-001") == ""
    assert order.most_amount > 0
    ledger.apply_update(
        OrderUpdate(
            client_order_id=f"{number:032x}",
            instrument_id="".join((BTC, "")),
            ts=10**18 + number,
            status="ACCEPTED",
        )
    )
    ledger.apply_fill(
        Fill(
            "S-001",
            BTC,
            f"{number:032x}",
            f"{number:012}",
            10**18 + number,
            order.side,
            60_000.5 + number,
            Decimal(number + 1) / 1_000,
            0.5,
            "TAKER",
        )
    )
    assert not order.is_open
    permits.let_go(name)


def test_order_leaves_little_behind() -> None:
    ledger = Ledger(100_000.0)
    permits = Permits(ledger)
    for number in range(100):
        trade(ledger, permits, number)
    gc.collect()
    tracemalloc.start()
    for number in range(100, 2_100):
        trade(ledger, permits, number)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] / 2_000
    tracemalloc.stop()
    assert len(ledger.orders) == 2_100
    assert left < MOST_BYTES, left


def test_fill_that_is_a_part_keeps_its_quantity_and_its_digits() -> None:
    ledger = Ledger(100_000.0)
    order = Order(
        client_order_id="O-1",
        strategy_id="S-001",
        instrument_id=BTC,
        side="BUY",
        kind="MARKET",
        quantity=Decimal("0.30"),
        price=None,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=1,
    )
    ledger.apply_order(order)
    part = Fill("S-001", BTC, "O-1", "T-1", 2, "BUY", 60_000.0, Decimal("0.1"), 0.5, "TAKER")
    assert ledger.apply_fill(part)
    assert ledger.apply_fill(replace(part, trade_id="T-2", quantity=Decimal("0.20")))
    assert [str(f.quantity) for f in ledger.fills] == ["0.1", "0.20"]
    assert (str(order.filled), order.status) == ("0.30", "FILLED")
    assert not ledger.apply_fill(part)


def test_fills_share_the_texts_that_they_have_in_common() -> None:
    context = make_context(ROOMY)
    strategy = Scripted(Settings(), context, "S-001")
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
    strategy.steps = {1: lambda _: [buy], 2: lambda _: [CloseIntent(instrument_id=BTC)]}
    run([strategy], context, flat_bars(5))
    first, second = context.ledger.fills
    assert first.instrument_id is second.instrument_id
    assert first.strategy_id is second.strategy_id
