"""Read the records of a journal, oldest first, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.risk.journal_chain import Record, decode_body
from aitb_nautilus.risk.journal_file import COLUMNS, JournalError, opened_for_reading

__all__ = ["Wanted", "count", "read"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which records are wanted: those to which all that is given applies.

    Attributes
    ----------
    kinds
        Such as ``sent``; empty: all.
    strategy_id, instrument_id, client_order_id
        Empty: any.
    since_ns
        Earliest time, ns UTC; None: from the start.
    last
        At most so many, the latest; 0: all.
    """

    kinds: tuple[str, ...] = ()
    strategy_id: str = ""
    instrument_id: str = ""
    client_order_id: str = ""
    since_ns: int | None = None
    last: int = 0

    def condition(self) -> tuple[str, list[Any]]:
        """Return the SQL condition and its parameters."""
        terms: list[str] = []
        values: list[Any] = []
        if self.kinds:
            terms.append(f"kind IN ({', '.join('?' * len(self.kinds))})")
            values += self.kinds
        for column in ("strategy_id", "instrument_id", "client_order_id"):
            if value := getattr(self, column):
                terms.append(f"{column} = ?")
                values.append(value)
        if self.since_ns is not None:
            terms.append("ts >= ?")
            values.append(self.since_ns)
        return " AND ".join(terms) or "TRUE", values


def read(path: Path, wanted: Wanted = Wanted()) -> Iterator[Record]:  # noqa: B008 - frozen
    """Yield records, oldest first. The chain is not checked; see `journal_proof.verify`.

    Parameters
    ----------
    path
        Of the journal, or the run folder that holds it. A node may be writing it.
    wanted
        Which records; by default all.

    Raises
    ------
    DataError
        If the file is not there, no journal, or one of another version.
    JournalError
        If it, or one of the records, cannot be read.
    """
    condition, values = wanted.condition()
    # Only column names and question marks are put in.
    query = f"SELECT {COLUMNS} FROM records WHERE {condition} ORDER BY seq"  # noqa: S608
    if wanted.last:
        latest = f"{query} DESC LIMIT ?"
        query, values = f"SELECT * FROM ({latest}) ORDER BY seq", [*values, wanted.last]  # noqa: S608
    with opened_for_reading(path) as database:
        for (
            seq,
            ts,
            kind,
            strategy_id,
            instrument_id,
            client_order_id,
            body,
            head,
        ) in database.execute(query, values):
            try:
                said = decode_body(kind, body)
                yield Record(seq, ts, strategy_id, instrument_id, client_order_id, said, head.hex())
            except (KeyError, AttributeError, TypeError, msgspec.MsgspecError) as e:
                raise JournalError(
                    str(path),
                    f"record {seq} is none that this program writes ({e})",
                    todo=f"See: aitb audit verify {path}",
                ) from e


def count(path: Path, wanted: Wanted = Wanted()) -> int:  # noqa: B008 - frozen
    """Return how many records are wanted, not counting that only the last ones may be.

    Raises
    ------
    DataError, JournalError
        As `read`.
    """
    condition, values = wanted.condition()
    with opened_for_reading(path) as database:
        query = f"SELECT count(*) FROM records WHERE {condition}"  # noqa: S608 - as above
        (found,) = database.execute(query, values).fetchone()
    return int(found)
