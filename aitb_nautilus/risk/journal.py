"""The journal: what was wished, decided, sent and answered, written before it is acted on.

An append-only chain of records in SQLite: each carries the hash of itself and of the one before, so
that a record that is changed, taken out or moved is found (`journal_proof.verify`).

In a live node the journal is *durable*: once `append` returns the record is on the disk, or it is
with the operating system, which no end of the process takes away, and on its way to the disk.
`note` is for what may wait for the next `append`: intent, decision and sending of an order are one
write. In a back-test it is *fast*: records are written many at a time.

If a write fails, `append` raises `JournalError`, and the caller decides: what opens a position is
then not sent, what reduces one is sent all the same. What could not be written is counted, and each
further write is tried anew; the first that succeeds begins with a `Gap` record that says what is
missing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from msgspec.structs import replace

from aitb_nautilus.risk.disk import Follower, OnDisk, log_of
from aitb_nautilus.risk.journal_ahead import AheadLog
from aitb_nautilus.risk.journal_chain import ENTRY_FIELDS, GENESIS, Row, fits
from aitb_nautilus.risk.journal_file import COLUMNS, JournalError, WriterLock, open_for_writing
from aitb_nautilus.risk.journal_gaps import Missing
from aitb_nautilus.risk.journal_records import Body, Closed, Opened
from aitb_nautilus.risk.journal_rows import insert
from aitb_nautilus.risk.journal_state import JournalState
from aitb_nautilus.risk.places import Places

__all__ = ["Journal"]

_BATCH = 1_000
_LATEST = (1 << 63) - 1
_LAST = f"SELECT {COLUMNS} FROM records ORDER BY seq DESC LIMIT"  # noqa: S608 - nobody's input


class Journal:
    """Append records to a journal; safe to call from several threads.

    Parameters
    ----------
    path
        Of the file. One that is there is gone on with.
    opened
        What the first record says of the run; the journal adds which record it goes on from.
    ts
        Now, ns UTC.
    durable
        Whether each `append` is written, and forced to the disk.
    on_disk
        When that is done: before `append` returns, or soon after; for a durable journal.
    batch
        How many records may wait for one write, where they may wait.
    tell
        Told of rows once they are written, in their order; it must be quick, and not fail.

    Attributes
    ----------
    path
        Of the file.

    Raises
    ------
    JournalError
        If another node writes the journal, it cannot be written, or its last record is broken.
    DataError
        If the file is no journal, or one of another version.
    """

    def __init__(
        self,
        path: Path,
        opened: Opened,
        ts: int,
        *,
        durable: bool = True,
        on_disk: OnDisk = "before",
        batch: int = _BATCH,
        tell: Callable[[Sequence[Row]], None] | None = None,
    ) -> None:
        self.path = path
        self._tell = tell
        self._durable = durable
        self._mutex = threading.Lock()
        self._waiting: list[Any] = []  # as `chained` takes it
        self._full = batch * ENTRY_FIELDS
        self._missing = Missing()
        self._last_ts = ts
        self._places: Places | None = None
        self._is_open = True
        self._follower: Follower | None = None
        self._ahead: AheadLog | None = None
        self._lock = WriterLock(path)
        try:
            self._database = open_for_writing(path, durable=durable, on_disk=on_disk)
        except sqlite3.Error as e:
            self._lock.release()
            raise self._failure(str(e)) from e
        except BaseException:
            self._lock.release()
            raise
        try:
            self._begin(opened, ts)
            if durable and on_disk == "soon":
                self._ahead = log = AheadLog(path)
                wal = log_of(path)
                looks = Places(path, wal, log.path).objection
                self._follower = Follower(wal, folds=path, looks=looks)
                self._follower.now()
        except (sqlite3.Error, OSError) as e:
            self._release()
            raise self._failure(str(e)) from e
        except BaseException:
            self._release()
            raise

    def append(
        self,
        body: Body,
        ts: int,
        strategy_id: str = "",
        instrument_id: str = "",
        client_order_id: str = "",
        *,
        before: Body | None = None,
        ahead: bool = False,
    ) -> int:
        """Write a record, and with it all that wait.

        Parameters
        ----------
        body
            What to write.
        ts
            When it happened, ns UTC.
        strategy_id, instrument_id, client_order_id
            Whom it concerns; empty where it concerns all, or none.
        before
            What else to write of the same, as the record before it.
        ahead
            Whether SQLite may take it later: at the next write, or when `settle` is called.

        Returns
        -------
        int
            Number of the record. If the journal is durable, the record is written; else it has that
            number unless a later write fails.

        Raises
        ------
        JournalError
            If it cannot be written now. It is lost then, with all that waited, and counted.
        """
        with self._mutex:
            if not (self._is_open and 0 <= ts <= _LATEST):
                raise self._unwritable(ts)
            if before is not None:
                self._waiting += (ts, strategy_id, instrument_id, client_order_id, before)
            self._waiting += (ts, strategy_id, instrument_id, client_order_id, body)
            if self._durable or len(self._waiting) >= self._full:
                if ahead and (number := self._write_ahead()):
                    return number
                self._write_waiting()
                return self._seq
            gap = 1 if self._missing.why else 0
            return self._seq + len(self._waiting) // ENTRY_FIELDS + gap

    def note(
        self,
        body: Body,
        ts: int,
        strategy_id: str = "",
        instrument_id: str = "",
        client_order_id: str = "",
        *,
        before: Body | None = None,
    ) -> None:
        """Let a record wait for the next `append` or `flush`; parameters as there.

        Raises
        ------
        JournalError
            If too many wait, and they cannot be written now.
        """
        with self._mutex:
            if not (self._is_open and 0 <= ts <= _LATEST):
                raise self._unwritable(ts)
            if before is not None:
                self._waiting += (ts, strategy_id, instrument_id, client_order_id, before)
            self._waiting += (ts, strategy_id, instrument_id, client_order_id, body)
            if len(self._waiting) >= self._full:
                self._write_waiting()

    def settle(self) -> None:
        """Let SQLite take what was written ahead of it.

        Raises
        ------
        JournalError
            If it cannot now. Nothing of that is lost: it is tried again with the next write.
        """
        with self._mutex:
            if self._ahead is not None and self._ahead.waiting:
                self._write_waiting()

    def flush(self) -> None:
        """Write what waits, and try anew if the journal is broken.

        Raises
        ------
        JournalError
            If it cannot be written now.
        """
        with self._mutex:
            if self._waiting or self.broken:
                self._write_waiting()

    @property
    def broken(self) -> bool:
        """Return whether the last write failed."""
        return bool(self._missing.why)

    @property
    def state(self) -> JournalState:
        """Return how the journal stands."""
        with self._mutex:
            missing = self._missing
            return JournalState(
                self.broken,
                missing.why,
                missing.count,
                missing.first_ts,
                missing.last_ts,
                len(self._waiting) // ENTRY_FIELDS,
                self._seq,
                self._head.hex(),
            )

    def close(self, why: str = "", ts: int | None = None) -> None:
        """Write the last record and let others write. Closing twice does nothing.

        Parameters
        ----------
        why
            Why the run ended; empty if it came to its end.
        ts
            Now, ns UTC; by default the time of the last record.

        Raises
        ------
        JournalError
            If the last record cannot be written; the file is let go all the same.
        """
        if not self._is_open:
            return
        try:
            if ts is None:
                ts = self._waiting[-ENTRY_FIELDS] if self._waiting else self._last_ts
            self.append(Closed(why=why), ts)
            self.flush()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.close("" if error is None else f"{type(error).__name__}: {error}")

    def _begin(self, opened: Opened, ts: int) -> None:
        self._seq, self._head = self._checked_end()
        resumed_from = self._head.hex() if self._seq else ""
        self.append(replace(opened, resumed_from=resumed_from), ts)
        self.flush()
        if self._durable:
            self._places = Places(self.path, log_of(self.path))

    def _unwritable(self, ts: int) -> Exception:
        if not self._is_open:
            return JournalError(str(self.path), "was closed", "must be open to be written")
        return ValueError(f"ts was {ts}, must be ns since 1970 in 63 bits")

    def _write_ahead(self) -> int:
        """Write what waits ahead of SQLite, and return the number of the last; 0: SQLite must."""
        log, follower = self._ahead, self._follower
        if log is None or follower is None or follower.objection or self._missing.why:
            return 0
        try:
            log.write(self._seq, self._head, self._waiting)
        except Exception:
            return 0  # What cannot be written this way is written the other way, or it says why.
        self._last_ts = self._waiting[-ENTRY_FIELDS]
        self._waiting = []
        return self._seq + len(log.waiting) // ENTRY_FIELDS

    def _write_waiting(self) -> None:
        """Put what waits on the chain and into the file: all of it or nothing."""
        waiting, self._waiting = self._waiting, []
        self._last_ts = waiting[-ENTRY_FIELDS] if waiting else self._last_ts
        ahead = [] if self._ahead is None else self._ahead.waiting
        told: list[Row] | None = None if self._tell is None else []
        try:
            self._look_at_files()
            if self._missing.why:
                # A commit that failed may have reached the file all the same.
                seq, (self._seq, self._head) = self._seq, self._end()
                if self._seq > seq:
                    ahead.clear()
            entries = [*ahead, *self._missing.gap(), *waiting]
            if entries:
                self._seq, self._head = insert(self._database, self._head, self._seq, entries, told)
            ahead.clear()
        except (sqlite3.Error, UnicodeEncodeError, JournalError) as e:
            why = e.found if isinstance(e, JournalError) else str(e)
            self._missing.add(waiting, why)
            raise self._failure(why) from e
        except Exception as e:
            # A body that cannot be said must not keep all others from being written.
            self._missing.add(waiting, f"{type(e).__name__}: {e}")
            raise
        except BaseException:
            self._waiting = waiting
            raise
        if self._missing.count or self._missing.why:
            self._missing = Missing()
        if self._follower is not None:
            self._follower.soon()
        if self._tell is not None:
            self._tell(told or ())

    def _end(self) -> tuple[int, bytes]:
        """Return number and hash of the last record of the file."""
        last = self._database.execute(f"{_LAST} 1").fetchone()  # ours, nobody's input
        return (last[0], last[-1]) if last else (0, GENESIS)

    def _checked_end(self) -> tuple[int, bytes]:
        """Return number and hash of the last record, which must follow from the one before."""
        rows = self._database.execute(f"{_LAST} 2").fetchall()
        if not rows:
            return 0, GENESIS
        previous = rows[1][-1] if len(rows) > 1 else GENESIS
        if not fits(previous, rows[0]):
            raise JournalError(
                str(self.path),
                f"record {rows[0][0]}, the last one, is broken",
                "must follow from the record before it: somebody changed the file",
                f"See: aitb audit verify {self.path}. To go on, move the file away; a new one "
                f"begins",
            )
        return rows[0][0], rows[0][-1]

    def _look_at_files(self) -> None:
        """See that what is written goes where others will read it: SQLite does not ask."""
        why = "" if self._follower is None else self._follower.failure
        if not why and self._places is not None:
            why = self._places.objection()
        if why:
            raise self._failure(why)

    def _failure(self, why: str) -> JournalError:
        return JournalError(
            str(self.path),
            why,
            "must be written before an order is sent: nothing opens until it can be",
            "Make room on the disk, see that the file is there and may be written, and that no "
            "other program holds it",
        )

    def _release(self) -> None:
        self._is_open = False
        if self._follower is not None:
            self._follower.close()
        try:
            if not self.broken:
                self._fold()
        finally:
            self._database.close()
            if self._ahead is not None:
                self._ahead.close()
            self._lock.release()

    def _fold(self) -> None:
        """Leave one plain file, which can be read where nothing may be written."""
        try:
            self._database.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as e:
            # Somebody reads it right now: it stays two files, and is as whole.
            if e.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise self._failure(str(e)) from e
