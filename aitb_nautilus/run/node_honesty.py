"""Sentences that say how orders were filled on paper and live, and what that leaves out."""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.venue_bars import bars_of

__all__ = ["node_notes"]


def node_notes(preparation: Preparation) -> Iterator[str]:
    """Yield what must be known of the fills of a node."""
    speed = preparation.desk.config.rehearsal_speed
    if speed != 1:
        yield (
            f"The market ran at {speed}-fold speed, and so did this desk: for load and faults "
            f"only. The result says nothing about trading."
        )
    for venue in preparation.venues.values():
        if venue.base_url_http is not None:
            yield (
                f"{venue.name} was reached at {venue.base_url_http}, not where the exchange is. If "
                f"that is a rehearsal, its market is made up."
            )
        if not bars_of(venue).streams:
            yield (
                f"{venue.name} streams no closed bars: each was asked of its history, 2 s after it "
                f"had closed. A back-test decides at once."
            )
    if preparation.mode == "live":
        yield (
            "Orders went to the venue; fills and fees are the venue's. Slippage is what a taker "
            "paid against the last close before the order was sent, or a stop's trigger."
        )
        return
    for venue in preparation.venues.values():
        yield (
            f"{venue.name}: orders never left this machine. The engine's sandbox filled them, with "
            f"fees of {venue.maker_fee_bps:g} bps (maker) and {venue.taker_fee_bps:g} bps (taker) "
            f"and a modelled latency of {venue.latency_ms:g} ms."
        )
    if preparation.desk.config.paper.fills == "quotes":
        yield (
            "They filled on the venue's best bid and ask, whatever their size: the depth of the "
            "book does not bound them. The slippage of the config is not added, the spread is paid."
        )
    else:
        yield (
            "They filled on closed bars alone: a market order at the last close, without spread or "
            "slippage."
        )
    yield "The sandbox pays no funding; the accounts here add what the venue announced."
