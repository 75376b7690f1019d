from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from nautilus_trader.model import Bar, FundingRateUpdate, TradeTick

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.run.feed import Feed, Series, opening_mask
from tests.run.desk_lab import HOUR, LATENCY, MINUTE, T0, A, B, C, Lab, flat, instrument

MOVING = [(100 + i, 101 + i, 99 + i, 100.5 + i) for i in range(30)]  # opens off the last close


def series(lab: Lab, instrument_id: str = A, interval: str = "1m") -> Series:
    spec = msgspec.convert(instrument(instrument_id), InstrumentSettings)
    bar_type = Interval.parse(interval).bar_type(instrument_id)
    return Series(bar_type, engine_instrument(spec), lab.store.read(bar_type), LATENCY)


def feed(lab: Lab, *parts: Series, slice_bars: int = 20_000, funding=None) -> Feed:
    return Feed(lab.store, parts, funding or {}, slice_bars)


def flatten(parts) -> list:
    return [item for part in parts for item in part]


def test_opening_tick_is_left_out_only_where_the_close_before_is_the_same_price_and_adjacent() -> (
    None
):
    closes = np.array([1, 2, 3, 5, 6]) * MINUTE  # the fourth follows a gap
    opens = np.array([10.0, 11.0, 12.0, 12.0, 12.5])
    ends = np.array([11.0, 11.5, 12.0, 12.5, 13.0])
    frame = BarFrame(closes, opens, ends, opens, ends, np.ones(5))
    assert opening_mask(frame, MINUTE).tolist() == [True, False, True, True, False]


def test_opening_tick_carries_the_open_one_latency_into_the_bar(lab: Lab) -> None:
    lab.bars([(100, 101, 99, 100, 7), (102, 103, 101, 102, 0)])
    ((_, parts),) = feed(lab, series(lab)).slices()
    ticks = [item for item in flatten(parts) if isinstance(item, TradeTick)]
    assert [(t.ts_event - T0, str(t.price), str(t.size)) for t in ticks] == [
        (LATENCY, "100.0", "7.000"),
        (MINUTE + LATENCY, "102.0", "0.001"),  # one lot where the bar has no volume
    ]


@pytest.mark.parametrize("slice_bars", [1, 7, 10, 30, 31, 1000])
def test_slices_of_any_size_hold_the_same_data_in_the_order_of_time(
    lab: Lab, slice_bars: int
) -> None:
    lab.bars(MOVING, A)
    lab.bars([row if i % 4 else None for i, row in enumerate(MOVING)], B)  # bars missing
    lab.bars(MOVING[:9], C, start=T0 + 11 * MINUTE)  # listed late, gone early
    parts = [series(lab, i) for i in (A, B, C)]
    whole = {
        (type(x).__name__, x.ts_event, str(getattr(x, "bar_type", "") or x.instrument_id))
        for _, lists in feed(lab, *parts).slices()
        for x in flatten(lists)
    }
    seen, counts, last = [], [], 0
    for bars, lists in feed(lab, *parts, slice_bars=slice_bars).slices():
        items = flatten(lists)
        times = [x.ts_event for x in items]
        assert min(times) > last  # nothing belongs to a slice before
        last = max(times)
        seen += [
            (type(x).__name__, x.ts_event, str(getattr(x, "bar_type", "") or x.instrument_id))
            for x in items
        ]
        counts.append(bars)
        assert bars == sum(isinstance(x, Bar) for x in items) > 0
    assert len(seen) == len(set(seen))
    assert set(seen) == whole
    assert sum(counts) == feed(lab, *parts).total == 30 + 22 + 9
    # Bars of one moment stay together, so a slice is at most two bars larger than wanted.
    assert max(counts) <= slice_bars + 2


def test_bars_of_one_moment_are_never_parted(lab: Lab) -> None:
    for i in (A, B, C):
        lab.bars(MOVING, i)
    found = feed(lab, *(series(lab, i) for i in (A, B, C)), slice_bars=4).slices()
    assert {bars % 3 for bars, _ in found} == {0}  # three bars a moment


def test_slices_of_mixed_intervals_are_cut_where_bars_of_all_of_them_end(lab: Lab) -> None:
    # The hour's opening tick comes at its beginning, its bar at its end.
    lab.bars(flat(100, 180), A)
    lab.bars([(200 + i, 201 + i, 199 + i, 200.5 + i) for i in range(3)], B, interval="1h")
    parts = (series(lab, A), series(lab, B, "1h"))
    edges = [T0]
    for _, lists in feed(lab, *parts, slice_bars=7).slices():
        times = [x.ts_event for x in flatten(lists)]
        assert edges[-1] < min(times)
        edges.append(max(times))
    assert edges == [T0, T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]


def test_lists_of_a_slice_are_each_in_order(lab: Lab) -> None:
    lab.bars(MOVING, A)
    lab.bars(MOVING, B)
    for _, lists in feed(lab, series(lab, A), series(lab, B), slice_bars=11).slices():
        for part in lists:
            assert all(a.ts_init <= b.ts_init for a, b in pairwise(part))


def test_blocks_that_are_smaller_than_a_slice_give_the_same_bars(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.bars(MOVING)
    whole = [x.ts_event for _, lists in feed(lab, series(lab)).slices() for x in flatten(lists)]
    monkeypatch.setattr("aitb_nautilus.run.feed._Reader._BLOCK", 4)
    for slice_bars in (3, 4, 9, 100):
        parts = feed(lab, series(lab), slice_bars=slice_bars).slices()
        assert sorted(x.ts_event for _, lists in parts for x in flatten(lists)) == sorted(whole)


def test_rates_come_just_before_their_settlement_and_once(lab: Lab) -> None:
    lab.bars(MOVING)
    times = np.array([T0 + 8 * MINUTE, T0 + 14 * MINUTE, T0 + 21 * MINUTE])
    funding = {A: (times, np.array([0.0001, -0.0002, 0.0]))}
    slices = feed(lab, series(lab), slice_bars=7, funding=funding).slices()
    found = [
        (index, x.ts_init, x.next_funding_ns, str(x.rate))
        for index, (_, lists) in enumerate(slices)
        for x in flatten(lists)
        if isinstance(x, FundingRateUpdate)
    ]
    assert [f[1:] for f in found] == [
        (times[0] - 1, times[0], "0.0001"),
        (times[1] - 1, times[1], "-0.0002"),
        (times[2] - 1, times[2], "0.0"),
    ]
    assert [f[0] for f in found] == [1, 1, 2]  # the second is due at the end of its slice


def test_catalog_that_changes_while_a_run_reads_it_is_a_data_error(lab: Lab) -> None:
    lab.bars(MOVING)
    part = series(lab)
    lab.store = type(lab.store)(lab.folder / "other")
    lab.bars(MOVING[:20])  # the catalog has fewer bars now
    with pytest.raises(DataError, match="gave 20 bars where it had 30"):
        list(feed(lab, part).slices())


def test_commands_are_heard_at_once_while_bars_follow_each_other(lab: Lab) -> None:
    lab.bars([*flat(100, 3), None, None, *flat(100, 2)])  # closes at 1, 2, 3, 6, 7
    part = series(lab)
    for minute in (0.5, 1, 1.5, 2, 2.9, 5, 5.5, 6.5):
        now = T0 + round(minute * MINUTE)
        assert part.heard_at(now) == now
    # From minute 3 to minute 5 nobody trades.
    assert part.heard_at(T0 + 3 * MINUTE) == T0 + 5 * MINUTE
    assert part.heard_at(T0 + 4 * MINUTE) == T0 + 5 * MINUTE
    # After the last bar there is nothing to wait for.
    assert part.heard_at(T0 + 7 * MINUTE) == T0 + 7 * MINUTE
