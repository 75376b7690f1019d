"""Risk of a run, measured once at its end: figures for run.json, and tables of what changed.

Everything comes from fills, bars and the equity curve, so that it costs a run nothing while it goes
on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pyarrow as pa

from aitb_nautilus.market.bars import FloatArray, TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.attribution import attribute
from aitb_nautilus.observe.risk_record import LimitUsage, Peak, RiskRecord
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.limit_settings import RiskSettings
from aitb_nautilus.run.ladder_steps import drawdown_of, ladder_steps, ladder_usages
from aitb_nautilus.run.limit_usage import Facts, Usage, not_measured, usages
from aitb_nautilus.run.run_writer import table_of
from aitb_nautilus.run.stretches import Held, Stretches, held_in
from aitb_nautilus.run.tail_risk import TailRisk, measure_tails

__all__ = ["RiskFigures", "measure_risk"]


class RiskFigures(msgspec.Struct, frozen=True):
    """What run.json says, and the tables beside it."""

    record: RiskRecord
    tables: dict[str, pa.Table]


def measure_risk(
    settings: RiskSettings,
    facts: Facts,
    refusals: Sequence[Decision],
    positions: pa.Table,
    *,
    starting_equity: float,
    interval_ns: int,
) -> RiskFigures:
    """Return the risk of a run.

    Parameters
    ----------
    refusals
        What the guard refused, or let pass in part.
    positions
        Round trips, following `run_tables.TABLES`.
    interval_ns
        Of the shortest bars.
    """
    ts, equity, stretches = facts.ts, facts.equity, facts.stretches
    held = held_in(facts.fills, facts.frames, ts, lambda *_: True, stretches.last)
    tails = measure_tails(ts, equity, held.gross, starting_equity, interval_ns)
    drawdown = drawdown_of(ts, equity, starting_equity)
    measured = list(usages(settings, facts, held))
    steps, deepest = [], None
    ladder = settings.drawdown
    if ladder is not None:
        below = drawdown
        if ladder.window_days is not None:
            below = drawdown_of(ts, equity, starting_equity, ladder.window_days)
        measured += ladder_usages(ladder, stretches, below)
        steps, deepest = ladder_steps(ladder, ts, below), _peak(ts, below)
    leverage = held.gross / np.maximum(equity, 1e-12)
    traded = bool(facts.fills)
    record = RiskRecord(
        stretch=stretches.name,
        gross=_peak(ts, held.gross) if traded else None,
        net=_peak(ts, held.net, np.abs(held.net)) if traded else None,
        leverage=_peak(ts, leverage) if traded else None,
        volatility_of=tails.volatility_of,
        horizons=tails.horizons,
        usages=_nearest_first(measured, stretches.ends),
        not_measured=not_measured(settings, [key for key, _, _ in measured]),
        ladder=steps,
        ladder_days=None if ladder is None else ladder.window_days,
        attribution=attribute(positions),
        ladder_deepest=deepest,
    )
    tables = {
        "risk": _risk_table(stretches, held, leverage, drawdown, tails),
        "risk_parts": _parts_table(stretches, held, measured),
        "tails": tails.table,
        "refusals": _refusals_table(refusals),
    }
    return RiskFigures(record, tables)


def _peak(ts: TimeArray, values: FloatArray, sizes: FloatArray | None = None) -> Peak:
    """Return the value of the largest size, and its time."""
    place = int(np.argmax(values if sizes is None else sizes))
    return Peak(value=float(values[place]), ts=iso(int(ts[place])))


def _nearest_first(measured: Iterable[Usage], ends: TimeArray) -> list[LimitUsage]:
    found = [
        LimitUsage(limit=key, maximum=maximum, largest=_peak(ends, values))
        for key, maximum, values in measured
    ]
    return sorted(found, key=lambda usage: (-usage.largest.value, usage.limit))


def _risk_table(
    stretches: Stretches, held: Held, leverage: FloatArray, drawdown: FloatArray, tails: TailRisk
) -> pa.Table:
    columns = [
        stretches.ends,
        stretches.largest(held.gross),
        stretches.last(held.net),
        stretches.last(held.long),
        stretches.last(held.short),
        stretches.largest(leverage),
        stretches.largest(drawdown),
        tails.at(stretches.ends, tails.volatility),
        tails.at(stretches.ends, tails.ewma_volatility),
    ]
    arrays = [
        pa.array(column, from_pandas=True).cast(field.type)
        for column, field in zip(columns, TABLES["risk"], strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=TABLES["risk"])


def _parts_table(stretches: Stretches, held: Held, measured: Sequence[Usage]) -> pa.Table:
    parts = [("instrument", name, values) for name, values in sorted(held.signed.items())]
    parts += [("limit", key, values) for key, _, values in measured]
    schema, rows = TABLES["risk_parts"], len(stretches)
    columns = [
        pa.array(np.tile(stretches.ends, len(parts))).cast(schema.field("ts").type),
        _repeated([kind for kind, _, _ in parts], rows),
        _repeated([name for _, name, _ in parts], rows),
        pa.array(np.concatenate([np.empty(0), *(values for _, _, values in parts)])),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _repeated(names: Sequence[str], times: int) -> pa.DictionaryArray:
    """Return a column of names, each of them so many times."""
    codes = pa.array(names, pa.string()).dictionary_encode()
    indices = np.repeat(codes.indices.to_numpy(), times)
    return pa.DictionaryArray.from_arrays(pa.array(indices), codes.dictionary)


def _refusals_table(refusals: Sequence[Decision]) -> pa.Table:
    rows = [
        {
            "ts": one.ts,
            "strategy_id": one.strategy_id,
            "instrument_id": one.instrument_id,
            "limit": one.limit,
            "outcome": "shrunk" if one.allowed else "refused",
            "quantity": float(one.quantity),
            "line": one.line,
        }
        for one in refusals
    ]
    return table_of("refusals", rows)
