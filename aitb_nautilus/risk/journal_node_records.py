"""What the journal says of the node itself: opened, halted, found, closed, and what it lost.

See `journal_records`, which has all kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

__all__ = [
    "Body",
    "Closed",
    "Found",
    "Gap",
    "Halted",
    "Opened",
    "Resumed",
    "ScopeKind",
    "Settled",
    "TradingLevel",
    "Verb",
]

TradingLevel = Literal["active", "reducing", "halted"]
Verb = Literal["halt", "resume", "flatten"]
"""What a person may command."""
ScopeKind = Literal["trader", "strategy", "instrument"]


class Body(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a record says beyond when, who and which order."""

    kind: ClassVar[str]


class Opened(Body, frozen=True):
    """A node began to write: the first record of its part of the journal.

    Attributes
    ----------
    run_id, mode
        The run, and ``backtest``, ``paper`` or ``live``.
    config_sha256
        Of the resolved config.
    limits
        Name to value of every limit in force.
    versions
        Of this program, the engine and Python, by name.
    listens
        Models, each with an instrument, that a strategy listens to, by its id.
    account, remembered
        The name of the account, and what limits remembered of earlier runs: of each its name, what
        it is for, its settings and its memory, both JSON.
    resumed_from
        Hash of the last record that was there, hex; empty in a new journal. The journal sets it.
    """

    kind: ClassVar[str] = "opened"
    run_id: str
    config_sha256: str
    mode: str = ""
    limits: Mapping[str, Any] = {}
    versions: Mapping[str, str] = {}
    listens: dict[str, tuple[tuple[str, str], ...]] = {}
    account: str = ""
    remembered: tuple[tuple[str, str, str, str], ...] = ()
    resumed_from: str = ""


class Halted(Body, frozen=True):
    """Trading was stopped or bound to reducing.

    Attributes
    ----------
    who
        ``guard``, or user and machine of a command.
    scope
        Of whom: of all, or of the record's strategy or instrument. Of a halt of all, the record's
        strategy is the one that led to it.
    flatten
        Whether what is held is closed.
    heard
        As in `Decided`.
    """

    kind: ClassVar[str] = "halted"
    reason: str
    who: str = "guard"
    state: TradingLevel = "halted"
    scope: ScopeKind = "trader"
    flatten: bool = False
    heard: int = 0


class Resumed(Body, frozen=True):
    """Trading was let go on, as far as `state` says: of all, or of the record's scope.

    Attributes
    ----------
    heard
        As in `Decided`.
    """

    kind: ClassVar[str] = "resumed"
    reason: str
    who: str
    state: TradingLevel = "active"
    scope: ScopeKind = "trader"
    heard: int = 0


class Found(Body, frozen=True):
    """The firewall found something at a venue that the journal does not explain.

    Attributes
    ----------
    key, what, at_venue, in_journal, line, choices
        As in `firewall.Unexplained`.
    """

    kind: ClassVar[str] = "found"
    key: str
    what: str
    at_venue: str = ""
    in_journal: str = ""
    line: str = ""
    choices: tuple[str, ...] = ()


class Settled(Body, frozen=True):
    """A person answered what the firewall had found, and the node did it.

    Attributes
    ----------
    key, at_venue
        Of what was found.
    choice, strategy
        The answer, and to which strategy the thing belongs from now on.
    who, reason
        User and machine, and why.
    failed
        Why it could not be done; empty if it was.
    """

    kind: ClassVar[str] = "settled"
    key: str
    at_venue: str = ""
    choice: str = ""
    strategy: str = ""
    who: str = ""
    reason: str = ""
    failed: str = ""


class Gap(Body, frozen=True):
    """What could not be written, or not surely, before this record.

    Attributes
    ----------
    lost
        Records.
    first_ts, last_ts
        Times of the first and the last of them.
    why
        What the disk or the database said first.
    sent
        Orders whose sending is among them, at most the first 1,000.
    """

    kind: ClassVar[str] = "gap"
    lost: int
    first_ts: int
    last_ts: int
    why: str
    sent: tuple[str, ...] = ()


class Closed(Body, frozen=True):
    """The node ended its part of the journal in order."""

    kind: ClassVar[str] = "closed"
    why: str = ""
