"""A venue takes no signed command from a machine whose clock is far from its own.

It would refuse everything, exits among it, and the engine only says that it could not connect. So
a live node asks for the venue's time before it connects.

References
----------
Binance, USDⓈ-M futures, General Info, Timing Security: a request is refused that was signed a
second or more ahead of the server's time, or more than ``recvWindow`` before it
(https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info).
"""

from __future__ import annotations

from typing import Final

from aitb_nautilus.errors import RunError
from aitb_nautilus.run.binance_rest import BINANCE_WINDOW_NS, BinanceRest
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.venue_patience import asked_patiently

__all__ = ["refuse_wrong_clocks"]

_AHEAD_NS: Final = 1_000_000_000


def refuse_wrong_clocks(run: Preparation) -> None:
    """Compare this machine's clock with those of a live node's venues, before it connects.

    Venues that nobody can ask are passed over.

    Raises
    ------
    RunError
        If a venue would refuse every signed command for its time, or does not answer for as long
        as the node may take to connect.
    """
    if run.mode != "live":
        return
    for venue in run.venues.values():
        if venue.adapter_name == "binance":
            _refuse_wrong_clock(venue, run.desk.config.live.connect_secs)


def _refuse_wrong_clock(venue: VenueSettings, patience_s: float) -> None:
    rest = BinanceRest(venue)
    ahead_ns, unsure_ns = asked_patiently(
        venue, rest.clock_ahead, "did not tell its time", patience_s
    )
    if -_AHEAD_NS - unsure_ns < ahead_ns < BINANCE_WINDOW_NS + unsure_ns:
        return
    off = "behind" if ahead_ns > 0 else "ahead of"
    raise RunError(
        "the clock of this machine",
        f"is {abs(ahead_ns) / 1e9:,.1f} s {off} that of {venue.name}",
        f"must be at most {BINANCE_WINDOW_NS / 1e9:g} s behind it and {_AHEAD_NS / 1e9:g} s ahead: "
        f"else {venue.name} refuses every order, exits among them",
        "Let the system keep its time (timedatectl set-ntp true, or chronyc makestep), and start "
        "again; what is held stays as it is until then, with the stops that rest",
    )
