"""How the bars of each venue reach a node: by the stream or by asking, and with which stamp.

Seen in the engine's adapters (2.0.0rc7), each against a local server that speaks the venue's
protocol; a bar that is stamped with its opening would otherwise be taken for the one before, and
one that has not closed for one that has. See docs/decisions/0039-bars-of-other-venues.md.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aitb_nautilus.run.venue_settings import AdapterName, VenueSettings

__all__ = ["CLOSED_STREAM", "VenueBars", "bars_of"]


class VenueBars(msgspec.Struct, frozen=True):
    """What an adapter does with bars.

    Attributes
    ----------
    streams
        Whether its stream brings each bar once it has closed, and no other. If not, bars are asked
        of the history as soon as they have closed.
    stream_opens, history_opens
        Whether it stamps bars with their opening.
    up_to_now
        Whether its history can only be asked up to now: it stamps bars with the time of the answer,
        and the engine drops what is stamped after the end that was asked for.
    reach
        How many bars back its history is answered; None: as far as it goes.
    """

    streams: bool = True
    stream_opens: bool = False
    history_opens: bool = False
    up_to_now: bool = False
    reach: int | None = None


CLOSED_STREAM: Final = VenueBars()
"""Closed bars by the stream, stamped with their close, by the history as well."""

_OKX: Final = VenueBars(stream_opens=True, history_opens=True, up_to_now=True)
# Candles of five minutes while they grow, whatever interval was asked for.
_COINBASE: Final = VenueBars(streams=False, history_opens=True, up_to_now=True, reach=340)
# A bar comes once the next has begun to trade; at a lost connection the unfinished one comes.
_KRAKEN_SPOT: Final = VenueBars(streams=False, history_opens=True, up_to_now=True, reach=720)
# No bars at all by the stream.
_KRAKEN_FUTURES: Final = VenueBars(streams=False, history_opens=True, up_to_now=True)

_BARS: Final[dict[tuple[AdapterName, str], VenueBars]] = {
    ("okx", "margin"): _OKX,
    ("okx", "cash"): _OKX,
    ("coinbase", "cash"): _COINBASE,
    ("coinbase", "margin"): _COINBASE,
    ("kraken", "cash"): _KRAKEN_SPOT,
    ("kraken", "margin"): _KRAKEN_FUTURES,
}


def bars_of(venue: VenueSettings) -> VenueBars:
    """Return how the bars of a venue come."""
    name = venue.adapter_name
    return CLOSED_STREAM if name is None else _BARS.get((name, venue.account), CLOSED_STREAM)
