"""Sentences that say what a back-test models, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from aitb_nautilus.market.bars import TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.run_record import ModelRecord
from aitb_nautilus.run.node_honesty import node_notes
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.quote_honesty import latency_words, quote_notes
from aitb_nautilus.run.results import Results

__all__ = ["honesty_notes"]

_EIGHT_HOURS_NS = 8 * 3600 * 10**9


def honesty_notes(
    preparation: Preparation, results: Results | None, models: Sequence[ModelRecord] = ()
) -> list[str]:
    """Return one sentence for each thing that is modelled or missing."""
    notes: list[str] = []
    for model in models:
        notes += _model_notes(model, preparation, results)
    if any(d.simulated for d in preparation.data):
        notes.append("The market of this run is simulated; its results say nothing of a real one.")
    is_simulated = preparation.mode == "backtest"
    if not is_simulated:
        notes += node_notes(preparation)
    else:
        notes += quote_notes(preparation) if preparation.quotes else _fill_notes(preparation)
    notes += _funding_notes(preparation) if is_simulated else ()
    if is_simulated and preparation.desk.config.redis is not None:
        notes.append("A back-test leaves Redis alone: nothing of this run was published.")
    if preparation.not_applied:
        notes.append(
            f"The data hold no quotes, so these limits were not applied, and nothing is known of "
            f"what they would have refused: {', '.join(preparation.not_applied)}."
        )
    notes += _gap_notes(preparation) if is_simulated else ()
    if results is not None and results.ts_liquidated is not None:
        notes.insert(
            0,
            f"Equity fell below the maintenance margin on {iso(results.ts_liquidated)}: a real "
            f"venue would have closed every position then, and nothing after it would have "
            f"happened.",
        )
    if results is not None and results.stats.open_trades:
        notes.append(
            f"{_some(results.stats.open_trades, 'position')} still open at the end, counted at the "
            f"last close without the cost of closing."
        )
    return notes


def _fill_notes(preparation: Preparation) -> Iterator[str]:
    """Yield how a back-test fills."""
    for venue in preparation.venues.values():
        yield (
            f"{venue.name}: fees of {venue.maker_fee_bps:g} bps (maker) and "
            f"{venue.taker_fee_bps:g} bps (taker), slippage of {venue.slippage_bps:g} bps on every "
            f"taker fill, {latency_words(preparation, venue)} are modelled."
        )
        if venue.taker_fee_bps == 0:
            yield (f"{venue.name}: taker fees are zero in the config.")
        if venue.slippage_bps == 0:
            yield (f"{venue.name}: slippage is zero in the config.")
    yield (
        "Market orders fill at the next bar's open plus slippage, stops at their trigger plus "
        "slippage or, if the market gaps through, at the open plus slippage."
    )
    yield (
        "What fills inside a bar is known at its close: exits placed on such a fill begin with the "
        "next bar."
    )
    yield (
        "With bars alone, any latency below one bar gives the same fills; the latency here "
        "does not change the result."
    )
    yield (
        "Volume does not bound a market order: large orders would move a real market and cost more."
    )


def _gap_notes(preparation: Preparation) -> Iterator[str]:
    """Yield what recorded bars lack."""
    gaps = sum(d.gaps for d in preparation.data)
    if gaps:
        missing = sum(d.missing for d in preparation.data)
        yield (
            f"The data have {_some(gaps, 'gap')} with {_some(missing, 'bar')} missing; nothing was "
            f"filled in, and nobody hears an order before the next bar opens."
        )
    hollow = sum(
        int(((f.volume == 0) & (f.high > f.low)).sum()) for f in preparation.frames.values()
    )
    if hollow:
        yield (
            f"{_some(hollow, 'bar')} without volume in which the price moves: the venue takes that "
            f"for no trade and fills nothing inside."
        )


def _model_notes(
    model: ModelRecord, preparation: Preparation, results: Results | None
) -> Iterator[str]:
    """Yield what must be known of a model to believe the run."""
    last = preparation.last_close_ns
    if model.sample == "in":
        yield (
            f"{model.reference} was trained on bars until {model.trained_last}, and the run begins "
            f"at {iso(preparation.first_open_ns)}: the model has seen this time. The result says "
            f"nothing of what it would have earned."
        )
    elif model.sample == "out":
        yield (
            f"{model.reference} was trained on bars until {model.trained_last}; every bar of this "
            f"run opened after all that its training looked at."
        )
    else:
        yield (
            f"{model.reference}: every prediction comes from a model that had seen nothing of its "
            f"time or after it."
        )
    if model.simulated and not any(d.simulated for d in preparation.data):
        yield f"{model.reference} was trained on a simulated market."
    expires = preparation.context.sources[model.id].expires_ns
    if expires is not None and expires <= last:
        yield f"{model.reference} expired at {model.expires}: it gave no predictions after that."
    if model.figures is not None and not model.figures.rows and results is not None:
        yield f"{model.reference} gave no prediction at all in this run."
    if model.figures is not None and model.figures.late:
        yield (
            f"{_some(model.figures.late, 'answer')} of {model.reference} came too late and "
            f"{'was' if model.figures.late == 1 else 'were'} not traded."
        )


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _funding_notes(preparation: Preparation) -> list[str]:
    perpetuals = [s.id for s in preparation.instruments.values() if s.kind == "perpetual"]
    if not perpetuals:
        return []
    notes = []
    if preparation.funding:
        notes.append("Funding is paid from the catalog's rates, on the close at the settlement.")
    missing = [i for i in perpetuals if i not in preparation.funding]
    if missing:
        notes.append(
            f"Funding is missing for {_names(missing)}: the catalog has no rates in this time. A "
            "perpetual pays or receives funding, usually every eight hours."
        )
    lacking = {}
    for series in preparation.series:
        instrument_id = str(series.instrument_id)
        if instrument_id in preparation.funding:
            times, _ = preparation.funding[instrument_id]
            start = int(series.frame.ts_close[0]) - series.interval_ns
            count = _missing_settlements(times, start, int(series.frame.ts_close[-1]))
            if count:
                lacking[instrument_id] = count
    if lacking:
        notes.append(
            f"Funding of {_names(list(lacking))} is not complete: the catalog lacks about "
            f"{_some(sum(lacking.values()), 'settlement')} of this time, which cost nothing here."
        )
    return notes


def _missing_settlements(times: TimeArray, start: int, end: int) -> int:
    """Return about how many settlements are missing from `start`, not included, to `end`, ns."""
    steps = np.diff(times)
    usual = int(np.median(steps)) if len(steps) else _EIGHT_HOURS_NS
    between = int(np.maximum(np.round(steps / usual).astype(np.int64) - 1, 0).sum())
    before = max((int(times[0]) - start - 1) // usual, 0)
    after = (end - int(times[-1])) // usual
    return between + before + after


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
