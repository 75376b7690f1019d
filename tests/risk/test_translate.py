"""Engine objects become plain facts, and intents become engine orders, without losing a digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    Bar,
    BarType,
    ClientOrderId,
    FundingRateUpdate,
    InstrumentId,
    OrderRejected,
    OrderSide,
    OrderType,
    Price,
    Quantity,
    StrategyId,
    TraderId,
)

from aitb_nautilus.messages import BarClosed, FundingRate, OrderKind
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.translate import (
    Tradable,
    bar_fact,
    build_order,
    funding_fact,
    permit_of,
    price_of,
    side_of,
    terms_of,
    update_fact,
)
from tests.risk.rig import BTC, MINUTE, make_context

BTC_ID = InstrumentId.from_str(BTC)
SIZE = Quantity.from_str("0.010")


def factory() -> OrderFactory:
    return OrderFactory(TraderId("AITB-001"), StrategyId("S-001"), Clock.new_test())


def built(kind: OrderKind = "LIMIT", **changes: Any) -> Any:
    terms: dict[str, Any] = {
        "client_order_id": "AAAA",
        "instrument_id": BTC,
        "side": "SELL",
        "kind": kind,
        "quantity": Decimal("0.012"),
    }
    instrument = make_context().instruments[BTC]
    return build_order(factory(), Tradable(instrument), OrderTerms(**(terms | changes)))


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_price_and_volume_leave_the_engine_as_the_double_nearest_to_their_decimal(
    cents: int, lots: int
) -> None:
    price, volume = Decimal(cents) / 100, Decimal(lots) / 1000
    engine_price = Price.from_decimal_dp(price, 2)
    bar = Bar(
        BarType.from_str(MINUTE.bar_type(BTC)),
        *(engine_price,) * 4,
        Quantity.from_decimal_dp(volume, 3),
        7,
        8,
    )
    exact = float(str(price))
    assert bar_fact(bar, BTC) == BarClosed(BTC, 7, *(exact,) * 4, float(str(volume)))
    assert price_of(engine_price) == exact


def test_no_price_stays_none() -> None:
    assert price_of(None) is None


def test_sides_are_words() -> None:
    assert (side_of(OrderSide.BUY), side_of(OrderSide.SELL)) == ("BUY", "SELL")


def test_funding_without_a_settlement_is_no_fact() -> None:
    rate = Decimal("0.0001")
    told = FundingRateUpdate(BTC_ID, rate, 1, 2, None, 9)
    assert funding_fact(told) == FundingRate(BTC, 0.0001, 9)
    assert funding_fact(FundingRateUpdate(BTC_ID, rate, 1, 2, None, None)) is None


@pytest.mark.parametrize(
    ("kind", "changes", "wanted"),
    [
        ("MARKET", {}, {}),
        ("LIMIT", {"price": 30_000.1, "post_only": True}, {"price": "30000.10"}),
        ("STOP_MARKET", {"trigger_price": 29_000.0}, {"trigger_price": "29000.00"}),
        (
            "STOP_LIMIT",
            {"price": 28_990.0, "trigger_price": 29_000.0, "post_only": True},
            {"price": "28990.00", "trigger_price": "29000.00"},
        ),
        ("MARKET_IF_TOUCHED", {"trigger_price": 31_000.0}, {"trigger_price": "31000.00"}),
    ],
)
@pytest.mark.parametrize("reduce_only", [False, True])
def test_terms_become_an_order_of_their_kind_and_are_read_back_the_same(
    kind: OrderKind, changes: dict[str, Any], wanted: dict[str, str], reduce_only: bool
) -> None:
    order = built(kind, reduce_only=reduce_only, purpose="exit:own", **changes)
    terms = order.init_event
    assert (order.order_type, order.side) == (getattr(OrderType, kind), OrderSide.SELL)
    assert {k: str(getattr(terms, k)) for k in wanted} == wanted
    assert terms_of(order) == OrderTerms(
        client_order_id="AAAA",
        instrument_id=BTC,
        side="SELL",
        kind=kind,
        quantity=Decimal("0.012"),
        reduce_only=reduce_only,
        purpose="exit:own",
        **changes,
    )
    permit = permit_of(terms)
    assert (permit.instrument_id, permit.side, permit.quantity, permit.reduce_only) == (
        BTC,
        "SELL",
        Decimal("0.012"),
        reduce_only,
    )


@pytest.mark.parametrize(
    ("price", "on_grid"),
    [(30_000.04, "30000.00"), (30_000.06, "30000.10"), (30_000.149999, "30000.10")],
)
def test_price_is_put_onto_the_tick_grid_of_the_instrument(price: float, on_grid: str) -> None:
    # BTCUSDT-PERP keeps two decimals, but moves in steps of 0.1.
    assert str(built("LIMIT", price=price).price) == on_grid


def test_bracket_of_the_engine_gets_our_words_for_its_purposes() -> None:
    orders = factory().bracket(
        BTC_ID,
        OrderSide.BUY,
        SIZE,
        tp_price=Price(31_000.0, 2),
        sl_trigger_price=Price(29_000.0, 2),
    )
    assert [terms_of(o).purpose for o in orders] == ["entry", "exit:stop", "exit:target"]


@pytest.mark.parametrize(
    ("options", "purpose"),
    [
        ({}, "entry"),
        ({"reduce_only": True}, "exit:signal"),
        ({"tags": ["mine", "other"]}, "mine"),
    ],
)
def test_built_order_has_the_purpose_of_its_first_tag(
    options: dict[str, Any], purpose: str
) -> None:
    assert terms_of(factory().market(BTC_ID, OrderSide.BUY, SIZE, **options)).purpose == purpose


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "code=-1021: Timestamp for this request is outside of the recvWindow.",
            "code=-1021: Timestamp for this request is outside of the recvWindow: the clocks of "
            "the venue and of this machine are apart; set this one right (timedatectl set-ntp "
            "true), and what closes is taken again",
        ),
        ("code=-2019: Margin is insufficient.", "code=-2019: Margin is insufficient."),
    ],
)
def test_refusal_for_the_clock_says_what_to_do(said: str, told: str) -> None:
    event = OrderRejected(
        TraderId("AITB-001"),
        StrategyId("S-001"),
        BTC_ID,
        ClientOrderId("o1"),
        AccountId("BINANCE-001"),
        said,
        UUID4(),
        7,
        7,
        False,
    )
    update = update_fact(event)
    assert update is not None
    assert (update.status, update.reason) == ("REJECTED", told)
