"""Prove a journal whole, or name the first record that breaks its chain.

Rows are read one after the other, so a journal of any length needs no memory. What a chain alone
cannot show is that its end was cut off, or that it was written anew from the start: both are seen
by whoever noted an earlier head.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import msgspec

from aitb_nautilus.risk.journal_chain import GENESIS, Row, decode_body, fits, link
from aitb_nautilus.risk.journal_file import COLUMNS, opened_for_reading, tampered_schema
from aitb_nautilus.risk.journal_records import Closed, Gap

__all__ = ["Break", "Proof", "verify"]

_ROWS = f"SELECT {COLUMNS} FROM records WHERE seq > ? ORDER BY seq"  # noqa: S608 - nobody's input
_ALL = -(1 << 63)


class Break(msgspec.Struct, frozen=True):
    """The first thing that is wrong with a journal.

    Attributes
    ----------
    seq
        Number of the record that is broken or missing; 0 if it is the file itself.
    what
        ``schema``: the table or its triggers are not those that were made. ``missing``: there is no
        record of this number. ``changed``: its content is not what was written. ``hash``: only its
        hash is not. ``reordered``: what was written here stands elsewhere. ``cut off``: a head that
        was noted is not in the chain. ``unreadable``: the file is damaged here.
    line
        The same in words.
    """

    seq: int
    what: Literal["schema", "missing", "changed", "hash", "reordered", "cut off", "unreadable"]
    line: str


class Proof(msgspec.Struct, frozen=True):
    """What a walk along the chain found.

    Attributes
    ----------
    path
        Of the journal.
    records
        That follow one from the other, from the first on.
    head
        Hash of the last of these, hex; 64 zeros if there is none.
    first_ts, last_ts
        Times of the first and the last of these; None if there is none.
    closed
        Whether the last one says that the node ended in order. If not, it still runs, or it was
        killed.
    gaps, lost
        Records that say that something could not be written, and how much.
    noted_at
        Number of the record whose hash was noted; None if none was given or found.
    broken
        The first thing that is wrong; None if the journal is whole.
    """

    path: str
    records: int
    head: str
    first_ts: int | None
    last_ts: int | None
    closed: bool
    gaps: int
    lost: int
    noted_at: int | None
    broken: Break | None

    @property
    def whole(self) -> bool:
        """Return whether nothing is wrong."""
        return self.broken is None


def verify(path: Path, head: str | None = None) -> Proof:
    """Walk along the whole chain of a journal.

    Parameters
    ----------
    path
        Of the journal, or the run folder that holds it. A node may be writing it.
    head
        Hash of any record that somebody noted earlier, hex.

    Raises
    ------
    DataError
        If the file is not there, no journal, or one of another version.
    JournalError
        If not even its first page can be read.
    """
    with opened_for_reading(path) as database:
        walk = _Walk(database, head)
        broken = walk.to_the_break()
        return Proof(
            str(path),
            walk.records,
            walk.head.hex(),
            walk.first_ts,
            walk.last_ts,
            walk.last_kind == Closed.kind,
            walk.gaps,
            walk.lost,
            walk.noted_at,
            broken,
        )


class _Walk:
    """One walk along a chain, and how far it came."""

    def __init__(self, database: sqlite3.Connection, noted: str | None) -> None:
        self._database = database
        self._noted = noted.lower() if noted else None
        self.records = 0
        self.head = GENESIS
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self.last_kind = ""
        self.gaps = 0
        self.lost = 0
        self.noted_at: int | None = None

    def to_the_break(self) -> Break | None:
        """Walk to the end, or to the first thing that is wrong."""
        try:
            changed = tampered_schema(self._database)
            if changed:
                return Break(0, "schema", changed)
            for row in self._rows(_ALL):
                broken = self._step(row)
                if broken is not None:
                    return broken
        except (sqlite3.DatabaseError, UnicodeError, msgspec.MsgspecError) as e:
            return Break(self.records + 1, "unreadable", f"cannot be read: {e}")
        if self._noted is not None and self.noted_at is None:
            line = (
                f"the noted head {self._noted} is not in the chain: records after "
                f"{self.records} were cut off, or the journal was written anew"
            )
            return Break(self.records + 1, "cut off", line)
        return None

    def _step(self, row: Row) -> Break | None:
        seq, wanted = row[0], self.records + 1
        if seq > wanted:
            some = (
                f"record {wanted} is" if seq == wanted + 1 else f"records {wanted} to {seq - 1} are"
            )
            return Break(wanted, "missing", f"{some} missing; record {seq} comes next")
        if seq < wanted:
            return Break(seq, "reordered", f"record {seq} stands where {wanted} should be")
        if not fits(self.head, row):
            return self._explained(row)
        self.records, self.head, self.last_ts, self.last_kind = seq, row[-1], row[1], row[2]
        if self.first_ts is None:
            self.first_ts = self.last_ts
        if self._noted is not None and self.head.hex() == self._noted:
            self.noted_at = seq
        if self.last_kind == Gap.kind:
            gap = decode_body(Gap.kind, row[6])
            self.gaps += 1
            self.lost += gap.lost if isinstance(gap, Gap) else 0
        return None

    def _explained(self, row: Row) -> Break:
        """Say what was done to a record that does not follow from the one before it."""
        seq = row[0]
        later = self._rows(seq)
        after = next(later, None)
        if after is not None and after[0] == seq + 1:
            if fits(row[-1], after):
                line = f"record {seq} was changed: its content is not what was written"
                return Break(seq, "changed", line)
            if fits(self._hash_of(row), after):
                line = f"the hash of record {seq} was changed; its content is what was written"
                return Break(seq, "hash", line)
        for other in chain([] if after is None else [after], later):
            if fits(self.head, (seq, *other[1:])):
                line = f"what was written as record {seq} stands at {other[0]}"
                return Break(seq, "reordered", line)
        line = (
            f"record {seq} does not follow from the one before it: it was changed or put in, or "
            f"what was between them was taken out"
        )
        return Break(seq, "changed", line)

    def _hash_of(self, row: Row) -> bytes:
        """Return the hash that a record should have; nothing if a field is not of its type."""
        try:
            return link(self.head, row[:-1])
        except (TypeError, AttributeError):
            return b""

    def _rows(self, after: int) -> Iterator[Row]:
        return iter(self._database.execute(_ROWS, (after,)))
