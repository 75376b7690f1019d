"""Sentences that say what a back-test on quotes models, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.market.intervals import spell_ns
from aitb_nautilus.observe.formats import span
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.preparation import Preparation

__all__ = ["latency_words", "quote_notes"]

_LONG_NS = 10_000_000_000


def latency_words(preparation: Preparation, venue: VenueSettings) -> str:
    """Return which latency a back-test pays at a venue."""
    paid = preparation.paid.get(venue.name)
    if paid is None:
        return f"latency of {venue.latency_ms:g} ms"
    one = paid.record
    sandbox = ", whose venue was the sandbox," if one.mode == "paper" else ""
    return (
        f"the latency that {one.run_id}{sandbox} measured on {one.orders:,} orders (half of them "
        f"within {span(one.p50_ns)}, 99 of 100 within {span(one.p99_ns)})"
    )


def quote_notes(preparation: Preparation) -> Iterator[str]:
    """Yield how a back-test fills on quotes."""
    for venue in preparation.venues.values():
        yield (
            f"{venue.name}: fees of {venue.maker_fee_bps:g} bps (maker) and "
            f"{venue.taker_fee_bps:g} bps (taker), and {latency_words(preparation, venue)} are "
            f"modelled."
        )
        if venue.taker_fee_bps == 0:
            yield f"{venue.name}: taker fees are zero in the config."
    yield (
        "Orders fill at the recorded best bid and ask of the moment at which they arrive: the "
        "spread is paid, and slippage_bps is not added."
    )
    yield (
        "Only the best level is known: what is larger than it fills one tick beyond, and each "
        "order finds it whole. A large order would move a real market and cost more. A resting "
        "order's place in the queue is unknown."
    )
    silent = {i: q.silent_ns for i, q in preparation.quotes.items() if q.silent_ns > _LONG_NS}
    for instrument_id, ns in silent.items():
        yield (
            f"{instrument_id}: there is a time of {spell_ns(ns)} without a quote; an order that "
            f"arrives in it fills at the last one before."
        )
