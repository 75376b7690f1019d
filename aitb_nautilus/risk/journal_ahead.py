"""What a journal holds ahead of SQLite: one short write before an order leaves.

An order must not leave before its records outlive the process. A transaction of SQLite does that
in five times the time of the one write here, so the records stand in a log beside the journal
first, and SQLite takes them once the engine has sent the order. Only a kill in between leaves some
there: whoever opens the journal next, to read it or to go on with it, counts them in.

The log is never longer than what SQLite lacks: once it has all, the next write begins at the start.
So what lies behind the last entry is older, or torn. An entry has its length and CRC-32 before it;
it says which record of the journal it follows on, by number and hash, and is passed over if that is
not so: then SQLite has it already, or it belongs to another journal.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.risk.journal_chain import ENTRY_FIELDS, GENESIS, Row, canonical, link

__all__ = ["AheadLog", "ahead_of", "path_of"]

_HEAD = struct.Struct("<II")
_ROOM = bytes(16_384)
"""So much is there from the start: an order must not wait for room on the disk."""
_END = "SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1"


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """Some records that were written together.

    Attributes
    ----------
    end, head
        Number and hash of the last record in SQLite when it was written.
    first
        Number of the first of these.
    kinds
        Of each its kind.
    fields
        Time, strategy, instrument, order and body of one after those of another.
    """

    end: int
    head: bytes
    first: int
    kinds: list[str]
    fields: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Entry).decode
_number = msgspec.json.Decoder(int).decode
_text = msgspec.json.Decoder(str).decode


class AheadLog:
    """Write records ahead of SQLite; the caller holds the journal's `WriterLock`.

    Parameters
    ----------
    journal
        Of the journal's file.

    Attributes
    ----------
    waiting
        Records that SQLite has to take, as `chained` takes them.
    path
        Of the log.

    Raises
    ------
    OSError
        If it cannot be opened, or there is no room for it.
    """

    def __init__(self, journal: Path) -> None:
        self.waiting: list[Any] = []
        self.path = path_of(journal)
        self._end = 0
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _write_whole(self._handle, _ROOM, 0)
        except BaseException:
            os.close(self._handle)
            raise

    def write(self, end: int, head: bytes, records: Sequence[Any]) -> None:
        """Write records; they outlive the process once this returns.

        Parameters
        ----------
        end, head
            Number and hash of the last record in SQLite.
        records
            As `chained` takes them.

        Raises
        ------
        OSError
            If they cannot be written whole.
        UnicodeEncodeError
            If a text cannot be said in UTF-8.
        """
        waiting = self.waiting
        data = canonical(
            (
                end,
                head,
                end + len(waiting) // ENTRY_FIELDS + 1,
                [body.kind for body in records[ENTRY_FIELDS - 1 :: ENTRY_FIELDS]],
                records,
            )
        )
        entry = _HEAD.pack(len(data), zlib.crc32(data)) + data
        begin = self._end if waiting else 0
        _write_whole(self._handle, entry, begin)
        self._end = begin + len(entry)
        waiting += records

    def close(self) -> None:
        """Let it go, and take it away if SQLite has all of it."""
        if not self.waiting:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)


def path_of(journal: Path) -> Path:
    """Return where the log of a journal is."""
    return journal.with_name(f"{journal.name}-ahead")


def ahead_of(database: sqlite3.Connection, journal: Path) -> list[Row]:
    """Return the rows that a journal's log holds and SQLite lacks, oldest first.

    Raises
    ------
    OSError
        If the log is there and cannot be read.
    sqlite3.Error
        If the journal cannot be read.
    """
    try:
        # Before SQLite is asked: what it takes meanwhile is no longer missing there.
        data = path_of(journal).read_bytes()
    except FileNotFoundError:
        return []
    rows: list[Row] = []
    end, head = database.execute(_END).fetchone() or (0, GENESIS)
    for entry in _entries(data):
        if entry.first != end + 1 or not _follows(database, entry):
            continue
        each = batched(entry.fields, ENTRY_FIELDS, strict=True)
        for kind, (ts, strategy, instrument, order, body) in zip(entry.kinds, each, strict=True):
            end += 1
            who = _text(strategy), _text(instrument), _text(order)
            row = (end, _number(ts), kind, *who, bytes(body).decode())
            head = link(head, row)
            rows.append((*row, head))
    return rows


def _entries(data: bytes) -> Iterator[_Entry]:
    at = 0
    while at + _HEAD.size <= len(data):
        size, check = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        whole = data[at : at + size]
        if not size or len(whole) < size or zlib.crc32(whole) != check:
            return
        yield _decode(whole)
        at += size


def _follows(database: sqlite3.Connection, entry: _Entry) -> bool:
    """Return whether an entry was written when this very journal ended where it says."""
    found = database.execute("SELECT hash FROM records WHERE seq = ?", (entry.end,)).fetchone()
    return found is not None and bytes(found[0]) == entry.head


def _write_whole(handle: int, data: bytes, at: int) -> None:
    if os.pwrite(handle, data, at) != len(data):
        raise OSError(0, "took only a part of what was written")
