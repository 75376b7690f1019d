"""The journal's file: SQLite in WAL mode, one writer at a time, readers at any time.

The one table refuses to change or delete a row. That keeps honest hands off; the chain of hashes
lets dishonest ones be seen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.files import FileHeldError, FileLock, sync_folder
from aitb_nautilus.risk.disk import OnDisk, log_of
from aitb_nautilus.risk.journal_ahead import ahead_of, path_of
from aitb_nautilus.risk.journal_chain import ROW_FIELDS, Row

__all__ = [
    "COLUMNS",
    "JOURNAL_NAME",
    "SCHEMA",
    "JournalError",
    "WriterLock",
    "find_journal",
    "open_for_writing",
    "opened_for_reading",
    "tampered_schema",
]

JOURNAL_NAME = "journal.sqlite"
"""Of the journal in a run folder."""
SCHEMA = 1
COLUMNS = "seq, ts, kind, strategy_id, instrument_id, client_order_id, body, hash"

_PLACES = f"({', '.join('?' * ROW_FIELDS)})"
_APPLICATION_ID = 0x41495442
"""``AITB``: tells a journal from any other SQLite file."""
_WAIT_S = 0.2
"""How long a write waits for a stranger who locked the file: an exit order waits as long."""
_READ_WAIT_S = 10.0
_LARGE_PAGE = 16_384
"""Bytes."""
_CACHE_KB = 256

_OBJECTS = {
    "records": """CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    strategy_id TEXT NOT NULL,
    instrument_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT""",
    "no_update": """CREATE TRIGGER no_update BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    "no_delete": """CREATE TRIGGER no_delete BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
}
"""Only ``INSERT OR REPLACE`` gets past the triggers. A third one would stop it, at twice the cost
of every insert; `journal_proof.verify` finds it all the same."""


class JournalError(RunError):
    """The journal cannot be written: nothing that opens a position may be sent."""


class WriterLock:
    """Hold a journal against other writers. The lock ends with the process, however that ends.

    Parameters
    ----------
    path
        Of the journal; the lock is the file beside it that ends in ``.lock``.

    Raises
    ------
    JournalError
        If another node writes the journal, or the lock's file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        lock = path.with_name(f"{path.name}.lock")
        try:
            self._lock = FileLock(lock)
        except FileHeldError as e:
            raise JournalError(
                str(path),
                f"is being written by another node (process {e.holder or 'not known'})",
                "must have one writer: two would break the chain",
                "Stop the other node first, or give this one a journal of its own",
            ) from e
        except OSError as e:
            raise JournalError(
                str(lock),
                f"cannot be made: {(e.strerror or str(e)).lower()}",
                "the journal must lie in a folder where you may write",
                "Make room, or choose another folder",
            ) from e

    def release(self) -> None:
        """Let others write."""
        self._lock.release()


def find_journal(path: Path) -> Path:
    """Return the journal that a run folder holds, or `path` itself if it is a file.

    Raises
    ------
    DataError
        If there is none.
    """
    found = path / JOURNAL_NAME if path.is_dir() else path
    if found.is_file():
        return found
    raise DataError(
        str(path),
        f"holds no {JOURNAL_NAME}" if path.is_dir() else "is not there",
        "must be a run folder or a journal",
        "Give the folder of a run, such as runs/20240301-101530-btc",
    )


def open_for_writing(path: Path, *, durable: bool, on_disk: OnDisk) -> sqlite3.Connection:
    """Open a journal, making it if it is not there. The caller holds the lock.

    What a node that was killed had written ahead of SQLite is taken in.

    Parameters
    ----------
    durable
        Whether a commit is forced to the disk.
    on_disk
        When: by the commit itself, or by a `Follower`.

    Raises
    ------
    DataError
        If the file is no journal, or one of another version.
    JournalError
        If what was written ahead cannot be read.
    sqlite3.Error
        If it cannot be opened or made.
    """
    database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        new = _is_empty(database)
        if not new:
            _check(database, path)
        if new and not durable:
            # Many records a commit: larger pages are fewer to write, and to sum up for the log.
            database.execute(f"PRAGMA page_size = {_LARGE_PAGE}")
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit waits for the disk. NORMAL: only what carries the log into the file does.
        # OFF: the system writes when it likes to.
        level = {"before": "FULL", "soon": "NORMAL"}[on_disk] if durable else "OFF"
        database.execute(f"PRAGMA synchronous = {level}")
        if durable:
            # A node writes little at once and reads none of it again; SQLite would keep 2 MB of it.
            database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        if new:
            database.execute("BEGIN IMMEDIATE")
            for statement in _OBJECTS.values():
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA}")
            database.execute("COMMIT")
            if durable:
                sync_folder(path.parent)
        _take_in(database, path)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def opened_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal to read it, also while a node writes it; what is read is of one moment.

    What a node has written ahead of SQLite is among its records.

    Raises
    ------
    DataError
        If the file is not there, no journal, or one of another version.
    JournalError
        If it cannot be read: a damaged page, or no right to.
    """
    found = find_journal(path)
    # Beside a closed journal in a folder that may only be read, SQLite cannot make what it shares
    # with a writer, and there is none.
    alone = not log_of(found).exists()
    fixed = "&immutable=1" if alone and not os.access(found.parent, os.W_OK) else ""
    # A node that was killed while it opened or closed the file left a change that is to be undone.
    mode = "rw" if found.with_name(f"{found.name}-journal").exists() else "ro"
    address = f"file:{quote(str(found.absolute()))}?mode={mode}{fixed}"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=_READ_WAIT_S, isolation_level=None)
        ) as database:
            _check(database, found)
            if ahead := _ahead_of(database, found):
                _show_as_well(database, ahead)
            database.execute("PRAGMA query_only = TRUE")
            database.execute("BEGIN")
            yield database
    except sqlite3.Error as e:
        raise JournalError(
            str(found),
            f"cannot be read ({e})",
            "must be a whole SQLite file",
            "Restore it from a backup; if a node was killed, copy its -wal and -ahead files along",
        ) from e


def tampered_schema(database: sqlite3.Connection) -> str:
    """Return what of the table and its triggers is not as it was made; empty if nothing."""
    rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'records'")
    found = dict(rows.fetchall())
    for name, statement in _OBJECTS.items():
        if name not in found:
            return f"{name} is missing from its schema"
        if found[name] != statement:
            return f"{name} was changed in its schema"
    return "".join(f"{name} was added to its schema" for name in sorted(found - _OBJECTS.keys()))


def _ahead_of(database: sqlite3.Connection, path: Path) -> list[Row]:
    """Return what was written ahead of SQLite, and is not there by now."""
    try:
        return ahead_of(database, path)
    except (OSError, msgspec.MsgspecError) as e:
        raise JournalError(
            str(path_of(path)),
            f"cannot be read ({e})",
            "holds the last records of a node that was killed, which its journal lacks",
            "Make it readable; or move it away, and those records are lost",
        ) from e


def _take_in(database: sqlite3.Connection, path: Path) -> None:
    """Give SQLite what was written ahead of it; a kill in here changes nothing of that."""
    if rows := _ahead_of(database, path):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(f"INSERT INTO records VALUES {_PLACES}", rows)  # noqa: S608
        database.execute("COMMIT")
    path_of(path).unlink(missing_ok=True)


def _show_as_well(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Let those who ask for `records` see further ones; the file stays as it is."""
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute(f"CREATE TEMP TABLE ahead ({COLUMNS})")
    database.executemany(f"INSERT INTO ahead VALUES {_PLACES}", rows)  # noqa: S608 - marks alone
    # A node may give some of them to SQLite before the first one is read.
    database.execute(
        "CREATE TEMP VIEW records AS SELECT * FROM main.records UNION ALL SELECT * FROM ahead "
        "WHERE seq > (SELECT max(seq) FROM main.records)"
    )


def _is_empty(database: sqlite3.Connection) -> bool:
    """Return whether a database is new, or its maker was killed before it held anything."""
    try:
        (objects,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as e:
        if e.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        return False
    return bool(objects == 0)


def _check(database: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no journal of this version."""
    try:
        (made_by,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as e:
        if e.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        made_by = version = 0
    if made_by != _APPLICATION_ID:
        raise DataError(
            str(path),
            "is no journal",
            f"must be the {JOURNAL_NAME} that a run wrote",
            "Check the path",
        )
    if version != SCHEMA:
        raise DataError(
            str(path),
            f"is a journal of version {version}",
            f"this program reads and writes version {SCHEMA}",
            "Use the version of AITB that wrote it, or move the file away to begin a new one",
        )
