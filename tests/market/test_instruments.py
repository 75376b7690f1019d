from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.instruments import (
    InstrumentSettings,
    config_instruments,
    find_instrument,
    find_symbol,
    instrument_block,
    known_instruments,
    likely_instrument,
    named_instruments,
)
from aitb_nautilus.settings import decode
from catalog.decimals import decimals_wanted


def spec(**changes: object) -> InstrumentSettings:
    data = {
        "id": "ABCUSDT.BINANCE",
        "kind": "spot",
        "base": "ABC",
        "quote": "USDT",
        "tick_size": "0.10",
        "lot_size": "1",
        **changes,
    }
    return decode(data, InstrumentSettings, "test.toml: instruments[0]")


def test_digits_of_a_step_say_more_than_its_value() -> None:
    found = spec(tick_size="0.10", lot_size="0.000010")
    assert (found.tick, found.price_precision) == (Decimal("0.1"), 2)
    assert (found.lot, found.size_precision) == (Decimal("0.00001"), 6)


def test_venue_and_symbol_come_from_the_id() -> None:
    perpetual = known_instruments()["BTCUSDT-PERP.BINANCE"]
    assert (perpetual.venue, perpetual.raw_symbol) == ("BINANCE", "BTCUSDT")
    assert known_instruments()["BTCUSDT-LINEAR.BYBIT"].raw_symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "BTCUSDT"}, "must be symbol, dot, venue"),
        ({"tick_size": "0"}, "must be above 0"),
        ({"tick_size": "1e-2"}, "plain decimal text"),
        ({"lot_size": "-1"}, "plain decimal text"),
        ({"lot_size": "0.00000000000000001"}, "at most 16 decimals"),
        ({"min_notional": "five"}, "plain decimal text"),
        ({"margin_init": "0.1"}, "belong to perpetuals"),
        ({"kind": "option"}, "kind"),
        ({"tick_sise": "1"}, "did you mean 'tick_size'"),
        ({"tick_size": 0.01}, "must be str"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        spec(**change)
    assert str(caught.value).startswith("test.toml: instruments[0]")


def test_config_wins_over_the_table() -> None:
    mine = spec(id="BTCUSDT.BINANCE", tick_size="0.5")
    assert known_instruments([mine])["BTCUSDT.BINANCE"] is mine
    assert find_instrument("BTCUSDT.BINANCE").tick == Decimal("0.01")


def test_unknown_instrument_names_the_nearest_and_the_block_to_add() -> None:
    with pytest.raises(ConfigError) as caught:
        find_instrument("BTCUSD-PERP.BINANCE")
    text = str(caught.value)
    assert "did you mean 'BTCUSDT-PERP.BINANCE'?" in text
    block = text[text.index("[[instruments]]") : text.rindex("with the venue")]
    added = tomllib.loads(block)["instruments"][0]
    assert added["id"] == "BTCUSD-PERP.BINANCE"
    assert added["kind"] == "perpetual"
    decode(added, InstrumentSettings, "block")


@pytest.mark.parametrize(
    ("misspelt", "groups", "meant"),
    [
        # the config's own come first, though another is spelt more alike
        ("ETHUSD.BINANCE", [["ETHUSDT-PERP.BINANCE"], ["ETHUSDT.BINANCE"]], "ETHUSDT-PERP.BINANCE"),
        # another coin is not what was meant, however alike the rest of the id is
        ("BTCUST-PERP.BINANCE", [["ETHUSDT-PERP.BINANCE", "LTCUSDT-PERP.BINANCE"]], None),
        ("BTCUST-PERP.BINANCE", [["ETHUSDT-PERP.BINANCE"], ["BTCUSDT-PERP.BINANCE"]], "BTCUSDT-P"),
        ("BTCUSDT.BINANC", [["BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE"]], "BTCUSDT.BINANCE"),
        ("BTCUSDT", [["BTCUSDT.BINANCE"]], "BTCUSDT.BINANCE"),
        ("BTC-USD.OKX", [["BTC-USDT.OKX"]], "BTC-USDT.OKX"),
        ("anything", [[], []], None),
    ],
)
def test_misspelt_instrument_is_one_of_the_first_group_that_has_one_like_it(
    misspelt: str, groups: list[list[str]], meant: str | None
) -> None:
    found = likely_instrument(misspelt, *groups)
    assert found is None if meant is None else str(found).startswith(meant)


def test_instruments_are_found_wherever_they_stand_in_a_config() -> None:
    known = ["A.X", "B.X", "C.X", "D.X"]
    data = {"a": {"instruments": ["B.X", "Z.X"], "n": 3}, "b": [{"id": "A.X"}, "B.X"], "c": None}
    assert named_instruments(data, known) == ["B.X", "A.X"]


@pytest.mark.parametrize(
    ("instrument_id", "base", "quote"),
    [
        ("BTCUSDT.BINANCE", "BTC", "USDT"),
        ("1000PEPEUSDT-PERP.BINANCE", "1000PEPE", "USDT"),
        ("BTC/USD.KRAKEN", "BTC", "USD"),
        ("ETH-EUR.COINBASE", "ETH", "EUR"),
        ("USDTUSD.X", "USDT", "USD"),
        ("XBTUSD-LINEAR.BYBIT", "XBT", "USD"),
    ],
)
def test_block_guesses_currencies(instrument_id: str, base: str, quote: str) -> None:
    block = tomllib.loads(instrument_block(instrument_id))["instruments"][0]
    assert (block["base"], block["quote"]) == (base, quote)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btc-usdt", "BTC/USDT", "BTC_USDT"])
def test_symbol_is_found_however_it_is_spelt(symbol: str) -> None:
    known = known_instruments()
    found = find_symbol(symbol, "BINANCE", "perpetual", known)
    assert found is not None
    assert found.id == "BTCUSDT-PERP.BINANCE"
    assert find_symbol(symbol, "NOWHERE", "spot", known) is None


def test_symbol_of_another_venue_has_that_venues_spelling() -> None:
    known = known_instruments()
    found = find_symbol("BTCUSD", "KRAKEN", "spot", known)
    assert found is not None
    assert found.id == "BTC/USD.KRAKEN"


def test_instruments_of_a_config_are_read_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(instrument_block("ABCUSDT.BINANCE") + "\n[whatever]\nx = 1\n")
    assert [s.id for s in config_instruments(path)] == ["ABCUSDT.BINANCE"]
    path.write_text("[other]\n")
    assert not config_instruments(path)


def test_config_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        config_instruments(path)
    path.write_text("instruments = [")
    with pytest.raises(ConfigError, match="must be a config in TOML"):
        config_instruments(path)


def test_table_admits_every_recorded_price_and_volume(market_dir: Path) -> None:
    known = known_instruments()
    files = [
        ("bars_1h/binance_um_perp_20pairs_1h_2023.parquet", "{}-PERP.BINANCE"),
        ("bars_1h/binance_um_perp_20pairs_1h_2024-07_2025-06.parquet", "{}-PERP.BINANCE"),
        ("bars_1h/binance_spot_BTCUSDT_1h_2022-01_2023-12.parquet", "BTCUSDT.BINANCE"),
        ("bars_1m/binance_spot_ETHUSDT_1m_2022-06_2023-12.parquet", "ETHUSDT.BINANCE"),
    ]
    seen = 0
    for name, pattern in files:
        table = pq.read_table(market_dir / name, partitioning=None)
        symbols = table["symbol"].to_numpy() if "symbol" in table.column_names else None
        for symbol in [""] if symbols is None else sorted(set(symbols)):
            rows = slice(None) if symbols is None else symbols == symbol
            instrument = known[pattern.format(symbol)]
            for column in ("open", "high", "low", "close"):
                values = table[column].to_numpy()[rows]
                assert (decimals_wanted(values) or 0) <= instrument.price_precision
            volumes = table["volume"].to_numpy()[rows]
            assert (decimals_wanted(volumes) or 0) <= instrument.size_precision
            seen += 1
    assert seen == 42
