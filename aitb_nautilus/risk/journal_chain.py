"""The chain of the journal: what a record is as bytes, and how each hash holds all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from aitb_nautilus.risk.journal_records import KINDS, Body

__all__ = [
    "ENTRY_FIELDS",
    "GENESIS",
    "ROW_FIELDS",
    "Entry",
    "Fields",
    "Record",
    "Row",
    "canonical",
    "chained",
    "decode_body",
    "encode_body",
    "fits",
    "link",
]

GENESIS = bytes(32)
"""The hash before the first record."""

type Entry = tuple[int, str, str, str, Body]
"""Time, strategy, instrument, order and body of a record that has no place yet."""
ENTRY_FIELDS = 5
type Fields = tuple[int, int, str, str, str, str, str]
"""Number, time, kind, strategy, instrument, order, and body as JSON."""
type Row = tuple[int, int, str, str, str, str, str, bytes]
"""The same, and the hash."""
ROW_FIELDS = 8


class Record(msgspec.Struct, frozen=True):
    """One row of a journal.

    Attributes
    ----------
    seq
        1, 2, 3 ... without a hole.
    hash
        Of this record and, through the one before it, of all before it; hex.
    """

    seq: int
    ts: int
    strategy_id: str
    instrument_id: str
    client_order_id: str
    body: Body
    hash: str

    @property
    def kind(self) -> str:
        """Return the kind of the record."""
        return self.body.kind


canonical = msgspec.json.Encoder(order="deterministic").encode
"""Says anything as canonical JSON: the same is always the same bytes, alone or inside of more."""
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(type_) for kind, type_ in KINDS.items()
}


def encode_body(body: Body) -> str:
    """Return a body as canonical JSON: the same body is always the same text.

    Half a surrogate pair, which UTF-8 cannot say, becomes a question mark: a venue's odd text must
    not keep a record from being written.
    """
    try:
        return canonical(body).decode()
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(body), ensure_ascii=False)
        clean = text.encode(errors="replace")
        return canonical(_decoders[body.kind].decode(clean)).decode()


def decode_body(kind: str, text: str | bytes) -> Body:
    """Return the body that a row holds.

    Raises
    ------
    KeyError
        If the kind is unknown.
    msgspec.DecodeError
        If the text is no body of its kind.
    """
    body: Body = _decoders[kind].decode(text)
    return body


def link(previous: bytes, fields: Fields) -> bytes:
    """Return the hash of a record, 32 bytes.

    It is ``sha256(hash of the record before || canonical bytes)``. Canonical bytes are one JSON
    array of all fields but the hash, without spaces; the body comes last and as it is, so no two
    different records have the same.
    """
    return hashlib.sha256(previous + canonical((*fields[:-1], msgspec.Raw(fields[-1])))).digest()


def chained(previous: bytes, last: int, entries: Sequence[Any]) -> list[Any]:
    """Return records with their numbers and hashes; `link`, for many, and quicker.

    Parameters
    ----------
    previous, last
        Hash and number of the record before them.
    entries
        Records that have no place yet: the fields of one `Entry` after those of another. A tuple
        for each would be one more thing for the garbage collector to look at, again and again.

    Returns
    -------
    list
        The fields of one `Row` after those of another, as a statement of many rows takes them.
    """
    sha256, encode, raw, seq = hashlib.sha256, canonical, msgspec.Raw, last
    values: list[Any] = []
    for ts, strategy, instrument, order, body in zip(*[iter(entries)] * ENTRY_FIELDS, strict=True):
        seq += 1
        try:
            text = encode(body)
        except UnicodeEncodeError:
            text = encode_body(body).encode()
        kind = body.kind
        whole = encode((seq, ts, kind, strategy, instrument, order, raw(text)))
        previous = sha256(previous + whole).digest()
        values += (seq, ts, kind, strategy, instrument, order, text.decode(), previous)
    return values


def fits(previous: bytes, row: Row) -> bool:
    """Return whether a row's hash follows from its content and the hash of the row before it."""
    try:
        return link(previous, row[:-1]) == row[-1]
    except (TypeError, AttributeError):  # a field is not even of its type
        return False
