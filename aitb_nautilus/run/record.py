"""What run.json says of a run, at its beginning, at its end, or where it broke off."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from aitb_nautilus import __version__
from aitb_nautilus.errors import AitbError
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.latency_record import latency_records
from aitb_nautilus.observe.left_record import LeftRecord
from aitb_nautilus.observe.run_record import (
    SCHEMA,
    Halt,
    JournalRecord,
    LimitCount,
    ModelRecord,
    PaidRecord,
    Period,
    RunRecord,
    Seconds,
    VenueRecord,
)
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.honesty import honesty_notes
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.results import Results

__all__ = ["Status", "run_record", "versions"]

Status = Literal["complete", "failed", "interrupted", "running"]

_PACKAGES = ("nautilus_trader", "numba", "numpy", "onnxruntime", "pyarrow", "msgspec")
"""Whose versions may change a result."""


def run_record(
    preparation: Preparation,
    folder: Path,
    *,
    created: str,
    status: Status,
    seconds: Seconds | None,
    models: Sequence[ModelRecord],
    bars: int,
    results: Results | None,
    error: AitbError | None,
    journal: JournalRecord | None,
    left: LeftRecord | None = None,
) -> RunRecord:
    """Return the object for run.json.

    Parameters
    ----------
    folder
        Of the run.
    created
        When the run began, ISO 8601 UTC.
    bars
        Given to the engine so far; `results` knows better.
    results, error, journal, left
        None while there are none.
    """
    config, guard = preparation.desk.config, preparation.context.guard
    return RunRecord(
        schema=SCHEMA,
        run_id=folder.name,
        mode=preparation.mode,
        name=preparation.desk.name,
        status=status,
        error=None if error is None else error.paragraph(),
        created=created,
        fingerprint=None if results is None else results.fingerprint,
        config_sha256=preparation.desk.sha256(),
        data_sha256=preparation.data_sha256,
        models=list(models),
        bars=bars if results is None else results.bars,
        predictions=sum(m.figures.rows for m in models if m.figures),
        orders=0 if results is None else results.orders,
        fills=0 if results is None else results.fills,
        seconds=seconds,
        stats=None if results is None else results.stats,
        run_dir=str(folder),
        simulated=any(d.simulated for d in preparation.data),
        currency=config.trader.currency,
        period=Period(start=iso(preparation.first_open_ns), end=iso(preparation.last_close_ns)),
        instruments=list(preparation.instruments),
        bar_types=[s.bar_type for s in preparation.series],
        venues=[
            VenueRecord(
                name=v.name,
                account=v.account,
                maker_fee_bps=v.maker_fee_bps,
                taker_fee_bps=v.taker_fee_bps,
                slippage_bps=v.slippage_bps,
                latency_ms=paid.p50_ns / 1e6 if (paid := _paid(preparation, v)) else v.latency_ms,
                paid=paid,
                leverage=v.leverage,
                starting_balances=[v.starting_balance],
            )
            for v in preparation.venues.values()
        ],
        starting_equity=preparation.starting_equity,
        final_equity=None if results is None else results.final_equity,
        costs=None if results is None else results.costs,
        ambiguous=None if results is None else results.ambiguous,
        honesty=honesty_notes(preparation, results, models),
        data=[*preparation.data, *preparation.reference_data],
        versions=versions(),
        halts=[
            Halt(ts=iso(h.ts), reason=h.reason, scope=h.scope.id or h.strategy_id)
            for h in guard.halts
        ],
        refused=guard.refused,
        risk=None if results is None else results.risk,
        limits=[
            LimitCount(limit=name, refused=guard.refused_by[name], shrunk=guard.shrunk_by[name])
            for name, _ in (guard.refused_by + guard.shrunk_by).most_common()
        ],
        journal=journal,
        warm_up_bars=sum(map(len, preparation.past.values())),
        latency=latency_records(preparation.context.latencies),
        left=left,
    )


def _paid(preparation: Preparation, venue: VenueSettings) -> PaidRecord | None:
    paid = preparation.paid.get(venue.name)
    return None if paid is None else paid.record


def versions() -> dict[str, str]:
    """Return the versions of whatever may change a result, by name."""
    return {
        "aitb_nautilus": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
