from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from aitb_nautilus.market.bars import BarFrame, Interval, join_frames
from aitb_nautilus.market.times import iso, parse_time
from catalog.check import Finding, SeriesCheck, check_recording
from catalog.cleaning import Recording
from catalog.outliers import outliers
from catalog.recordings import RowChoice, read_recordings
from tests.bar_samples import MINUTE_NS, walk


def check(bars: BarFrame, *, close: bool = True, interval: str | None = None) -> SeriesCheck:
    given = Recording("test", "test", np.arange(1, len(bars) + 1), bars)
    said = Interval.parse(interval) if interval else None
    return check_recording(given, stamps_are_close=close, interval=said)


def finding(result: SeriesCheck, kind: str) -> Finding:
    (found,) = (f for f in result.findings if f.kind == kind)
    return found


def with_value(bars: BarFrame, row: int, **values: float) -> BarFrame:
    changed = {}
    for name, value in values.items():
        column = getattr(bars, name).copy()
        column[row] = value
        changed[name] = column
    return dataclasses.replace(bars, **changed)


def test_sound_bars_have_no_findings() -> None:
    result = check(walk(3000))
    assert (result.findings, result.verdict, result.missing) == ((), "sound", 0)
    assert (result.rows, result.interval) == (3000, Interval("1m"))
    assert iso(result.first_ns) == "2023-01-01T00:00:00Z"
    assert iso(result.last_ns) == "2023-01-03T01:59:00Z"


def test_times_are_opens_whatever_the_stamps() -> None:
    bars = walk(100)
    opens = dataclasses.replace(bars, ts_close=bars.ts_close - MINUTE_NS)
    assert check(bars) == check(opens, close=False)


def test_gap_has_first_and_last_missing_bar_and_its_length() -> None:
    bars = walk(300)
    result = check(bars.take(np.r_[0:100, 180:250, 251:300]))
    gap = finding(result, "gap")
    assert (result.verdict, result.missing, gap.bars, gap.severity) == ("usable", 81, 81, "warning")
    long, short = gap.runs
    assert (iso(long.first_ns), iso(long.last_ns)) == (
        "2023-01-01T01:40:00Z",
        "2023-01-01T02:59:00Z",
    )
    assert (long.bars, long.note) == (80, "1h 20m without bars")
    assert (short.bars, short.first_ns) == (1, short.last_ns)


BROKEN = {
    "disorder": lambda b: b.take(np.r_[0:50, 60:100, 50:60]),
    "repeated bar": lambda b: b.take(np.r_[0:50, 49:100]),
    "contradiction": lambda b: join_frames([b, with_value(b, 9, volume=1.0).take(slice(9, 10))]),
    "not finite": lambda b: with_value(b, 9, open=float("nan")),
    "not positive": lambda b: with_value(b, 9, low=0.0),
    "broken range": lambda b: with_value(b, 9, high=b.low[9]),
    "off grid": lambda b: dataclasses.replace(
        b, ts_close=np.where(np.arange(100) == 9, b.ts_close + 20_000_000_000, b.ts_close)
    ),
    "mixed intervals": lambda b: join_frames(
        [b, walk(50, every="5m", start=iso(int(b.ts_close[-1])).removesuffix("Z"))]
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_an_import_refuses_is_an_error(kind: str) -> None:
    result = check(BROKEN[kind](walk(100)))
    assert result.verdict == "broken"
    assert finding(result, kind).severity == "error"
    assert result.findings[0].severity == "error"


def test_change_of_interval_shows_each_stretch_and_gaps_inside() -> None:
    coarse = walk(60, every="30m").take(np.r_[0:25, 27:60])
    fine = walk(100, every="5m", start="2023-01-02T06:00").take(np.r_[0:40, 43:100])
    result = check(join_frames([coarse, fine]))
    notes = [run.note for run in finding(result, "mixed intervals").runs]
    assert notes == ["every 30m", "every 5m"]
    assert sorted(run.bars for run in finding(result, "gap").runs) == [2, 3]


def test_zero_volume_runs_are_listed_longest_first() -> None:
    bars = walk(100)
    volume = np.where((np.arange(100) // 10 == 3) | (np.arange(100) == 70), 0.0, bars.volume)
    zero = finding(check(dataclasses.replace(bars, volume=volume)), "zero volume")
    assert [(run.bars, iso(run.first_ns)[11:16]) for run in zero.runs] == [
        (10, "00:30"),
        (1, "01:10"),
    ]


def test_flat_run_needs_ten_bars_with_trades_at_one_price() -> None:
    bars = walk(100)
    stuck = np.arange(100) // 20 == 2
    prices = {
        n: np.where(stuck, 20_000.0, getattr(bars, n)) for n in ("open", "high", "low", "close")
    }
    flat = finding(check(dataclasses.replace(bars, **prices)), "flat")
    assert [(run.bars, run.note) for run in flat.runs] == [(20, "all at 20000")]


def test_bad_print_is_an_outlier_and_a_wild_day_is_not() -> None:
    random = np.random.default_rng(5)
    scale = np.where((np.arange(6000) >= 3000) & (np.arange(6000) < 4000), 0.005, 0.0005)
    close = np.round(20_000 * np.exp(np.cumsum(random.standard_t(4, 6000) * scale)), 2)
    opens = np.r_[close[0], close[:-1]]
    high, low = np.maximum(opens, close), np.minimum(opens, close)
    bars = BarFrame(walk(6000).ts_close, opens, high, low, close, np.ones(6000))
    assert len(outliers(bars, MINUTE_NS)[0]) == 0
    spiked = with_value(bars, 1500, high=high[1500] * 1.2)
    rows, moves = outliers(spiked, MINUTE_NS)
    assert rows.tolist() == [1500]
    assert moves[0] == pytest.approx(np.log(1.2), abs=1e-4)
    found = finding(check(spiked), "outlier")
    assert found.runs[0].note.startswith("+20.0")
    assert "30 times the median move" in found.meaning


def test_return_over_a_gap_is_measured_by_the_root_of_its_length() -> None:
    bars = walk(3000)
    kept = bars.take(np.r_[0:1000, 2000:3000])
    assert len(outliers(kept, MINUTE_NS)[0]) == 0


def test_one_bar_or_none_of_a_fixed_interval_is_examined_all_the_same() -> None:
    assert check(walk(1)).interval is None
    assert check(walk(1), interval="1m").verdict == "sound"
    odd = dataclasses.replace(
        walk(30), ts_close=walk(30).ts_close[0] + np.arange(30) * 7 * MINUTE_NS
    )
    result = check(odd)
    assert result.verdict == "broken"
    assert "7m does not divide" in finding(result, "no interval").runs[0].note


def test_recorded_outage_of_march_2023_is_reported(market_dir: Path) -> None:
    path = market_dir / "bars_1m" / "binance_spot_BTCUSDT_1m_2022-01_2023-12.parquet"
    choice = RowChoice(start_ns=parse_time("2023-03"), end_ns=parse_time("2023-04"))
    (part,) = read_recordings(path, choice)
    result = check_recording(part.recording, stamps_are_close=part.stamps_are_close)
    (gap,) = finding(result, "gap").runs
    assert (iso(gap.first_ns), iso(gap.last_ns)) == ("2023-03-24T12:40:00Z", "2023-03-24T13:59:00Z")
    assert (gap.bars, gap.note) == (80, "1h 20m without bars")
    assert finding(result, "zero volume").runs[0].bars == 72
    assert result.verdict == "usable"


def test_recorded_outlier_print_is_the_largest(market_dir: Path) -> None:
    path = (
        market_dir / "cross_exchange" / "btc_stablecoins_4venues_1m_2023-03-01_2023-03-14.parquet"
    )
    choice = RowChoice(symbols=["BTCUSDC"], filters={"exchange": "binance_us"})
    (part,) = read_recordings(path, choice)
    result = check_recording(part.recording, stamps_are_close=False)
    assert iso(finding(result, "outlier").runs[0].first_ns) == "2023-03-14T14:24:00Z"
