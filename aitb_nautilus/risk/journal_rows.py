"""Records on their way into a journal's file: one transaction, and as few statements as can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import batched
from typing import Any

from aitb_nautilus.risk.journal_chain import ENTRY_FIELDS, ROW_FIELDS, Row, chained

__all__ = ["insert"]

_FEW, _MANY = 8, 100
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?)"


def _statement(rows: int) -> str:
    return f"INSERT INTO records VALUES {', '.join([_PLACES] * rows)}"  # noqa: S608


_ONE, _OF_MANY = _statement(1), _statement(_MANY)
_OF_FEW = [_statement(rows) for rows in range(1, _FEW + 1)]


def insert(
    database: sqlite3.Connection,
    previous: bytes,
    last: int,
    entries: Sequence[Any],
    told: list[Row] | None = None,
) -> tuple[int, bytes]:
    """Put records on the chain and into the file, all or none.

    A few, such as those of one order, are one statement and so their own transaction: half the time
    of one that is begun and ended. Many are taken a hundred at a time, so that what was made of
    them is still in the processor's caches when SQLite takes it, and its memory is used again.

    Parameters
    ----------
    previous, last, entries
        As `chained` takes them.
    told
        Where the rows are to be put as well.

    Returns
    -------
    tuple[int, bytes]
        Number and hash of the last of them.

    Raises
    ------
    sqlite3.Error
        If they cannot be written; none of them is there then.
    """
    if len(entries) <= _FEW * ENTRY_FIELDS:
        values = chained(previous, last, entries)
        database.execute(_OF_FEW[len(values) // ROW_FIELDS - 1], values)
        if told is not None:
            told += batched(values, ROW_FIELDS, strict=True)
        return values[-ROW_FIELDS], values[-1]
    database.execute("BEGIN IMMEDIATE")
    try:
        step = _MANY * ENTRY_FIELDS
        for first in range(0, len(entries), step):
            values = chained(previous, last, entries[first : first + step])
            last, previous = values[-ROW_FIELDS], values[-1]
            if len(values) == _MANY * ROW_FIELDS:
                database.execute(_OF_MANY, values)
            else:
                database.executemany(_ONE, batched(values, ROW_FIELDS, strict=True))
            if told is not None:
                told += batched(values, ROW_FIELDS, strict=True)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return last, previous
