"""Notice that a connection to a venue came back.

The engine's adapters reconnect by themselves and tell Python nothing of it; they only say it in the
engine's own log. Nothing but the moment of a question rests on this: the venue is asked now and
then in any case.
"""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.run.engine_log import EngineLog

__all__ = ["Reconnects"]

_SAYS = b"econnect succeeded"


class Reconnects:
    """Listen to the engine's log.

    Parameters
    ----------
    log
        Of the engine.
    """

    def __init__(self, log: EngineLog) -> None:
        self._is_news = False
        log.tell(self._hear)

    def seen(self) -> bool:
        """Return whether a connection came back since this was asked last."""
        news, self._is_news = self._is_news, False
        return news

    def _hear(self, lines: Sequence[bytes]) -> None:
        self._is_news = self._is_news or any(_SAYS in line for line in lines)
