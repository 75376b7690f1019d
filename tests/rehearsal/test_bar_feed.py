"""A market made from bars: exact where bars are exact, and playable in between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.rehearsal import BarSource, BookModel, Rehearsal, RehearsalSettings, SteppedClock
from aitb_nautilus.rehearsal.bar_feed import bar_events, scaled_interval_ms
from aitb_nautilus.rehearsal.feed import BarClose, BookSet, Timeline, Trade
from aitb_nautilus.rehearsal.symbols import Rules
from tests.rehearsal_client import HOUR_NS, bar_source
from tests.rehearsal_lab import SPEC, START_NS, hour_bars

RULES = Rules(SPEC)


def one_bar(opened: float, high: float, low: float, close: float, volume: float) -> BarFrame:
    columns = [np.array([value], np.float64) for value in (opened, high, low, close, volume)]
    return BarFrame(np.array([START_NS + 60_000_000_000], np.int64), *columns)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(100_000, 110_000),
    st.integers(0, 500),
    st.integers(0, 500),
    st.floats(0, 1),
    st.integers(0, 5_000),
    st.integers(4, 40),
)
def test_a_walk_begins_ends_and_turns_where_the_bar_says(
    low: int, below: int, above: int, where: float, volume: int, steps: int
) -> None:
    opened, high = low + below, low + below + above
    close = low + round(where * (high - low))
    frame = one_bar(*(value / 10 for value in (opened, high, low, close)), volume / 1_000)
    events = list(bar_events(RULES, frame, 60_000, BookModel(steps=steps)))
    trades = [event for event in events if isinstance(event, Trade)]
    books = [event for event in events if isinstance(event, BookSet)]
    closing = events[-1]
    assert isinstance(closing, BarClose)
    assert closing.candle is not None
    assert (closing.candle.open, closing.candle.high) == (opened * 10, high * 10)
    assert (closing.candle.low, closing.candle.close) == (low * 10, close * 10)
    assert closing.candle.volume == sum(trade.quantity for trade in trades) == volume
    times = [event.ts_ns for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] == 60_000_000_000
    if volume >= 4:
        prices = [trade.price for trade in trades]
        assert (prices[0], prices[-1]) == (opened * 10, close * 10)
        assert (max(prices), min(prices)) == (high * 10, low * 10)
    for book in books:
        assert book.bids[0][0] < book.asks[0][0]
        assert all(quantity > 0 for _, quantity in [*book.bids, *book.asks])


def test_a_trade_leaves_the_level_that_it_hits_standing() -> None:
    frame = one_bar(60_000, 60_010, 59_990, 60_005, 100)
    for book, trade in zip(
        (e for e in bar_events(RULES, frame, 60_000) if isinstance(e, BookSet)),
        (e for e in bar_events(RULES, frame, 60_000) if isinstance(e, Trade)),
        strict=True,
    ):
        side = book.bids if trade.buyer_is_maker else book.asks
        assert side[0][0] == trade.price
        assert side[0][1] > trade.quantity


def test_a_speed_that_makes_no_kline_of_binance_is_refused_with_those_that_do() -> None:
    assert scaled_interval_ms(HOUR_NS, 60) == 60_000
    with pytest.raises(ConfigError, match=r"must be one of 1, 2, 4, 12, 20, 60\. "):
        scaled_interval_ms(HOUR_NS, 7)
    with pytest.raises(ConfigError, match=r"must be one of 1, 2, 4, 12, 20, 60, 3600\. "):
        scaled_interval_ms(HOUR_NS, 7, spot=True)


def test_bars_of_a_second_are_of_spot_alone() -> None:
    assert scaled_interval_ms(HOUR_NS // 60, 60, spot=True) == 1_000
    with pytest.raises(ConfigError, match="was 60 for bars of 60 s, must be one of 1"):
        scaled_interval_ms(HOUR_NS // 60, 60)


def test_recorded_times_are_shifted_and_compressed() -> None:
    line = Timeline(START_NS, START_NS + 5, speed=60)
    assert line.at(START_NS + 3_600) == START_NS + 65


def test_a_source_without_anything_to_play_is_refused() -> None:
    frame = hour_bars(5)
    source = BarSource(SPEC, frame, HOUR_NS, int(frame.ts_close[-1]))
    with pytest.raises(DataError, match="no bar after its start"):
        Rehearsal(RehearsalSettings(), [source], SteppedClock(START_NS))
    with pytest.raises(DataError, match="has no source"):
        Rehearsal(RehearsalSettings(), [], SteppedClock(START_NS))


def test_the_same_feed_and_orders_give_the_same_fills_and_events() -> None:
    def play() -> list[object]:
        rehearsal = Rehearsal(RehearsalSettings(), [bar_source()], SteppedClock(START_NS))
        venue = rehearsal.exchange.venue
        order = {"symbol": "BTCUSDT", "quantity": "0.500"}
        for hour in range(8):
            rehearsal.advance(rehearsal.clock.now_ns() + HOUR_NS)
            venue.place(order | {"side": ("BUY", "SELL")[hour % 2], "type": "MARKET"})
            mark = rehearsal.exchange.venue.markets["BTCUSDT"].mark_price or 0
            price = f"{(mark // 10 - 50) / 10:.1f}"
            limit = {"type": "LIMIT", "timeInForce": "GTC", "price": price}
            venue.place(order | limit | {"side": "BUY"})
        return [venue.fills, rehearsal.server.user_stream.sent]

    first, second = play(), play()
    assert first == second
    assert len(first[0]) > 10  # type: ignore[arg-type]


def test_a_funding_settlement_of_the_source_is_paid_in_its_hour() -> None:
    plain = bar_source()
    due = plain.start_ns + 2 * HOUR_NS
    source = BarSource(SPEC, plain.frame, HOUR_NS, plain.start_ns, [(due, "0.0001")])
    rehearsal = Rehearsal(RehearsalSettings(), [source], SteppedClock(START_NS))
    begin = rehearsal.clock.now_ns()
    rehearsal.advance(begin + HOUR_NS)
    rehearsal.exchange.venue.place(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    )
    rehearsal.advance(begin + 2 * HOUR_NS - 1)
    assert rehearsal.exchange.venue.income == []
    rehearsal.advance(begin + 2 * HOUR_NS)
    assert len(rehearsal.exchange.venue.income) == 1


def test_the_next_settlement_is_known_before_and_asked_for_afterwards() -> None:
    source = bar_source()
    start = source.start_ns
    rates = [(start - HOUR_NS, "0.00010000"), (start + HOUR_NS, "-0.00020000")]
    funded = BarSource(source.spec, source.frame, source.interval_ns, start, rates)
    rehearsal = Rehearsal(RehearsalSettings(), [funded], SteppedClock(START_NS))
    market = rehearsal.exchange.venue.markets["BTCUSDT"]
    due = rehearsal.timeline.at(start + HOUR_NS) // 1_000_000
    assert market.next_funding() == (due, "-0.00020000")
    assert [row["fundingRate"] for row in market.settlements] == ["0.00010000"]
    rehearsal.advance(rehearsal.clock.now_ns() + 2 * HOUR_NS)
    assert market.next_funding()[1] == "0.00000000"
    assert [row["fundingTime"] for row in market.settlements][-1] == due
