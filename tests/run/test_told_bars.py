"""Bars that a node has told, as arrays that cost it nothing."""

from __future__ import annotations

import pytest

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.run.told_bars import ToldBars


def bar(number: int, name: str = "A") -> BarClosed:
    return BarClosed(name, number, number + 0.1, number + 0.2, number + 0.3, number + 0.4, 7.0)


def test_all_come_back_in_order_however_many_there_are() -> None:
    told = ToldBars()
    for number in range(5_000):
        told.add(bar(number))
    told.add(bar(3, "B"))
    frames = told.frames()
    assert (len(told), list(frames)) == (5_001, ["A", "B"])
    assert frames["A"].ts_close.tolist() == list(range(5_000))
    assert frames["A"].open.tolist() == [n + 0.1 for n in range(5_000)]
    assert frames["A"].close.tolist() == [n + 0.4 for n in range(5_000)]
    assert (frames["B"].high.tolist(), frames["B"].volume.tolist()) == ([3.2], [7.0])


def test_what_was_given_away_stays_as_it_was_and_cannot_be_changed() -> None:
    told = ToldBars()
    told.add(bar(1))
    before = told.frames()["A"]
    for number in range(2, 3_000):
        told.add(bar(number))
    assert (len(before), before.low.tolist()) == (1, [1.3])
    with pytest.raises(ValueError, match="read-only"):
        before.close[0] = 5.0
