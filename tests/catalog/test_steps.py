from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from aitb_nautilus.market.bars import Interval
from catalog.steps import find_interval, stretches, unique_times
from tests.bar_samples import MINUTE_NS

START = 1_672_531_200_000_000_000


def times(*minutes: int) -> NDArray[np.int64]:
    return START + np.array(minutes, np.int64) * MINUTE_NS


def test_interval_is_the_most_frequent_step() -> None:
    assert find_interval(times(0, 5, 10, 25, 30)) == Interval("5m")
    assert find_interval(times(0)) is None
    assert find_interval(times()) is None


def test_step_that_is_no_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="7m does not divide"):
        find_interval(times(0, 7, 14))


def test_gaps_do_not_change_the_interval() -> None:
    ts = times(*range(100), *range(180, 300), 305, 307)
    (only,) = stretches(ts)
    assert (only.interval, only.first_ns, only.last_ns) == (Interval("1m"), ts[0], ts[-1])


@pytest.mark.parametrize(("first", "second"), [(30, 5), (5, 30)])
def test_change_in_the_middle_leaves_out_the_bar_before_it(first: int, second: int) -> None:
    ts = times(*range(0, 50 * first, first), *(49 * first + second * k for k in range(1, 60)))
    before, after = stretches(ts)
    assert before.interval == Interval(f"{first}m")
    assert after.interval == Interval(f"{second}m")
    assert (before.first_ns, before.last_ns) == (ts[0], ts[48])
    assert (after.first_ns, after.last_ns) == (ts[50], ts[-1])


def test_change_there_and_back_gives_three_stretches() -> None:
    ts = times(*range(100), *range(100, 1000, 15), *range(1000, 1100))
    assert [s.interval.text for s in stretches(ts)] == ["1m", "15m", "1m"]


def test_sparse_minutes_have_one_interval() -> None:
    random = np.random.default_rng(3)
    ts = times(*np.flatnonzero(random.random(20_000) < 0.6))
    assert [s.interval.text for s in stretches(ts)] == ["1m"]


def test_short_series_has_no_stretch() -> None:
    assert stretches(times(0, 1, 2)) == stretches(times(0)) == []


def test_unique_times_are_in_order() -> None:
    assert unique_times(times(3, 1, 1, 2)).tolist() == times(1, 2, 3).tolist()
    ts = times(1, 2, 3)
    assert unique_times(ts) is ts
