"""Permits: what was allowed against what the engine reports."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.messages import Fill, OrderKind, OrderUpdate, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.permits import Permit, Permits

X = "X.V"


def permit(quantity: str = "2", side: Side = "BUY", **changes: Any) -> Permit:
    terms = {"instrument_id": X, "side": side, "quantity": Decimal(quantity), "reduce_only": False}
    return Permit(**(terms | changes))


def order(kind: OrderKind = "LIMIT", **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": "O-1",
        "strategy_id": "S-001",
        "instrument_id": X,
        "side": "BUY",
        "kind": kind,
        "quantity": Decimal(2),
        "price": 100.0,
        "trigger_price": 90.0,
        "reduce_only": False,
        "purpose": "entry",
        "ts_sent": 1,
    }
    return Order(**(terms | changes))


def permits_holding(quantity: str = "0") -> Permits:
    ledger = Ledger(1000.0)
    amount = Decimal(quantity)
    if amount:
        side: Side = "BUY" if amount > 0 else "SELL"
        ledger.apply_fill(Fill("S-001", X, "O", "T", 1, side, 1.0, abs(amount), 0.0, "TAKER"))
    return Permits(ledger)


def test_order_that_matches_its_permit_raises_no_objection() -> None:
    permits = permits_holding()
    permits.give("O-1", permit("2.000"))
    assert permits.objection("O-1", permit("2"), "S-001") == ""


@pytest.mark.parametrize(
    "seen",
    [
        permit("2.001"),
        permit(side="SELL"),
        permit(instrument_id="Y.V"),
        permit(reduce_only=True),
    ],
)
def test_order_that_differs_from_its_permit_is_named_with_both(seen: Permit) -> None:
    permits = permits_holding()
    permits.give("O-1", permit("2"))
    why = permits.objection("O-1", seen, "S-001")
    assert why == (
        f"order O-1 is {seen.side} {seen.quantity} {seen.instrument_id}, but BUY 2 X.V was allowed"
    )


def test_order_without_a_permit_is_told_what_to_use_instead() -> None:
    why = permits_holding().objection("O-1", permit(), "S-001")
    assert why == (
        "BUY 2 X.V was sent around the guard: use the intents, or self.submit_order, never the "
        "engine's own method"
    )


def test_order_that_is_reported_twice_was_sent_twice() -> None:
    permits = permits_holding()
    permits.give("O-1", permit())
    assert permits.objection("O-1", permit(), "S-001") == ""
    assert "sent twice" in permits.objection("O-1", permit(), "S-001")


def test_permit_that_was_withdrawn_allows_nothing() -> None:
    permits = permits_holding()
    permits.give("O-1", permit())
    assert permits.is_known("O-1")
    permits.withdraw("O-1")
    assert not permits.is_used("O-1")
    assert permits.objection("O-1", permit(), "S-001")
    assert permits.is_used("O-1")
    assert not permits.is_known("O-1")


def test_permit_of_an_order_that_has_ended_is_let_go_and_its_id_stays_used() -> None:
    permits = permits_holding()
    permits.give("O-1", permit())
    permits.let_go("O-1")  # The engine has not reported it yet.
    assert permits.objection("O-1", permit(), "S-001") == ""
    permits.let_go("O-1")
    assert permits.is_used("O-1")
    assert "sent twice" in permits.objection("O-1", permit(), "S-001")


def test_order_of_the_ledger_is_known() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    assert Permits(ledger).is_known("O-1")


@pytest.mark.parametrize(
    ("held", "seen", "allowed"),
    [
        ("5", permit("5", "SELL", reduce_only=True), True),
        ("5", permit("3", "SELL", reduce_only=True), True),
        ("-5", permit("5", "BUY", reduce_only=True), True),
        ("5", permit("6", "SELL", reduce_only=True), False),
        ("5", permit("5", "SELL"), False),
        ("5", permit("5", "BUY", reduce_only=True), False),
        ("0", permit("5", "SELL", reduce_only=True), False),
    ],
)
def test_announced_exit_lets_the_engine_reduce_and_nothing_else(
    held: str, seen: Permit, allowed: bool
) -> None:
    permits = permits_holding(held)
    permits.announce_exit("S-001")
    assert (permits.objection("O-1", seen, "S-001") == "") == allowed
    assert permits.objection("O-2", seen, "S-002") != ""
    permits.end_exit("S-001")
    assert permits.objection("O-3", seen, "S-001") != ""


def test_order_of_a_rebuilt_ledger_may_be_reported_once_more_with_its_terms() -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    ended = order(client_order_id="O-2")
    ledger.apply_order(ended)
    ledger.apply_update(OrderUpdate("O-2", X, 2, "CANCELED"))
    permits = Permits(ledger)
    permits.remember_sent(["O-1", "O-2"])
    permits.expect_again()
    assert permits.is_used("O-1")
    assert permits.objection("O-1", permit("2"), "S-001") == ""
    assert "was sent twice" in permits.objection("O-1", permit("2"), "S-001")
    assert permits.objection("O-2", permit("2"), "S-001")


def test_id_that_was_sent_before_is_used() -> None:
    permits = permits_holding()
    permits.remember_sent({"O-7"})
    assert (permits.is_used("O-7"), permits.is_used("O-8")) == (True, False)


def test_announced_change_is_expected_only_while_it_is_sent() -> None:
    permits = permits_holding()
    with permits.announced_modify("O-1"):
        assert permits.objection_to_change("O-1") == ""
        assert permits.objection_to_change("O-2") != ""
    assert "was changed around the guard" in permits.objection_to_change("O-1")


def test_announcement_ends_even_if_the_sending_fails() -> None:
    permits = permits_holding()
    with pytest.raises(RuntimeError), permits.announced_modify("O-1"):
        raise RuntimeError
    assert permits.objection_to_change("O-1") != ""


@pytest.mark.parametrize(
    ("asked", "changes", "objects"),
    [
        (None, {"quantity": Decimal(2), "price": 100.0, "trigger_price": 90.0}, False),
        (None, {}, False),
        (None, {"quantity": Decimal(1)}, False),
        (None, {"quantity": Decimal(3)}, True),
        (None, {"price": 101.0}, True),
        (None, {"trigger_price": 91.0}, True),
        (Decimal(3), {"quantity": Decimal(3), "price": 101.0}, False),
        (Decimal(3), {"quantity": Decimal(4)}, True),
    ],
)
def test_new_terms_must_have_been_asked_for(
    asked: Decimal | None, changes: dict[str, Any], objects: bool
) -> None:
    one = order()
    if asked is not None:
        one.ask_change(asked)
    update = OrderUpdate("O-1", X, 1, None, **changes)
    assert (permits_holding().objection_to_terms(one, update) != "") == objects


def test_terms_that_come_late_were_asked_for_before() -> None:
    one = order()
    one.ts_terms = 5
    assert (
        permits_holding().objection_to_terms(one, OrderUpdate("O-1", X, 4, None, None, 1.0)) == ""
    )
    assert (
        permits_holding().objection_to_terms(one, OrderUpdate("O-1", X, 5, None, None, 1.0)) != ""
    )


@pytest.mark.parametrize(
    "changes",
    [{"reduce_only": True}, {"kind": "TRAILING_STOP_MARKET"}, {"kind": "TRAILING_STOP_LIMIT"}],
)
def test_venue_may_cut_exits_and_move_trailing_stops_by_itself(changes: dict[str, Any]) -> None:
    update = OrderUpdate("O-1", X, 1, None, quantity=Decimal(2), price=1.0, trigger_price=2.0)
    assert permits_holding().objection_to_terms(order(**changes), update) == ""


def test_price_that_an_order_only_gets_at_the_venue_is_no_change() -> None:
    one = order("MARKET_TO_LIMIT", price=None, trigger_price=None)
    update = OrderUpdate("O-1", X, 1, None, quantity=Decimal(2), price=101.0)
    assert permits_holding().objection_to_terms(one, update) == ""


@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        (permit("2"), True),
        (permit("1"), True),
        (permit("3"), False),
        (permit("2", "SELL"), False),
        (permit("2", reduce_only=True), False),
        (permit("2", instrument_id="Y.V"), False),
    ],
)
def test_emulated_order_is_made_once_more_with_no_more_than_its_own_terms(
    seen: Permit, allowed: bool
) -> None:
    ledger = Ledger(1000.0)
    ledger.apply_order(order())
    permits = Permits(ledger)
    permits.give("O-1", permit("2"))
    assert permits.objection("O-1", permit("2"), "S-001") == ""
    permits.expect_release("O-1")
    assert (permits.objection("O-1", seen, "S-001") == "") == allowed
    assert "sent twice" in permits.objection("O-1", permit("2"), "S-001")


def test_release_of_an_order_that_came_around_the_guard_is_no_excuse() -> None:
    permits = permits_holding()
    assert permits.objection("O-1", permit(), "S-001") != ""
    permits.expect_release("O-1")
    assert "sent around the guard" in permits.objection("O-1", permit(), "S-001")
