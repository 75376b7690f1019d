"""A strategy's own prices go to the tick that never raises risk. BTCUSDT-PERP moves by 0.1."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import Intent, ModifyIntent, OrderIntent, OrderKind, Side
from aitb_nautilus.risk.price_grid import goes_up
from tests.risk.rig import BTC, Scripted
from tests.risk.test_engine_paths import assert_in_step, buy, desk

UP, DOWN = True, False


@pytest.mark.parametrize(
    ("kind", "side", "is_trigger", "reduces", "up"),
    [
        ("LIMIT", "BUY", False, False, DOWN),
        ("LIMIT", "SELL", False, False, UP),
        ("LIMIT", "BUY", False, True, DOWN),
        ("LIMIT", "SELL", False, True, UP),
        ("STOP_MARKET", "BUY", True, False, UP),
        ("STOP_MARKET", "SELL", True, False, DOWN),
        ("STOP_MARKET", "BUY", True, True, DOWN),
        ("STOP_MARKET", "SELL", True, True, UP),
        ("STOP_LIMIT", "BUY", False, False, DOWN),
        ("STOP_LIMIT", "SELL", False, False, UP),
        ("STOP_LIMIT", "BUY", False, True, UP),
        ("STOP_LIMIT", "SELL", False, True, DOWN),
        ("MARKET_IF_TOUCHED", "BUY", True, False, DOWN),
        ("MARKET_IF_TOUCHED", "SELL", True, False, UP),
        ("MARKET_IF_TOUCHED", "BUY", True, True, UP),
        ("MARKET_IF_TOUCHED", "SELL", True, True, DOWN),
    ],
)
def test_price_goes_the_way_that_opens_less_and_closes_more(
    kind: OrderKind, side: Side, is_trigger: bool, reduces: bool, up: bool
) -> None:
    assert goes_up(kind, side, is_trigger=is_trigger, reduces=reduces) is up


def own(side: Side, kind: OrderKind, **prices: Any) -> Iterable[Intent]:
    return [
        OrderIntent(instrument_id=BTC, side=side, kind=kind, quantity=Decimal("0.010"), **prices)
    ]


@pytest.mark.parametrize(
    ("side", "kind", "wished", "sent"),
    [
        ("BUY", "LIMIT", {"price": 29_000.09}, (29_000.0, None)),
        ("SELL", "LIMIT", {"price": 31_000.01}, (31_000.1, None)),
        ("BUY", "STOP_MARKET", {"trigger_price": 31_000.01}, (None, 31_000.1)),
        ("SELL", "STOP_MARKET", {"trigger_price": 28_999.99}, (None, 28_999.9)),
        ("BUY", "LIMIT", {"price": 29_000.1}, (29_000.1, None)),
    ],
)
def test_order_that_opens_is_sent_at_the_safe_tick(
    side: Side, kind: OrderKind, wished: dict[str, float], sent: tuple[float, float]
) -> None:
    rig, strategy = desk({2: lambda _: own(side, kind, **wished)})
    (order,) = rig.context.ledger.orders.values()
    assert (order.price, order.trigger_price) == sent
    its = rig.order(order.client_order_id)
    price = its.price if sent[1] is None else its.trigger_price
    assert float(price.as_decimal()) == (sent[0] or sent[1])
    assert_in_step(rig, strategy)


@pytest.mark.parametrize("flag", [{"reduce_only": True}, {}])
def test_stop_that_protects_goes_towards_the_market_but_not_onto_it(flag: dict[str, bool]) -> None:
    def protect(price: float) -> Any:
        return lambda _: own("SELL", "STOP_MARKET", trigger_price=price, **flag)

    def tighten(price: float) -> Any:
        def change(strategy: Scripted) -> Iterable[Intent]:
            (stop,) = strategy.view.open_orders(BTC)
            return [ModifyIntent(client_order_id=stop.client_order_id, trigger_price=price)]

        return change

    seen: list[float | None] = []

    def look(strategy: Scripted) -> None:
        seen.append(strategy.view.open_orders(BTC)[0].trigger_price)

    rig, strategy = desk(
        {
            2: buy,
            3: protect(29_000.01),
            4: look,
            5: tighten(29_500.02),
            6: look,
            7: tighten(29_999.95),  # the market stands at 30,000
            8: look,
        }
    )
    assert seen == [29_000.1, 29_500.1, 29_999.9]
    assert_in_step(rig, strategy)
