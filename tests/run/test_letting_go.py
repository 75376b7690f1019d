"""What has ended long ago is let go of, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from aitb_nautilus.messages import CloseIntent, Intent, OrderIntent
from aitb_nautilus.risk.engine_venue import filled_of
from aitb_nautilus.run.letting_go import LettingGo
from aitb_nautilus.settings import Settings
from tests.risk.rig import BTC, ROOMY, Rig, Scripted, close_of, flat_bars, make_context, run

SECOND_NS = 1_000_000_000
LAST = 9
"""Number of the last bar; they are minutes."""


def buy(_: Scripted) -> Iterator[Intent]:
    yield OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))


def bid(_: Scripted) -> Iterator[Intent]:
    yield OrderIntent(
        instrument_id=BTC, side="BUY", kind="LIMIT", price=29_000.0, quantity=Decimal("0.010")
    )


def close(_: Scripted) -> Iterator[Intent]:
    yield CloseIntent(instrument_id=BTC)


@pytest.fixture
def rig() -> Rig:
    """Give a desk that bought and sold in its first minutes, and has a bid at rest."""
    context = make_context(ROOMY)
    strategy = Scripted(Settings(), context, "S-001")
    strategy.steps = {1: buy, 2: close, 3: bid}
    rig = run([strategy], context, flat_bars(LAST))
    assert rig.state.failures == []
    return rig


@pytest.fixture
def pass_minutes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the minutes that have passed on the monotonic clock."""
    passed, began = [0.0], time.monotonic()
    monkeypatch.setattr(
        "aitb_nautilus.run.letting_go.time.monotonic", lambda: began + 60 * passed[0]
    )
    return passed


def held(rig: Rig) -> tuple[int, int, int]:
    cache = rig.engine.cache
    return len(cache.orders()), len(cache.orders_closed()), len(cache.positions())


def go_on(letting_go: LettingGo, now: int, minutes: int, passed: list[float]) -> None:
    """Look each minute, at first at `now`."""
    for i in range(minutes + 1):
        passed[0] += 1.01
        letting_go.take(now + 60 * SECOND_NS * i)


def test_what_was_seen_to_end_ten_minutes_ago_is_gone_and_what_is_open_stays(
    rig: Rig, pass_minutes: list[float]
) -> None:
    assert held(rig) == (3, 2, 1)
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    go_on(letting_go, close_of(LAST), 9, pass_minutes)
    assert held(rig) == (3, 2, 0)
    go_on(letting_go, close_of(LAST) + 600 * SECOND_NS, 0, pass_minutes)
    assert held(rig) == (1, 0, 0)
    (order,) = rig.engine.cache.orders()
    assert order.is_open
    # Ours still says what became of each.
    assert [o.status for o in rig.context.ledger.orders.values()] == [
        "FILLED",
        "FILLED",
        "ACCEPTED",
    ]


def test_fill_of_an_order_that_was_let_go_of_is_what_the_ledger_says(
    rig: Rig, pass_minutes: list[float]
) -> None:
    def filled() -> list[Decimal]:
        ledger = rig.context.ledger
        return [filled_of(rig.engine.cache, name, ledger) for name in ledger.orders]

    before = filled()
    assert before == [Decimal("0.010"), Decimal("0.010"), Decimal(0)]
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    go_on(letting_go, close_of(LAST), 10, pass_minutes)
    assert held(rig) == (1, 0, 0)
    assert filled() == before


def test_order_whose_end_is_news_of_hours_ago_stays_for_ten_minutes(
    rig: Rig, pass_minutes: list[float]
) -> None:
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    late = close_of(LAST) + 7_200 * SECOND_NS
    go_on(letting_go, late, 9, pass_minutes)
    assert held(rig) == (3, 2, 0)
    go_on(letting_go, late + 600 * SECOND_NS, 0, pass_minutes)
    assert held(rig) == (1, 0, 0)


def test_hours_in_which_a_node_stood_still_are_no_ten_minutes(
    rig: Rig, pass_minutes: list[float]
) -> None:
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    go_on(letting_go, close_of(LAST), 0, pass_minutes)
    go_on(letting_go, close_of(LAST) + 7_200 * SECOND_NS, 8, pass_minutes)
    assert held(rig) == (3, 2, 0)
    go_on(letting_go, close_of(LAST) + (7_200 + 540) * SECOND_NS, 0, pass_minutes)
    assert held(rig) == (1, 0, 0)


def test_it_is_done_once_a_minute(rig: Rig, pass_minutes: list[float]) -> None:
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    letting_go.take(close_of(LAST) + 600 * SECOND_NS)
    assert held(rig) == (3, 2, 1)
    pass_minutes[0] = 1.01
    letting_go.take(close_of(LAST) + 600 * SECOND_NS)
    assert held(rig) == (3, 2, 0)


def test_time_of_the_bars_counts_where_it_is_ahead_of_the_clock(
    rig: Rig, pass_minutes: list[float]
) -> None:
    letting_go = LettingGo(rig.engine.cache, rig.context.ledger)
    for _ in range(11):
        pass_minutes[0] += 1.01
        letting_go.take(0)
        rig.context.ledger.now += 60 * SECOND_NS
    assert held(rig) == (1, 0, 0)
