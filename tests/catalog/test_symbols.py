from __future__ import annotations

import tomllib

import numpy as np
import pytest

from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.instruments import InstrumentSettings, known_instruments
from aitb_nautilus.settings import decode
from catalog.symbols import Naming, interval_of_name, symbol_of_name, unknown_instrument
from tests.bar_samples import walk

SPOT = Naming(known=known_instruments())
PERPETUAL = Naming(known=known_instruments(), kind="perpetual")


@pytest.mark.parametrize(
    ("name", "symbol", "interval"),
    [
        ("BTCUSDT-1m-2023-01.zip", "BTCUSDT", "1m"),
        ("1000PEPEUSDT-4h-2023-01-15.csv", "1000PEPEUSDT", "4h"),
        ("NEWCOINUSDT-1d-2023-01.zip", "NEWCOINUSDT", "1d"),
        ("BTCUSDT-fundingRate-2023-01.zip", "BTCUSDT", None),
        ("binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet", "BTCUSDT", None),
        ("binance_um_perp_20pairs_1h_2023.parquet", None, None),
        ("BTCUSDT_ETHUSDT.csv", None, None),
        ("coinglass_btc_mixed_interval_30m_5m.csv.gz", None, None),
    ],
)
def test_names_of_files_tell_symbol_and_interval(
    name: str, symbol: str | None, interval: str | None
) -> None:
    assert symbol_of_name(name, SPOT) == symbol
    assert interval_of_name(name) == (Interval(interval) if interval else None)


def test_symbol_becomes_the_instrument_of_its_market() -> None:
    assert SPOT.instrument_id("BTCUSDT", "a") == "BTCUSDT.BINANCE"
    assert PERPETUAL.instrument_id("btc-usdt", "a") == "BTCUSDT-PERP.BINANCE"
    assert SPOT.instrument_id("BTCUSDT-PERP.BINANCE", "a") == "BTCUSDT-PERP.BINANCE"
    kraken = Naming(known=known_instruments(), venue="KRAKEN")
    assert kraken.instrument_id("BTCUSD", "a") == "BTC/USD.KRAKEN"
    assert PERPETUAL.instrument_id("NEWUSDT", "a") == "NEWUSDT-PERP.BINANCE"


def test_what_the_user_names_wins() -> None:
    one = Naming(known={}, ids={"": "X.Y"})
    assert one.instrument_id("BTCUSDT", "a") == one.instrument_id(None, "a") == "X.Y"
    mapped = Naming(known=known_instruments(), ids={"XBTUSD": "BTC/USD.KRAKEN"})
    assert mapped.instrument_id("XBTUSD", "a") == "BTC/USD.KRAKEN"
    assert mapped.instrument_id("BTCUSDT", "a") == "BTCUSDT.BINANCE"


def test_no_symbol_at_all_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"a.csv: neither a column nor.*--instrument"):
        SPOT.instrument_id(None, "a.csv")


def test_unknown_instrument_comes_with_blocks_that_fit_the_data() -> None:
    coarse = walk(10)
    noisy = BarFrame(
        coarse.ts_close,
        coarse.open,
        coarse.high,
        coarse.low,
        coarse.close,
        np.full(10, 0.1 + 0.2),
    )
    error = unknown_instrument({"NEWUSDT.BINANCE": coarse, "OLDUSDT.BINANCE": noisy}, {}, "spot")
    text = str(error)
    block = text[text.index("[[instruments]]") : text.rindex("(or say")]
    specs = [decode(b, InstrumentSettings, "x") for b in tomllib.loads(block)["instruments"]]
    assert [(s.id, s.base, s.tick_size, s.lot_size) for s in specs] == [
        ("NEWUSDT.BINANCE", "NEW", "0.01", "0.001"),
        ("OLDUSDT.BINANCE", "OLD", "0.01", "0.00000001"),
    ]
