"""What may be sent: active, reducing or halted, of the trader, of a strategy, of an instrument.

*Reducing* lets pass what only reduces. *Halted* does the same, and takes resting opening orders
back; a halt that *flattens* closes what is held as well. The strictest of the three scopes holds.
Whatever was put in force stays until a person resumes that very scope: a second halt adds its
reason below the first one.

A live node gives the states a `Keeper`, which writes each change to the disk before anybody is told
of it. A halt that cannot be written holds all the same, and nothing opens until it is written; a
resume that cannot be written does not happen. A back-test has no keeper.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, Self

import msgspec

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.journal_records import ScopeKind, TradingLevel

__all__ = [
    "TRADER",
    "Halt",
    "Keeper",
    "Resume",
    "StateError",
    "StateScope",
    "TradingStates",
]

_STRICTNESS: dict[TradingLevel, int] = {"active": 0, "reducing": 1, "halted": 2}


class StateError(RunError):
    """The trading states cannot be written: nothing opens, and nothing is resumed."""


class StateScope(msgspec.Struct, frozen=True):
    """What a halt is for.

    Attributes
    ----------
    kind
        All of the trader, one strategy, or one instrument.
    id
        Of the strategy as the config names it, or of the instrument; empty for the trader.
    """

    kind: ScopeKind = "trader"
    id: str = ""

    @classmethod
    def strategy(cls, strategy_id: str) -> Self:
        """Return the scope of a strategy, named with or without the tag that the engine adds."""
        return cls("strategy", strategy_id.partition("-")[0])

    @classmethod
    def instrument(cls, instrument_id: str) -> Self:
        """Return the scope of an instrument."""
        return cls("instrument", instrument_id)

    @property
    def options(self) -> str:
        """Return what names the scope on the command line."""
        return f" --{self.kind} {self.id}" if self.id else ""

    def covers(self, strategy_id: str, instrument_id: str) -> bool:
        """Return whether what a strategy does in an instrument belongs to it."""
        match self.kind:
            case "strategy":
                return self.id == strategy_id.partition("-")[0]
            case "instrument":
                return self.id == instrument_id
        return True

    def __str__(self) -> str:
        return f"{self.kind} {self.id}" if self.id else "the trader"


TRADER = StateScope()


class Halt(msgspec.Struct, frozen=True):
    """Why less may be sent than usual, since when, and by whom.

    Attributes
    ----------
    ts
        Since when, ns UTC.
    strategy_id, client_order_id
        Who or what led to it, where that is known; what it holds for is the `scope`.
    cause
        A person's ``command``, a ``limit`` that did its work, a ``check`` that found what a person
        must look at, or an ``error``.
    level, flatten
        What may still be sent, and whether what is held is closed.
    who
        ``guard``, or user and machine.
    """

    ts: int
    reason: str
    strategy_id: str = ""
    client_order_id: str = ""
    cause: Literal["command", "limit", "check", "error"] = "error"
    level: Literal["reducing", "halted"] = "halted"
    scope: StateScope = TRADER
    who: str = "guard"
    flatten: bool = False

    @property
    def by_limit(self) -> bool:
        """Return whether a limit asked for it, as it should; or a person, or an error."""
        return self.cause == "limit"

    def holds_already(self, other: Halt) -> bool:
        """Return whether another one of the same cause would add nothing to it."""
        return (
            (self.scope, self.cause) == (other.scope, other.cause)
            and _STRICTNESS[self.level] >= _STRICTNESS[other.level]
            and self.flatten >= other.flatten
        )


class Resume(msgspec.Struct, frozen=True):
    """A person lifts what holds for one scope.

    Attributes
    ----------
    level
        As far as that: ``active``, or ``reducing`` where it was halted.
    """

    ts: int
    reason: str
    who: str
    scope: StateScope = TRADER
    level: Literal["active", "reducing"] = "active"

    def left(self) -> Halt | None:
        """Return what holds afterwards."""
        if self.level == "active":
            return None
        return Halt(
            self.ts,
            self.reason,
            cause="command",
            level=self.level,
            scope=self.scope,
            who=self.who,
        )


class Keeper(Protocol):
    """Where the states are kept; each method returns once the change is on the disk.

    Both raise `StateError` if it cannot be written.
    """

    def keep(self, halt: Halt) -> None:
        """Add what holds."""

    def lift(self, resume: Resume) -> None:
        """Take out all that holds for a scope, and put in what is left."""


class TradingStates:
    """The trading states of one trader.

    Attributes
    ----------
    in_force
        All that holds, the first one first.
    keeper
        Writes changes to the disk; None in a back-test.
    lift_with
        The command that lifts a halt, without scope and reason; empty where there is none.
    unwritten
        Why the keeper could not write; nothing opens then. Empty if all is written.
    """

    def __init__(self) -> None:
        self.in_force: list[Halt] = []
        self.keeper: Keeper | None = None
        self.lift_with = ""
        self.unwritten = ""
        self._to_write: list[Halt] = []
        self._strictest: dict[tuple[str, str], Halt | None] = {}

    def restrict(self, halt: Halt) -> bool:
        """Put a halt in force and write it; return whether it adds anything to those that hold."""
        if any(one.holds_already(halt) for one in self.in_force):
            return False
        self.put_in_force([halt])
        if self.keeper is not None:
            self._to_write.append(halt)
            self.write()
        return True

    def put_in_force(self, halts: Iterable[Halt]) -> None:
        """Let halts hold that are written already."""
        self.in_force.extend(halts)
        self._strictest.clear()

    def write(self) -> bool:
        """Write what could not be written yet; return whether all is written now."""
        keeper = self.keeper
        if keeper is None:
            return True
        try:
            while self._to_write:
                keeper.keep(self._to_write[0])
                del self._to_write[0]
        except StateError as e:
            self.unwritten = e.found
            return False
        self.unwritten = ""
        return True

    def lift(self, resume: Resume) -> list[Halt]:
        """Lift what holds for one scope, and return it; the other scopes are left alone.

        Raises
        ------
        StateError
            If that cannot be written; nothing is lifted then.
        """
        lifted = self.held(resume.scope)
        left = resume.left()
        if not lifted or (left is not None and all(h.level == "reducing" for h in lifted)):
            return []
        if self.keeper is not None:
            self.keeper.lift(resume)
            self._to_write = [h for h in self._to_write if h.scope != resume.scope]
        self.in_force = [h for h in self.in_force if h.scope != resume.scope]
        self.put_in_force([] if left is None else [left])
        self.write()
        return lifted

    def held(self, scope: StateScope) -> list[Halt]:
        """Return what holds for this very scope, the first one first."""
        return [halt for halt in self.in_force if halt.scope == scope]

    def of_scope(self, scope: StateScope) -> TradingLevel:
        """Return the state of this very scope, whatever the others are in."""
        return _strictest(self.held(scope))

    def level(self, strategy_id: str, instrument_id: str) -> TradingLevel:
        """Return the state of a strategy in an instrument: the strictest of the three scopes."""
        if not self.in_force:
            return "active"
        halt = self._holding(strategy_id, instrument_id)
        return "active" if halt is None else halt.level

    def flattens(self, strategy_id: str, instrument_id: str) -> bool:
        """Return whether what a strategy holds in an instrument is to be closed."""
        return any(h.flatten and h.scope.covers(strategy_id, instrument_id) for h in self.in_force)

    def objection(self, strategy_id: str, instrument_id: str) -> str:
        """Return why nothing may be opened by a strategy in an instrument; empty if it may."""
        if self.unwritten:
            return (
                f"the trading states cannot be written ({self.unwritten}): nothing opens until "
                f"they can; make room on the disk"
            )
        if not self.in_force:
            return ""
        halt = self._holding(strategy_id, instrument_id)
        return "" if halt is None else self.spell(halt)

    def spell(self, halt: Halt) -> str:
        """Return a halt in one line: what, since when, by whom, why, and what lifts it."""
        lift = "only a person lifts it"
        if self.lift_with:
            lift = f'lift it with: {self.lift_with}{halt.scope.options} --reason "..."'
        since = iso(halt.ts // 10**9 * 10**9)
        return f"{halt.scope} is {halt.level} since {since} by {halt.who}: {halt.reason}; {lift}"

    def _holding(self, strategy_id: str, instrument_id: str) -> Halt | None:
        """Return the strictest halt, of equal ones the first."""
        key = (strategy_id, instrument_id)
        if key not in self._strictest:
            covering = [h for h in self.in_force if h.scope.covers(*key)]
            self._strictest[key] = max(covering, key=lambda h: _STRICTNESS[h.level], default=None)
        return self._strictest[key]


def _strictest(halts: Iterable[Halt]) -> TradingLevel:
    level: TradingLevel = "active"
    for halt in halts:
        level = max(level, halt.level, key=_STRICTNESS.__getitem__)
    return level
