"""Orders and positions, checked by hand and against exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.messages import Fill, OrderKind, OrderStatus, Side
from aitb_nautilus.risk.book import Order, Position


def fill(side: Side, quantity: str, price: float, *, ts: int = 1, fee: float = 0.0) -> Fill:
    return Fill("S-001", "X.V", "O-1", f"T-{ts}", ts, side, price, Decimal(quantity), fee, "TAKER")


def position_after(fills: Sequence[Fill]) -> Position:
    position = Position()
    for one in fills:
        position.apply(one)
    return position


def order(kind: OrderKind = "LIMIT", quantity: str = "2") -> Order:
    return Order(
        client_order_id="O-1",
        strategy_id="S-001",
        instrument_id="X.V",
        side="BUY",
        kind=kind,
        quantity=Decimal(quantity),
        price=100.0,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=1,
    )


def test_long_is_averaged_and_closed_in_parts() -> None:
    position = position_after([fill("BUY", "1", 100.0), fill("BUY", "3", 120.0, ts=2, fee=0.5)])
    assert (position.quantity, position.average_price, position.ts_opened) == (4, 115.0, 1)
    position.apply(fill("SELL", "1", 125.0, ts=3, fee=0.25))
    assert (position.quantity, position.average_price, position.realized) == (3, 115.0, 10.0)
    assert position.unrealized(113.0) == -6.0
    assert position.value(113.0) == 339.0
    position.apply(fill("SELL", "3", 110.0, ts=4))
    assert (position.quantity, position.average_price, position.realized) == (0, 0.0, -5.0)
    assert (position.fees, position.ts_opened, position.unrealized(999.0)) == (0.75, 0, 0.0)


def test_short_earns_when_the_price_falls() -> None:
    position = position_after([fill("SELL", "2", 100.0), fill("BUY", "1", 90.0, ts=2)])
    assert (position.quantity, position.average_price, position.realized) == (-1, 100.0, 10.0)
    assert position.unrealized(95.0) == 5.0
    assert position.value(95.0) == -95.0


def test_turning_around_closes_the_old_side_and_opens_the_new_one_at_the_fill() -> None:
    position = position_after([fill("BUY", "1", 100.0), fill("SELL", "3", 110.0, ts=2)])
    assert (position.quantity, position.average_price, position.realized) == (-2, 110.0, 10.0)
    assert position.ts_opened == 2


def test_opening_time_is_kept_while_the_position_grows_and_shrinks() -> None:
    position = position_after(
        [fill("BUY", "2", 100.0, ts=1), fill("BUY", "1", 100.0, ts=2), fill("SELL", "1", 1.0, ts=3)]
    )
    assert position.ts_opened == 1


lots = st.integers(1, 50).map(lambda n: Decimal(n) / 1000)
fills = st.lists(
    st.tuples(st.sampled_from(["BUY", "SELL"]), lots, st.integers(9_000, 11_000)), max_size=30
)


@given(fills, st.integers(9_000, 11_000))
def test_realized_and_unrealized_are_the_cash_that_an_exact_sum_gives(
    rows: list[tuple[Side, Decimal, int]], mark: int
) -> None:
    position = Position()
    cash, held = Fraction(0), Fraction(0)
    for ts, (side, quantity, price) in enumerate(rows):
        position.apply(Fill("S", "X.V", "O", str(ts), ts, side, price / 10, quantity, 0.1, "TAKER"))
        sign = 1 if side == "BUY" else -1
        cash -= sign * Fraction(quantity) * Fraction(price, 10)
        held += sign * Fraction(quantity)
    profit = position.realized + position.unrealized(mark / 10)
    assert position.quantity == Decimal(held.numerator) / Decimal(held.denominator)
    assert profit == pytest.approx(float(cash + held * Fraction(mark, 10)), abs=1e-9)
    assert position.fees == pytest.approx(0.1 * len(rows))
    assert (position.quantity == 0) == (position.average_price == 0.0)


@pytest.mark.parametrize("status", ["FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED"])
def test_order_that_ended_is_not_open(status: OrderStatus) -> None:
    one = order()
    assert one.is_open
    one.status = "ACCEPTED"
    assert one.is_open
    one.status = status
    assert not one.is_open


@pytest.mark.parametrize(
    ("kind", "is_stop"),
    [
        ("MARKET", False),
        ("LIMIT", False),
        ("MARKET_IF_TOUCHED", False),
        ("STOP_MARKET", True),
        ("STOP_LIMIT", True),
        ("TRAILING_STOP_MARKET", True),
    ],
)
def test_stops_are_known_by_their_kind(kind: OrderKind, is_stop: bool) -> None:
    assert order(kind).is_stop == is_stop


def test_unanswered_changes_count_with_the_largest_quantity_asked_for() -> None:
    one = order(quantity="2")
    one.filled = Decimal("0.5")
    assert one.leaves == one.most_leaves == Decimal("1.5")
    one.ask_change(Decimal(5))
    one.ask_change(Decimal(1))
    assert (one.leaves, one.most_leaves) == (Decimal("1.5"), Decimal("4.5"))
    one.quantity = Decimal(5)
    one.answer_change(is_made=True)
    assert one.most_leaves == Decimal("4.5")
    one.quantity = Decimal(1)
    one.answer_change(is_made=True)
    assert one.leaves == one.most_leaves == Decimal("0.5")
    one.answer_change(is_made=True)
    assert one.changes == 0


def test_change_of_price_alone_asks_for_the_quantity_that_stands() -> None:
    one = order(quantity="2")
    one.ask_change(None)
    assert one.most_leaves == 2


def test_unanswered_changes_count_with_every_price_asked_for() -> None:
    one = order()
    one.price, one.trigger_price = 100.0, 90.0
    one.ask_change(Decimal(5))
    assert one.asked_prices == ()
    one.ask_change(None, 110.0)
    one.ask_change(None, None, 120.0)
    assert one.asked_prices == ((110.0, 90.0), (110.0, 120.0))
    one.answer_change(is_made=True)
    one.answer_change(is_made=True)
    assert one.asked_prices == ((110.0, 90.0), (110.0, 120.0))
    one.answer_change(is_made=True)
    assert one.asked_prices == ()


def test_purpose_changes_with_the_change_that_was_made_and_not_with_one_that_was_refused() -> None:
    one = order()
    before = one.purpose
    one.ask_change(None, 110.0, purpose="first")
    one.ask_change(None, 120.0)
    one.ask_change(None, 130.0, purpose="third")
    one.answer_change(is_made=False)
    assert one.purpose == before
    one.answer_change(is_made=True)
    assert one.purpose == before  # the second change asked for no other
    one.answer_change(is_made=True)
    assert one.purpose == "third"
    one.answer_change(is_made=True)  # of the venue's own
    assert one.purpose == "third"
