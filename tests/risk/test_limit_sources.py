"""Limits of quotes, references and predictions: what they need, and what is odd to them."""

from __future__ import annotations

import math

import pytest

from aitb_nautilus.messages import BarClosed
from tests.risk.limit_lab import MINUTE, SECOND, Desk, R, X, Y, settings

BOOK = {"max_quote_age_ms": 1_000}
BOUNDS = {
    "max_spread_frac": 0.5,
    "min_book_notional": 1.0,
    "book_band_frac": 0.5,
    "max_divergence_frac": 0.5,
}


def desk_with(**risk: object) -> Desk:
    desk = Desk(settings(**risk))
    for instrument in (X, Y):
        desk.bar(100.0, instrument=instrument)
    return desk


@pytest.mark.parametrize("key", ["max_quote_age_ms", *BOUNDS])
def test_without_a_quote_nothing_opens_and_an_exit_passes(key: str) -> None:
    desk = desk_with(book=BOOK | {key: BOUNDS.get(key, 1_000)})
    desk.quote(99, 101, Y)
    refused = desk.ask("1")
    assert not refused.allowed
    assert "no quote of X.V is known that has both a bid and an ask" in refused.line
    assert desk.ask("1", instrument=Y).line == ""
    desk.trade("1")
    assert desk.ask("1", "SELL").reducing


@pytest.mark.parametrize(
    ("bid", "ask"), [(0.0, 101.0), (99.0, 0.0), (101.0, 99.0), (math.nan, 101.0), (99.0, math.nan)]
)
@pytest.mark.parametrize("key", BOUNDS)
def test_book_that_cannot_be_is_refused(key: str, bid: float, ask: float) -> None:
    desk = desk_with(book=BOOK | {key: BOUNDS[key]})
    desk.quote(bid, ask)
    assert "no quote of X.V is known" in desk.ask("1").line
    desk.quote(99.0, 101.0)
    assert desk.ask("1").line == ""


def test_quote_is_too_old_to_the_nanosecond_by_the_clock_of_the_node() -> None:
    desk = desk_with(book=BOOK)
    desk.quote(99, 101)
    desk.guard.clock = lambda: desk.now + SECOND
    assert desk.ask("1").line == ""
    desk.guard.clock = lambda: desk.now + SECOND + 1
    assert "is 1,000 ms old" in desk.ask("1").line


def test_quote_that_was_overtaken_does_not_count() -> None:
    desk = desk_with(book=BOOK | {"max_spread_frac": 0.01})
    desk.now += SECOND
    desk.quote(100, 100.1)
    desk.now -= 1
    desk.quote(90, 110)
    assert desk.ask("1").line == ""


def test_quote_that_comes_late_does_not_stand_for_a_book_that_was_broken_since() -> None:
    desk = desk_with(book=BOOK | {"max_spread_frac": 0.01})
    desk.now += SECOND
    desk.quote(100.1, 100)
    desk.now -= 1
    desk.quote(100, 100.1)
    assert "no quote of X.V is known" in desk.ask("1").line
    desk.now += 1
    desk.quote(100, 100.1)
    assert desk.ask("1").line == ""


def test_quote_ahead_of_the_clock_is_a_skew() -> None:
    desk = desk_with(book=BOOK, max_clock_skew_ms=10)
    desk.quote(99, 101)
    desk.guard.clock = lambda: desk.now - 11_000_000
    assert "the last quote of X.V lies 11 ms ahead" in desk.ask("1").line or (
        "the last bar of X.V lies 11 ms ahead" in desk.ask("1").line
    )
    desk.now += SECOND
    desk.quote(99, 101)
    assert "the last quote of X.V lies 11 ms ahead" in desk.ask("1").line


def test_band_of_the_book_holds_beside_that_of_the_last_price() -> None:
    # The market has moved: 80 is near the last price no more, and near the book.
    desk = desk_with(price_band_frac=0.1, book=BOOK | {"book_band_frac": 0.02})
    desk.quote(99, 101)
    assert desk.ask("1", kind="LIMIT", price=98.0).line == ""
    assert desk.ask("1", kind="LIMIT", price=97.9).limit == "book_band_frac"
    assert desk.ask("1", "SELL", kind="STOP_MARKET", trigger_price=97.9).limit == "book_band_frac"
    assert desk.ask("1", kind="LIMIT", price=89.0).limit == "price_band_frac"
    assert desk.ask("1").line == ""


def reference(**terms: object) -> dict[str, object]:
    block = {"instrument": R, "max_divergence_frac": 0.02, "max_age_minutes": 2} | terms
    return {"scope": {"instrument": X}, "reference": block}


def tell(desk: Desk, close: float) -> None:
    desk.guard.hearing.reference(BarClosed(R, desk.now, *[close] * 4, 1.0))


def test_reference_that_says_nothing_or_nothing_of_late_is_none() -> None:
    desk = desk_with(rules=[reference()])
    assert "no bar of R.W was seen yet, the reference of X.V" in desk.ask("1").line
    assert desk.ask("1", instrument=Y).line == ""
    tell(desk, 100.0)
    desk.now += 2 * MINUTE
    assert desk.ask("1").line == ""
    desk.now += 1
    refused = desk.ask("1")
    assert "is 2.0 minutes old" in refused.line
    assert "rules[0].reference.max_age_minutes" in refused.line


def test_contract_on_a_thousand_pieces_is_compared_with_a_thousand_of_them() -> None:
    desk = desk_with(rules=[reference(scale=1000)])
    tell(desk, 0.1)
    assert desk.ask("1").line == ""
    tell(desk, 0.098)
    assert "lies 2.04% from 98" in desk.ask("1").line


def test_reference_that_is_traded_itself_is_heard_through_its_bars() -> None:
    desk = desk_with(rules=[reference(instrument=Y)])
    assert desk.ask("1").line == ""
    desk.bar(103.0, instrument=Y)
    assert "which Y.V says" in desk.ask("1").line


def test_prediction_is_too_old_to_the_nanosecond() -> None:
    desk = desk_with(max_prediction_age_minutes=2)
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.predict()
    desk.now += 2 * MINUTE
    assert desk.ask("1").line == ""
    desk.now += 1
    assert "is 2.0 minutes old" in desk.ask("1").line


def test_strategy_without_models_needs_no_prediction() -> None:
    desk = desk_with(max_prediction_age_minutes=1)
    assert desk.ask("1").line == ""
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.guard.hearing.expect("T-002", [])
    assert desk.ask("1", strategy="T-002").line == ""
    assert "m has said nothing of X.V yet" in desk.ask("1").line


def test_prediction_that_expired_is_none_however_young_it_is() -> None:
    desk = desk_with(max_prediction_age_minutes=60)
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.predict(valid=MINUTE)
    desk.now += MINUTE - 1
    assert desk.ask("1").line == ""
    desk.now += 1
    assert "what m said of X.V expired at 1970-01-02 00:01:00" in desk.ask("1").line


def test_each_model_of_the_instrument_must_have_spoken() -> None:
    desk = desk_with(max_prediction_age_minutes=5)
    desk.guard.hearing.expect("S-001", [("m", X), ("n", X), ("m", Y)])
    desk.predict(X)
    assert "n has said nothing of X.V yet" in desk.ask("1").line
    desk.predict(X, "n")
    assert desk.ask("1").line == ""
    assert "m has said nothing of Y.V yet" in desk.ask("1", instrument=Y).line


def test_order_in_an_instrument_without_models_needs_all_that_the_strategy_listens_to() -> None:
    desk = desk_with(max_prediction_age_minutes=5)
    desk.guard.hearing.expect("S-001", [("m", X), ("n", X)])
    desk.predict(X)
    assert "n has said nothing" in desk.ask("1", instrument=Y).line
    desk.predict(X, "n")
    assert desk.ask("1", instrument=Y).line == ""


def test_older_prediction_that_comes_late_does_not_replace_a_newer_one() -> None:
    desk = desk_with(max_prediction_age_minutes=1)
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.now += 5 * MINUTE
    desk.predict()
    desk.now -= 5 * MINUTE
    desk.predict()
    desk.now += 6 * MINUTE
    assert desk.ask("1").line == ""


def test_later_word_on_the_same_bar_counts_even_if_it_is_no_younger() -> None:
    desk = desk_with(max_prediction_age_minutes=60)
    desk.guard.hearing.expect("S-001", [("m", X)])
    desk.predict(valid=MINUTE)
    desk.predict(valid=10 * MINUTE)
    desk.now += 2 * MINUTE
    assert desk.ask("1").line == ""


def test_bar_is_named_where_a_quote_lies_no_further_ahead() -> None:
    desk = desk_with(max_clock_skew_ms=500)
    desk.quote(99, 101)
    desk.now -= 600_000_000
    assert "the last bar of X.V lies 600 ms ahead" in desk.ask("1").line
