"""A run cut into stretches of time."""

from __future__ import annotations

import numpy as np
import pytest

from aitb_nautilus.run.stretches import Stretches, length_for

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("span", "shortest", "length"),
    [
        (365 * DAY, MINUTE, 2 * DAY),
        (365 * DAY, 5 * DAY, 5 * DAY),
        (10 * HOUR, MINUTE, 5 * MINUTE),
        (3 * MINUTE, MINUTE, MINUTE),
        (200_000 * DAY, MINUTE, 500 * DAY),
    ],
)
def test_length_is_the_shortest_that_makes_few_enough(
    span: int, shortest: int, length: int
) -> None:
    assert length_for(span, shortest, 200) == length


def test_bar_that_closes_on_the_grid_belongs_to_the_stretch_before() -> None:
    ts = np.array([30, 60, 90, 120, 240], np.int64) * MINUTE
    cut = Stretches(ts, HOUR)
    assert cut.name == "1h"
    assert cut.ends.tolist() == [60 * MINUTE, 120 * MINUTE, 240 * MINUTE]
    values = np.array([5.0, 1.0, 2.0, 3.0, 4.0])
    assert cut.largest(values).tolist() == [5, 3, 4]
    assert cut.last(values).tolist() == [1, 3, 4]


def test_largest_of_other_times_is_zero_where_nothing_happened() -> None:
    cut = Stretches(np.array([1, 2, 4], np.int64) * HOUR, HOUR)
    times = np.array([10 * MINUTE, 20 * MINUTE, 3 * HOUR + 1, 9 * HOUR], np.int64)
    # What came after the last bar counts with it.
    assert cut.largest_of(times, np.array([1.0, 7.0, 2.0, 3.0])).tolist() == [7, 0, 3]
    assert cut.largest_of(times[:0], np.zeros(0)).tolist() == [0, 0, 0]


def test_lengths_are_named_as_people_say_them() -> None:
    ts = np.array([DAY], np.int64)
    names = [Stretches(ts, length).name for length in (MINUTE, 30 * MINUTE, 6 * HOUR, 5 * DAY)]
    assert names == ["1m", "30m", "6h", "5d"]
