"""The stream of a node: one entry a thing that happened, in the order in which it did.

An entry of the Redis stream ``aitb:<trader id>:events`` has six fields, all of them text:

``v``
    Version of this description, `VERSION`. A reader leaves alone what it does not know.
``run``
    Id of the run, which is the name of its folder.
``n``
    Number of the event in its run: 1, 2, 3 ... A number that is missing was not published.
``kind``
    Of a record of the journal (`journal_records.KINDS`), or one of `OTHER_KINDS`.
``ts``
    When it happened, ns UTC.
``data``
    What it says, as JSON. Quantities are texts, exactly as they were traded.

The id of an entry is ``<ms UTC>-<n>``: the sender chooses it, so that sending once more after a
broken connection cannot publish anything twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from aitb_nautilus.risk.journal_chain import Row

__all__ = [
    "OTHER_KINDS",
    "VERSION",
    "HeldNow",
    "Lost",
    "Recorded",
    "Standing",
    "StreamEvent",
    "event_of",
    "fields_of",
    "recorded",
    "stream_key",
]

VERSION = "1"
OTHER_KINDS = ("prediction", "late_prediction", "position", "status", "lost")
"""Kinds of events that are no records of the journal."""

_encode = msgspec.json.Encoder(decimal_format="string").encode


def stream_key(trader_id: str) -> str:
    """Return the key of a trader's stream."""
    return f"aitb:{trader_id}:events"


class Recorded(msgspec.Struct, frozen=True):
    """Data of a record of the journal, as it was written there.

    Attributes
    ----------
    seq
        Number of the record in the run's journal.
    body
        As the kind has it; see `journal_records`.
    hash
        Of the record and, through the one before it, of all before it; hex.
    """

    seq: int
    strategy_id: str
    instrument_id: str
    client_order_id: str
    body: msgspec.Raw
    hash: str


class HeldNow(msgspec.Struct, frozen=True):
    """Data of ``position``: what a strategy holds of an instrument, after a fill.

    Attributes
    ----------
    quantity
        Signed, base currency; 0: flat.
    average_price
        Of what is held, quote currency; 0 when flat.
    realized, fees, funding
        Since the run began, quote currency.
    """

    strategy_id: str
    instrument_id: str
    quantity: Decimal
    average_price: float
    realized: float
    fees: float
    funding: float


class Standing(msgspec.Struct, frozen=True):
    """Data of ``status``: how the node stands.

    Attributes
    ----------
    state
        Of the whole trader: ``active``, ``reducing`` or ``halted``.
    equity
        In `currency`.
    positions, open_orders
        How many.
    lost
        Events of this run that were not published.
    """

    mode: str
    state: str
    equity: float
    currency: str
    positions: int
    open_orders: int
    lost: int


class Lost(msgspec.Struct, frozen=True):
    """Data of ``lost``: events before this one that were not published.

    Attributes
    ----------
    count, first, last
        How many, and their numbers.
    reason
        Why.
    """

    count: int
    first: int
    last: int
    reason: str


class StreamEvent(msgspec.Struct, frozen=True):
    """One entry of a stream.

    Attributes
    ----------
    id
        Of the entry in Redis; reading goes on after it.
    number
        Of the event in its run.
    ts
        ns UTC.
    data
        Plain data.
    """

    id: str
    version: str
    run: str
    number: int
    kind: str
    ts: int
    data: dict[str, Any]

    def raw_body(self) -> bytes:
        """Return the body of a record of the journal as JSON."""
        return msgspec.json.encode(self.data["body"])


def recorded(row: Row) -> Recorded:
    """Return a row of the journal as data of an event."""
    seq, _, _, strategy_id, instrument_id, client_order_id, body, digest = row
    return Recorded(
        seq, strategy_id, instrument_id, client_order_id, msgspec.Raw(body.encode()), digest.hex()
    )


def fields_of(run: str, number: int, kind: str, ts: int, data: Any) -> dict[str, str | bytes | int]:
    """Return the fields of an entry."""
    return {"v": VERSION, "run": run, "n": number, "kind": kind, "ts": ts, "data": _encode(data)}


def event_of(entry_id: str, fields: Mapping[str, str]) -> StreamEvent:
    """Return an entry of a stream.

    Raises
    ------
    ValueError
        If it has not the fields of one, or its data are no JSON object.
    """
    try:
        return StreamEvent(
            id=entry_id,
            version=fields["v"],
            run=fields["run"],
            number=int(fields["n"]),
            kind=fields["kind"],
            ts=int(fields["ts"]),
            data=msgspec.json.decode(fields["data"], type=dict[str, Any]),
        )
    except (KeyError, msgspec.MsgspecError) as e:
        raise ValueError(f"entry {entry_id} is no event of a node: {e!r}") from e
