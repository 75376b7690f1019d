"""What the folders hold, in SQLite: ``models/index.sqlite``, for lists and for anyone's queries.

The index holds nothing that the folders do not. It is brought up to date whenever it is read, and
made anew when it is gone; loading a model never asks it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from aitb_nautilus.errors import ModelError
from aitb_nautilus.models.bundle import FILES, Bundle
from aitb_nautilus.models.history import History
from aitb_nautilus.models.manifest import Fold
from aitb_nautilus.models.references import Reference
from aitb_nautilus.models.registry import Registry

__all__ = ["INDEX_NAME", "Entry", "State", "entries", "mean_metrics"]

INDEX_NAME = "index.sqlite"
_SCHEMA = 1
_WAIT_S = 30.0

State = Literal["ok", "expired", "withdrawn", "untrusted", "broken"]
"""``untrusted``: whole, but the key that signed it was taken off the list since."""

_TABLES = """
CREATE TABLE versions (
    id TEXT, version INTEGER, stamp TEXT, created_ns INTEGER, expires_ns INTEGER, algorithm TEXT,
    interval TEXT, horizon_bars INTEGER, horizon_ns INTEGER, label TEXT, features INTEGER,
    instruments TEXT, simulated INTEGER, trials INTEGER, metrics TEXT, model_sha256 TEXT,
    manifest_sha256 TEXT, key TEXT, size INTEGER, problem TEXT,
    PRIMARY KEY (id, version)
) STRICT;
CREATE TABLE events (
    id TEXT, number INTEGER, kind TEXT, version INTEGER, ts_ns INTEGER, who TEXT, why TEXT,
    alias TEXT, previous INTEGER,
    PRIMARY KEY (id, number)
) STRICT;
CREATE TABLE aliases (
    id TEXT, alias TEXT, version INTEGER,
    PRIMARY KEY (id, alias)
) STRICT;
"""
_INSERT_VERSION = (
    "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UNKNOWN = (None,) * 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One version in a list.

    Attributes
    ----------
    aliases
        That point to it.
    metrics
        Name to mean over the folds.
    signer
        Whose key signed it: ``own``, a name, or None if it is not trusted any more.
    problem
        The paragraph that loading it gives, or None.

    All facts but id, version, aliases and problem are None for a broken version.
    """

    id: str
    version: int
    state: State
    aliases: tuple[str, ...]
    signer: str | None
    created_ns: int | None
    expires_ns: int | None
    algorithm: str | None
    interval: str | None
    horizon_bars: int | None
    horizon_ns: int | None
    label: str | None
    features: int | None
    instruments: tuple[str, ...]
    simulated: bool | None
    trials: int | None
    metrics: Mapping[str, float]
    model_sha256: str | None
    manifest_sha256: str | None
    size: int | None
    problem: str | None


def entries(registry: Registry, now_ns: int) -> list[Entry]:
    """Return every version of every model, by id and number.

    A version is verified when the index first meets it, and again when one of its files has changed
    in size or time. (To verify it now, and to run it, is `Registry.verify`.)

    Parameters
    ----------
    now_ns
        For the expiry, ns UTC.

    Raises
    ------
    ModelError
        If a history or the keyring is damaged, or the index is.
    """
    if not registry.root.exists():
        return []
    with _opened(registry.root) as database:
        histories = {model_id: registry.history(model_id) for model_id in registry.ids()}
        with database:
            database.execute("BEGIN IMMEDIATE")
            _refresh_versions(database, registry)
            _refresh_events(database, histories)
        rows = database.execute("SELECT * FROM versions ORDER BY id, version").fetchall()
    signers = {key: registry.keyring.name_of(key) for key in {row["key"] for row in rows} if key}
    return [_entry(row, histories[row["id"]], signers.get(row["key"]), now_ns) for row in rows]


def mean_metrics(folds: Sequence[Fold]) -> dict[str, float]:
    """Return each metric's mean over the folds in which it is defined, by name."""
    names = dict.fromkeys(name for fold in folds for name in fold.metrics)
    found = {
        name: [value for fold in folds if (value := fold.metrics.get(name)) is not None]
        for name in names
    }
    return {name: statistics.fmean(values) for name, values in found.items() if values}


@contextmanager
def _opened(root: Path) -> Iterator[sqlite3.Connection]:
    """Open the index, or one in memory where the folder may not be written."""
    path = root / INDEX_NAME
    place = path if os.access(root, os.W_OK) else ":memory:"
    try:
        with closing(sqlite3.connect(place, timeout=_WAIT_S, isolation_level=None)) as database:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA journal_mode = WAL")
            if database.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
                _make_tables(database)
            yield database
    except sqlite3.DatabaseError as e:
        raise ModelError(
            str(path),
            f"cannot be used ({e})",
            "must be an SQLite file that can be written",
            f"It holds nothing that the folders do not: remove {path}* and run the command again",
        ) from e


def _make_tables(database: sqlite3.Connection) -> None:
    with database:
        database.execute("BEGIN IMMEDIATE")
        if database.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
            for table in ("versions", "events", "aliases"):
                database.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _TABLES.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_SCHEMA}")


def _refresh_versions(database: sqlite3.Connection, registry: Registry) -> None:
    """Read versions that are new or changed, and forget those that are gone."""
    known = {
        (row["id"], row["version"]): row["stamp"]
        for row in database.execute("SELECT id, version, stamp FROM versions WHERE problem IS NULL")
    }
    database.execute("DELETE FROM versions WHERE problem IS NOT NULL")
    for model_id in registry.ids():
        for version in registry.versions(model_id):
            stamp = _stamp(registry.root / model_id / str(version))
            if known.pop((model_id, version), None) == stamp:
                continue
            row = (model_id, version, stamp, *_facts(model_id, version, registry))
            database.execute(_INSERT_VERSION, row)
    database.executemany("DELETE FROM versions WHERE id = ? AND version = ?", known)


def _refresh_events(database: sqlite3.Connection, histories: Mapping[str, History]) -> None:
    """Write all events and aliases anew; they are few."""
    database.execute("DELETE FROM events")
    database.execute("DELETE FROM aliases")
    for model_id, history in histories.items():
        database.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (model_id, number, e.kind, e.version, e.ts_ns, e.who, e.why, e.alias, e.previous)
                for number, e in enumerate(history.events)
            ],
        )
        database.executemany(
            "INSERT INTO aliases VALUES (?, ?, ?)",
            [(model_id, alias, history.current(alias)) for alias in history.aliases],
        )


def _facts(model_id: str, version: int, registry: Registry) -> tuple[object, ...]:
    """Return the columns of one version from created_ns on."""
    try:
        bundle = registry.read(Reference(model_id, version), withdrawn_too=True)
    except ModelError as e:
        return (*_UNKNOWN, e.paragraph())
    return (*_columns(bundle), None)


def _columns(bundle: Bundle) -> tuple[object, ...]:
    manifest = bundle.manifest
    contract, training = manifest.contract, manifest.training
    return (
        manifest.created_ns,
        manifest.expires_ns,
        training.algorithm,
        contract.interval,
        contract.label.horizon_bars,
        contract.label.horizon_ns,
        contract.label.kind,
        len(contract.features),
        ",".join(contract.instruments),
        int(training.simulated),
        training.trials,
        msgspec.json.encode(mean_metrics(training.folds)).decode(),
        manifest.model.sha256,
        bundle.manifest_sha256,
        bundle.key,
        manifest.model.size,
    )


def _stamp(folder: Path) -> str:
    """Return what changes whenever a file of a version does: sizes, times and numbers of files."""
    found = []
    for name in sorted(FILES):
        path = folder / name
        if path.exists(follow_symlinks=False):
            state = path.lstat()
            found.append(f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ino}")
    others = sorted(set(os.listdir(folder)) - FILES) if folder.is_dir() else []
    return hashlib.sha256("\n".join([*found, *others]).encode()).hexdigest()


def _entry(row: sqlite3.Row, history: History, signer: str | None, now_ns: int) -> Entry:
    version = row["version"]
    state: State = "ok"
    if version in history.withdrawn:
        state = "withdrawn"
    elif row["problem"] is not None:
        state = "broken"
    elif signer is None:
        state = "untrusted"
    elif row["expires_ns"] is not None and now_ns >= row["expires_ns"]:
        state = "expired"
    return Entry(
        id=row["id"],
        version=version,
        state=state,
        aliases=tuple(sorted(a for a in history.aliases if history.current(a) == version)),
        signer=signer,
        created_ns=row["created_ns"],
        expires_ns=row["expires_ns"],
        algorithm=row["algorithm"],
        interval=row["interval"],
        horizon_bars=row["horizon_bars"],
        horizon_ns=row["horizon_ns"],
        label=row["label"],
        features=row["features"],
        instruments=tuple((row["instruments"] or "").split(",")) if row["instruments"] else (),
        simulated=None if row["simulated"] is None else bool(row["simulated"]),
        trials=row["trials"],
        metrics=msgspec.json.decode(row["metrics"], type=dict[str, float])
        if row["metrics"]
        else {},
        model_sha256=row["model_sha256"],
        manifest_sha256=row["manifest_sha256"],
        size=row["size"],
        problem=row["problem"],
    )
