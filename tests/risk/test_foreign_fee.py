"""A fee in a third coin is counted at its last price, or halts trading where that is not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    Currency,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderFilled,
    OrderSide,
    OrderType,
    Price,
    Quantity,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.risk.fees import Fee
from aitb_nautilus.risk.journal_carried import carry, take_over
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.translate import fee_fact, fill_fact
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, T0, make_context


def pair(instrument_id: str) -> Any:
    return engine_instrument(find_instrument(instrument_id))


INSTRUMENTS = {BTC: pair(BTC)}


def filled(commission: str | None, order: str = "c", trade: str = "t") -> OrderFilled:
    return OrderFilled(
        TraderId("AITB-001"),
        StrategyId("S-001"),
        InstrumentId.from_str(BTC),
        ClientOrderId(order),
        VenueOrderId("v"),
        AccountId("BINANCE-001"),
        TradeId(trade),
        OrderSide.BUY,
        OrderType.MARKET,
        Quantity.from_str("1"),
        Price.from_str("100"),
        Currency.from_str("USDT"),
        LiquiditySide.TAKER,
        UUID4(),
        T0,
        T0,
        False,
        None,
        None if commission is None else Money.from_str(commission),
    )


def test_fee_of_nothing_and_in_quote_currency_is_counted() -> None:
    for commission, fee in (
        (None, 0.0),
        ("0.05 USDT", 0.05),
        ("0 BNB", 0.0),
        ("-0.02 USDT", -0.02),
    ):
        event = filled(commission)
        found = fee_fact(event, INSTRUMENTS[BTC], INSTRUMENTS, {})
        assert found == Fee(fee)
        assert fill_fact(event, found).change == 1


def test_fee_in_the_coin_that_was_bought_is_kept_from_it() -> None:
    # Binance's spot adapter says the fee's coin where the event has the currency of the price.
    fee = fee_fact(filled("0.001 BTC"), pair("BTCUSDT.BINANCE"), INSTRUMENTS, {})
    fill = fill_fact(filled("0.001 BTC"), fee)
    assert (fill.change, fill.base_fee, fill.fee) == (Decimal("0.999"), Decimal("0.001"), 0.1)


def test_fee_in_a_third_coin_is_counted_at_its_last_price() -> None:
    run = {BTC: INSTRUMENTS[BTC], "BNBUSDT.BINANCE": pair("BNBUSDT.BINANCE")}
    fee = fee_fact(filled("0.002 BNB"), run[BTC], run, {"BNBUSDT.BINANCE": 600.0})
    assert fee == Fee(1.2, elsewhere=True)
    ledger = Ledger(1_000.0)
    ledger.apply_fill(fill_fact(filled("0.002 BNB"), fee))
    # It is a cost, but not one that the balance has paid.
    assert (ledger.equity(), ledger.balance()) == (998.8, 1_000.0)


def test_fee_in_a_third_coin_is_a_cost_in_the_next_run_as_well() -> None:
    ledger = Ledger(1_000.0)
    event = filled("0.002 BNB")
    ledger.apply_fill(fill_fact(event, Fee(1.2, elsewhere=True)))
    for _ in range(2):
        before, ledger = ledger, Ledger(0.0)
        take_over(carry(before, "run", before.balance(), {}, T0), ledger)
        assert (ledger.equity(), ledger.balance()) == (998.8, 1_000.0)


def test_fee_in_another_coin_halts_trading_after_the_fill_is_taken() -> None:
    context = make_context()
    strategy = GuardedStrategy(Settings(), context, "S-001")
    strategy.on_order_event(filled("0.00004250 BNB"))
    assert context.ledger.position("S-001", BTC).quantity == 1
    assert context.guard.state == "halted"
    (halt,) = context.guard.halts
    assert halt.reason.startswith("the fee of trade t is 0.00004250 BNB, not in USDT")
    assert (halt.strategy_id, halt.client_order_id) == ("S-001", "c")
