from __future__ import annotations

import pytest

from aitb_nautilus import latency
from aitb_nautilus.latency import Latencies

BTC = "BTCUSDT-PERP.BINANCE"


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the one value of the monotonic clock, for a test to set."""
    now = [1_000]
    monkeypatch.setattr(latency, "perf_counter_ns", lambda: now[0])
    return now


def counts(latencies: Latencies) -> dict[str, list[int]]:
    """Return the longest values of stages that were measured."""
    return {name: [one.count, one.longest] for name, one in latencies.of.items() if one.count}


def test_a_market_order_is_measured_from_the_bar_to_its_fill(steady: list[int]) -> None:
    one = Latencies()
    one.bar_came(BTC, 40)
    steady[0] += 10
    one.decided(BTC)
    steady[0] += 5
    one.allowed("A", BTC, at_once=True)
    steady[0] += 7
    one.left("A")
    steady[0] += 200
    one.accepted("A")
    steady[0] += 50
    one.filled("A")
    one.filled("A")  # a second part of it
    assert counts(one) == {
        "bar age": [1, 40],
        "decision": [1, 10],
        "submit": [1, 7],
        "acknowledgement": [1, 200],
        "fill": [1, 250],
        "order": [1, 40 + 222],
    }


def test_a_fill_without_acceptance_is_the_acknowledgement(steady: list[int]) -> None:
    one = Latencies()
    one.allowed("A", None, at_once=True)
    one.left("A")
    steady[0] += 30
    one.filled("A")
    assert counts(one) == {"submit": [1, 0], "acknowledgement": [1, 30], "fill": [1, 30]}


def test_the_fill_of_a_resting_order_says_nothing_of_latency(steady: list[int]) -> None:
    one = Latencies()
    one.allowed("A", None, at_once=False)
    one.left("A")
    steady[0] += 3
    one.accepted("A")
    steady[0] += 10**9
    one.filled("A")
    assert counts(one) == {"submit": [1, 0], "acknowledgement": [1, 3]}


def test_an_order_that_was_refused_is_forgotten(steady: list[int]) -> None:
    one = Latencies()
    one.allowed("A", None, at_once=True)
    one.left("A")
    one.ended("A")
    steady[0] += 3
    one.filled("A")
    assert counts(one) == {"submit": [1, 0]}


def test_a_bar_of_the_history_has_no_age_and_its_orders_are_no_whole_way(
    steady: list[int],
) -> None:
    one = Latencies()
    one.bar_came(BTC)
    one.allowed("A", BTC, at_once=True)
    one.left("A")
    one.accepted("A")
    assert set(counts(one)) == {"submit", "acknowledgement"}


def test_a_clock_of_the_venue_that_is_ahead_shortens_the_whole_way(steady: list[int]) -> None:
    one = Latencies()
    one.bar_came(BTC, -15)
    one.allowed("A", BTC, at_once=True)
    one.left("A")
    steady[0] += 100
    one.accepted("A")
    assert one.of["bar age"].below_zero == 1
    assert one.of["order"].longest == 85


def test_a_simulated_venue_answers_by_its_own_clock(steady: list[int]) -> None:
    one, venue = Latencies(), [0]
    one.venue_answers_by(lambda: venue[0])
    one.bar_came(BTC, 1)
    one.allowed("A", BTC, at_once=True)
    steady[0] += 9
    one.left("A")
    venue[0] += 50_000_000
    one.filled("A")
    assert one.of["submit"].longest == 9
    assert one.of["fill"].longest == one.of["acknowledgement"].longest == 50_000_000
    assert one.of["order"].count == 0
    assert [one.clock_of(s) for s in ("bar age", "guard", "fill")] == [
        "wall",
        "monotonic",
        "simulated",
    ]
    assert Latencies().clock_of("fill") == "monotonic"


def test_work_in_a_thread_is_measured_until_it_is_collected(steady: list[int]) -> None:
    one = Latencies()
    for key in ("a", "b"):
        one.begins("inference", key)
    steady[0] += 25
    one.breaks_off("inference", "b")
    for key in ("a", "b", "never asked"):
        one.ends("inference", key)
    assert counts(one) == {"inference": [1, 25]}


def test_orders_that_are_never_answered_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latency, "_MOST", 3)
    one = Latencies()
    for name in "ABCD":
        one.allowed(name, None, at_once=True)
    assert len(one._ways) == 1
