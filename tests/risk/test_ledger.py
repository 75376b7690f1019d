"""The ledger follows bars, orders, fills and funding; a view shows one strategy its own."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from aitb_nautilus.messages import BarClosed, Fill, FundingRate, OrderStatus, OrderUpdate, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.view import View

X, Y = "X.V", "Y.V"
_TRADES = count()


def bar(ts: int, close: float, instrument_id: str = X) -> BarClosed:
    return BarClosed(instrument_id, ts, close, close, close, close, 1.0)


def fill(
    side: Side,
    quantity: str,
    price: float,
    *,
    ts: int = 1,
    order: str = "O-1",
    strategy: str = "S-001",
    instrument_id: str = X,
    fee: float = 0.0,
    trade: str = "",
) -> Fill:
    trade_id = trade or f"T-{next(_TRADES)}"
    return Fill(
        strategy, instrument_id, order, trade_id, ts, side, price, Decimal(quantity), fee, "TAKER"
    )


def order(client_order_id: str = "O-1", **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": client_order_id,
        "strategy_id": "S-001",
        "instrument_id": X,
        "side": "BUY",
        "kind": "LIMIT",
        "quantity": Decimal(2),
        "price": 100.0,
        "trigger_price": None,
        "reduce_only": False,
        "purpose": "entry",
        "ts_sent": 1,
    }
    return Order(**(terms | changes))


def ended(client_order_id: str, status: OrderStatus | None, **changes: Any) -> OrderUpdate:
    return OrderUpdate(client_order_id, X, 1, status, **changes)


def test_order_is_open_from_the_moment_it_is_sent_until_it_ends() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order("O-1"))
    ledger.apply_order(order("O-2", instrument_id=Y))
    assert ledger.open_order_count() == 2
    ledger.apply_update(ended("O-1", "ACCEPTED"))
    assert [o.status for o in ledger.open_orders(X)] == ["ACCEPTED"]
    ledger.apply_update(ended("O-1", "CANCELED", reason="by hand"))
    assert list(ledger.open_orders(X)) == []
    assert ledger.open_order_count() == 1
    assert (ledger.orders["O-1"].status, ledger.orders["O-1"].reason) == ("CANCELED", "by hand")


def test_ended_order_does_not_come_back() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.apply_update(ended("O-1", "CANCELED"))
    ledger.apply_update(ended("O-1", "ACCEPTED"))
    assert ledger.orders["O-1"].status == "CANCELED"
    assert ledger.open_order_count() == 0


def test_orders_that_were_not_taken_are_kept_to_be_told() -> None:
    ledger = Ledger(1000.0)
    for name, status in (("O-1", "REJECTED"), ("O-2", "CANCELED"), ("O-3", "DENIED")):
        ledger.apply_order(order(name))
        ledger.apply_update(ended(name, status))  # type: ignore[arg-type]
    ledger.apply_update(ended("O-1", "REJECTED"))
    assert [o.client_order_id for o in ledger.rejected] == ["O-1", "O-3"]


def test_withdrawn_order_leaves_no_trace() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.withdraw_order("O-1")
    assert ledger.orders == {}
    assert ledger.open_order_count() == 0


def test_update_changes_only_the_terms_that_it_names() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order(trigger_price=90.0))
    ledger.apply_update(ended("O-1", None, price=101.0))
    one = ledger.orders["O-1"]
    assert (one.quantity, one.price, one.trigger_price, one.status) == (2, 101.0, 90.0, "SENT")
    ledger.apply_update(ended("O-1", None, quantity=Decimal(3), trigger_price=91.0))
    assert (one.quantity, one.price, one.trigger_price) == (3, 101.0, 91.0)


def test_answered_change_is_no_longer_pending() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    one = ledger.orders["O-1"]
    one.ask_change(Decimal(9))
    ledger.apply_update(ended("O-1", None, reason="cannot be cancelled"))
    assert one.most_leaves == 9
    ledger.apply_update(ended("O-1", None, reason="no", answers_change=True))
    assert one.most_leaves == 2


def test_update_of_an_order_that_is_not_ours_is_ignored() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_update(ended("O-9", "FILLED"))
    assert ledger.orders == {}


def test_fills_end_an_order_when_nothing_is_left() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.apply_fill(fill("BUY", "0.5", 100.0))
    one = ledger.orders["O-1"]
    assert (one.status, one.filled, one.leaves) == ("ACCEPTED", Decimal("0.5"), Decimal("1.5"))
    ledger.apply_fill(fill("BUY", "1.5", 100.0))
    assert (one.status, ledger.open_order_count()) == ("FILLED", 0)
    assert [f.quantity for f in ledger.fills] == [Decimal("0.5"), Decimal("1.5")]


def test_fill_that_comes_after_the_cancel_still_counts() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.apply_update(ended("O-1", "CANCELED"))
    ledger.apply_fill(fill("BUY", "1", 100.0))
    assert ledger.orders["O-1"].status == "CANCELED"
    assert ledger.position("S-001", X).quantity == 1


def test_fill_of_an_order_that_the_engine_made_changes_the_position() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("SELL", "1", 100.0, order="engine's own"))
    assert ledger.position("S-001", X).quantity == -1
    assert ledger.marks[X] == 100.0


def test_equity_counts_profit_fees_and_funding_of_all_strategies() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "2", 100.0, fee=1.0))
    ledger.apply_fill(fill("SELL", "1", 50.0, strategy="S-002", instrument_id=Y, fee=0.5))
    ledger.apply_bar(bar(2, 110.0))
    ledger.apply_bar(bar(2, 40.0, Y))
    assert ledger.equity() == 1000.0 - 1.5 + 20.0 + 10.0
    ledger.apply_fill(fill("SELL", "2", 105.0, ts=3, fee=1.0))
    assert ledger.equity() == 1000.0 - 2.5 + 10.0 + 10.0
    assert (ledger.now, ledger.marks) == (2, {X: 110.0, Y: 40.0})


def test_equity_that_was_asked_for_before_is_worked_out_anew_after_every_change() -> None:
    ledger = Ledger(1000.0)
    assert ledger.equity() == ledger.equity() == 1000.0
    ledger.starting_equity = 2000.0  # as a node sets it once it has connected
    assert ledger.equity() == 2000.0
    ledger.apply_fill(fill("BUY", "2", 100.0, fee=1.0))
    assert ledger.equity() == 1999.0
    ledger.apply_bar(bar(2, 110.0))
    assert ledger.equity() == 2019.0
    ledger.apply_funding_rate(FundingRate(X, 0.01, 3))
    assert ledger.equity() == 2019.0
    ledger.settle_funding(4)
    assert ledger.equity() == 2019.0 - 2.2
    ledger.hide()
    assert ledger.equity() == 2000.0
    ledger.show()
    assert ledger.equity() == 2019.0 - 2.2
    ledger.begin_with(500.0)
    assert ledger.equity() == 519.0 - 2.2


def test_longs_pay_funding_and_shorts_receive_it_at_the_last_mark() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "2", 100.0))
    ledger.apply_fill(fill("SELL", "1", 100.0, strategy="S-002"))
    ledger.apply_bar(bar(7, 110.0))
    ledger.apply_funding_rate(FundingRate(X, 0.01, 8))
    ledger.apply_bar(bar(8, 120.0))
    assert ledger.position("S-001", X).funding == 0.0
    ledger.apply_bar(bar(9, 130.0))
    assert ledger.position("S-001", X).funding == pytest.approx(-2 * 120.0 * 0.01)
    assert ledger.position("S-002", X).funding == pytest.approx(120.0 * 0.01)
    ledger.apply_bar(bar(10, 130.0))
    assert ledger.position("S-002", X).funding == pytest.approx(120.0 * 0.01)


def test_negative_rate_pays_the_longs() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "2", 100.0))
    ledger.apply_funding_rate(FundingRate(X, -0.01, 8))
    ledger.settle_funding(9)
    assert ledger.position("S-001", X).funding == pytest.approx(2.0)


def test_position_opened_after_the_settlement_pays_nothing() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_bar(bar(7, 100.0))
    ledger.apply_funding_rate(FundingRate(X, 0.01, 8))
    ledger.apply_fill(fill("BUY", "2", 100.0, ts=9))
    ledger.apply_bar(bar(10, 100.0))
    assert ledger.position("S-001", X).funding == 0.0


def test_position_closed_after_the_settlement_pays() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "2", 100.0))
    ledger.apply_funding_rate(FundingRate(X, 0.01, 8))
    ledger.apply_fill(fill("SELL", "2", 100.0, ts=9))
    assert ledger.position("S-001", X).funding == pytest.approx(-2.0)


def test_rate_that_is_told_twice_is_paid_once_and_a_corrected_one_counts() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "1", 100.0))
    for rate in (0.01, 0.01, 0.02):
        ledger.apply_funding_rate(FundingRate(X, rate, 8))
    ledger.settle_funding(9)
    assert ledger.position("S-001", X).funding == pytest.approx(-2.0)


def test_next_rate_settles_the_one_before_it_but_not_that_of_another_instrument() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_fill(fill("BUY", "1", 100.0))
    ledger.apply_fill(fill("BUY", "1", 100.0, instrument_id=Y))
    ledger.apply_funding_rate(FundingRate(X, 0.01, 8))
    ledger.apply_funding_rate(FundingRate(Y, 0.01, 12))
    assert ledger.position("S-001", X).funding == 0.0
    ledger.apply_funding_rate(FundingRate(X, 0.03, 16))
    assert ledger.position("S-001", X).funding == pytest.approx(-1.0)
    assert ledger.position("S-001", Y).funding == 0.0


def test_view_shows_a_strategy_only_its_own() -> None:
    ledger = Ledger(1000.0)
    mine, other = View(ledger, "S-001"), View(ledger, "S-002")
    ledger.apply_order(order("O-1"))
    ledger.apply_order(order("O-2", strategy_id="S-002"))
    ledger.apply_fill(fill("BUY", "1", 100.0, order="O-2", strategy="S-002"))
    assert [o.client_order_id for o in mine.open_orders(X)] == ["O-1"]
    assert mine.order("O-1") is ledger.orders["O-1"]
    assert mine.order("O-2") is None
    assert mine.order("O-3") is None
    assert (mine.quantity(X), other.quantity(X)) == (0, 1)
    assert other.position(X).average_price == 100.0
    assert mine.mark(X) == 100.0
    assert mine.mark(Y) is None
    assert mine.equity() == other.equity() == 1000.0


def test_count_of_open_orders_is_that_of_the_orders_that_are_open() -> None:
    ledger = Ledger(1000.0)
    for i in range(4):
        ledger.apply_order(order(f"O-{i}"))
    ledger.apply_order(order("O-3"))
    assert ledger.open_order_count() == 4
    ledger.withdraw_order("O-0")
    ledger.apply_update(ended("O-1", "CANCELED"))
    ledger.apply_update(ended("O-1", "REJECTED"))
    ledger.apply_update(ended("O-2", "ACCEPTED"))
    assert ledger.open_order_count() == 2


# What a venue says twice, late, or in another order


def test_fill_that_is_told_twice_counts_once() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    assert ledger.apply_fill(fill("BUY", "0.5", 100.0, trade="T-1"))
    assert not ledger.apply_fill(fill("BUY", "0.5", 100.0, trade="T-1"))
    assert ledger.apply_fill(fill("BUY", "0.5", 100.0, trade="T-2"))
    assert ledger.position("S-001", X).quantity == 1
    assert (ledger.orders["O-1"].filled, len(ledger.fills)) == (1, 2)


def test_change_that_is_told_after_all_of_it_was_filled_ends_the_order() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.apply_fill(fill("BUY", "1", 100.0))
    ledger.apply_update(ended("O-1", None, quantity=Decimal(1), answers_change=True))
    assert (ledger.orders["O-1"].status, ledger.open_order_count()) == ("FILLED", 0)


def test_terms_that_are_older_than_those_that_were_told_change_nothing() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ledger.apply_update(OrderUpdate("O-1", X, 9, None, Decimal(8), 90.0))
    ledger.apply_update(OrderUpdate("O-1", X, 8, None, Decimal(5), 95.0))
    one = ledger.orders["O-1"]
    assert (one.quantity, one.price) == (8, 90.0)


def test_change_that_is_told_twice_is_no_news_the_second_time() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    told = OrderUpdate("O-1", X, 9, None, Decimal(8), 90.0, answers_change=True)
    assert ledger.is_news(told)
    ledger.apply_update(told)
    assert not ledger.is_news(told)
    assert ledger.is_news(OrderUpdate("O-1", X, 9, None, Decimal(8), 91.0, answers_change=True))
    assert ledger.is_news(ended("O-1", "CANCELED"))
    assert not ledger.is_news(ended("O-9", "CANCELED"))


def test_end_that_is_told_twice_is_no_news_the_second_time() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    assert ledger.is_news(ended("O-1", "REJECTED"))
    ledger.apply_update(ended("O-1", "REJECTED"))
    assert not ledger.is_news(ended("O-1", "REJECTED"))
    assert not ledger.is_news(ended("O-1", "ACCEPTED"))
    assert ledger.is_news(ended("O-1", None, reason="cannot be cancelled"))


def test_what_is_hidden_is_held_again_with_what_came_since() -> None:
    ledger = Ledger(1_000.0)
    ledger.apply_order(order("O-1"))
    ledger.apply_fill(fill("BUY", "1", 100.0))
    before = ledger.revision
    ledger.hide()
    view = View(ledger, "S-001")
    assert (view.quantity(X), view.open_orders(X), view.order("O-1")) == (0, [], None)
    assert (ledger.open_order_count(), list(ledger.holders(X))) == (0, [])
    assert ledger.revisions[X] > before  # whoever counts looks anew
    ledger.apply_bar(bar(9, 40.0))
    assert ledger.equity() == 1_000.0  # nothing is held, whatever its price was then
    ledger.apply_order(order("O-2", instrument_id=Y))
    assert view.position(Y).quantity == 0
    before = ledger.revision
    ledger.show()
    assert ledger.revisions[X] > before
    assert (view.quantity(X), [o.client_order_id for o in view.open_orders(X)]) == (1, ["O-1"])
    assert [o.client_order_id for o in view.open_orders(Y)] == ["O-2"]
    assert (ledger.open_order_count(), ledger.equity()) == (2, 940.0)


def test_showing_what_was_not_hidden_changes_nothing() -> None:
    ledger = Ledger(1_000.0)
    ledger.apply_fill(fill("BUY", "1", 100.0))
    before = ledger.revision
    ledger.show()
    assert (ledger.revision, View(ledger, "S-001").quantity(X)) == (before, 1)
