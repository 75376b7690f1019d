"""What a journal says happened, as the facts and wishes that it was written from.

The steps come in the order in which they came to the guard. Bars are not in the journal: each step
says how many the node had heard before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import Fill, ModifyIntent, OrderIntent, OrderStatus, OrderUpdate
from aitb_nautilus.risk.dust import GivenUp
from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_file import find_journal
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Answer,
    Decided,
    Dusted,
    Filled,
    Gap,
    Halted,
    Intended,
    Opened,
    Resumed,
    ScopeKind,
    Sent,
)
from aitb_nautilus.risk.trading_states import Halt, Resume, StateScope

__all__ = ["Adopted", "Change", "Lost", "Wish", "Withdrawal", "opened", "steps"]

_STATUS: dict[Answer, OrderStatus | None] = {
    "accepted": "ACCEPTED",
    "rejected": "REJECTED",
    "denied": "DENIED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "updated": None,
    "unchanged": None,
}


class Wish(msgspec.Struct, frozen=True):
    """A wish for a new order or for a change of one, and what was decided on it.

    Attributes
    ----------
    seq
        Number of the record of the decision.
    client_order_id
        Of the order that it became, or that it would change; empty if there was none.
    sent
        The terms with which the order left; None if it did not leave.
    """

    seq: int
    ts: int
    strategy_id: str
    instrument_id: str
    client_order_id: str
    intent: OrderIntent | ModifyIntent
    decided: Decided
    sent: Sent | None = None


class Change(msgspec.Struct, frozen=True):
    """A change of an order left for the venue; None leaves a term as it is."""

    client_order_id: str
    quantity: Decimal | None
    price: float | None
    trigger_price: float | None
    purpose: str


class Withdrawal(msgspec.Struct, frozen=True):
    """An order was taken back before it left."""

    client_order_id: str


class Adopted(msgspec.Struct, frozen=True):
    """An order that stood at the venue became a strategy's."""

    client_order_id: str
    strategy_id: str
    instrument_id: str
    ts: int
    sent: Sent


class Lost(msgspec.Struct, frozen=True):
    """The venue does not know an order."""

    client_order_id: str
    ts: int
    reason: str


type Step = (
    Carried
    | Account
    | Adopted
    | Lost
    | Wish
    | Change
    | Withdrawal
    | Fill
    | GivenUp
    | OrderUpdate
    | Halt
    | Resume
)


def opened(path: Path) -> Opened:
    """Return what the journal's first record says of the run.

    Raises
    ------
    DataError
        If the journal is not there, has no such record, or was gone on with after a restart: what
        the limits remembered then is not in it.
    JournalError
        If it cannot be read.
    """
    found = [record.body for record in read(path, Wanted(kinds=(Opened.kind, Gap.kind)))]
    parts = [body for body in found if isinstance(body, Opened)]
    where = str(find_journal(path))
    if not parts:
        raise DataError(where, "has no record of a run", "must begin with one")
    if len(parts) > 1:
        raise DataError(
            where,
            f"was gone on with after a restart ({len(parts)} parts)",
            "must be of one part: what the limits remembered after it is not in the journal",
        )
    if len(found) > 1:
        raise DataError(
            where,
            "has gaps: not all that was decided could be written",
            "must be whole, or its decisions cannot be taken again",
            f"See: aitb audit show {path} --kind gap",
        )
    return parts[0]


def steps(path: Path) -> Iterator[tuple[int, Step]]:  # noqa: PLR0912 - one case a kind
    """Yield the steps of a run, each with the number of bars that were heard before it.

    Parameters
    ----------
    path
        Of the journal, or the run folder that holds it.

    Raises
    ------
    DataError, JournalError
        As `read`.
    """
    left = {
        r.client_order_id: r.body
        for r in read(path, Wanted(kinds=(Sent.kind,)))
        if isinstance(r.body, Sent) and r.body.action == "submit"
    }
    heard = 0
    wished: Intended | None = None
    for record in read(path):
        body, order = record.body, record.client_order_id
        # What is not numbered came right after what was written before it.
        heard = max(heard, getattr(body, "heard", 0))
        match body:
            case Intended():
                wished = body
            case Decided() if wished is not None:
                yield heard, _wish(record, body, wished, left.get(order))
            case Carried() | Account():
                yield heard, body
            case Sent(action="submit", purpose="adopted"):
                who = record.strategy_id, record.instrument_id
                yield heard, Adopted(order, *who, record.ts, body)
            case Sent(action="modify"):
                yield heard, _change(order, body)
            case Acknowledged(answer="denied") if order not in left:
                yield heard, Withdrawal(order)
            case Acknowledged(answer="unknown"):
                yield heard, Lost(order, record.ts, body.reason)
            case Acknowledged():
                yield heard, _update(record, body)
            case Filled():
                yield heard, _fill(record, body)
            case Dusted():
                who = record.strategy_id, record.instrument_id
                yield heard, GivenUp(*who, record.ts, body.quantity, body.why)
            case Halted():
                yield heard, _halt(record, body)
            case Resumed():
                yield heard, _resume(record, body)


def _scope(record: Record, kind: ScopeKind) -> StateScope:
    ids = {"strategy": record.strategy_id, "instrument": record.instrument_id}
    return StateScope(kind, ids.get(kind, ""))


def _halt(record: Record, body: Halted) -> Halt:
    return Halt(
        record.ts,
        body.reason,
        record.strategy_id,
        record.client_order_id,
        cause="error" if body.who == "guard" else "command",
        level="reducing" if body.state == "reducing" else "halted",
        scope=_scope(record, body.scope),
        who=body.who,
        flatten=body.flatten,
    )


def _resume(record: Record, body: Resumed) -> Resume:
    return Resume(
        record.ts,
        body.reason,
        body.who,
        scope=_scope(record, body.scope),
        level="reducing" if body.state == "reducing" else "active",
    )


def _wish(record: Record, decided: Decided, wished: Intended, sent: Sent | None) -> Wish:
    intent: OrderIntent | ModifyIntent
    if decided.action == "modify":
        intent = ModifyIntent(
            client_order_id=record.client_order_id,
            quantity=wished.quantity,
            price=wished.price,
            trigger_price=wished.trigger_price,
            purpose=wished.purpose or None,
        )
    else:
        intent = OrderIntent(
            instrument_id=record.instrument_id,
            side=wished.side or "BUY",
            kind=wished.order_kind or "MARKET",
            quantity=wished.quantity,
            price=wished.price,
            trigger_price=wished.trigger_price,
            reduce_only=wished.reduce_only,
            post_only=wished.post_only,
            purpose=wished.purpose,
        )
    return Wish(
        record.seq,
        record.ts,
        record.strategy_id,
        record.instrument_id,
        record.client_order_id,
        intent,
        decided,
        sent,
    )


def _change(client_order_id: str, sent: Sent) -> Change:
    return Change(client_order_id, sent.quantity, sent.price, sent.trigger_price, sent.purpose)


def _update(record: Record, body: Acknowledged) -> OrderUpdate:
    return OrderUpdate(
        record.client_order_id,
        record.instrument_id,
        record.ts,
        _STATUS[body.answer],
        body.quantity,
        body.price,
        body.trigger_price,
        body.reason,
        body.answers_change,
    )


def _fill(record: Record, body: Filled) -> Fill:
    return Fill(
        record.strategy_id,
        record.instrument_id,
        record.client_order_id,
        body.trade_id,
        record.ts,
        body.side,
        body.price or 0.0,
        body.quantity,
        body.fee or 0.0,
        body.liquidity,
        body.base_fee,
        body.fee_elsewhere,
    )
