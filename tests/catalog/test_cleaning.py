from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.market.bars import BarFrame, Interval, join_frames
from aitb_nautilus.market.instruments import find_instrument
from catalog.cleaning import RULES, CleanBars, Recording, check_rules, clean, round_to_grid
from tests.bar_samples import MINUTE_NS, same_bars, walk

MINUTE = Interval("1m")


def recording(bars: BarFrame, every: str = "1m") -> Recording:
    """Return bars as a file has them: stamped with the open."""
    opens = bars.ts_close - Interval.parse(every).ns
    rows = np.arange(1, len(bars) + 1)
    return Recording("a.csv", "a.csv", rows, dataclasses.replace(bars, ts_close=opens))


def cleaned(
    given: Recording, *rules: str, interval: str | None = None, close: bool = False
) -> list[CleanBars]:
    return list(
        clean(
            given,
            interval=Interval.parse(interval) if interval else None,
            stamps_are_close=close,
            rules=check_rules(rules),
        )
    )


def with_value(bars: BarFrame, row: int, **values: float) -> BarFrame:
    changed = {}
    for name, value in values.items():
        column = getattr(bars, name).copy()
        column[row] = value
        changed[name] = column
    return dataclasses.replace(bars, **changed)


def test_good_rows_pass_untouched_with_their_close_time() -> None:
    bars = walk(50)
    (only,) = cleaned(recording(bars))
    assert only.interval == MINUTE
    assert same_bars(only.bars, bars)
    assert only.repairs == ()


@pytest.mark.parametrize("early_ns", [0, 1_000_000, 1_000])
def test_rows_stamped_with_a_close_that_is_early_get_the_same_time(early_ns: int) -> None:
    bars = walk(50)
    stamped = dataclasses.replace(bars, ts_close=bars.ts_close - early_ns)
    given = Recording("a.csv", "a.csv", np.arange(1, 51), stamped)
    (only,) = cleaned(given, close=True)
    assert same_bars(only.bars, bars)


MIDDLE = 20
DEFECTS: dict[str, tuple[Callable[[BarFrame], BarFrame], str, str]] = {
    # name: how to spoil, the rule that repairs it, what the refusal says
    "nan": (
        lambda b: with_value(b, MIDDLE, close=float("nan")),
        "drop-broken",
        "row 21, .*has an empty or infinite value",
    ),
    "infinite": (
        lambda b: with_value(b, MIDDLE, volume=float("inf")),
        "drop-broken",
        "row 21, .*has an empty or infinite value",
    ),
    "negative": (
        lambda b: with_value(b, MIDDLE, low=-1.0),
        "drop-broken",
        "row 21, .*price not above 0",
    ),
    "range": (
        lambda b: with_value(b, MIDDLE, low=b.high[MIDDLE] + 1, high=b.high[MIDDLE] + 2),
        "drop-broken",
        "row 21, .*outside low to high.*--repair drop-broken or --repair widen-range",
    ),
    "beside": (
        lambda b: dataclasses.replace(
            b, ts_close=np.where(np.arange(50) == MIDDLE, b.ts_close + MINUTE_NS // 3, b.ts_close)
        ),
        "drop-off-grid",
        "row 21, .*not on the grid of 1m",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_is_refused_by_row_and_time_and_repaired_only_by_its_rule(name: str) -> None:
    spoil, rule, message = DEFECTS[name]
    bars = walk(50)
    given = recording(spoil(bars))
    others = set(RULES) - {rule, "widen-range"}
    with pytest.raises(DataError, match=message) as caught:
        cleaned(given, *others)
    assert str(caught.value).startswith("a.csv, row 21, 2023-01-01T00:20")
    assert f"--repair {rule}" in str(caught.value)
    (only,) = cleaned(given, rule)
    assert same_bars(only.bars, bars.take(np.arange(50) != MIDDLE))
    assert [(r.rule, r.rows, r.source) for r in only.repairs] == [(rule, 1, "a.csv")]


def test_widen_range_moves_high_and_low_only() -> None:
    bars = walk(50)
    spoilt = with_value(bars, MIDDLE, low=bars.high[MIDDLE] + 1, high=bars.high[MIDDLE] + 2)
    (only,) = cleaned(recording(spoilt), "widen-range")
    assert only.bars.low[MIDDLE] == min(bars.open[MIDDLE], bars.close[MIDDLE])
    assert only.bars.high[MIDDLE] == bars.high[MIDDLE] + 2
    assert (only.bars.close == bars.close).all()
    assert only.repairs[0].rule == "widen-range"


def test_disorder_is_refused_and_sorted_by_rule() -> None:
    bars = walk(50)
    given = recording(bars.take(np.r_[0:10, 30:50, 10:30]))
    with pytest.raises(DataError, match=r"row 31, .*earlier than the row before.*--repair sort"):
        cleaned(given)
    (only,) = cleaned(given, "sort")
    assert same_bars(only.bars, bars)
    assert only.repairs[0].rule == "sort"


def test_newest_first_file_is_sorted_by_rule() -> None:
    bars = walk(50)
    (only,) = cleaned(recording(bars.take(slice(None, None, -1))), "sort")
    assert same_bars(only.bars, bars)


def test_equal_duplicates_need_their_rule() -> None:
    bars = walk(50)
    given = recording(bars.take(np.r_[0:20, 18:50]))
    with pytest.raises(DataError, match="earlier than the row before"):
        cleaned(given)
    with pytest.raises(DataError, match="repeats a time with the same values"):
        cleaned(given, "sort", "keep-last")
    (only,) = cleaned(given, "sort", "drop-duplicates")
    assert same_bars(only.bars, bars)
    assert ("drop-duplicates", 2) in [(r.rule, r.rows) for r in only.repairs]


@pytest.mark.parametrize(("rule", "volume"), [("keep-first", 1.0), ("keep-last", 3.0)])
def test_different_duplicates_need_a_choice(rule: str, volume: float) -> None:
    bars = with_value(walk(50), 10, volume=1.0)
    second = with_value(bars, 10, volume=2.0).take(slice(10, 11))
    third = with_value(bars, 10, volume=3.0).take(slice(10, 11))
    parts = [bars.take(slice(0, 11)), second, third, bars.take(slice(11, 50))]
    given = recording(join_frames(parts))
    with pytest.raises(DataError, match=r"row 12, .*repeats a time with other values.*2 rows"):
        cleaned(given, "drop-duplicates")
    (only,) = cleaned(given, rule)
    assert only.bars.volume[10] == volume
    assert len(only.bars) == 50
    assert [(r.rule, r.rows) for r in only.repairs] == [(rule, 2)]


def mixed() -> Recording:
    coarse = walk(40, every="30m")
    fine = walk(60, every="5m", start="2023-01-01T19:35")
    opens = np.r_[coarse.ts_close - 30 * MINUTE_NS, fine.ts_close - 5 * MINUTE_NS]
    bars = dataclasses.replace(join_frames([coarse, fine]), ts_close=opens)
    return Recording("a.csv", "a.csv", np.arange(1, 101), bars)


def test_interval_change_is_refused_with_row_time_and_ways_out() -> None:
    with pytest.raises(DataError) as caught:
        cleaned(mixed())
    text = str(caught.value)
    assert text.startswith("a.csv, row 41, 2023-01-01T19:35:00Z: the interval changes here")
    assert "30m from 2023-01-01T00:00:00Z, 5m from 2023-01-01T19:35:00Z" in text
    assert "--repair split-interval" in text


def test_interval_change_is_split_by_rule_into_series() -> None:
    fine, coarse = cleaned(mixed(), "split-interval")
    assert (fine.interval.text, len(fine.bars)) == ("5m", 60)
    assert (coarse.interval.text, len(coarse.bars)) == ("30m", 39)
    assert (np.diff(fine.bars.ts_close) == 5 * MINUTE_NS).all()
    assert fine.repairs[0].rows == 1
    (only,) = cleaned(mixed(), "split-interval", interval="30m")
    assert same_bars(only.bars, coarse.bars)
    with pytest.raises(DataError, match="rows every 5m and every 30m, none every 1m"):
        cleaned(mixed(), "split-interval", interval="1m")


def test_interval_that_was_said_must_be_that_of_the_rows() -> None:
    with pytest.raises(DataError, match="has a row every 1m, the interval was said to be 5m"):
        cleaned(recording(walk(50)), interval="5m")
    with pytest.raises(DataError, match="has a row every 5m, the interval was said to be 1m"):
        cleaned(recording(walk(50, every="5m"), "5m"), interval="1m")


def test_sparse_rows_are_of_the_interval_that_was_said() -> None:
    bars = walk(300).take(np.r_[np.arange(0, 250, 2), 249])
    (only,) = cleaned(recording(bars), interval="1m")
    assert only.interval == MINUTE


def test_single_row_needs_an_interval() -> None:
    with pytest.raises(DataError, match=r"has one row.*--interval 1m"):
        cleaned(recording(walk(1)))
    (only,) = cleaned(recording(walk(1)), interval="1m")
    assert same_bars(only.bars, walk(1))


def test_nothing_left_is_an_error() -> None:
    bars = dataclasses.replace(walk(5), volume=np.full(5, np.nan))
    with pytest.raises(DataError, match="no rows left after the repairs"):
        cleaned(recording(bars), "drop-broken")


def test_rule_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'drop-duplicates'"):
        check_rules(["drop-duplicate"])


def test_rounding_touches_only_what_its_rule_names() -> None:
    btc = find_instrument("BTCUSDT.BINANCE")
    bars = with_value(walk(50), 3, close=20_000.123_4, high=30_000.0, volume=0.1 + 0.2)
    same, none = round_to_grid(bars, btc, frozenset(), "a.csv")
    assert same_bars(same, bars)
    assert none == ()
    rounded, repairs = round_to_grid(bars, btc, check_rules(["round-prices"]), "a.csv")
    assert rounded.close[3] == 20_000.12
    assert rounded.volume[3] == 0.1 + 0.2
    assert [(r.rule, r.rows) for r in repairs] == [("round-prices", 1)]
    rounded, repairs = round_to_grid(bars, btc, check_rules(["round-volumes"]), "a.csv")
    assert rounded.volume[3] == 0.3
    assert "to 6 decimals, by at most" in repairs[0].detail
