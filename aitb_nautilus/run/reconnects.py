"""Notice that a connection to a venue came back.

The engine's adapters reconnect by themselves and tell Python nothing of it; they only say it in the
engine's own log, which lies in the run folder. Nothing but the moment of a question rests on this:
the venue is asked now and then in any case.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["Reconnects"]

_SAYS = b"econnect succeeded"
_LOOK_NS = 500_000_000


class Reconnects:
    """Read what has been added to the engine's log.

    Parameters
    ----------
    folder
        Where that log is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._read = 0
        self._next = 0
        self._rest = b""

    def seen(self, now: int) -> bool:
        """Return whether a connection came back since this was asked last.

        Parameters
        ----------
        now
            ns UTC; the file is looked at twice a second at most.
        """
        if now < self._next:
            return False
        self._next = now + _LOOK_NS
        if self._path is None:
            self._path = next(iter(sorted(self._folder.glob("engine*.json*"))), None)
        if self._path is None or self._path.stat().st_size <= self._read:
            return False
        with self._path.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        self._read += len(added)
        text, self._rest = self._rest + added, added[-len(_SAYS) :]
        return _SAYS in text
