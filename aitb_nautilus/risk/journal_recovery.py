"""After a crash: which orders the venue must be asked for, before anything is sent again.

An order whose command was journalled, and never answered, may be at the venue or not: the node was
killed between the write and the answer. Its id is asked for there; what the venue says is
journalled as `Acknowledged` or `Filled`, and ``unknown`` if it says nothing in time.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from aitb_nautilus.messages import OrderKind, Side
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Action,
    Answer,
    Decided,
    Filled,
    Gap,
    Sent,
)

__all__ = ["Unresolved", "sent_ids", "sent_times", "unresolved"]

_ACTIONS: tuple[Action, ...] = ("submit", "modify", "cancel")
_RESOLVES: dict[Answer, tuple[Action, ...]] = {
    "accepted": ("submit",),
    "updated": ("submit", "modify"),
    "unchanged": ("submit", "modify", "cancel"),
    "rejected": _ACTIONS,
    "denied": _ACTIONS,
    "cancelled": _ACTIONS,
    "expired": _ACTIONS,
    "unknown": _ACTIONS,
}
_KINDS = tuple(type_.kind for type_ in (Decided, Sent, Acknowledged, Filled, Gap))


class Unresolved(msgspec.Struct, frozen=True):
    """A command of which nobody knows whether the venue has it.

    Attributes
    ----------
    action
        What the command wanted.
    stage
        ``sent``: it was about to leave, and may be there. ``decided``: it was allowed, and the
        node ended before it could be sent. ``lost``: it was sent while the journal could not be
        written. ``resting``: it was answered, and may have been filled since; see
        `recovery.resting`.
    seq
        Number of the record that says so.
    side, order_kind, quantity, price, trigger_price
        Its terms, as far as the record holds them.
    """

    client_order_id: str
    strategy_id: str
    instrument_id: str
    action: Action
    stage: Literal["sent", "decided", "lost", "resting"]
    seq: int
    ts: int
    side: Side | None = None
    order_kind: OrderKind | None = None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None


def unresolved(path: Path) -> list[Unresolved]:
    """Return the commands that were journalled and never answered, oldest first.

    Parameters
    ----------
    path
        Of the journal, or the run folder that holds it.

    Raises
    ------
    DataError
        If the file is not there, no journal, or one of another version.
    JournalError
        If it cannot be read.
    """
    asked: dict[tuple[str, Action], Unresolved] = {}
    for record in read(path, Wanted(kinds=_KINDS)):
        order = record.client_order_id
        match record.body:
            case Decided(outcome="refused") | Decided(idle=True):
                pass
            case Decided(action=action, quantity=quantity) if order:
                asked[order, action] = replace(_of(record, action, "decided"), quantity=quantity)
            case Sent() as sent:
                # A change may go out twice; the last one counts.
                asked.pop((order, sent.action), None)
                asked[order, sent.action] = replace(
                    _of(record, sent.action, "sent"),
                    side=sent.side,
                    order_kind=sent.order_kind,
                    quantity=sent.quantity,
                    price=sent.price,
                    trigger_price=sent.trigger_price,
                )
            case Acknowledged(answer=answer):
                for action in _RESOLVES[answer]:
                    asked.pop((order, action), None)
            case Filled(leaves=leaves):
                ended = leaves is not None and leaves <= 0
                for action in _ACTIONS if ended else _ACTIONS[:1]:
                    asked.pop((order, action), None)
            case Gap(sent=orders):
                for lost in orders:
                    asked[lost, "submit"] = Unresolved(
                        lost, "", "", "submit", "lost", record.seq, record.ts
                    )
    return list(asked.values())


def sent_ids(path: Path) -> set[str]:
    """Return the ids of all orders that were sent, or may have been; none may be sent again.

    Parameters, errors
        As `unresolved`.
    """
    return set(sent_times(path))


def sent_times(path: Path) -> dict[str, int]:
    """Return when each order was sent, or may have been, ns UTC, by its id.

    Those of the runs before are among them, as far as the journal carries them over.

    Parameters, errors
        As `unresolved`.
    """
    ids: dict[str, int] = {}
    for record in read(path, Wanted(kinds=(Carried.kind, Sent.kind, Gap.kind))):
        match record.body:
            case Carried(sent=before):
                ids.update(before)
            case Gap(sent=lost):
                ids.update(dict.fromkeys(lost, record.ts))
            case _:
                ids.setdefault(record.client_order_id, record.ts)
    return ids


def _of(record: Record, action: Action, stage: Literal["sent", "decided"]) -> Unresolved:
    return Unresolved(
        record.client_order_id,
        record.strategy_id,
        record.instrument_id,
        action,
        stage,
        record.seq,
        record.ts,
    )
