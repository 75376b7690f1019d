"""A fee in another coin than that of the price cannot be counted, and halts trading."""

from __future__ import annotations

import pytest
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

from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.translate import foreign_fee
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, T0, make_context


def filled(commission: str | None) -> OrderFilled:
    return OrderFilled(
        TraderId("AITB-001"),
        StrategyId("S-001"),
        InstrumentId.from_str(BTC),
        ClientOrderId("c"),
        VenueOrderId("v"),
        AccountId("BINANCE-001"),
        TradeId("t"),
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


@pytest.mark.parametrize("commission", [None, "0.05 USDT", "0 BNB", "-0.02 USDT"])
def test_fee_in_the_currency_of_the_price_is_counted(commission: str | None) -> None:
    assert foreign_fee(filled(commission)) == ""


def test_fee_in_another_coin_halts_trading_after_the_fill_is_taken() -> None:
    context = make_context()
    strategy = GuardedStrategy(Settings(), context, "S-001")
    strategy.on_order_event(filled("0.00004250 BTC"))
    assert context.ledger.position("S-001", BTC).quantity == 1
    assert context.guard.state == "halted"
    (halt,) = context.guard.halts
    assert halt.reason.startswith("the fee of trade t is 0.00004250 BTC, not in USDT")
    assert (halt.strategy_id, halt.client_order_id) == ("S-001", "c")
