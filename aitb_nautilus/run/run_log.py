"""The log of a node: each line is in the file as soon as it is said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.times import iso

__all__ = ["RunLog", "Tell"]

type Tell = Callable[[str, str], None]
"""Is told a level and a line."""


class RunLog:
    """Append to a run folder's ``log.jsonl``.

    Parameters
    ----------
    tell
        Told of each line as well; for whoever watches.
    """

    def __init__(self, tell: Tell | None = None) -> None:
        self._tell = tell
        self._path: Path | None = None

    def open(self, folder: Path) -> None:
        """Begin to write into a run folder."""
        self._path = folder / "log.jsonl"
        self._write(b"")

    def note(
        self, level: str, message: str, component: str = "node", ts: int | None = None
    ) -> None:
        """Write one line.

        Parameters
        ----------
        ts
            When it happened, ns UTC; absent: now.
        """
        at = time.time_ns() if ts is None else ts
        line = {"ts": iso(at), "level": level, "component": component, "message": message}
        self._write(msgspec.json.encode(line) + b"\n")
        if self._tell is not None:
            self._tell(level, message if component == "node" else f"{component}: {message}")

    def _write(self, data: bytes) -> None:
        if self._path is None:
            return
        try:
            # Not as a file of Python's, which takes ten times as long on the node's thread.
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)
        except OSError as e:
            raise RunError(
                str(self._path),
                f"could not be written ({e.strerror or e})",
                "must lie where there is room and where you may write",
            ) from e
