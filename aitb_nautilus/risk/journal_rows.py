"""Rows on their way into a journal's file: one transaction, and as few statements as can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain

from aitb_nautilus.risk.journal_chain import Row

__all__ = ["insert"]

_FEW, _MANY = 8, 100
_PLACES = "(?, ?, ?, ?, ?, ?, ?, ?)"


def _statement(rows: int) -> str:
    return f"INSERT INTO records VALUES {', '.join([_PLACES] * rows)}"  # noqa: S608


_ONE, _OF_MANY = _statement(1), _statement(_MANY)
_OF_FEW = [_statement(rows) for rows in range(1, _FEW + 1)]


def insert(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Put rows into the file, all or none.

    A few, such as those of one order, are one statement and so their own transaction: half the time
    of one that is begun and ended.

    Raises
    ------
    sqlite3.Error
        If they cannot be written; none of them is there then.
    """
    if len(rows) <= _FEW:
        database.execute(_OF_FEW[len(rows) - 1], list(chain.from_iterable(rows)))
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        whole = len(rows) - len(rows) % _MANY
        for first in range(0, whole, _MANY):
            some = rows[first : first + _MANY]
            database.execute(_OF_MANY, list(chain.from_iterable(some)))
        database.executemany(_ONE, rows[whole:])
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
