"""Ask a venue before a node connects, and again for as long as that may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from aitb_nautilus.errors import RunError
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.config import VenueSettings

__all__ = ["asked_patiently"]

_AGAIN_S: Final = 1.0


def asked_patiently[T](
    venue: VenueSettings, ask: Callable[[], T], silence: str, patience_s: float
) -> T:
    """Return what a venue answers, asked once a second until it does.

    Parameters
    ----------
    ask
        Asks once.
    silence
        What to say if it has not answered: ``did not tell its time``.
    patience_s
        How long it is asked, s.

    Raises
    ------
    RunError
        If it has not answered by then.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except AskError as e:
            if time.monotonic() + _AGAIN_S > until:
                raise RunError(
                    f"venue {venue.name}",
                    f"{silence}: {e}",
                    f"must answer within live.connect_secs, {patience_s:g} s",
                    "Look at the connection, and at the venue's addresses in the config",
                ) from e
        time.sleep(_AGAIN_S)
