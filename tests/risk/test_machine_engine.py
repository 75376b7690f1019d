"""A smaller machine through the real engine: its own orders and positions are the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aitb_nautilus.risk.context import Context
from tests.risk.machine.engine_desk import DEEDS, DOORS, run_desk
from tests.risk.machine.outcomes import Found

BARS = 60


def run_some(first: int, desks: int) -> Counter[str]:
    tally: Counter[str] = Counter()
    for seed in range(first, first + desks):
        _, strategy = run_desk(seed, BARS)
        tally += strategy.tally
        tally["limits asked"] += sum(strategy.asked.values())
    return tally


def test_random_desks_break_no_limit_and_stay_in_step_with_the_engine() -> None:
    tally = run_some(1, 40)
    for what in ("openings", "fills", "modify", "cancel", "side doors", "market exits", "compared"):
        assert tally[what] > 0, what
    assert tally["limits asked"] > tally["openings"] > 100


def _no(name: str) -> Any:
    def change(context: Context) -> None:
        guard = context.guard
        guard.limits = [one for one in guard.limits if one.name != name]

    return change


def _blind(context: Context) -> None:
    context.ledger.open_orders = lambda instrument_id: []  # type: ignore[method-assign]


def _deaf(context: Context) -> None:
    context.ledger.apply_fill = lambda fill: True  # type: ignore[method-assign]


def _open_doors(context: Context) -> None:
    context.guard.permits.objection = lambda *_: ""  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "change",
    [_no("max_position_notional"), _no("max_open_orders"), _blind, _deaf, _open_doors],
    ids=["no position cap", "no cap of orders", "blind", "deaf", "open doors"],
)
def test_planted_fault_is_found(change: Any) -> None:
    for seed in range(1, 60):
        try:
            run_desk(seed, BARS, change)
        except Found:
            return
    pytest.fail("nothing was found")


def test_every_deed_and_every_door_is_used() -> None:
    assert len(set(DEEDS)) >= 10
    assert len(DOORS) == 6
