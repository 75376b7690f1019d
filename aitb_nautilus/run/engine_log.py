"""Read what the engine adds to its own log, which lies in the run folder.

Its adapters say there what Python is told of nowhere else: that a connection came back, and what a
venue answered to an order that the engine goes on waiting for.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EngineLog"]


class EngineLog:
    """Follow the log from where it was read last.

    Parameters
    ----------
    folder
        Where that log is.
    every_ns
        The file is looked at no more often than this, ns.
    """

    def __init__(self, folder: Path, every_ns: int) -> None:
        self._folder = folder
        self._every_ns = every_ns
        self._path: Path | None = None
        self._read = 0
        self._next = 0
        self._rest = b""

    def added(self, now: int) -> list[bytes]:
        """Return the lines that are complete since this was asked last.

        Parameters
        ----------
        now
            ns UTC.
        """
        if now < self._next:
            return []
        self._next = now + self._every_ns
        if self._path is None:
            self._path = next(iter(sorted(self._folder.glob("engine*.json*"))), None)
        if self._path is None or self._path.stat().st_size <= self._read:
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        self._read += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        return lines
