from __future__ import annotations

import pytest

from aitb_nautilus.errors import DataError, UsageError
from catalog.columns import BINANCE_KLINES, bar_columns, funding_columns


@pytest.mark.parametrize(
    "names",
    [
        "open_time open high low close volume",
        "Date Open High Low Close Volume",
        "t o h l c v",
        "timestamp price_open price_high price_low price_close volume",
        "ts open_price high_price low_price close_price base_volume",
        "time spot_open spot_high spot_low spot_close vol",
        "unix date symbol open high low close Volume_BTC Volume_USDT tradecount",
        "<DATE> <OPEN> <HIGH> <LOW> <CLOSE> <VOL>",
        "index Open High Low Close Adj_Close Volume",
    ],
)
def test_usual_spellings_are_recognised(names: str) -> None:
    found = bar_columns(names.split(), {}, "a.csv")
    assert None not in (found.open, found.high, found.low, found.close, found.volume)
    assert not found.stamps_are_close
    assert "quote" not in str(found.volume)


def test_binance_columns() -> None:
    found = bar_columns(BINANCE_KLINES, {}, "a.zip")
    assert (found.time, found.volume, found.symbol) == ("open_time", "volume", None)


def test_price_wins_over_other_sets_that_end_alike() -> None:
    names = [f"{p}_{x}" for p in ("oi", "price", "cvd") for x in ("open", "high", "low", "close")]
    assert bar_columns(["time", *names], {}, "a.csv").open == "price_open"


def test_several_sets_of_prices_must_be_chosen_from() -> None:
    names = [f"{p}_{x}" for p in ("spot", "perp") for x in ("open", "high", "low", "close")]
    with pytest.raises(DataError, match="several sets of prices: spot_open, perp_open"):
        bar_columns(["time", *names], {}, "a.csv")


@pytest.mark.parametrize("name", ["close_time", "CloseTime", "ts_event"])
def test_column_that_says_close_stamps_the_close(name: str) -> None:
    found = bar_columns([name, "open", "high", "low", "close", "volume"], {}, "a.csv")
    assert (found.time, found.stamps_are_close) == (name, True)
    both = bar_columns([name, "open_time", "open", "high", "low", "close"], {}, "a.csv")
    assert (both.time, both.stamps_are_close) == ("open_time", False)
    chosen = bar_columns([name, "open_time", "open", "high", "low", "close"], {"time": name}, "a")
    assert (chosen.time, chosen.stamps_are_close) == (name, True)


def test_names_given_win() -> None:
    names = ["when", "a", "b", "c", "d", "open", "amount", "coin"]
    roles = ("time", "open", "high", "low", "close", "volume", "symbol")
    given = dict(zip(roles, ["when", "a", "b", "c", "d", "amount", "coin"], strict=True))
    found = bar_columns(names, given, "a.csv")
    assert (found.time, found.open, found.close) == ("when", "a", "d")
    assert (found.volume, found.symbol) == ("amount", "coin")


def test_missing_columns_are_listed_with_what_was_found() -> None:
    with pytest.raises(DataError) as caught:
        bar_columns(["time", "px", "open"], {}, "a.csv")
    text = str(caught.value)
    assert "found time, px, open" in text
    assert "--columns high=NAME,low=NAME,close=NAME" in text


def test_unknown_role_and_unknown_column_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'open'"):
        bar_columns(["time"], {"opne": "x"}, "a.csv")
    with pytest.raises(DataError, match="did you mean 'px_open'"):
        bar_columns(["time", "px_open"], {"open": "px_opn"}, "a.csv")


@pytest.mark.parametrize(
    "names",
    [
        "calc_time funding_interval_hours last_funding_rate",
        "symbol fundingTime fundingRate markPrice",
        "funding_time symbol funding_rate",
        "timestamp rate",
    ],
)
def test_funding_columns_of_usual_spellings(names: str) -> None:
    found = funding_columns(names.split(), {}, "a.csv")
    assert "ate" in found.rate
    assert "ime" in found.time


def test_missing_funding_column_is_named() -> None:
    with pytest.raises(DataError, match=r"no column looks like rate.*--columns rate=NAME"):
        funding_columns(["time", "value"], {}, "a.csv")
