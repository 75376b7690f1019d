from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.instruments import InstrumentSettings
from catalog.quote_source import QuoteSource
from catalog.quotes import QuoteFrame, read_quotes
from catalog.store import BarStore

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
DAY = 86_400_000_000_000
SPEC = InstrumentSettings(
    id="BTCUSDT-PERP.SIM",
    kind="perpetual",
    base="BTC",
    quote="USDT",
    tick_size="0.1",
    lot_size="0.001",
)


def quotes(*rows: tuple[int, float], size: float = 1.5) -> QuoteFrame:
    """Return quotes of (time after T0 in ms, bid); the ask stands a tick above."""
    ts = np.array([T0 + ms * MS for ms, _ in rows], np.int64)
    bid = np.array([bid for _, bid in rows])
    return QuoteFrame(
        ts, bid, np.round(bid + 0.1, 1), np.full(len(ts), size), np.full(len(ts), 2.0)
    )


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path)


def stored(store: BarStore) -> list[tuple[int, float]]:
    frame = read_quotes(store.path, SPEC.id, None, None)
    return [(int(ts - T0) // MS, bid) for ts, bid in zip(frame.ts, frame.bid_price, strict=True)]


def test_quotes_come_back_bit_for_bit_in_their_order(store: BarStore) -> None:
    frame = quotes((0, 61_800.1), (5, 61_800.3), (5, 61_800.2), (9, 61_799.9))
    assert store.write_quotes(SPEC, frame, "hand").rows_added == 4
    assert read_quotes(store.path, SPEC.id, None, None).equals(frame)
    assert read_quotes(store.path, SPEC.id, T0 + 5 * MS, T0 + 5 * MS).bid_price.tolist() == [
        61_800.3,
        61_800.2,
    ]


def test_engine_reads_the_same_quotes_from_the_same_files(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((0, 100.1), (5, 100.3), (5, 100.2), (9, 99.9)), "hand")
    ticks = QuoteSource(store.path, SPEC.id, (1, 3)).ticks(T0, T0 + 5 * MS)
    assert [(t.ts_event, str(t.bid_price), str(t.ask_price), str(t.bid_size)) for t in ticks] == [
        (T0, "100.1", "100.2", "1.500"),
        (T0 + 5 * MS, "100.3", "100.4", "1.500"),
        (T0 + 5 * MS, "100.2", "100.3", "1.500"),
    ]


def test_same_recording_again_changes_nothing(store: BarStore) -> None:
    frame = quotes((0, 100.1), (5, 100.3))
    store.write_quotes(SPEC, frame, "hand")
    before = [path.stat().st_mtime_ns for path in store.path.rglob("*.parquet")]
    result = store.write_quotes(SPEC, frame, "hand")
    assert (result.rows_added, result.rows_same) == (0, 2)
    assert [path.stat().st_mtime_ns for path in store.path.rglob("*.parquet")] == before


def test_recordings_that_follow_or_agree_where_they_overlap_are_joined(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((10, 100.1), (20, 100.2)), "one")
    result = store.write_quotes(SPEC, quotes((20, 100.2), (30, 100.3)), "two")
    assert (result.rows_added, result.rows_same) == (1, 1)
    store.write_quotes(SPEC, quotes((0, 100.0)), "three")
    assert stored(store) == [(0, 100.0), (10, 100.1), (20, 100.2), (30, 100.3)]
    assert [s.name for s in store.list_quotes()[0].sources] == ["one", "two", "three"]


def test_contradiction_is_refused_and_wins_only_over_its_own_time(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((0, 100.0), (10, 100.1), (20, 100.2), (30, 100.3)), "one")
    other = quotes((10, 200.1), (15, 200.2), (20, 200.3))
    with pytest.raises(DataError, match=r"2 quotes are stored of that time, and are others"):
        store.write_quotes(SPEC, other, "two")
    result = store.write_quotes(SPEC, other, "two", replace=True)
    assert (result.rows_added, result.rows_replaced) == (1, 2)
    assert stored(store) == [(0, 100.0), (10, 200.1), (15, 200.2), (20, 200.3), (30, 100.3)]


def test_each_day_has_a_file_of_its_own(store: BarStore) -> None:
    frame = quotes((0, 100.0), (DAY // MS, 100.1))
    store.write_quotes(SPEC, frame, "hand")
    assert len(list(store.path.rglob("*.parquet"))) == 2
    (series,) = store.list_quotes()
    assert (series.rows, series.first_ns, series.last_ns) == (2, T0, T0 + DAY)
    assert read_quotes(store.path, SPEC.id, None, None).equals(frame)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (quotes((5, 100.0), (4, 100.1)), "is earlier than the quote before it"),
        (quotes((0, 0.0)), "has a price not above 0"),
        (quotes((0, float("nan"))), "no finite number"),
        (quotes((0, 100.0), size=-1.0), "or a size below 0"),
        (quotes((0, 100.05)), r"bid_price was 100.05 \(1 quotes are like it\)"),
        (quotes((0, 100.0), size=0.0005), "bid_size was 0.0005"),
    ],
    ids=["order", "zero", "nan", "size", "tick", "lot"],
)
def test_unsound_quotes_are_refused(store: BarStore, frame: QuoteFrame, found: str) -> None:
    with pytest.raises(DataError, match=found):
        store.write_quotes(SPEC, frame, "hand")
    assert store.list_quotes() == []


def test_crossed_quotes_are_refused(store: BarStore) -> None:
    frame = quotes((0, 100.0))
    crossed = QuoteFrame(frame.ts, frame.ask_price, frame.bid_price, frame.bid_size, frame.ask_size)
    with pytest.raises(DataError, match="bid above its ask"):
        store.write_quotes(SPEC, crossed, "hand")


def test_simulated_and_recorded_quotes_are_not_mixed(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((0, 100.0)), "hand")
    with pytest.raises(DataError, match="simulated and recorded quotes"):
        store.write_quotes(SPEC, quotes((9, 100.0)), "seed 7", simulated=True)


def test_span_says_how_long_the_market_was_silent(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((10, 100.0), (20, 100.1), (70, 100.2)), "hand")
    span = QuoteSource(store.path, SPEC.id, (1, 3)).span(T0, T0 + 100 * MS)
    assert (span.rows, span.silent_ns, span.sources) == (3, 50 * MS, ("hand",))
    assert span.sha256 == quotes((10, 100.0), (20, 100.1), (70, 100.2)).sha256(SPEC.id)


def test_absent_quotes_are_an_error_that_says_what_there_is(store: BarStore) -> None:
    with pytest.raises(DataError, match="it has none at all"):
        QuoteSource(store.path, SPEC.id, (1, 3))
    store.write_quotes(SPEC, quotes((10, 100.0)), "hand")
    with pytest.raises(DataError, match=r"has no quotes of X\.SIM.*those of BTCUSDT-PERP\.SIM"):
        QuoteSource(store.path, "X.SIM", (1, 3))
    with pytest.raises(DataError, match="with 1 decimals of price and 3 of quantity"):
        QuoteSource(store.path, SPEC.id, (2, 3))
    with pytest.raises(DataError, match="has none from"):
        QuoteSource(store.path, SPEC.id, (1, 3)).span(T0 + 20 * MS, T0 + 30 * MS)


def test_damaged_file_is_named(store: BarStore) -> None:
    store.write_quotes(SPEC, quotes((10, 100.0)), "hand")
    (path,) = store.path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is damaged or is no file of quotes"):
        store.list_quotes()


def test_instruments_with_a_slash_lie_where_the_engine_looks(store: BarStore) -> None:
    spec = replace(SPEC, id="BTC/USDT-PERP.SIM")
    store.write_quotes(spec, quotes((0, 100.0)), "hand")
    assert len(QuoteSource(store.path, spec.id, (1, 3)).ticks(T0, T0)) == 1
