"""Bars that come twice, late, out of order or not at all."""

from __future__ import annotations

import random

import pytest

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.run.bar_order import BarOrder, Hole


def bar(name: str, ts: int, close: float = 1.0) -> BarClosed:
    return BarClosed(name, ts, close, close, close, close, 0.0)


def drain(order: BarOrder) -> list[tuple[str, int]]:
    out = []
    while (one := order.next()) is not None:
        out.append((one.instrument_id, one.ts))
    return out


def two() -> BarOrder:
    return BarOrder({"A": 60, "B": 60}, {"A": 600, "B": 600})


def test_bars_of_one_time_come_in_the_order_of_the_instruments() -> None:
    order = two()
    for name, ts in [("B", 660), ("A", 660)]:
        assert order.take(bar(name, ts)) == ""
    assert drain(order) == [("A", 660), ("B", 660)]


def test_bar_is_held_back_while_another_instrument_lacks_an_earlier_one() -> None:
    order = two()
    order.take(bar("A", 660))
    order.take(bar("A", 720))
    assert drain(order) == [("A", 660)]  # A's next would close after a bar that B still owes
    assert order.hole(now=721, wait=dict.fromkeys("AB", 1_000)) == Hole("B", 660, 660)
    order.take(bar("B", 660))
    assert drain(order) == [("B", 660), ("A", 720)]


def test_bar_is_asked_for_once_it_has_been_waited_for() -> None:
    order = two()
    assert order.hole(now=669, wait=dict.fromkeys("AB", 10)) is None
    assert order.hole(now=670, wait=dict.fromkeys("AB", 10)) == Hole("A", 660, 660)
    assert order.hole(now=1_000, wait=dict.fromkeys("AB", 10)) == Hole("A", 660, 960)


def test_gap_before_a_bar_that_is_there_ends_before_it() -> None:
    order = two()
    order.take(bar("A", 840))
    assert order.hole(now=0, wait=dict.fromkeys("AB", 10)) == Hole("A", 660, 780)
    order.skip("A", 780)
    assert order.hole(now=0, wait=dict.fromkeys("AB", 10)) == Hole("B", 660, 780)
    order.skip("B", 780)
    assert drain(order) == [("A", 840)]


@pytest.mark.parametrize(
    ("again", "why"),
    [
        (bar("A", 660), "came twice"),
        (bar("A", 660, 2.0), "came again with other values"),
        (bar("A", 600), "came late"),
    ],
)
def test_bar_that_was_told_is_not_told_again(again: BarClosed, why: str) -> None:
    order = two()
    order.take(bar("A", 660))
    assert drain(order) == [("A", 660)]
    assert order.take(again) == why
    assert drain(order) == []


def test_bar_that_waits_is_not_exchanged_for_another() -> None:
    order = two()
    order.take(bar("A", 720))
    assert order.take(bar("A", 720, 9.0)) == "came again with other values"


def test_bars_of_different_lengths_keep_the_order_of_their_closes() -> None:
    order = BarOrder({"A": 60, "B": 180}, {"A": 720, "B": 720})
    for ts in (780, 840, 900, 960):
        order.take(bar("A", ts))
    assert drain(order) == [("A", 780), ("A", 840), ("A", 900)]  # B's bar of 900 comes before 960
    order.take(bar("B", 900))
    assert drain(order) == [("B", 900), ("A", 960)]


@pytest.mark.parametrize("seed", range(20))
def test_any_arrival_gives_each_bar_once_in_the_order_of_time(seed: int) -> None:
    rng = random.Random(seed)
    lengths = {"A": 60, "B": 60, "C": 180}
    bars = [
        bar(n, 720 + length * i)
        for n, length in lengths.items()
        for i in range(1, 1 + 1800 // length)
    ]
    arriving = [b for b in bars for _ in range(rng.choice([1, 1, 2]))]
    rng.shuffle(arriving)
    order = BarOrder(lengths, dict.fromkeys(lengths, 720))
    told = []
    for one in arriving:
        order.take(one)
        told += drain(order)
    assert [ts for _, ts in told] == sorted(b.ts for b in bars)
    assert sorted(told) == sorted((b.instrument_id, b.ts) for b in bars)
    assert order.waiting == 0


def test_time_is_told_as_a_whole_when_that_is_wanted() -> None:
    order = BarOrder({"A": 60, "B": 60}, {"A": 600, "B": 600})
    order.take(bar("B", 660))
    assert order.next(whole=True) is None
    order.take(bar("A", 660))
    assert [order.next(whole=True), order.next(whole=True)] == [bar("A", 660), bar("B", 660)]


def test_instrument_with_longer_bars_is_not_waited_for_at_times_without_one() -> None:
    order = BarOrder({"A": 60, "B": 120}, {"A": 600, "B": 600})
    order.take(bar("A", 660))
    assert order.next(whole=True) == bar("A", 660)
    order.take(bar("A", 720))
    assert order.next(whole=True) is None
