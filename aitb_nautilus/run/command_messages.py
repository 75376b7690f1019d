"""What travels between a node and a command from another process: one request, one answer, JSON.

A request is one line of at most `LONGEST_REQUEST` bytes, an answer one line of at most
`LONGEST_ANSWER`; then the connection ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from aitb_nautilus.risk.journal_records import TradingLevel
from aitb_nautilus.risk.journal_state import JournalState
from aitb_nautilus.risk.trading_states import TRADER, Halt, StateScope

__all__ = [
    "LONGEST_ANSWER",
    "LONGEST_REQUEST",
    "Answer",
    "Command",
    "HeldPosition",
    "NodeStatus",
    "OpenOrder",
    "ScopeState",
]

LONGEST_REQUEST = 16 * 1024
LONGEST_ANSWER = 16 * 1024 * 1024


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person wants of a node.

    Attributes
    ----------
    level
        Of a halt: ``halted`` or ``reducing``. Of a resume: ``active`` or ``reducing``.
    reason
        Why; a resume must have one.
    timeout_s
        How long an answer is waited for.
    """

    verb: Literal["halt", "resume", "flatten", "status"]
    scope: StateScope = TRADER
    level: TradingLevel = "halted"
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 10.0


class ScopeState(msgspec.Struct, frozen=True):
    """The state of one scope by itself, and what holds it there, the first reason first."""

    scope: StateScope
    level: TradingLevel
    halts: list[Halt]


class HeldPosition(msgspec.Struct, frozen=True):
    """What a strategy holds in an instrument.

    Attributes
    ----------
    quantity
        Signed, base currency.
    price
        Average entry, quote currency.
    mark
        Last price, quote currency.
    pnl
        Unrealized, quote currency, of the dust as well.
    dust
        What is held beside it and is too little to be sold, base currency.
    """

    strategy_id: str
    instrument_id: str
    quantity: Decimal
    price: float
    mark: float | None
    pnl: float | None
    dust: Decimal = Decimal(0)


class OpenOrder(msgspec.Struct, frozen=True):
    """An order that can still be filled."""

    client_order_id: str
    strategy_id: str
    instrument_id: str
    side: str
    kind: str
    leaves: Decimal
    price: float | None
    trigger_price: float | None
    is_exit: bool
    purpose: str
    status: str


class NodeStatus(msgspec.Struct, frozen=True):
    """How a node stands; times are ns UTC, amounts in the trader's currency.

    Attributes
    ----------
    about
        What the run says of itself, such as ``mode`` and ``run_id``.
    bars
        Close of the last bar by instrument id; 0 before the first.
    unwritten
        Why the trading states cannot be written; empty if they can.
    stopping
        Why the node is about to end; empty if it is not.
    """

    trader_id: str
    pid: int
    about: Mapping[str, str]
    started: int
    now: int
    currency: str
    equity: float
    scopes: list[ScopeState]
    positions: list[HeldPosition]
    orders: list[OpenOrder]
    bars: Mapping[str, int]
    journal: JournalState | None
    unwritten: str = ""
    stopping: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command.

    Attributes
    ----------
    done
        Whether all of it has come about.
    said
        In a sentence or two.
    todo
        What the user can do about it, where it is not done.
    left
        What is still open of what was to end, a line each.
    exit_code
        Of the command line.
    obeyed
        Whether the node has begun to obey at all; it may be stuck.
    status
        How the node stands now.
    """

    done: bool
    said: str
    todo: str = ""
    left: list[str] = []
    exit_code: int = 0
    obeyed: bool = True
    status: NodeStatus | None = None
