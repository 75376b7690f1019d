from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.market.intervals import (
    Interval,
    beside_grid,
    canonical_close_ns,
    close_of_open_ns,
    spell_ns,
)

MINUTE = 60_000_000_000
DAY = 86_400_000_000_000


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.mark.parametrize(
    ("text", "canonical", "length"),
    [
        ("1s", "1s", 1_000_000_000),
        ("60s", "1m", MINUTE),
        ("5m", "5m", 5 * MINUTE),
        ("60m", "1h", 60 * MINUTE),
        ("4h", "4h", 240 * MINUTE),
        ("24h", "1d", DAY),
        (" 1d ", "1d", DAY),
    ],
)
def test_interval_is_kept_in_its_shortest_spelling(text: str, canonical: str, length: int) -> None:
    interval = Interval.parse(text)
    assert interval.text == str(interval) == canonical
    assert interval.ns == length


@pytest.mark.parametrize("text", ["", "m", "1", "1w", "1M", "-1m", "1.5h", "1 m", "one"])
def test_text_that_is_no_interval_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 1m, 15m, 1h or 1d"):
        Interval.parse(text)


@pytest.mark.parametrize("text", ["0m", "7m", "90m", "5h", "2d", "61s"])
def test_interval_that_does_not_divide_the_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not divide"):
        Interval.parse(text)


@pytest.mark.parametrize("text", ["1s", "15s", "1m", "5m", "30m", "1h", "4h", "12h", "1d"])
def test_bar_type_and_back(text: str) -> None:
    interval = Interval.parse(text)
    for instrument in ("BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE", "BTC/USD.KRAKEN", "BTC-USDT.OKX"):
        bar_type = interval.bar_type(instrument)
        assert Interval.of_bar_type(bar_type) == interval
        assert Interval.instrument_of_bar_type(bar_type) == instrument


def test_bar_type_is_spelt_as_the_engine_spells_it() -> None:
    wanted = "BTCUSDT-PERP.BINANCE-15-MINUTE-LAST-EXTERNAL"
    assert Interval.parse("15m").bar_type("BTCUSDT-PERP.BINANCE") == wanted


@pytest.mark.parametrize(
    "text", ["BTCUSDT.BINANCE", "X.Y-1-WEEK-LAST-EXTERNAL", "X.Y-5-TICK-LAST-EXTERNAL"]
)
def test_bar_type_without_fixed_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no bar type of a fixed interval"):
        Interval.of_bar_type(text)


@pytest.mark.parametrize(
    "stamp", ["2023-01-31T23:59:59.999", "2023-01-31T23:59:59.999999", "2023-02-01T00:00:00"]
)
def test_early_stamps_get_the_one_close_across_a_month_boundary(stamp: str) -> None:
    close = canonical_close_ns(ns(stamp), MINUTE)
    assert close == ns("2023-02-01T00:00:00")
    assert type(close) is int


def test_canonical_close_of_an_array_equals_that_of_each_int() -> None:
    stamps = ns("2023-01-01") + np.arange(1000, dtype=np.int64) * MINUTE - 1_000_000
    closes = canonical_close_ns(stamps, MINUTE)
    assert closes.dtype == np.int64
    assert closes.tolist() == [canonical_close_ns(int(s), MINUTE) for s in stamps]
    assert (closes - stamps == 1_000_000).all()


@pytest.mark.parametrize("length", [1_000_000_000, 3_000_000_000, MINUTE, DAY])
def test_one_stamp_is_taken_and_refused_where_an_array_of_it_is(length: int) -> None:
    allowed = min(1_000_000_000, length // 4)
    for away in (0, 1, -1, allowed, -allowed, allowed + 1, -allowed - 1, length // 2):
        stamp = 1_700_006_400_000_000_000 // length * length + away
        if beside_grid(np.array([stamp]), length)[0]:
            with pytest.raises(ValueError, match="is no close time of bars of"):
                canonical_close_ns(stamp, length)
        else:
            found = canonical_close_ns(stamp, length)
            assert type(found) is int
            assert found == canonical_close_ns(np.array([stamp]), length)[0]


def test_canonical_close_is_its_own_canonical_close() -> None:
    closes = ns("2023-01-01") + np.arange(100, dtype=np.int64) * MINUTE
    assert np.array_equal(canonical_close_ns(closes, MINUTE), closes)


def test_file_request_and_stream_give_one_bar_the_same_time() -> None:
    open_stamp = ns("2024-03-10T06:59:00")  # a day on which New York changes its clocks
    from_file = close_of_open_ns(open_stamp, MINUTE)
    from_stream = canonical_close_ns(ns("2024-03-10T06:59:59.999"), MINUTE)
    assert from_file == from_stream == ns("2024-03-10T07:00:00")


def test_days_stay_24_hours_when_clocks_change() -> None:
    opens = np.array([ns("2024-03-09"), ns("2024-03-10"), ns("2024-03-31"), ns("2024-10-27")])
    closes = close_of_open_ns(opens, DAY)
    assert ((closes - opens) == DAY).all()
    assert (closes % DAY == 0).all()


@pytest.mark.parametrize("stamp", ["2023-01-01T00:00:58.9", "2023-01-01T00:00:30"])
def test_stamp_far_from_the_grid_is_refused_and_named(stamp: str) -> None:
    with pytest.raises(ValueError, match="2023-01-01T00:00"):
        canonical_close_ns(ns(stamp), MINUTE)
    with pytest.raises(ValueError, match="no close time of bars of 1m"):
        canonical_close_ns(np.array([ns("2023-01-01"), ns(stamp)]), MINUTE)


def test_short_bars_allow_only_a_quarter_of_their_length() -> None:
    second = 1_000_000_000
    stamps = np.array([ns("2023-01-01") - 250_000_000, ns("2023-01-01") - 250_000_001])
    assert beside_grid(stamps, second).tolist() == [False, True]


@pytest.mark.parametrize(
    ("length", "text"),
    [(1, "1m"), (60, "1h"), (80, "1h 20m"), (1440, "1d"), (1500, "1d 1h"), (262_080, "182d")],
)
def test_lengths_are_spelt_in_their_two_largest_units(length: int, text: str) -> None:
    assert spell_ns(length * MINUTE) == text
