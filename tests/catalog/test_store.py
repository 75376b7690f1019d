from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame, Interval, exact_float, join_frames
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.market.times import parse_time
from catalog.barfiles import read_info
from catalog.provenance import Repair, Source
from catalog.store import BarStore
from tests.bar_samples import HOUR_NS, MINUTE_NS, same_bars, walk

BTC = find_instrument("BTCUSDT.BINANCE")
MINUTE = Interval.parse("1m")
HOUR = Interval.parse("1h")
PRICES = ("open", "high", "low", "close")
BAR_TYPE = MINUTE.bar_type(BTC.id)


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "data")


def files(store: BarStore, bar_type: str = BAR_TYPE) -> list[Path]:
    return sorted((store.path / "data" / "bars" / bar_type).glob("*.parquet"))


def everything(store: BarStore) -> dict[str, bytes]:
    return {
        str(p.relative_to(store.path)): p.read_bytes() for p in store.path.rglob("*") if p.is_file()
    }


def changed(bars: BarFrame, row: int, volume: float) -> BarFrame:
    column = bars.volume.copy()
    column[row] = volume
    return dataclasses.replace(bars, volume=column)


def test_bars_come_back_bit_for_bit(store: BarStore) -> None:
    bars = walk(5000)
    result = store.write(BTC, MINUTE, bars, source="test")
    assert (result.rows_added, result.rows_same, result.rows_replaced) == (5000, 0, 0)
    assert same_bars(store.read(BAR_TYPE), bars)


def test_engine_reads_the_same_bars_from_the_same_files(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31T20:00")
    store.write(BTC, MINUTE, bars, source="test")
    mine = store.engine_bars(BAR_TYPE)
    its_own = ParquetDataCatalog(str(store.path)).query_bars([BAR_TYPE])
    assert mine == its_own
    assert [bar.ts_event for bar in mine] == [bar.ts_init for bar in mine] == bars.ts_close.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        values = [exact_float(getattr(bar, name)) for bar in mine]
        assert values == getattr(bars, name).tolist()
    assert (mine[0].close.precision, mine[0].volume.precision) == (2, 6)


def test_range_takes_both_bounds_in_both_readers(store: BarStore) -> None:
    bars = walk(100)
    store.write(BTC, MINUTE, bars, source="test")
    start, end = int(bars.ts_close[10]), int(bars.ts_close[20])
    assert store.read(BAR_TYPE, start, end).ts_close.tolist() == bars.ts_close[10:21].tolist()
    assert [b.ts_event for b in store.engine_bars(BAR_TYPE, start, end)] == bars.ts_close[
        10:21
    ].tolist()
    assert len(store.read(BAR_TYPE, end + 1, end + 2)) == 0
    assert store.engine_bars(BAR_TYPE, end + 1, end + 2) == []


def test_duckdb_reads_the_files_as_they_are(store: BarStore) -> None:
    bars = walk(100)
    store.write(BTC, MINUTE, bars, source="test")
    rows = duckdb.sql(f"select count(*), max(high)::double from '{files(store)[0]}'").fetchall()
    assert rows == [(100, bars.high.max())]


def test_schema_is_that_of_the_engines_own_files(store: BarStore, tmp_path: Path) -> None:
    store.write(BTC, MINUTE, walk(10), source="test")
    bars = store.engine_bars(BAR_TYPE)
    (tmp_path / "own").mkdir()
    name = ParquetDataCatalog(str(tmp_path / "own")).write_bars(bars)
    theirs = pq.read_schema(tmp_path / "own" / name)
    mine = pq.read_schema(files(store)[0])
    assert mine.remove_metadata() == theirs.remove_metadata()
    assert {k: v for k, v in mine.metadata.items() if k != b"aitb"} == theirs.metadata


def test_month_ends_with_the_bar_that_closes_at_midnight(store: BarStore) -> None:
    store.write(BTC, MINUTE, walk(2 * 1440, start="2023-01-31"), source="test")
    assert [p.name for p in files(store)] == [
        "2023-01-01T00-01-00-000000000Z_2023-02-01T00-00-00-000000000Z.parquet",
        "2023-02-01T00-01-00-000000000Z_2023-03-01T00-00-00-000000000Z.parquet",
    ]
    assert [pq.read_metadata(p).num_rows for p in files(store)] == [1440, 1440]


def test_bars_of_an_hour_are_kept_by_year(store: BarStore) -> None:
    store.write(BTC, HOUR, walk(48, every="1h", start="2023-12-31"), source="test")
    assert [p.name for p in files(store, HOUR.bar_type(BTC.id))] == [
        "2023-01-01T01-00-00-000000000Z_2024-01-01T00-00-00-000000000Z.parquet",
        "2024-01-01T01-00-00-000000000Z_2025-01-01T00-00-00-000000000Z.parquet",
    ]


def test_same_bars_again_change_no_byte(store: BarStore) -> None:
    bars = walk(50_000)
    store.write(BTC, MINUTE, bars, source="test")
    before = everything(store)
    result = store.write(BTC, MINUTE, bars, source="another file with the same bars")
    assert (result.rows_added, result.rows_same) == (0, 50_000)
    assert everything(store) == before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_parts_in_any_order_overlapping_give_one_series(
    store: BarStore, order: tuple[int, ...]
) -> None:
    bars = walk(6000, start="2023-01-30")
    parts = [bars.take(slice(0, 2500)), bars.take(slice(2000, 4500)), bars.take(slice(4000, 6000))]
    results = [store.write(BTC, MINUTE, parts[i], source=f"part {i}") for i in order]
    assert same_bars(store.read(BAR_TYPE), bars)
    assert sum(r.rows_added for r in results) == 6000
    assert sum(r.rows_same for r in results) == 1000


def test_hash_does_not_depend_on_how_bars_arrived(store: BarStore, tmp_path: Path) -> None:
    bars = walk(6000, start="2023-01-30")
    store.write(BTC, MINUTE, bars, source="whole")
    other = BarStore(tmp_path / "other")
    other.write(BTC, MINUTE, bars.take(slice(3000, 6000)), source="late")
    other.write(BTC, MINUTE, bars.take(slice(0, 3500)), source="early")
    assert store.data_sha256(BAR_TYPE) == other.data_sha256(BAR_TYPE)
    first = int(bars.ts_close[0])
    assert store.data_sha256(BAR_TYPE, None, first) != store.data_sha256(BAR_TYPE)
    other.write(BTC, MINUTE, changed(bars, 7, 1.5), source="mended", replace=True)
    assert store.data_sha256(BAR_TYPE) != other.data_sha256(BAR_TYPE)


def test_contradiction_is_refused_and_changes_nothing(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31")
    store.write(BTC, MINUTE, bars.take(slice(0, 2000)), source="test")
    before = everything(store)
    with pytest.raises(DataError, match=r"bar of 2023-02-01T00:01:00Z.*other values.*--replace"):
        store.write(BTC, MINUTE, changed(bars, 1440, 1.5), source="other")
    assert everything(store) == before


def test_replace_lets_new_values_win_and_is_written_down(store: BarStore) -> None:
    bars = walk(3000)
    store.write(BTC, MINUTE, bars, source="first")
    result = store.write(BTC, MINUTE, changed(bars, 5, 1.5), source="second", replace=True)
    assert (result.rows_added, result.rows_same, result.rows_replaced) == (0, 2999, 1)
    assert store.read(BAR_TYPE).volume[5] == 1.5
    assert [s.name for s in store.series(BAR_TYPE).sources] == ["first", "second"]


def with_row(bars: BarFrame, column: str, value: float) -> BarFrame:
    values = getattr(bars, column).copy()
    values[3] = value
    return dataclasses.replace(bars, **{column: values})


def shifted(bars: BarFrame, by_ns: int) -> BarFrame:
    return dataclasses.replace(bars, ts_close=bars.ts_close + by_ns)


UNSOUND: dict[str, Callable[[BarFrame], BarFrame]] = {
    "nan": lambda bars: with_row(bars, "volume", float("nan")),
    "infinite": lambda bars: with_row(bars, "high", float("inf")),
    "disorder": lambda bars: bars.take(np.array([0, 1, 3, 2, 4])),
    "twice": lambda bars: bars.take(np.array([0, 1, 1, 2])),
    "negative": lambda bars: with_row(bars, "volume", -1.0),
    "zero": lambda bars: with_row(bars, "low", 0.0),
    "range": lambda bars: dataclasses.replace(bars, high=bars.low),
    "beside": lambda bars: shifted(bars, 30_000_000_000),
    "early": lambda bars: shifted(bars, -1_000_000),
    "tick": lambda bars: dataclasses.replace(bars, high=bars.high + 0.001),
    "lot": lambda bars: with_row(bars, "volume", 0.1 + 0.2),
    "huge": lambda bars: with_row(bars, "volume", 1e14),
    "empty": lambda bars: bars.take(slice(0, 0)),
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "no finite number"),
        ("infinite", "no finite number"),
        ("disorder", "earlier than the bar before"),
        ("twice", "is there twice"),
        ("negative", "volume below 0"),
        ("zero", "price not above 0"),
        ("range", "outside low to high"),
        ("beside", "no close time of bars of 1m"),
        ("early", "closes beside the grid"),
        ("tick", 'Write tick_size = "0.010"'),
        ("lot", "volume was 0.30000000000000004.*--repair round-volumes"),
        ("huge", "must be below 1e13"),
        ("empty", "was given no bars"),
    ],
)
def test_unsound_bars_are_refused_and_nothing_is_made(
    store: BarStore, kind: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        store.write(BTC, MINUTE, UNSOUND[kind](walk(10)), source="test")
    assert [p.name for p in store.path.iterdir()] == [".aitb.lock"]


def test_simulated_and_recorded_bars_never_mix(store: BarStore) -> None:
    store.write(BTC, MINUTE, walk(10), source="seed 1", simulated=True)
    assert store.series(BAR_TYPE).simulated
    with pytest.raises(DataError, match="holds simulated bars and was given recorded ones"):
        store.write(BTC, MINUTE, walk(10, start="2024-01-01"), source="file")
    store.write(BTC, HOUR, walk(10, every="1h"), source="file")
    with pytest.raises(DataError, match="holds recorded bars and was given simulated ones"):
        store.write(BTC, HOUR, walk(10, every="1h"), source="seed 1", simulated=True)


def test_finer_instrument_rewrites_the_series_without_changing_a_value(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31")
    store.write(BTC, MINUTE, bars, source="test")
    before = store.data_sha256(BAR_TYPE)
    finer = msgspec.structs.replace(BTC, tick_size="0.0010")
    more = walk(10, start="2023-03-01")
    store.write(finer, MINUTE, more, source="more")
    assert {b.close.precision for b in store.engine_bars(BAR_TYPE)} == {4}
    assert store.data_sha256(BAR_TYPE, None, int(bars.ts_close[-1])) == before
    coarser = msgspec.structs.replace(BTC, tick_size="1")
    whole = dataclasses.replace(more, **{n: np.round(getattr(more, n)) for n in PRICES})
    with pytest.raises(DataError, match=r"stored in 2023-01.*Write tick_size"):
        store.write(coarser, MINUTE, whole, source="more")


def test_series_tells_what_is_there(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31")
    kept = np.r_[0:100, 180:3000]
    repair = Repair("drop-broken", 2, "a.csv", "dropped")
    sources = [
        Source("a.csv", "ab" * 32, int(bars.ts_close[0]), int(bars.ts_close[99])),
        Source("b.csv", None, int(bars.ts_close[180]), int(bars.ts_close[2999])),
    ]
    store.write(BTC, MINUTE, bars.take(kept), source=sources, repairs=[repair])
    store.write(BTC, HOUR, walk(24, every="1h"), source="hours", simulated=True)
    hour, minute = sorted(store.list(), key=lambda s: -s.interval.ns)
    assert (minute.instrument_id, minute.interval, minute.bar_type) == (BTC.id, MINUTE, BAR_TYPE)
    assert (minute.first_ns, minute.last_ns) == (int(bars.ts_close[0]), int(bars.ts_close[-1]))
    assert (minute.rows, minute.gaps, minute.missing) == (2920, 1, 80)
    assert minute.bytes == sum(p.stat().st_size for p in files(store))
    assert minute.sources == tuple(sources)
    assert minute.repairs == (repair,)
    assert (minute.price_precision, minute.size_precision) == (2, 6)
    assert (minute.simulated, hour.simulated) == (False, True)
    assert store.series(BAR_TYPE) == minute
    assert [s.name for s in read_info(files(store)[1]).provenance.sources] == ["b.csv"]


def test_unknown_series_names_the_nearest_and_the_import(store: BarStore) -> None:
    store.write(BTC, MINUTE, walk(10), source="test")
    wanted = HOUR.bar_type(BTC.id)
    for call in (store.series, store.read, store.engine_bars, store.data_sha256):
        with pytest.raises(DataError) as caught:
            call(wanted)
        assert BAR_TYPE in str(caught.value)
        assert f"aitb data import FILES --instrument {BTC.id} --interval 1h" in str(caught.value)
    with pytest.raises(DataError, match="no bar type"):
        store.read("BTCUSDT")


def test_empty_or_missing_catalog_lists_nothing(store: BarStore) -> None:
    assert store.list() == []
    with pytest.raises(DataError, match="it has 0 other series"):
        store.series(BAR_TYPE)


def test_instrument_with_a_slash_has_a_folder_and_keeps_its_name(store: BarStore) -> None:
    kraken = find_instrument("BTC/USD.KRAKEN")
    bars = walk(10)
    store.write(kraken, MINUTE, dataclasses.replace(bars, **tenths(bars)), source="test")
    bar_type = MINUTE.bar_type(kraken.id)
    assert [s.instrument_id for s in store.list()] == ["BTC/USD.KRAKEN"]
    assert [str(b.bar_type) for b in store.engine_bars(bar_type)] == [bar_type] * 10


def tenths(bars: BarFrame) -> dict[str, np.ndarray]:
    return {name: np.round(getattr(bars, name) * 10) / 10 for name in PRICES}


@pytest.mark.parametrize("damage", ["cut", "zeros", "text"])
def test_damaged_file_is_named(store: BarStore, damage: str) -> None:
    store.write(BTC, MINUTE, walk(5000), source="test")
    path = files(store)[0]
    content = path.read_bytes()
    spoiled = {
        "cut": content[: len(content) // 2],
        "zeros": content[:1000] + bytes(20_000) + content[21_000:],
        "text": b"no parquet at all",
    }[damage]
    path.write_bytes(spoiled)
    with pytest.raises(DataError, match=f"{path.name}: is damaged"):
        store.read(BAR_TYPE)
    with pytest.raises(DataError, match="cannot be read by the engine"):
        store.engine_bars(BAR_TYPE)


def test_one_flipped_bit_in_a_stored_price_is_found(store: BarStore) -> None:
    store.write(BTC, MINUTE, walk(5000), source="test")
    path = files(store)[0]
    content = bytearray(path.read_bytes())
    found = 0
    for place in range(200, len(content) - 6000, len(content) // 40):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            store.read(BAR_TYPE)
        content[place] ^= 1
        found += 1
    assert found > 20


def test_file_of_another_hand_is_read_but_not_written_beside(
    store: BarStore, tmp_path: Path
) -> None:
    bars = walk(50)
    store.write(BTC, MINUTE, bars, source="test")
    engine_bars = store.engine_bars(BAR_TYPE)
    shutil.rmtree(store.path)
    store.path.mkdir()
    ParquetDataCatalog(str(store.path)).write_bars(engine_bars)
    assert same_bars(store.read(BAR_TYPE), bars)
    assert store.list()[0].rows == 50
    with pytest.raises(DataError, match="not written by this catalog"):
        store.write(BTC, MINUTE, walk(5, start="2024-01-01"), source="test")


def test_overlapping_files_are_not_read_as_sound(store: BarStore) -> None:
    bars = walk(50)
    store.write(BTC, MINUTE, bars, source="test")
    path = files(store)[0]
    shutil.copy(path, path.with_name("copy.parquet"))
    with pytest.raises(DataError, match="overlap"):
        store.read(BAR_TYPE)


def test_error_in_a_batch_leaves_all_series_as_they_were(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31")
    store.write(BTC, MINUTE, bars.take(slice(0, 100)), source="test")
    before = everything(store)
    eth = find_instrument("ETHUSDT.BINANCE")

    def write() -> None:
        with store.batch() as batch:
            batch.write(BTC, MINUTE, bars, source="test")
            batch.write(eth, MINUTE, bars, source="test")
            batch.write(eth, HOUR, changed(walk(5, every="1h"), 1, float("nan")), source="test")

    with pytest.raises(DataError, match="no finite number"):
        write()
    assert everything(store) == before
    assert [s.instrument_id for s in store.list()] == [BTC.id]


def test_interrupt_in_a_batch_leaves_nothing_behind(store: BarStore) -> None:
    def write() -> None:
        with store.batch() as batch:
            batch.write(BTC, MINUTE, walk(3000, start="2023-01-31"), source="test")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert [p.name for p in store.path.rglob("*") if p.is_file()] == [".aitb.lock"]


def test_second_write_in_a_batch_sees_the_first(store: BarStore) -> None:
    bars = walk(3000)
    with store.batch() as batch:
        batch.write(BTC, MINUTE, bars.take(slice(0, 2000)), source="one")
        result = batch.write(BTC, MINUTE, bars.take(slice(1500, 3000)), source="two")
    assert (result.rows_added, result.rows_same) == (1000, 500)
    assert same_bars(store.read(BAR_TYPE), bars)


def test_leftovers_of_a_killed_writer_are_removed_by_the_next(store: BarStore) -> None:
    store.write(BTC, MINUTE, walk(10), source="test")
    leftover = files(store)[0].with_name("2023-02.parquet.unfinished")
    leftover.write_bytes(b"half")
    assert len(store.engine_bars(BAR_TYPE)) == 10
    store.write(BTC, MINUTE, walk(20), source="test", replace=True)
    assert not leftover.exists()


WRITER = """
import sys
from pathlib import Path
from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.instruments import find_instrument
from catalog.store import BarStore
from tests.bar_samples import walk
store, bars = BarStore(Path(sys.argv[1])), walk(4000)
sys.stdin.readline()
for i in range(int(sys.argv[2]), 40, 2):
    part = bars.take(slice(i * 100, i * 100 + 100))
    store.write(find_instrument("BTCUSDT.BINANCE"), Interval.parse("1m"), part, source=str(i))
"""


def test_two_writers_at_once_lose_nothing(store: BarStore) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.path), str(i)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
        )
        for i in range(2)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert same_bars(store.read(BAR_TYPE), walk(4000))


def test_place_that_may_not_be_written_is_a_data_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written.*--catalog"):
        BarStore(blocked / "data").write(BTC, MINUTE, walk(10), source="test")


def test_recorded_minute_bars_come_back_exactly(market_dir: Path, store: BarStore) -> None:
    table = pq.read_table(
        market_dir / "bars_1m" / "binance_spot_ETHUSDT_1m_2022-06_2023-12.parquet"
    ).slice(0, 100_000)
    opens = table["open_time"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    columns = [table[n].to_numpy() for n in ("open", "high", "low", "close", "volume")]
    bars = BarFrame(opens + MINUTE_NS, *columns)
    eth = find_instrument("ETHUSDT.BINANCE")
    store.write(eth, MINUTE, bars, source="recorded")
    back = store.read(MINUTE.bar_type(eth.id))
    assert same_bars(back, bars)
    last = int(bars.ts_close[-1])
    engine = store.engine_bars(MINUTE.bar_type(eth.id), last - 24 * HOUR_NS, last)
    assert [exact_float(b.close) for b in engine] == bars.close[-1441:].tolist()


def test_frames_joined_from_the_store_are_those_written(store: BarStore) -> None:
    bars = walk(3000, start="2023-01-31")
    store.write(BTC, MINUTE, bars, source="test")
    middle = parse_time("2023-02-01")
    joined = join_frames([store.read(BAR_TYPE, None, middle), store.read(BAR_TYPE, middle + 1)])
    assert same_bars(joined, bars)
