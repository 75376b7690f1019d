from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import ConfigError, DataError
from aitb_nautilus.market.instruments import known_instruments
from aitb_nautilus.market.times import parse_time
from catalog.import_funding import import_funding
from catalog.recordings import RowChoice
from catalog.store import BarStore
from catalog.symbols import Naming
from tests.bar_samples import HOUR_NS, csv_text

BTC = "BTCUSDT-PERP.BINANCE"
NAMING = Naming(known=known_instruments(), kind="perpetual")
START = parse_time("2023-12-30")
TS = START + np.arange(12, dtype=np.int64) * 8 * HOUR_NS
RATE = np.arange(12) / 1e5 - 3e-5


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "data")


def test_rates_come_back_exactly_and_by_range(store: BarStore) -> None:
    result = store.write_funding(BTC, TS, RATE, "test")
    assert (result.rows_added, result.rows_same) == (12, 0)
    ts, rate = store.read_funding(BTC)
    assert np.array_equal(ts, TS)
    assert np.array_equal(rate, RATE)
    ts, rate = store.read_funding(BTC, int(TS[2]), int(TS[4]))
    assert np.array_equal(ts, TS[2:5])
    assert np.array_equal(rate, RATE[2:5])
    assert sorted(p.name for p in store.path.rglob("*.parquet")) == ["2023.parquet", "2024.parquet"]


def test_instrument_without_rates_gives_empty_arrays(store: BarStore) -> None:
    ts, rate = store.read_funding("ETHUSDT-PERP.BINANCE")
    assert (len(ts), len(rate), ts.dtype, rate.dtype) == (0, 0, np.int64, np.float64)


def test_same_rates_again_change_no_byte(store: BarStore) -> None:
    store.write_funding(BTC, TS, RATE, "test")
    before = {p: p.read_bytes() for p in store.path.rglob("*.parquet")}
    assert store.write_funding(BTC, TS[3:], RATE[3:], "again").rows_same == 9
    assert {p: p.read_bytes() for p in store.path.rglob("*.parquet")} == before


def test_contradiction_is_refused_unless_replaced(store: BarStore) -> None:
    store.write_funding(BTC, TS, RATE, "test")
    with pytest.raises(DataError, match=r"2023-12-30T00:00:00Z.*6 are like it.*--replace"):
        store.write_funding(BTC, TS, RATE + 1e-5, "other")
    assert store.write_funding(BTC, TS, RATE + 1e-5, "other", replace=True).rows_replaced == 12
    assert np.array_equal(store.read_funding(BTC)[1], RATE + 1e-5)
    (series,) = store.list_funding()
    assert (series.instrument_id, series.rows, series.simulated) == (BTC, 12, False)
    assert [s.name for s in series.sources] == ["test", "other"]


@pytest.mark.parametrize(
    ("ts", "rate", "message"),
    [
        (TS[:0], RATE[:0], "was given no rates"),
        (TS, np.where(np.arange(12) == 2, np.nan, RATE), "no finite number"),
        (TS[::-1].copy(), RATE, "does not follow"),
        (TS + 7, RATE, "not settled on a whole minute"),
        (TS, RATE * 1e4, "must be a fraction"),
    ],
)
def test_unsound_rates_are_refused(
    store: BarStore, ts: np.ndarray, rate: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        store.write_funding(BTC, ts, rate, "test")
    assert store.list_funding() == []


def test_simulated_rates_never_mix_with_recorded_ones(store: BarStore) -> None:
    store.write_funding(BTC, TS, RATE, "seed 1", simulated=True)
    assert store.list_funding()[0].simulated
    with pytest.raises(DataError, match="mixed"):
        store.write_funding(BTC, TS, RATE, "file")


def test_damaged_file_is_named(store: BarStore) -> None:
    store.write_funding(BTC, TS, RATE, "test")
    path = sorted(store.path.rglob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"2023.parquet: is damaged"):
        store.read_funding(BTC)


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        (
            "BTCUSDT-fundingRate-2023-12.csv",
            "calc_time,interval,last_funding_rate",
            "{ms},8,{rate}",
        ),
        ("rates.csv", "symbol,fundingTime,fundingRate", "BTCUSDT,{ms},{rate}"),
        ("rates.csv", "funding_time,symbol,funding_rate", "{ms},BTCUSDT,{rate}"),
    ],
)
def test_files_of_usual_columns_are_imported_with_jitter_put_onto_the_hour(
    store: BarStore, tmp_path: Path, name: str, header: str, row: str
) -> None:
    path = tmp_path / name
    lines = [
        row.format(ms=int(ts) // 1_000_000 + i % 9, rate=f"{rate:.8f}")
        for i, (ts, rate) in enumerate(zip(TS, RATE, strict=True))
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    (done,) = import_funding(store, [path], NAMING, RowChoice())
    assert (done.instrument_id, done.rows_added, done.files) == (BTC, 12, 1)
    ts, rate = store.read_funding(BTC)
    assert np.array_equal(ts, TS)
    assert np.array_equal(rate, np.round(RATE, 8))


def funding_file(path: Path, rows: list[tuple[int, str, float]]) -> Path:
    path.write_text(csv_text(rows, ["funding_time", "symbol", "funding_rate"]))
    return path


def test_percent_is_turned_into_a_fraction(store: BarStore, tmp_path: Path) -> None:
    path = funding_file(tmp_path / "a.csv", [(int(TS[0]), "BTCUSDT", 0.01)])
    import_funding(store, [path], NAMING, RowChoice(), unit=0.01)
    assert store.read_funding(BTC)[1].tolist() == [0.0001]


def test_stamp_between_hours_and_two_rates_at_once_are_refused(
    store: BarStore, tmp_path: Path
) -> None:
    beside = funding_file(tmp_path / "a.csv", [(int(TS[0]) + HOUR_NS // 2, "BTCUSDT", 0.0001)])
    with pytest.raises(DataError, match="must be on the hour"):
        import_funding(store, [beside], NAMING, RowChoice())
    twice = funding_file(
        tmp_path / "b.csv", [(int(TS[0]), "BTCUSDT", 0.0001), (int(TS[0]) + 5, "BTCUSDT", 0.0002)]
    )
    with pytest.raises(DataError, match=r"is there with 0.0001 and 0.0002"):
        import_funding(store, [twice], NAMING, RowChoice())


def test_spot_and_unknown_instruments_have_no_funding(store: BarStore, tmp_path: Path) -> None:
    path = funding_file(tmp_path / "a.csv", [(int(TS[0]), "NEWUSDT", 0.0001)])
    with pytest.raises(ConfigError, match=r"NEWUSDT-PERP.BINANCE: is no perpetual"):
        import_funding(store, [path], NAMING, RowChoice())
    spot = Naming(known=known_instruments(), ids={"": "BTCUSDT.BINANCE"})
    with pytest.raises(ConfigError, match="funding rates belong to perpetuals"):
        import_funding(store, [path], spot, RowChoice())


def test_error_in_a_later_file_imports_nothing(store: BarStore, tmp_path: Path) -> None:
    good = funding_file(tmp_path / "a.csv", [(int(TS[0]), "BTCUSDT", 0.0001)])
    with pytest.raises(DataError, match="is not there"):
        import_funding(store, [good, tmp_path / "b.csv"], NAMING, RowChoice())
    assert store.list_funding() == []


def test_recorded_rates_of_twenty_perpetuals(market_dir: Path, store: BarStore) -> None:
    path = market_dir / "derivatives" / "binance_um_funding_20pairs_2026-01_2026-03.parquet"
    seen: list[Path] = []
    done = import_funding(store, [path], NAMING, RowChoice(), on_file=seen.append)
    assert (len(done), sum(d.rows_added for d in done), seen) == (20, 4000, [path])
    table = pq.read_table(path, filters=[("symbol", "=", "ADAUSDT")])
    ts, rate = store.read_funding("ADAUSDT-PERP.BINANCE")
    assert np.array_equal(rate, table["funding_rate"].to_numpy())
    assert (ts % HOUR_NS == 0).all()
    jitter = np.abs(table["funding_time"].cast("int64").to_numpy() * 1000 - ts)
    assert 0 < jitter.max() < 1_000_000_000
