"""The Kelly fraction against what it maximises, and the record of trades against hand-made ones."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from aitb_nautilus.messages import Fill, Side
from aitb_nautilus.risk.book import Position
from aitb_nautilus.risk.kelly import TradeRecord, TradeState, kelly_of_odds, kelly_of_returns

PROBABILITY = st.floats(0, 1)
PART = st.floats(0.001, 0.5)


@given(PROBABILITY, PART, PART)
def test_fraction_of_odds_is_where_capital_grows_fastest(p: float, win: float, loss: float) -> None:
    f = kelly_of_odds(p, win, loss)
    assert f >= 0
    assert math.isfinite(f)
    if p * win <= (1 - p) * loss:
        assert f == pytest.approx(0, abs=1e-9)
    elif p < 0.999:
        # The slope of p log(1 + f a) + (1 - p) log(1 - f b) is zero there.
        slope = p * win / (1 + f * win) - (1 - p) * loss / (1 - f * loss)
        assert slope == pytest.approx(0, abs=1e-9)


@given(PROBABILITY, PROBABILITY, PART, PART)
def test_fraction_grows_with_the_probability(p: float, q: float, win: float, loss: float) -> None:
    low, high = sorted((p, q))
    assert kelly_of_odds(low, win, loss) <= kelly_of_odds(high, win, loss)


def test_bet_without_an_edge_is_worth_nothing() -> None:
    assert kelly_of_odds(0.5, 0.02, 0.02) == 0
    assert kelly_of_odds(0.9, -0.001, 0.02) == 0  # The costs eat the win
    assert kelly_of_returns(0.0, 0.04) == 0


class Book:
    """One strategy's fills, and the record that hears them."""

    def __init__(self, trades: int = 100, min_trades: int = 2) -> None:
        self.record = TradeRecord(trades, min_trades)
        self.positions: dict[str, Position] = {}

    def fill(
        self, side: Side, quantity: str, price: float, fee: float = 0.0, at: str = "X"
    ) -> None:
        position = self.positions.setdefault(at, Position())
        fill = Fill("S", at, "O", "T", 1, side, price, Decimal(quantity), fee, "TAKER")
        position.apply(fill)
        self.record.hear_fill(fill, position)

    def trade(self, at: float, then: float, side: Side = "BUY") -> None:
        self.fill(side, "1", at)
        self.fill("SELL" if side == "BUY" else "BUY", "1", then)


def test_record_says_nothing_before_enough_trades_of_both_kinds() -> None:
    book = Book(min_trades=3)
    book.trade(100, 110)
    book.trade(100, 95)
    assert book.record.odds() is None
    book.trade(100, 106, side="SELL")
    # One of three won: (1 + 1) / (3 + 2). Wins 10 %, losses 5 % and 6 %.
    assert book.record.odds() == pytest.approx((0.4, 0.1, 0.055))
    winners = Book()
    for _ in range(5):
        winners.trade(100, 101)
    assert winners.record.odds() is None


def test_only_the_last_trades_count() -> None:
    book = Book(trades=2)
    for then in (150, 110, 95):
        book.trade(100, then)
    assert book.record.odds() == pytest.approx((0.5, 0.1, 0.05))


def test_trade_in_parts_counts_fees_funding_and_all_that_was_opened() -> None:
    book = Book()
    book.fill("BUY", "1", 100.0, fee=1.0)
    book.fill("BUY", "1", 110.0, fee=1.0)
    book.positions["X"].funding -= 2.0
    book.fill("SELL", "1.5", 120.0, fee=1.0)
    book.fill("SELL", "0.5", 120.0, fee=1.0)
    # Bought for 210, sold for 240: 30 less 4 of fees and 2 of funding.
    book.trade(100, 90)
    assert book.record.odds() == pytest.approx((0.5, 24 / 210, 0.1))


def test_fill_that_turns_a_position_ends_one_trade_and_begins_the_next() -> None:
    book = Book()
    book.fill("BUY", "1", 100.0)
    book.fill("SELL", "3", 110.0, fee=1.0)  # Earns 10 less the fee; short 2 at 110 from here on
    book.fill("BUY", "2", 121.0)
    assert book.record.odds() == pytest.approx((0.5, 0.09, 0.1))


def test_instruments_are_told_apart() -> None:
    book = Book()
    book.fill("BUY", "1", 100.0, at="X")
    book.fill("BUY", "1", 200.0, at="Y")
    book.fill("SELL", "1", 220.0, at="Y")
    book.fill("SELL", "1", 98.0, at="X")
    assert book.record.odds() == pytest.approx((0.5, 0.1, 0.02))


@pytest.mark.parametrize("cut", range(6))
def test_record_restored_from_what_was_saved_goes_on_identically(cut: int) -> None:
    fills: list[tuple[Side, str, float]] = [
        ("BUY", "1", 100.0),
        ("SELL", "1", 110.0),
        ("BUY", "2", 100.0),
        ("BUY", "1", 105.0),
        ("SELL", "5", 90.0),
    ]
    whole, broken = Book(), Book()
    for number, (side, quantity, price) in enumerate(fills):
        if number == cut:
            saved = msgspec.json.encode(broken.record.save())
            broken.record = TradeRecord(100, 2)
            broken.record.restore(msgspec.json.decode(saved, type=TradeState))
        for book in (whole, broken):
            book.fill(side, quantity, price, fee=1.0)
    assert broken.record.save() == whole.record.save()
    assert len(whole.record.save().returns) == 2


def test_parts_that_are_too_small_to_be_sold_are_no_trades() -> None:
    record, position = TradeRecord(100, 2), Position()

    def fill(side: Side, quantity: str, price: float) -> None:
        one = Fill("S", "X", "O", "T", 1, side, price, Decimal(quantity), 0.0, "TAKER")
        position.apply(one, lambda held, _: held if held >= Decimal("0.1") else Decimal(0))
        record.hear_fill(one, position)

    for quantity in ("0.03", "0.03", "1"):
        fill("BUY", quantity, 100.0)
    for quantity in ("1", "0.03", "0.02"):
        fill("SELL", quantity, 110.0)
    assert record.save().open == {}
    assert record.save().returns == [pytest.approx(10.0 / 106.0)]
