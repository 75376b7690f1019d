"""One node at a time for one trader, and the error of a state file that cannot be written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from aitb_nautilus.files import FileHeldError, FileLock
from aitb_nautilus.risk.trading_states import StateError

__all__ = ["StateLock", "unwritable"]

_PACE_S = 0.02


class StateLock:
    """Say that a node runs for the trader of a state file. Ends with the process.

    Parameters
    ----------
    path
        Of the state file; the lock is the file beside it that ends in ``.lock``.
    wait_s
        How long it may be held by another process: a command without a node holds it for a moment.

    Raises
    ------
    StateError
        If another process holds it, or the lock's file cannot be made.
    """

    def __init__(self, path: Path, wait_s: float = 0.0) -> None:
        until = time.monotonic() + wait_s
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._taken(path.with_name(f"{path.name}.lock"), until)
        except FileHeldError as e:
            raise StateError(
                str(path),
                f"is in use by another process ({e.holder or 'not known'})",
                "one trader has one node at a time",
                "Stop that one first, or give this trader another id",
            ) from e
        except OSError as e:
            raise unwritable(path, (e.strerror or str(e)).lower()) from e

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()

    def _taken(self, path: Path, until: float) -> FileLock:
        while True:
            try:
                return FileLock(path)
            except FileHeldError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PACE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def unwritable(path: Path, why: str) -> StateError:
    """Return the error of a state file, or its lock, that cannot be written."""
    return StateError(
        str(path),
        why,
        "must be written before a halt is told as lasting, and before anything is resumed",
        "Make room on the disk, see that the file is there and may be written, and that no other "
        "program holds it",
    )
