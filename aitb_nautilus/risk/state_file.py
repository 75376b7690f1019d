"""Where the trading states of a trader are kept: one SQLite file, each change on the disk at once.

`standings` holds what is in force, `changes` every halt and resume there was, `memories` what the
limits remember. The file belongs to the trader, not to a run: it survives restarts, kills and new
versions of this program. A file of an older version is brought forward when it is opened; one of a
newer version is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from aitb_nautilus.errors import DataError
from aitb_nautilus.files import sync_folder
from aitb_nautilus.risk import memory_log
from aitb_nautilus.risk.disk import Follower, OnDisk
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.memory_log import MemoryLog
from aitb_nautilus.risk.state_lock import unwritable
from aitb_nautilus.risk.trading_states import Halt, Resume, StateScope

__all__ = ["Change", "StateFile"]

_APPLICATION_ID = 0x41495453
"""``AITS``: tells a state file from any other SQLite file."""
_CHANGES = "SELECT ts, scope, scope_id, level, flatten, cause, who, reason FROM changes"
_MEMORIES = "SELECT limit_name, scope, terms, memory, ts FROM memories"
_REMEMBER = (
    "INSERT OR REPLACE INTO memories (limit_name, scope, terms, memory, ts) VALUES (?, ?, ?, ?, ?)"
)
_WAIT_S = 0.2
"""How long a write waits for a stranger who locked the file: the node waits as long."""

_STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE standings (
    number INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    level TEXT NOT NULL,
    flatten INTEGER NOT NULL,
    cause TEXT NOT NULL,
    ts INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL
) STRICT""",
        """CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    level TEXT NOT NULL,
    flatten INTEGER NOT NULL,
    cause TEXT NOT NULL,
    ts INTEGER NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT""",
    ),
    ("ALTER TABLE changes ADD COLUMN heard INTEGER NOT NULL DEFAULT 1",),
    (
        """CREATE TABLE memories (
    limit_name TEXT NOT NULL,
    scope TEXT NOT NULL,
    terms TEXT NOT NULL,
    memory TEXT NOT NULL,
    ts INTEGER NOT NULL,
    PRIMARY KEY (limit_name, scope)
) STRICT""",
    ),
    # From here on memories may stand in a log beside the file, which an older program overlooks.
    (),
)
"""What brings a file from each version to the next; a new file takes all of them. A step that was
once released is never changed: a new version adds one."""


class Change(msgspec.Struct, frozen=True):
    """A halt or a resume that was written.

    Attributes
    ----------
    level
        What the scope was brought to: ``active`` or ``reducing`` by a resume.
    cause
        ``command``, ``limit``, ``check`` or ``error``.
    """

    ts: int
    scope: StateScope
    level: str
    flatten: bool
    cause: str
    who: str
    reason: str


class StateFile:
    """Trading states and memories of one trader on the disk; a `Keeper` and a `MemoryKeeper`.

    The caller holds the `StateLock`, or only reads.

    Parameters
    ----------
    path
        Of the file; it is made if it is not there.
    by_node
        Whether the trader's node makes the changes; else it is told of them at its next start. A
        node keeps what limits remember in a log first, see `memory_log`.
    memories
        Whether what limits remember is on the disk before `remember` returns, or soon after.

    Raises
    ------
    StateError
        If it cannot be opened, made or brought forward.
    DataError
        If the file is no state file, or one of a newer version.
    """

    def __init__(self, path: Path, *, by_node: bool = False, memories: OnDisk = "before") -> None:
        self.path = path
        self._name = str(path)
        self._by_node = by_node
        self._log: MemoryLog | None = None
        self._follower: Follower | None = None
        try:
            # Made by one thread and closed by another one, never used by two at a time.
            self._database = sqlite3.connect(
                path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as e:
            raise unwritable(path, str(e)) from e
        try:
            self._bring_forward()
            self._identity = self._look()
            if by_node:
                self._log = MemoryLog(path)
                self._take_over(self._log)
                if memories == "soon":
                    self._follower = Follower(self._log.path, looks=self._log.places.objection)
        except (sqlite3.Error, OSError) as e:
            self._database.close()
            raise unwritable(path, str(e)) from e
        except BaseException:
            self._database.close()
            raise

    def read(self) -> list[Halt]:
        """Return what is in force, the first one first."""
        rows = self._rows(
            "SELECT ts, reason, strategy_id, client_order_id, cause, level, scope, scope_id, who, "
            "flatten FROM standings ORDER BY number"
        )
        return [
            Halt(ts, why, strategy, order, cause, level, StateScope(kind, id_), who, bool(flatten))
            for ts, why, strategy, order, cause, level, kind, id_, who, flatten in rows
        ]

    def changes(self, last: int) -> list[Change]:
        """Return the last halts and resumes, the newest one first."""
        rows = self._rows(f"{_CHANGES} ORDER BY number DESC LIMIT ?", (last,))
        return [_change(row) for row in rows]

    def take_unheard(self) -> list[Change]:
        """Return what was changed while no node ran, the oldest first; once.

        Raises
        ------
        StateError
            If it cannot be noted that it was returned.
        """
        rows = self._rows(f"{_CHANGES} WHERE heard = 0 ORDER BY number")
        if rows:
            self._write([("UPDATE changes SET heard = 1 WHERE heard = 0", ())])
        return [_change(row) for row in rows]

    def keep(self, halt: Halt) -> None:
        """Add what holds; it is on the disk when this returns.

        Raises
        ------
        StateError
            If it cannot be written.
        """
        self._write([self._added(halt), self._changed(halt)])

    def lift(self, resume: Resume) -> None:
        """Take out all that holds for a scope, and put in what is left.

        Raises
        ------
        StateError
            If it cannot be written; nothing is changed then.
        """
        scope = resume.scope
        left = resume.left()
        taken = (
            "DELETE FROM standings WHERE scope = ? AND scope_id = ?",
            (scope.kind, scope.id),
        )
        self._write([taken, *([] if left is None else [self._added(left)]), self._changed(resume)])

    def memories(self) -> list[MemoryRow]:
        """Return what limits remember, by name.

        Raises
        ------
        StateError
            If it cannot be read.
        """
        rows = [MemoryRow(*row) for row in self._rows(_MEMORIES)]
        try:
            newer = memory_log.read(self.path)
        except (OSError, msgspec.MsgspecError) as e:
            raise unwritable(memory_log.path_of(self.path), str(e)) from e
        found = {(row.limit, row.scope): row for row in (*rows, *newer)}
        return [found[key] for key in sorted(found)]

    def remember(self, rows: Sequence[MemoryRow]) -> None:
        """Write what limits remember, all or none; it is on the disk when this returns, or soon.

        Raises
        ------
        StateError
            If it cannot be written; nothing is changed then.
        """
        log, follower = self._log, self._follower
        if log is None:
            self._remember(rows)
            return
        try:
            why = log.places.objection() if follower is None else follower.objection
            if why:
                raise unwritable(log.path, why)
            log.append(rows)
            if follower is not None:
                follower.soon()
            else:
                os.fdatasync(log.handle)
        except OSError as e:
            raise unwritable(log.path, e.strerror or str(e)) from e
        if log.is_full:
            self._take_over(log)

    def close(self) -> None:
        """Let the file go."""
        try:
            if self._log is not None:
                if self._follower is not None:
                    self._follower.close()
                self._take_over(self._log)
        finally:
            if self._log is not None:
                self._log.close()
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _added(self, halt: Halt) -> tuple[str, Sequence[Any]]:
        return (
            "INSERT INTO standings (scope, scope_id, level, flatten, cause, ts, who, reason, "
            "strategy_id, client_order_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_values(halt), halt.strategy_id, halt.client_order_id),
        )

    def _changed(self, change: Halt | Resume) -> tuple[str, Sequence[Any]]:
        return (
            "INSERT INTO changes (scope, scope_id, level, flatten, cause, ts, who, reason, heard) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*_values(change), int(self._by_node)),
        )

    def _take_over(self, log: MemoryLog) -> None:
        """Put what the log holds into the file, and then forget it there."""
        rows = memory_log.read(self.path)
        if rows:
            self._remember(rows)
        log.clear()

    def _remember(self, rows: Sequence[MemoryRow]) -> None:
        self._write([(_REMEMBER, (r.limit, r.scope, r.terms, r.memory, r.ts)) for r in rows])

    def _write(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Carry out statements, all or none."""
        database = self._database
        try:
            if self._look() != self._identity:
                raise unwritable(self.path, f"{self.path.name} was replaced by another file")
            database.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    database.execute(statement, values)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except OSError as e:
            raise unwritable(self.path, f"{self.path.name} is gone: {e.strerror}") from e
        except (sqlite3.Error, UnicodeEncodeError) as e:
            raise unwritable(self.path, str(e)) from e

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as e:
            raise unwritable(self.path, str(e)) from e

    def _look(self) -> tuple[int, int]:
        """Return device and inode: SQLite goes on writing to a file that was moved away."""
        state = os.stat(self._name)
        return state.st_dev, state.st_ino

    def _bring_forward(self) -> None:
        """Check whose file it is, and take it from its version to ours."""
        database, path = self._database, self.path
        try:
            (made_by,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            (objects,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as e:
            if e.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            made_by, version, objects = -1, 0, 1
        if objects and made_by != _APPLICATION_ID:
            raise DataError(
                str(path),
                "is no state file",
                "must be the file that AITB keeps a trader's halts in",
                "Name another folder in trader.state, or move the file away",
            )
        if version > len(_STEPS):
            raise DataError(
                str(path),
                f"is a state file of version {version}",
                f"this program knows versions up to {len(_STEPS)}: a newer AITB wrote it, and what "
                f"it says of halts could be misread",
                "Use that newer version; to give up the halts in it, move the file away",
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if version == len(_STEPS):
            return
        database.execute("BEGIN IMMEDIATE")
        try:
            for step in _STEPS[version:]:
                for statement in step:
                    database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {len(_STEPS)}")
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        sync_folder(path.parent)


def _values(change: Halt | Resume) -> tuple[Any, ...]:
    scope = change.scope
    flatten, cause = False, "command"
    if isinstance(change, Halt):
        flatten, cause = change.flatten, change.cause
    return (
        scope.kind,
        scope.id,
        change.level,
        int(flatten),
        cause,
        change.ts,
        change.who,
        change.reason,
    )


def _change(row: Sequence[Any]) -> Change:
    ts, kind, id_, level, flatten, cause, who, reason = row
    return Change(ts, StateScope(kind, id_), level, bool(flatten), cause, who, reason)
