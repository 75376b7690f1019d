"""Sentences that say what a back-test models, and what it does not."""

from __future__ import annotations

from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.results import Results

__all__ = ["honesty_notes"]


def honesty_notes(preparation: Preparation, results: Results | None) -> list[str]:
    """Return one sentence for each thing that is modelled or missing."""
    notes = []
    if any(d.simulated for d in preparation.data):
        notes.append("The market of this run is simulated; its results say nothing of a real one.")
    for venue in preparation.venues.values():
        notes.append(
            f"{venue.name}: fees of {venue.maker_fee_bps:g} bps (maker) and "
            f"{venue.taker_fee_bps:g} bps (taker), slippage of {venue.slippage_bps:g} bps on every "
            f"taker fill, latency of {venue.latency_ms:g} ms are modelled."
        )
        if venue.taker_fee_bps == 0:
            notes.append(f"{venue.name}: taker fees are zero in the config.")
        if venue.slippage_bps == 0:
            notes.append(f"{venue.name}: slippage is zero in the config.")
    notes.append(
        "Market orders fill at the next bar's open plus slippage, stops at their trigger plus "
        "slippage or, if the market gaps through, at the open plus slippage."
    )
    notes.append(
        "With bars alone, any latency below one bar gives the same fills; the latency here "
        "does not change the result."
    )
    notes.append(
        "Volume does not bound a market order: large orders would move a real market and cost more."
    )
    notes += _funding_notes(preparation)
    gaps = sum(d.gaps for d in preparation.data)
    if gaps:
        missing = sum(d.missing for d in preparation.data)
        notes.append(
            f"The data have {gaps} gaps with {missing} bars missing; they were not filled."
        )
    if results is not None and results.stats.open_trades:
        notes.append(
            f"{results.stats.open_trades} positions were open at the end; they count at the last "
            f"close, without the cost of closing them."
        )
    return notes


def _funding_notes(preparation: Preparation) -> list[str]:
    perpetuals = [s.id for s in preparation.instruments.values() if s.kind == "perpetual"]
    if not perpetuals:
        return []
    missing = [i for i in perpetuals if i not in preparation.funding]
    if not missing:
        return ["Funding is paid from the catalog's rates, on the close at the settlement."]
    names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return [
        f"Funding is missing for {names}: the catalog has no rates in this time. A perpetual "
        "pays or receives funding, usually every eight hours."
    ]
