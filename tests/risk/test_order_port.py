"""What an allowed intent is sent as, and what cannot be sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import OrderIntent, OrderKind
from aitb_nautilus.risk.order_port import OrderTerms, plan
from tests.risk.dry_desk import DryDesk, DryPort
from tests.risk.rig import BTC, make_context


def planned(kind: OrderKind = "LIMIT", **changes: Any) -> OrderTerms:
    intent = OrderIntent(instrument_id=BTC, side="SELL", kind=kind, purpose="mine", **changes)
    port = DryPort(DryDesk(make_context()), "S-001")
    return plan(intent, Decimal("0.012"), "AAAA", port)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("MARKET", {}),
        ("LIMIT", {"price": 30_000.1}),
        ("STOP_MARKET", {"trigger_price": 29_000.0}),
        ("STOP_LIMIT", {"price": 30_000.1, "trigger_price": 29_000.0}),
        ("MARKET_IF_TOUCHED", {"trigger_price": 29_000.1}),
    ],
)
def test_order_has_the_prices_of_its_kind_on_the_grid_and_no_other(
    kind: OrderKind, kept: dict[str, float]
) -> None:
    # BTCUSDT-PERP moves in steps of 0.1.
    terms = planned(kind, price=30_000.09, trigger_price=29_000.04, post_only=True)
    assert terms == OrderTerms(
        client_order_id="AAAA",
        instrument_id=BTC,
        side="SELL",
        kind=kind,
        quantity=Decimal("0.012"),
        post_only=True,
        purpose="mine",
        **kept,
    )
    wish = terms.intent()
    assert (wish.quantity, wish.kind, wish.price) == (Decimal("0.012"), kind, kept.get("price"))
    assert (wish.post_only, wish.reduce_only, wish.purpose) == (True, False, "mine")


@pytest.mark.parametrize(
    ("kind", "changes", "paragraph"),
    [
        ("LIMIT", {}, f"intent for {BTC}: LIMIT had no price, must have one."),
        ("STOP_MARKET", {}, f"intent for {BTC}: STOP_MARKET had no trigger_price, must have one."),
        ("STOP_LIMIT", {"price": 1.0}, "STOP_LIMIT had no trigger_price"),
        ("STOP_LIMIT", {"trigger_price": 1.0}, "STOP_LIMIT had no price"),
        ("MARKET_IF_TOUCHED", {}, "MARKET_IF_TOUCHED had no trigger_price"),
        ("TRAILING_STOP_MARKET", {}, "kind was TRAILING_STOP_MARKET, must be MARKET, LIMIT"),
    ],
)
def test_intent_that_cannot_be_sent_says_what_is_missing(
    kind: OrderKind, changes: dict[str, Any], paragraph: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(kind, **changes)
    assert paragraph in str(caught.value)
