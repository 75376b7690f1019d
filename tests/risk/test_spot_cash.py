"""What may be bought on a spot market is what can be paid, with everything that waits to be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import BarClosed, Fill, OrderIntent
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.decision import Decision, LotRules
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.ledger import Ledger

X, PERP = "XUSDT.V", "YUSDT-PERP.V"
COST = 0.01
LOTS = {
    X: LotRules(Decimal("0.1"), long_only=True, cost_frac=COST),
    PERP: LotRules(Decimal("0.1"), cost_frac=COST),
}


class Desk:
    """A guard without limits over 1,000 of cash; both instruments are worth 10."""

    def __init__(self) -> None:
        self.ledger = Ledger(1_000.0, LOTS)
        self.guard = Guard(self.ledger, [], LOTS)
        for number, name in enumerate((X, PERP)):
            self.ledger.apply_bar(BarClosed(name, number + 1, *[10.0] * 4, 1.0))

    def wish(self, quantity: str, name: str = X, whole: bool = False, **terms: Any) -> Decision:
        intent = OrderIntent(instrument_id=name, side="BUY", quantity=Decimal(quantity), **terms)
        judge = self.guard.judge_whole if whole else self.guard.judge
        return judge(intent, "S-001", 3)

    def send(self, quantity: str, price: float | None = None) -> Order:
        """Let an order be on its way."""
        kind = "MARKET" if price is None else "LIMIT"
        order = Order(
            client_order_id=f"o{len(self.ledger.orders)}",
            strategy_id="S-001",
            instrument_id=X,
            side="BUY",
            kind=kind,
            quantity=Decimal(quantity),
            price=price,
            trigger_price=None,
            reduce_only=False,
            purpose="entry",
            ts_sent=3,
        )
        self.ledger.apply_order(order)
        return order


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_order_is_shrunk_to_what_can_be_paid_with_its_costs(desk: Desk) -> None:
    # 1,000 pay 99.0099 at 10.10.
    assert desk.wish("99").quantity == 99
    assert desk.wish("99").line == ""
    shrunk = desk.wish("100")
    assert (shrunk.quantity, shrunk.limit) == (Decimal("99.0"), "cash")
    assert shrunk.line == (
        "the order may cost 1,010.00 with its fee and a dearer price, and the account has 1,000.00 "
        "that nothing else is waiting for; sell something, or buy less"
    )


def test_what_cannot_be_shrunk_is_refused(desk: Desk) -> None:
    assert not desk.wish("100", whole=True).allowed
    assert desk.wish("99", whole=True).allowed


def test_order_on_its_way_counts_as_paid(desk: Desk) -> None:
    """Before its fill is known, and although the account still has all of its money."""
    desk.send("60")
    assert desk.ledger.balance() == 1_000.0
    # 606 wait; 394 pay 39.0 at 10.10.
    assert desk.wish("60").quantity == Decimal("39.0")
    desk.send("39")
    refused = desk.wish("1")
    assert (refused.allowed, refused.limit) == (False, "cash")


def test_resting_buy_counts_at_its_own_price(desk: Desk) -> None:
    desk.send("100", price=5.0)
    # 505 wait; 495 pay 49.0 at 10.10, and at 5.05 they pay 98.0.
    assert desk.wish("60").quantity == Decimal("49.0")
    assert desk.wish("99", kind="LIMIT", price=5.0).quantity == Decimal("98.0")


def test_what_is_held_is_paid_and_frees_money_once_it_is_sold(desk: Desk) -> None:
    order = desk.send("60")
    fill = Fill("S-001", X, order.client_order_id, "t1", 4, "BUY", 11.0, order.quantity, 0.6, "T")
    assert desk.ledger.apply_fill(fill)
    # 1,000 - 660 - 0.6 = 339.4 pay 33.6 at 10.10.
    assert desk.wish("60").quantity == Decimal("33.6")
    desk.ledger.apply_fill(Fill("S-001", X, "o9", "t2", 5, "SELL", 11.0, Decimal(60), 0.6, "T"))
    # 998.8 pay 98.8.
    assert desk.wish("100").quantity == Decimal("98.8")


def test_perpetual_is_not_paid_for(desk: Desk) -> None:
    desk.send("60")
    assert desk.wish("500", PERP).quantity == 500


def test_sale_always_passes(desk: Desk) -> None:
    order = desk.send("60")
    desk.ledger.apply_fill(
        Fill("S-001", X, order.client_order_id, "t1", 4, "BUY", 16.0, order.quantity, 60.0, "T")
    )
    assert desk.ledger.balance() < 0
    sale = OrderIntent(instrument_id=X, side="SELL", quantity=Decimal(60))
    assert desk.guard.judge(sale, "S-001", 5).quantity == 60
