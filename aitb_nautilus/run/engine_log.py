"""Read what the engine adds to its own log, which lies in the run folder.

Its adapters say there what Python is told of nowhere else: that a connection came back, and what a
venue answered to an order that the engine goes on waiting for. One reader follows the file, and
tells each line to all who listen.

The engine (2.0.0rc7) writes one file for as long as it runs: with a name of our own and without a
size given it turns to another neither at midnight nor when the file grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["LOG_STEM", "EngineLog"]

LOG_STEM = "engine"
"""Name of the file without its ending, which the engine chooses."""


class EngineLog:
    """Follow the log from where it was read last.

    Parameters
    ----------
    folder
        Where that log is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._read = 0
        self._rest = b""
        self._listeners: list[Callable[[Sequence[bytes]], None]] = []

    def tell(self, listener: Callable[[Sequence[bytes]], None]) -> None:
        """Tell somebody all lines from now on."""
        self._listeners.append(listener)

    def read(self) -> None:
        """Tell the lines that have become complete since the last time, if there are any."""
        if self._path is None:
            self._path = next(iter(sorted(self._folder.glob(f"{LOG_STEM}.json*"))), None)
        if self._path is None or self._path.stat().st_size <= self._read:
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        self._read += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        for listener in self._listeners:
            listener(lines)
