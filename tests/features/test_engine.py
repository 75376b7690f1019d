"""The engine at its edges: order, gaps, bad bars, warm-up, snapshots, copies, threads."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import FeatureSet, parse_features
from aitb_nautilus.market.bars import BarFrame
from tests.features.feature_bars import market, same_bits

MINUTE = 60_000_000_000
TEXTS = ("log_return(3)", "sma_ratio(20)", "zscore(volume,10)", "rsi(3)", "quiet_share(30)")


def small_set(longest_gap_bars: int = 120) -> FeatureSet:
    return parse_features(TEXTS, interval="1m", longest_gap_bars=longest_gap_bars)


def feed(engine: FeatureEngine, bars: BarFrame) -> list[np.ndarray | None]:
    """Give an engine bars one by one."""
    columns = (bars.ts_close, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [engine.update(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


def without(bars: BarFrame, start: int, stop: int) -> BarFrame:
    """Return bars with a gap."""
    rows = np.r_[0:start, stop : len(bars)]
    return bars.take(rows)


def filled(bars: BarFrame, start: int, stop: int) -> BarFrame:
    """Return the bars with the gap filled by hand: flat at the last close, no volume."""
    changed = [c.copy() for c in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    for column in changed[:4]:
        column[start:stop] = bars.close[start - 1]
    changed[4][start:stop] = 0.0
    return BarFrame(bars.ts_close, *changed)


def test_rows_are_float32_and_nothing_before_the_warmup() -> None:
    features = small_set()
    bars = market(400)
    rows = FeatureEngine(features).batch(bars)
    assert rows.values.dtype == np.float32
    assert rows.values.shape == (400, len(TEXTS))
    assert rows.valid.tolist() == [r >= features.warmup - 1 for r in range(400)]
    assert np.isnan(rows.values[~rows.valid]).all()
    assert np.isfinite(rows.values[rows.valid]).all()
    assert np.array_equal(rows.ts_close, bars.ts_close)
    stream = feed(FeatureEngine(features), bars)
    assert [row is not None for row in stream] == rows.valid.tolist()


def test_rehearsal_gives_the_row_of_a_bar_like_the_last_and_leaves_no_trace() -> None:
    bars, plain, rehearsing = market(200), FeatureEngine(small_set()), FeatureEngine(small_set())
    assert rehearsing.rehearse() is None  # no bar came
    expected = feed(plain, bars)
    columns = (bars.ts_close, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for place, values in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        row = rehearsing.update(*values)
        foreseen = rehearsing.rehearse()
        again = rehearsing.rehearse()
        if expected[place] is None:
            assert row is None
            continue
        assert same_bits(row, expected[place])
        twin = FeatureEngine(small_set())
        twin.restore(rehearsing.snapshot())
        like_the_last = twin.update(values[0] + MINUTE, *values[1:])
        assert same_bits(foreseen, like_the_last)
        assert same_bits(again, like_the_last)
    assert rehearsing.snapshot() == plain.snapshot()


def test_rehearsal_after_a_batch_alone_has_no_bar_to_go_on_from() -> None:
    engine = FeatureEngine(small_set())
    engine.batch(market(100))
    before = engine.snapshot()
    assert engine.rehearse() is None
    assert engine.snapshot() == before


def test_row_belongs_to_the_caller() -> None:
    engine = FeatureEngine(small_set())
    bars = market(200)
    rows = [row for row in feed(engine, bars) if row is not None]
    kept = [row.copy() for row in rows]
    rows[-1][:] = 7.0
    feed(engine, market(300).take(slice(200, 300)))
    for row, copy in zip(rows[:-1], kept[:-1], strict=True):
        assert same_bits(row, copy)


def test_short_gap_counts_as_bars_without_trade() -> None:
    bars = market(600)
    gap = filled(bars, 300, 350)
    whole = FeatureEngine(small_set()).batch(gap)
    holed = FeatureEngine(small_set()).batch(without(bars, 300, 350))
    kept = np.r_[0:300, 350:600]
    assert same_bits(holed.values, whole.values[kept])
    assert holed.valid[-1]
    stream = feed(FeatureEngine(small_set()), without(bars, 300, 350))
    assert same_bits(np.array(stream[200:]), holed.values[200:])


@pytest.mark.parametrize(("missing", "warm"), [(120, True), (121, False)])
def test_gap_beyond_the_limit_begins_a_new_warmup(missing: int, warm: bool) -> None:
    features = small_set(longest_gap_bars=120)
    bars = market(900)
    rows = FeatureEngine(features).batch(without(bars, 300, 300 + missing))
    assert rows.valid[300] == warm
    if not warm:
        alone = FeatureEngine(features).batch(bars.take(slice(300 + missing, None)))
        assert same_bits(rows.values[300:], alone.values)
        assert rows.valid[300 + features.warmup - 1]


def test_no_gap_at_all_may_be_allowed() -> None:
    features = small_set(longest_gap_bars=0)
    rows = FeatureEngine(features).batch(without(market(400), 300, 301))
    assert rows.valid[299]
    assert not rows.valid[300]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"open": float("nan")}, "was open nan"),
        ({"close": float("nan")}, "close nan"),
        ({"volume": float("nan")}, "volume nan"),
        ({"high": float("inf")}, "high inf"),
        ({"volume": float("inf")}, "volume inf"),
        ({"low": 0.0}, "low 0"),
        ({"low": -1.0}, "low -1"),
        ({"volume": -1.0}, "volume -1"),
        ({"high": 99.0}, "high 99"),
        ({"low": 101.0}, "low 101"),
        ({"close": 103.0}, "close 103"),
    ],
)
def test_bad_bar_is_refused_before_any_kernel_sees_it(
    change: dict[str, float], wanted: str
) -> None:
    engine = FeatureEngine(small_set())
    bars = market(300)
    feed(engine, bars.take(slice(0, 200)))
    before = engine.snapshot()
    bar = {"open_": 100.0, "high": 102.0, "low": 99.0, "close": 101.0, "volume": 1.0}
    bar |= {("open_" if k == "open" else k): v for k, v in change.items()}
    ts = int(bars.ts_close[200])
    with pytest.raises(DataError, match=r"bar 2021-05-03T\S+: was open.*") as caught:
        engine.update(ts, **bar)
    assert wanted in str(caught.value)
    assert engine.snapshot() == before
    whole = FeatureEngine(small_set()).batch(bars)
    assert same_bits(np.array(feed(engine, bars.take(slice(200, None)))), whole.values[200:])


def test_bad_bar_in_a_batch_is_named_by_its_time() -> None:
    bars = market(300)
    bars.close[250] = np.nan
    engine = FeatureEngine(small_set())
    with pytest.raises(DataError, match=str(np.datetime64(int(bars.ts_close[250]), "ns"))):
        engine.batch(bars)
    assert engine.last_ns == bars.ts_close[249]


def test_bar_beside_the_grid_or_out_of_order_is_refused() -> None:
    engine = FeatureEngine(small_set())
    bar = (100.0, 101.0, 99.0, 100.0, 1.0)
    engine.update(10 * MINUTE, *bar)
    before = engine.snapshot()
    for ts, wanted in (
        (11 * MINUTE - 1_000_000, "closes beside the grid of 1m"),
        (10 * MINUTE, "came after the bar 1970-01-01T00:10:00"),
        (9 * MINUTE, "must come in order"),
    ):
        with pytest.raises(DataError, match=wanted):
            engine.update(ts, *bar)
    assert engine.snapshot() == before
    unordered = market(10).take(np.array([0, 1, 1, 2]))
    with pytest.raises(DataError, match="is not after the bar before"):
        FeatureEngine(small_set()).batch(unordered)


def test_thousand_cuts_lose_no_bit() -> None:
    features = parse_features([*TEXTS, "rsi(14)@5m", "log_return(2)@15m"], interval="1m")
    bars = without(market(4_000), 2_000, 2_040)
    whole = FeatureEngine(features).batch(bars).values
    random = np.random.default_rng(1)
    engine, other, done = FeatureEngine(features), FeatureEngine(features), 0
    for cut in np.sort(random.choice(np.arange(1, len(bars) - 20), 1000, replace=False)):
        engine.batch(bars.take(slice(done, int(cut))))
        done = int(cut)
        other.restore(engine.snapshot())
        found = other.batch(bars.take(slice(done, done + 20))).values
        assert same_bits(found, whole[done : done + 20])


def test_snapshot_of_other_features_or_damaged_is_refused() -> None:
    engine = FeatureEngine(small_set())
    engine.batch(market(300))
    good = engine.snapshot()
    for other in (
        FeatureEngine(parse_features(["rsi(14)"], interval="1m")),
        FeatureEngine(small_set(longest_gap_bars=60)),
        FeatureEngine(small_set(), "BTCUSDT.BINANCE"),
    ):
        with pytest.raises(DataError, match="is of other features or instruments"):
            other.restore(good)
    for bad in (b"", good[:-1], good[:40] + b"x" + good[41:], good + b"\0", b"x" * 500):
        with pytest.raises(DataError, match="is damaged or of another version"):
            engine.restore(bad)
    assert engine.snapshot() == good


def test_reset_forgets_everything() -> None:
    engine = FeatureEngine(small_set())
    fresh = engine.snapshot()
    first = engine.batch(market(300)).values
    engine.reset()
    assert engine.last_ns is None
    assert engine.snapshot() == fresh
    assert same_bits(engine.batch(market(300)).values, first)


def test_second_thread_is_refused_while_the_first_works() -> None:
    engine = FeatureEngine(small_set())
    bars = market(3_000)
    long = BarFrame(
        bars.ts_close[0] + np.arange(900_000, dtype=np.int64) * MINUTE,
        *(np.tile(c, 300) for c in (bars.open, bars.high, bars.low, bars.close, bars.volume)),
    )
    refused: list[str] = []

    def disturb() -> None:
        while not engine._lock.locked():
            time.sleep(0.001)
        for use in (engine.snapshot, engine.reset, lambda: engine.update(0, 1, 1, 1, 1, 1)):
            try:
                use()
            except RunError as e:
                refused.append(str(e))

    thread = threading.Thread(target=disturb)
    thread.start()
    values = engine.batch(long).values
    thread.join()
    assert len(refused) == 3
    assert "was used by two threads at the same time" in refused[0]
    assert same_bits(values, FeatureEngine(small_set()).batch(long).values)


def test_engines_in_threads_of_their_own_do_not_disturb_each_other() -> None:
    bars = market(20_000)
    whole = FeatureEngine(small_set()).batch(bars).values
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(FeatureEngine(small_set()).batch(bars).values))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(same_bits(values, whole) for values in found)


def test_columns_of_files_are_taken_as_they_are() -> None:
    bars = market(300)
    for column in (bars.ts_close, bars.open, bars.volume):
        column.flags.writeable = False
    every_second = bars.take(slice(None, None, 2))
    assert FeatureEngine(small_set()).batch(bars).valid[-1]
    assert len(FeatureEngine(small_set()).batch(every_second)) == 150
    assert len(FeatureEngine(small_set()).batch(BarFrame.empty())) == 0
