"""Notice that a connection to a venue came back.

The engine's adapters reconnect by themselves and tell Python nothing of it; they only say it in the
engine's own log. Nothing but the moment of a question rests on this: the venue is asked now and
then in any case.
"""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.run.engine_log import EngineLog

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
        self._log = EngineLog(folder, _LOOK_NS)

    def seen(self, now: int) -> bool:
        """Return whether a connection came back since this was asked last.

        Parameters
        ----------
        now
            ns UTC; the file is looked at twice a second at most.
        """
        return any(_SAYS in line for line in self._log.added(now))
