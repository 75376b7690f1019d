"""Which state holds for whom, what stays on top, and what follows if it cannot be written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from aitb_nautilus.risk.trading_states import (
    TRADER,
    Halt,
    Resume,
    StateError,
    StateScope,
    TradingStates,
)

EMA = StateScope.strategy("ema-001")
X = StateScope.instrument("X.V")
LEVELS: Any = ("active", "reducing", "halted")


class Disk:
    """A keeper that can be full."""

    def __init__(self) -> None:
        self.full = False
        self.told: list[Halt | Resume] = []

    def keep(self, halt: Halt) -> None:
        self.lift(halt)

    def lift(self, resume: Halt | Resume) -> None:
        if self.full:
            raise StateError("state", "disk is full")
        self.told.append(resume)


def halt(scope: StateScope = TRADER, **changes: Any) -> Halt:
    return Halt(**({"ts": 1, "reason": "why", "cause": "command", "scope": scope} | changes))


@pytest.mark.parametrize("levels", list(itertools.product(LEVELS, LEVELS, LEVELS)))
def test_strictest_of_the_three_scopes_holds(levels: Any) -> None:
    states = TradingStates()
    for scope, level in zip((TRADER, EMA, X), levels, strict=True):
        if level != "active":
            states.restrict(halt(scope, level=level))
    trader, ema, x = (LEVELS.index(level) for level in levels)
    assert states.level("ema-001", "X.V") == LEVELS[max(trader, ema, x)]
    assert states.level("ema-001", "Y.V") == LEVELS[max(trader, ema)]
    assert states.level("mac-002", "X.V") == LEVELS[max(trader, x)]
    assert states.level("mac-002", "Y.V") == LEVELS[trader]
    assert (states.objection("mac-002", "Y.V") == "") == (levels[0] == "active")


@pytest.mark.parametrize("tag", ["ema", "ema-001", "ema-007"])
def test_strategy_is_known_by_its_name_whatever_its_place_in_the_config(tag: str) -> None:
    states = TradingStates()
    states.restrict(halt(StateScope.strategy(tag)))
    assert states.level("ema-002", "X.V") == "halted"
    assert states.level("emax-001", "X.V") == "active"


def test_objection_says_what_since_when_by_whom_why_and_what_lifts_it() -> None:
    states = TradingStates()
    states.lift_with = "aitb resume desk.toml"
    states.restrict(halt(EMA, ts=1_700_000_000_123_456_789, who="ann@box", reason="news"))
    assert states.objection("ema-001", "X.V") == (
        "strategy ema is halted since 2023-11-14T22:13:20Z by ann@box: news; lift it with: "
        'aitb resume desk.toml --strategy ema --reason "..."'
    )


def test_strictest_reason_is_told_and_of_equal_ones_the_first() -> None:
    states = TradingStates()
    states.restrict(halt(X, level="reducing", reason="thin"))
    states.restrict(halt(EMA, reason="first"))
    states.restrict(halt(reason="second"))
    assert "strategy ema is halted" in states.objection("ema-001", "X.V")
    assert "the trader is halted" in states.objection("mac-001", "X.V")


def test_same_halt_twice_adds_nothing_and_a_stricter_one_does() -> None:
    states = TradingStates()
    assert states.restrict(halt(level="reducing"))
    assert not states.restrict(halt(level="reducing", reason="again"))
    assert states.restrict(halt())
    assert not states.restrict(halt(level="reducing"))
    assert states.restrict(halt(flatten=True))
    assert not states.restrict(halt())
    assert states.restrict(halt(cause="error"))
    assert [one.reason for one in states.in_force] == ["why"] * 4


def test_resume_lifts_its_own_scope_with_all_its_reasons_and_no_other() -> None:
    states = TradingStates()
    for scope, cause in ((TRADER, "limit"), (TRADER, "command"), (EMA, "command")):
        states.restrict(halt(scope, cause=cause))
    lifted = states.lift(Resume(2, "fine", "ann"))
    assert [one.cause for one in lifted] == ["limit", "command"]
    assert states.level("mac-001", "X.V") == "active"
    assert states.level("ema-001", "X.V") == "halted"
    assert states.lift(Resume(2, "fine", "ann")) == []


def test_resume_to_reducing_leaves_that_and_loosens_nothing_that_is_reducing() -> None:
    states = TradingStates()
    states.restrict(halt(flatten=True))
    assert states.lift(Resume(2, "slowly", "ann", level="reducing"))
    assert states.level("ema-001", "X.V") == "reducing"
    assert not states.flattens("ema-001", "X.V")
    assert states.in_force[0].reason == "slowly"
    assert states.lift(Resume(3, "again", "bob", level="reducing")) == []
    assert states.in_force[0].who == "ann"


def test_flattening_holds_for_its_scope() -> None:
    states = TradingStates()
    states.restrict(halt(X, flatten=True))
    assert states.flattens("ema-001", "X.V")
    assert not states.flattens("ema-001", "Y.V")


def test_halt_that_cannot_be_written_holds_and_nothing_opens_anywhere_until_it_is() -> None:
    states, disk = TradingStates(), Disk()
    states.keeper = disk
    disk.full = True
    assert states.restrict(halt(EMA))
    assert states.level("ema-001", "X.V") == "halted"
    assert states.level("mac-001", "X.V") == "active"
    assert "cannot be written (disk is full)" in states.objection("mac-001", "X.V")
    assert not states.write()
    disk.full = False
    assert states.write()
    assert states.objection("mac-001", "X.V") == ""
    assert disk.told == [halt(EMA)]


def test_resume_that_cannot_be_written_does_not_happen() -> None:
    states, disk = TradingStates(), Disk()
    states.keeper = disk
    states.restrict(halt())
    disk.full = True
    with pytest.raises(StateError, match="disk is full"):
        states.lift(Resume(2, "fine", "ann"))
    assert states.level("ema-001", "X.V") == "halted"
    disk.full = False
    assert states.lift(Resume(2, "fine", "ann"))
    assert states.level("ema-001", "X.V") == "active"


def test_resume_lifts_a_halt_that_was_never_written_for_good() -> None:
    states, disk = TradingStates(), Disk()
    states.keeper = disk
    disk.full = True
    states.restrict(halt())
    states.restrict(halt(EMA))
    disk.full = False
    states.lift(Resume(2, "fine", "ann"))
    assert disk.told == [Resume(2, "fine", "ann"), halt(EMA)]
    assert states.unwritten == ""
