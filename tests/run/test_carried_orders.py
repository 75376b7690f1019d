"""Orders of the run before that no strategy claims: fills that are made up are asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest

from aitb_nautilus.messages import Fill, OrderStatus, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run import carried_orders
from aitb_nautilus.run.carried_orders import CarriedOrders
from tests.risk.rig import BTC, T0, make_context


class OrderFilled(NamedTuple):
    """What the engine's cache has of a fill."""

    reconciliation: bool


class Cached:
    """An order that the engine gives to nobody."""

    strategy_id = "EXTERNAL"

    def __init__(self, made_up: bool) -> None:
        self._events = [OrderFilled(made_up)]

    def events(self) -> list[OrderFilled]:
        return self._events


class Cache:
    def __init__(self, made_up: bool) -> None:
        self._order = Cached(made_up)

    def order(self, _: Any) -> Cached:
        return self._order


def context_with_an_entry() -> Context:
    context = make_context()
    entry = Order(
        client_order_id="entry",
        strategy_id="s",
        instrument_id=BTC,
        side="BUY",
        kind="LIMIT",
        quantity=Decimal(1),
        price=100.0,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=T0,
    )
    context.ledger.apply_order(entry)
    context.ledger.apply_update(OrderUpdate("entry", BTC, T0, "ACCEPTED"))
    return context


def entry_at_venue(filled: Decimal, **terms: Any) -> VenueOrder:
    """Return what the engine says of that entry."""
    return VenueOrder(
        **{
            "client_order_id": "entry",
            "venue_order_id": "1",
            "instrument_id": BTC,
            "side": "BUY",
            "kind": "LIMIT",
            "quantity": Decimal(1),
            "filled": filled,
            "price": 100.0,
            "ts": T0,
            **terms,
        }
    )


@pytest.mark.parametrize(
    ("made_up", "unknown", "answers", "asked", "held"),
    [
        (True, "", True, 1, 0),
        (True, "", False, 1, 1),
        (False, "", True, 0, 1),
        (False, "the fee is BNB", True, 1, 0),
        (False, "the fee is BNB", False, 1, 1),
    ],
    ids=[
        "made up",
        "made up, and nobody can be asked",
        "told",
        "its fee has no price",
        "its fee has no price, and nobody can be asked",
    ],
)
def test_fill_whose_fee_the_engine_does_not_say_is_asked_for_once_and_not_taken(
    monkeypatch: pytest.MonkeyPatch,
    made_up: bool,
    unknown: str,
    answers: bool,
    asked: int,
    held: int,
) -> None:
    context, names = context_with_an_entry(), list[str]()

    def ask(name: str) -> bool:
        names.append(name)
        return answers

    msgspec.structs.force_setattr(context, "ask_venue", ask)
    part = Decimal("0.4")

    def find(*_: Any) -> tuple[VenueOrder, list[VenueFill]]:
        told = VenueFill(
            trade_id=f"t{part}", price=100.0, quantity=part, ts=T0, unknown_fee=unknown
        )
        return entry_at_venue(part), [told]

    monkeypatch.setattr(carried_orders, "find_order", find)
    carried = CarriedOrders(context, Cache(made_up))
    for _ in range(3):
        carried.follow({}, T0)
    assert len(names) == asked
    assert context.ledger.position("s", BTC).quantity == part * held
    assert [halt.reason for halt in context.guard.halts] == [unknown] * bool(unknown and held)
    part = Decimal("0.7")
    carried.follow({}, T0)
    assert len(names) == 2 * asked


def test_order_whose_made_up_fill_the_venue_has_told_is_followed_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, names, part = context_with_an_entry(), list[str](), Decimal("0.4")
    status: OrderStatus = "ACCEPTED"

    def ask(name: str) -> bool:
        names.append(name)
        return True

    def find(*_: Any) -> tuple[VenueOrder, list[VenueFill]]:
        told = VenueFill(trade_id="made up", price=100.0, quantity=part, ts=T0)
        return entry_at_venue(part, status=status, ts=T0 + 1), [told]

    msgspec.structs.force_setattr(context, "ask_venue", ask)
    monkeypatch.setattr(carried_orders, "find_order", find)
    carried = CarriedOrders(context, Cache(made_up=True))
    carried.follow({}, T0)
    told = Fill("s", BTC, "entry", "1", T0, "BUY", 100.0, part, 0.02, "MAKER")
    assert context.ledger.apply_fill(told)
    status = "CANCELED"
    carried.follow({}, T0 + 2)
    order = context.ledger.orders["entry"]
    assert (order.status, order.filled, names) == ("CANCELED", part, ["entry"])
