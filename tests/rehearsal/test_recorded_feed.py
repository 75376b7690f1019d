"""A market made from recorded messages of Binance."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.rehearsal import RecordedSource, Rehearsal, RehearsalSettings, SteppedClock
from aitb_nautilus.rehearsal.clock import MS
from aitb_nautilus.rehearsal.recorded_feed import read_lines
from tests.rehearsal_lab import SPEC, START_NS

MINUTE_NS = 60_000_000_000


def recording(market_dir: Path) -> Path:
    return market_dir / "ws_raw" / "binance_usdm_btcusdt_20240808.jsonl.gz"


def test_the_book_of_a_recording_equals_the_recorded_best_prices(market_dir: Path) -> None:
    path = recording(market_dir)
    source = RecordedSource(SPEC, path)
    rehearsal = Rehearsal(RehearsalSettings(), [source], SteppedClock(START_NS))
    rehearsal.advance(rehearsal.clock.now_ns() + MINUTE_NS)
    market = rehearsal.exchange.venue.markets["BTCUSDT"]
    now = market.now_ms()
    line = rehearsal.timeline
    quotes = (
        data["data"]
        for _, data in read_lines(path)
        if data.get("stream", "").endswith("bookTicker")
    )
    early = itertools.takewhile(lambda data: line.at(data["E"] * MS) // MS <= now, quotes)
    last = list(early)[-1]
    quote = market.quote()
    assert (quote["b"], quote["a"]) == (last["b"], last["a"])
    assert len(market.trades) == 1_000


def test_klines_of_a_recording_are_made_of_its_trades(market_dir: Path) -> None:
    path = recording(market_dir)
    rehearsal = Rehearsal(RehearsalSettings(), [RecordedSource(SPEC, path)], SteppedClock(START_NS))
    rehearsal.advance(rehearsal.clock.now_ns() + 2 * MINUTE_NS)
    candles = rehearsal.exchange.venue.markets["BTCUSDT"].candles
    closed = candles.query("1m", None, None, 2)[0]
    begin = closed.open_ms - (rehearsal.timeline.exchange_ns - rehearsal.timeline.recorded_ns) // MS
    trades = [
        message["data"]
        for _, message in read_lines(path)
        if message.get("stream", "").endswith("@trade")
        and begin <= message["data"]["E"] < begin + 60_000
        and message["data"]["X"] == "MARKET"
    ]
    assert closed.trades == len(trades) > 100
    volume = sum(round(float(trade["q"]) * 1_000) for trade in trades)
    assert closed.volume == volume
    assert candles.rules.price_text(closed.close) == trades[-1]["p"]


def test_an_order_in_a_recorded_market_fills_when_trades_reach_it(market_dir: Path) -> None:
    source = RecordedSource(SPEC, recording(market_dir))
    rehearsal = Rehearsal(RehearsalSettings(), [source], SteppedClock(START_NS))
    begin = rehearsal.clock.now_ns()
    rehearsal.advance(begin + MINUTE_NS)
    venue = rehearsal.exchange.venue
    bid = venue.markets["BTCUSDT"].quote()["b"]
    order = venue.place(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTX",
            "quantity": "0.050",
            "price": bid,
        }
    )
    assert not venue.fills
    rehearsal.advance(begin + 2 * MINUTE_NS)
    assert order.status == "FILLED"
    assert all(fill.maker for fill in venue.fills)
    assert {venue.markets["BTCUSDT"].rules.price_text(fill.price) for fill in venue.fills} == {bid}


def test_a_line_that_is_no_message_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.gz"
    with gzip.open(path, "wb") as lines:
        lines.write(b'1 {"E": 1}\nnothing\n')
    with pytest.raises(DataError, match="line 2"):
        list(read_lines(path))
