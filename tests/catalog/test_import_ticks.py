from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import known_instruments
from catalog.import_ticks import bars_of_trades, import_quotes, import_trades
from catalog.quotes import read_quotes
from catalog.recordings import RowChoice
from catalog.store import BarStore
from catalog.symbols import Naming

PERP = "BTCUSDT-PERP.BINANCE"
NAMING = Naming(known_instruments([]), kind="perpetual")
SECOND = Interval.parse("1s")
T0_MS = 1_700_000_000_000


def trades(path: Path, rows: list[tuple[int, float, float]]) -> Path:
    """Write trades (ms after T0, price, size) as Binance's public files have them."""
    lines = [f"{i},{p},{q},0,{T0_MS + ms},true" for i, (ms, p, q) in enumerate(rows)]
    path.write_text("\n".join(["id,price,qty,quote_qty,time,is_buyer_maker", *lines]))
    return path


TRADES = [
    *[(100, 99.0, 1.0), (1_000, 100.0, 0.1), (1_500, 102.0, 0.2), (1_999, 101.0, 0.3)],
    *[(2_000, 103.0, 1.0), (5_100, 104.0, 2.0), (6_000, 90.0, 1.0)],
]


def test_trades_make_bars_and_one_on_the_close_belongs_to_the_next() -> None:
    ts, price, size = (np.array(column) for column in zip(*TRADES, strict=True))
    bars = bars_of_trades(ts.astype(np.int64) * 10**6, price, size, SECOND, 3)
    assert (bars.ts_close // 10**9).tolist() == [1, 2, 3, 6, 7]
    assert bars.open.tolist() == [99.0, 100.0, 103.0, 104.0, 90.0]
    assert bars.high.tolist() == [99.0, 102.0, 103.0, 104.0, 90.0]
    assert bars.low.tolist() == [99.0, 100.0, 103.0, 104.0, 90.0]
    assert bars.close.tolist() == [99.0, 101.0, 103.0, 104.0, 90.0]
    assert bars.volume.tolist() == [1.0, 0.6, 1.0, 2.0, 1.0]  # 0.1 + 0.2 + 0.3 is 0.6, not 0.6...1


def test_imported_bars_lack_the_first_and_the_last(tmp_path: Path) -> None:
    file = trades(tmp_path / "BTCUSDT-trades.csv", TRADES)
    store = BarStore(tmp_path / "data")
    (done,) = import_trades(store, [file], NAMING, RowChoice(), SECOND)
    assert (done.instrument_id, done.rows_added, done.files) == (PERP, 3, 1)
    frame = store.read(SECOND.bar_type(PERP))
    assert frame.close.tolist() == [101.0, 103.0, 104.0]
    assert store.series(SECOND.bar_type(PERP)).sources[0].name == "BTCUSDT-trades.csv (trades)"


def test_files_given_together_leave_no_hole_between_them(tmp_path: Path) -> None:
    later = trades(tmp_path / "b-BTCUSDT.csv", TRADES[4:])
    first = trades(tmp_path / "a-BTCUSDT.csv", TRADES[:4])
    store = BarStore(tmp_path / "data")
    (done,) = import_trades(store, [later, first], NAMING, RowChoice(), SECOND)
    assert (done.rows_added, done.files) == (3, 2)


def test_too_few_trades_for_whole_bars_are_refused(tmp_path: Path) -> None:
    file = trades(tmp_path / "BTCUSDT.csv", TRADES[:4])
    with pytest.raises(DataError, match="the trades make 2 bars"):
        import_trades(BarStore(tmp_path / "data"), [file], NAMING, RowChoice(), SECOND)
    assert not list((tmp_path / "data").rglob("*.parquet"))


def test_trades_out_of_order_are_refused(tmp_path: Path) -> None:
    file = trades(tmp_path / "BTCUSDT.csv", [TRADES[1], TRADES[0]])
    with pytest.raises(DataError, match="is earlier than the trade before it"):
        import_trades(BarStore(tmp_path / "data"), [file], NAMING, RowChoice(), SECOND)


HEAD = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
)
BOOK = (
    HEAD
    + """
1,100.1,2.5,100.2,1.25,{0},{1}
2,100.0,2.0,100.2,1.0,{0},{1}
"""
)


def test_quotes_are_found_by_the_names_of_binances_files(tmp_path: Path) -> None:
    file = tmp_path / "BTCUSDT-bookTicker.csv"
    file.write_text(BOOK.format(T0_MS, T0_MS + 3))
    store = BarStore(tmp_path / "data")
    (done,) = import_quotes(store, [file], NAMING, RowChoice())
    assert (done.instrument_id, done.rows_added, done.first_ns) == (PERP, 2, T0_MS * 10**6)
    frame = read_quotes(store.path, PERP, None, None)
    assert frame.bid_price.tolist() == [100.1, 100.0]
    assert frame.ask_size.tolist() == [1.25, 1.0]


def test_column_that_is_not_recognised_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "BTCUSDT.csv"
    file.write_text(BOOK.format(T0_MS, T0_MS).replace("best_bid_price", "px_b"))
    with pytest.raises(DataError, match=r"no column looks like bid\. Name it: --columns bid=NAME"):
        import_quotes(BarStore(tmp_path / "data"), [file], NAMING, RowChoice())
    choice = RowChoice(columns={"bid": "px_b"})
    (done,) = import_quotes(BarStore(tmp_path / "data"), [file], NAMING, choice)
    assert done.rows_added == 2


def test_unknown_instrument_is_a_config_error(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text(BOOK.format(T0_MS, T0_MS))
    naming = Naming(known_instruments([]), ids={"": "NOPE-PERP.BINANCE"})
    with pytest.raises(ConfigError, match=r"NOPE-PERP\.BINANCE: is not known"):
        import_quotes(BarStore(tmp_path / "data"), [file], naming, RowChoice())
