"""How often a node writes its tables, and at which times of a minute."""

from __future__ import annotations

import pytest

from aitb_nautilus.run.snapshot_pace import SnapshotPace

SECOND = 10**9
MINUTE = 60 * SECOND
MIDDLE = 20 * SECOND


def test_first_one_may_begin_at_once() -> None:
    assert SnapshotPace(60.0, [MINUTE]).is_due(0.0, MIDDLE)


@pytest.mark.parametrize(("processor_s", "pause"), [(0.1, 60.0), (0.3, 60.0), (3.0, 600.0)])
def test_pause_is_the_least_time_or_what_half_a_percent_leaves(
    processor_s: float, pause: float
) -> None:
    pace = SnapshotPace(60.0, [MINUTE])
    pace.took(1_000.0, processor_s=processor_s, seconds=processor_s)
    assert not pace.is_due(1_000.0 + pause - 0.1, MIDDLE)
    assert pace.is_due(1_000.0 + pause + 0.1, MIDDLE)


@pytest.mark.parametrize(
    ("at_s", "is_due"), [(0.0, False), (1.9, False), (2.0, True), (50.0, True), (50.1, False)]
)
def test_none_begins_beside_a_close(at_s: float, is_due: bool) -> None:
    pace = SnapshotPace(1.0, [MINUTE, 5 * MINUTE])
    pace.took(0.0, processor_s=0.001, seconds=5.0)  # ten seconds are wanted
    assert pace.is_due(100.0, 7 * MINUTE + round(at_s * SECOND)) is is_due


def test_one_that_takes_longer_than_a_bar_begins_in_the_first_half_of_one() -> None:
    pace = SnapshotPace(1.0, [SECOND])
    pace.took(0.0, processor_s=0.001, seconds=100.0)
    due = [tenth for tenth in range(10) if pace.is_due(100.0, tenth * SECOND // 10)]
    assert due == [3, 4, 5]
