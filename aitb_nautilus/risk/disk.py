"""When what SQLite wrote is on the disk: before anybody goes on, or a moment later.

A commit to a write-ahead log is with the operating system once it returns: it outlives the process,
however that ends. Only a disk outlives the machine, and forcing something onto one takes
milliseconds. `Follower` does that on a thread of its own, right behind the one that writes.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

__all__ = ["Follower", "OnDisk", "log_of"]

type OnDisk = Literal["before", "soon"]
"""``before``: a write returns once it is on the disk. ``soon``: once it outlives the process."""

_PAUSE_S = 0.01
"""Between two looks. A thread that is woken by each write would take the interpreter from the one
that writes, just as that one is about to send an order."""
_FOLD_EVERY = 16
"""After so many turns the log is carried into the file, or the writer would have to do it."""
_FOLD_S = 1.0


def log_of(database: Path) -> Path:
    """Return where SQLite has the write-ahead log of a file."""
    return database.with_name(f"{database.name}-wal")


class Follower:
    """Force a log to the disk, behind the thread that writes it.

    Parameters
    ----------
    log
        The file.
    folds
        The SQLite file in WAL mode whose log it is, which takes it over now and then; None: nobody.
    looks
        Returns why what is written would be found by nobody, or nothing; asked every 10 ms.

    Attributes
    ----------
    failure
        What the disk said when it failed; empty if it did not. What is not on the disk by then may
        never be, whatever it says later.
    astray
        What `looks` said last.

    Raises
    ------
    OSError
        If the log cannot be opened.
    """

    def __init__(
        self, log: Path, folds: Path | None = None, looks: Callable[[], str] = lambda: ""
    ) -> None:
        self.failure = self.astray = ""
        self._looks = looks
        self._folds = folds
        self._log = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        self._is_due = self._is_closing = False
        self._thread = threading.Thread(target=self._follow, name=f"disk-{log.name}", daemon=True)
        self._thread.start()

    @property
    def objection(self) -> str:
        """Return why nothing that opens may rest on what is written; empty if it may."""
        return self.failure or self.astray

    def soon(self) -> None:
        """Bring to the disk what is written by now; return at once."""
        self._is_due = True

    def now(self) -> None:
        """Bring to the disk what is written by now; raise `OSError` if that fails."""
        os.fdatasync(self._log)

    def close(self) -> None:
        """End; what was written is on the disk, or `failure` says why not."""
        if not self._thread.is_alive():
            return
        self._is_closing = True
        self._thread.join()
        os.close(self._log)

    def _follow(self) -> None:
        turns = 0
        while True:
            is_last = self._is_closing
            self.astray = self._looks()
            if self._is_due or is_last:
                self._is_due = False
                turns += 1
                try:
                    self.now()
                    if self._folds is not None and turns % _FOLD_EVERY == 0:
                        _fold(self._folds)
                except (OSError, sqlite3.Error) as e:
                    self.failure = self.failure or f"the disk failed: {e}"
            if is_last:
                return
            time.sleep(_PAUSE_S)


def _fold(path: Path) -> None:
    """Carry the log into the file as far as that holds up nobody."""
    with closing(sqlite3.connect(path, timeout=_FOLD_S)) as database:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
