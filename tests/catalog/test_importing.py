from __future__ import annotations

import dataclasses
import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import ConfigError, DataError, UsageError
from aitb_nautilus.market.bars import BarFrame, Interval, join_frames
from aitb_nautilus.market.instruments import known_instruments
from aitb_nautilus.market.times import parse_time
from catalog.importing import ImportedSeries, ImportOptions, import_bars
from catalog.recordings import RowChoice
from catalog.store import BarStore
from catalog.symbols import Naming
from tests.bar_samples import (
    PLAIN_HEADER,
    csv_text,
    kline_rows,
    kline_zip,
    opens_of,
    plain_csv,
    plain_rows,
    same_bars,
    walk,
)

BTC = "BTCUSDT.BINANCE"
BAR_TYPE = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
ONE = Naming(known=known_instruments(), ids={"": BTC})


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "data")


def take(store: BarStore, *files: Path, **options: Any) -> Sequence[ImportedSeries]:
    options.setdefault("naming", ONE)
    return import_bars(store, files, ImportOptions(**options))


def refused(store: BarStore, *files: Path, **options: Any) -> str:
    """Return the error of an import that must leave no trace."""
    before = sorted(p for p in store.path.rglob("*.parquet"))
    with pytest.raises((DataError, ConfigError, UsageError)) as caught:
        take(store, *files, **options)
    assert sorted(p for p in store.path.rglob("*.parquet")) == before
    assert not list(store.path.rglob("*.unfinished"))
    return str(caught.value)


@pytest.mark.parametrize("unit_ns", [1_000_000, 1_000], ids=["ms", "us"])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("packed", ["csv", "gz", "zip"])
def test_binance_klines_of_every_form_give_the_same_bars(
    store: BarStore, tmp_path: Path, unit_ns: int, header: bool, packed: str
) -> None:
    bars = walk(100)
    rows = kline_rows(bars, unit_ns=unit_ns)
    names = "open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore"
    text = csv_text(rows, names.split(",") if header else None)
    path = tmp_path / "BTCUSDT-1m-2023-01.csv"
    if packed == "zip" and not header:
        path = kline_zip(tmp_path, "BTCUSDT-1m-2023-01", bars, unit_ns=unit_ns)
    elif packed == "csv":
        path.write_text(text)
    else:
        path.write_bytes(gzip.compress(text.encode()))
    (series,) = take(store, path, naming=Naming(known=known_instruments()))
    assert (series.instrument_id, series.interval.text, series.rows_added) == (BTC, "1m", 100)
    assert same_bars(store.read(BAR_TYPE), bars)


def test_months_in_any_order_with_the_switch_to_microseconds(
    store: BarStore, tmp_path: Path
) -> None:
    december = walk(1440, start="2024-12-31")
    january = walk(1440, start="2025-01-01", seed=2)
    files = [
        kline_zip(tmp_path, "BTCUSDT-1m-2025-01", january, unit_ns=1_000),
        kline_zip(tmp_path, "BTCUSDT-1m-2024-12", december),
    ]
    (series,) = take(store, *files, naming=Naming(known=known_instruments()))
    assert same_bars(store.read(BAR_TYPE), join_frames([december, january]))
    assert (series.files, series.rows_added) == (2, 2880)
    sources = {s.name: s.sha256 for s in store.series(BAR_TYPE).sources}
    assert sources == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_wide_parquet_with_typed_stamps(store: BarStore, tmp_path: Path) -> None:
    bars = walk(100)
    path = tmp_path / "a.parquet"
    stamps = pa.array(opens_of(bars)).cast(pa.timestamp("ns")).cast(pa.timestamp("us", "UTC"))
    columns = {n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"open_time": stamps, **columns}), path)
    take(store, path)
    assert same_bars(store.read(BAR_TYPE), bars)


def test_files_of_the_engines_catalog_are_imported_by_their_close(
    store: BarStore, tmp_path: Path
) -> None:
    bars = walk(100)
    take(store, plain_csv(tmp_path / "a.csv", bars))
    (file,) = store.path.rglob("*.parquet")
    other = BarStore(tmp_path / "other")
    take(other, file)
    assert same_bars(other.read(BAR_TYPE), bars)


def test_stamps_that_are_closes_are_taken_at_their_word(store: BarStore, tmp_path: Path) -> None:
    bars = walk(100)
    late = dataclasses.replace(bars, ts_close=bars.ts_close + Interval("1m").ns)
    take(store, plain_csv(tmp_path / "a.csv", late), time="close")
    assert same_bars(store.read(BAR_TYPE), bars)


def long_table(path: Path) -> dict[str, BarFrame]:
    """Write a table of three symbols, row after row in time, and a fourth of another exchange."""
    frames = {s: walk(60, seed=i) for i, s in enumerate(["BTCUSDT", "ETHUSDT", "LTCUSDT"])}
    rows = [
        [*row, symbol, "kraken" if symbol == "LTCUSDT" else "binance"]
        for group in zip(*(plain_rows(f) for f in frames.values()), strict=True)
        for symbol, row in zip(frames, group, strict=True)
    ]
    path.write_text(csv_text(rows, [*PLAIN_HEADER, "symbol", "exchange"]))
    return frames


def test_long_table_gives_one_series_a_symbol(store: BarStore, tmp_path: Path) -> None:
    frames = long_table(tmp_path / "long.csv")
    naming = Naming(known=known_instruments(), kind="perpetual")
    done = take(store, tmp_path / "long.csv", naming=naming)
    assert [s.instrument_id for s in done] == [f"{s}-PERP.BINANCE" for s in sorted(frames)]
    for symbol, bars in frames.items():
        assert same_bars(store.read(f"{symbol}-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"), bars)


def test_symbols_and_filters_choose_rows(store: BarStore, tmp_path: Path) -> None:
    long_table(tmp_path / "long.csv")
    naming = Naming(known=known_instruments())
    chosen = RowChoice(symbols=["ETHUSDT"])
    (only,) = take(store, tmp_path / "long.csv", naming=naming, choice=chosen)
    assert only.instrument_id == "ETHUSDT.BINANCE"
    filtered = RowChoice(filters={"exchange": "kraken"})
    (only,) = take(store, tmp_path / "long.csv", naming=naming, choice=filtered)
    assert only.instrument_id == "LTCUSDT.BINANCE"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (RowChoice(symbols=["XRPUSDT"]), "symbol has BTCUSDT, ETHUSDT, LTCUSDT"),
        (RowChoice(filters={"exchange": "okx"}), "exchange has binance, kraken"),
        (RowChoice(filters={"exchnge": "okx"}), "did you mean 'exchange'"),
        (
            RowChoice(start_ns=parse_time("2024-01-01")),
            "no row in the range; its rows are from 2023",
        ),
        (RowChoice(columns={"time": "whn"}), "column 'whn': is not there"),
    ],
)
def test_choice_of_nothing_says_what_is_there(
    store: BarStore, tmp_path: Path, choice: RowChoice, message: str
) -> None:
    long_table(tmp_path / "long.csv")
    assert message in refused(store, tmp_path / "long.csv", choice=choice)


def test_range_takes_rows_from_start_to_before_end(store: BarStore, tmp_path: Path) -> None:
    bars = walk(100)
    start, end = (parse_time(f"2023-01-01T00:{m}") for m in (10, 20))
    choice = RowChoice(start_ns=start, end_ns=end)
    take(store, plain_csv(tmp_path / "a.csv", bars), choice=choice)
    assert same_bars(store.read(BAR_TYPE), bars.take(slice(10, 20)))


def test_one_instrument_cannot_be_many_symbols(store: BarStore, tmp_path: Path) -> None:
    long_table(tmp_path / "long.csv")
    text = refused(store, tmp_path / "long.csv", naming=ONE)
    assert "holds 3 symbols: BTCUSDT, ETHUSDT, LTCUSDT" in text


def test_unknown_instruments_come_all_at_once_with_their_blocks(
    store: BarStore, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    rows = [[*r, s] for s in ("AAAUSDT", "BBBUSDT") for r in plain_rows(walk(30))]
    path.write_text(csv_text(rows, [*PLAIN_HEADER, "symbol"]))
    text = refused(store, path, naming=Naming(known=known_instruments()))
    assert 'id = "AAAUSDT.BINANCE"' in text
    assert 'id = "BBBUSDT.BINANCE"' in text


def test_import_again_changes_nothing(store: BarStore, tmp_path: Path) -> None:
    path = plain_csv(tmp_path / "a.csv", walk(500))
    take(store, path)
    before = {p: p.read_bytes() for p in store.path.rglob("*.parquet")}
    (again,) = take(store, path)
    assert (again.rows_added, again.rows_same) == (0, 500)
    assert {p: p.read_bytes() for p in store.path.rglob("*.parquet")} == before


def test_files_may_overlap_where_they_agree(store: BarStore, tmp_path: Path) -> None:
    bars = walk(300)
    late = plain_csv(tmp_path / "late.csv", bars.take(slice(100, 300)))
    early = plain_csv(tmp_path / "early.csv", bars.take(slice(0, 150)))
    (series,) = take(store, late, early)
    assert (series.rows_added, series.rows_same) == (300, 50)
    assert same_bars(store.read(BAR_TYPE), bars)
    assert series.repairs == ()


@pytest.mark.parametrize(("rule", "winner"), [("keep-first", 0), ("keep-last", 1)])
def test_files_that_contradict_each_other_need_a_choice(
    store: BarStore, tmp_path: Path, rule: str, winner: int
) -> None:
    frames = [walk(100), walk(100, seed=2)]
    files = [plain_csv(tmp_path / f"{i}.csv", frame) for i, frame in enumerate(frames)]
    assert "0.csv and 1.csv have different values for it (100 bars" in refused(store, *files)
    (series,) = take(store, *files, rules=frozenset([rule]))
    assert same_bars(store.read(BAR_TYPE), frames[winner])
    assert [(r.rule, r.rows) for r in series.repairs] == [(rule, 100)]
    assert store.series(BAR_TYPE).repairs == series.repairs


def test_file_that_contradicts_the_catalog_needs_replace(store: BarStore, tmp_path: Path) -> None:
    take(store, plain_csv(tmp_path / "a.csv", walk(100)))
    other = plain_csv(tmp_path / "b.csv", walk(100, seed=2))
    assert "--replace" in refused(store, other)
    (series,) = take(store, other, replace=True)
    assert series.rows_replaced == 100
    assert same_bars(store.read(BAR_TYPE), walk(100, seed=2))


def test_two_intervals_in_one_import_are_two_series(store: BarStore, tmp_path: Path) -> None:
    minutes = plain_csv(tmp_path / "m.csv", walk(100))
    hours = plain_csv(tmp_path / "h.csv", walk(100, every="1h"), "1h")
    assert [s.interval.text for s in take(store, hours, minutes)] == ["1m", "1h"]


def test_name_of_a_kline_file_must_tell_the_truth(store: BarStore, tmp_path: Path) -> None:
    path = kline_zip(tmp_path, "BTCUSDT-5m-2023-01", walk(100))
    assert "has a row every 1m, the interval was said to be 5m" in refused(store, path)


def test_missing_volume_is_refused_or_written_down(store: BarStore, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [row[:5] for row in plain_rows(walk(100))]
    path.write_text(csv_text(rows, PLAIN_HEADER[:5]))
    assert "no column looks like volume" in refused(store, path)
    (series,) = take(store, path, no_volume=True)
    assert [r.rule for r in series.repairs] == ["no-volume"]
    assert not store.read(BAR_TYPE).volume.any()
    assert [r.rule for r in store.series(BAR_TYPE).repairs] == ["no-volume"]


def test_volume_finer_than_the_lot_says_which_lot_would_do(store: BarStore, tmp_path: Path) -> None:
    bars = walk(100)
    fine = dataclasses.replace(bars, volume=np.round(bars.volume + 0.000_000_1, 7))
    path = plain_csv(tmp_path / "a.csv", fine)
    assert 'Write lot_size = "0.0000100" in an [[instruments]] block' in refused(store, path)
    finer = msgspec.structs.replace(ONE.known[BTC], lot_size="0.0000100")
    take(store, path, naming=Naming(known={BTC: finer}, ids={"": BTC}))
    assert same_bars(store.read(BAR_TYPE), fine)


def test_rounding_is_written_down(store: BarStore, tmp_path: Path) -> None:
    bars = walk(100)
    noisy = dataclasses.replace(bars, volume=np.where(np.arange(100) < 7, 0.1 + 0.2, bars.volume))
    path = plain_csv(tmp_path / "a.csv", noisy)
    assert "--repair round-volumes" in refused(store, path)
    take(store, path, rules=frozenset(["round-volumes"]))
    assert store.read(BAR_TYPE).volume[:7].tolist() == [0.3] * 7
    assert [(r.rule, r.rows) for r in store.series(BAR_TYPE).repairs] == [("round-volumes", 7)]


def test_one_bad_file_among_good_ones_imports_none(store: BarStore, tmp_path: Path) -> None:
    good = plain_csv(tmp_path / "good.csv", walk(2000, start="2023-01-31"))
    bad = tmp_path / "bad.csv"
    bad.write_text(good.read_text()[:-30] + "\n")
    assert "bad.csv" in refused(store, good, bad)
    missing = tmp_path / "missing.csv"
    assert "is not there" in refused(store, good, missing)
    assert store.list() == []


def test_interrupt_between_files_imports_none(store: BarStore, tmp_path: Path) -> None:
    files = [plain_csv(tmp_path / f"{i}.csv", walk(100, start=f"2023-0{i}-01")) for i in (1, 2)]

    def interrupt(path: Path) -> None:
        if path == files[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_bars(store, files, ImportOptions(naming=ONE), interrupt)
    assert store.list() == []


def test_more_rows_than_are_held_in_memory_give_the_same(
    store: BarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.importing._HELD_ROWS", 150)
    bars = walk(1000)
    cuts = [(0, 400), (350, 700), (700, 1000), (100, 200)]
    files = [
        plain_csv(tmp_path / f"{i}.csv", bars.take(slice(a, b))) for i, (a, b) in enumerate(cuts)
    ]
    (series,) = take(store, *files)
    assert (series.rows_added, series.rows_same, series.files) == (1000, 150, 4)
    assert same_bars(store.read(BAR_TYPE), bars)
    assert len(store.series(BAR_TYPE).sources) == 3


def test_simulated_bars_are_labelled(store: BarStore, tmp_path: Path) -> None:
    take(store, plain_csv(tmp_path / "a.csv", walk(100)), simulated=True)
    assert store.list()[0].simulated


def test_recorded_long_table_keeps_every_value(market_dir: Path, store: BarStore) -> None:
    files = sorted((market_dir / "bars_1h").glob("binance_um_perp_20pairs_*.parquet"))
    naming = Naming(known=known_instruments(), kind="perpetual")
    done = take(store, *reversed(files), naming=naming)
    assert len(done) == 20
    assert sum(s.rows_added for s in done) == 173_962 + 175_200
    table = pq.read_table(files[1], filters=[("symbol", "=", "TRXUSDT")])
    bars = store.read("TRXUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL", parse_time("2024-07-01T01:00"))
    opens = table["open_time"].cast("int64").to_numpy() * 1000
    assert np.array_equal(bars.ts_close, opens + Interval("1h").ns)
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(bars, name), table[name].to_numpy())


def test_recorded_dirty_file_is_refused_where_its_interval_changes(
    market_dir: Path, store: BarStore
) -> None:
    path = market_dir / "dirty" / "coinglass_btc_mixed_interval_30m_5m.csv.gz"
    naming = Naming(known=known_instruments(), ids={"": "BTCUSDT-PERP.BINANCE"})
    text = refused(store, path, naming=naming, no_volume=True)
    assert "row 877, 2026-06-08T15:35:00Z: the interval changes here" in text
    rules = frozenset(["split-interval"])
    done = take(store, path, naming=naming, no_volume=True, rules=rules)
    assert [(s.interval.text, s.rows_added) for s in done] == [("5m", 3986), ("30m", 875)]
