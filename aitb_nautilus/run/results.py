"""From what was traded to the tables and figures of a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.bars import RAW_SCALE, BarFrame, Interval
from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.latency_record import latency_table
from aitb_nautilus.observe.risk_record import RiskRecord
from aitb_nautilus.observe.run_folder import times
from aitb_nautilus.observe.run_record import Ambiguous, Costs
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.observe.stats import Stats, compute_stats
from aitb_nautilus.risk.book import Position
from aitb_nautilus.run.accounting import (
    Curve,
    equity_curve,
    from_before,
    funding_payments,
    signed_cash,
    standing_still,
)
from aitb_nautilus.run.limit_usage import Facts
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.risk_figures import measure_risk
from aitb_nautilus.run.round_trips import round_trips
from aitb_nautilus.run.run_writer import bars_table, heard_in_turn, table_of, thin
from aitb_nautilus.run.stretches import Stretches, length_for
from aitb_nautilus.run.traded import Traded

__all__ = ["Put", "Results", "collect", "slippages"]

type Put = Callable[[str, pa.Table], None]
"""Takes one of a run folder's tables, by name."""

_STRETCHES = 200
"""So many stretches of time a picture can show."""
_ROUNDING = 1e-7
"""Largest difference, in quote currency and per fill, that the engine's rounding explains."""


class Results(msgspec.Struct, frozen=True):
    """What a run came to.

    Attributes
    ----------
    bars
        Bars that the engine took; fewer than all if something stopped the run.
    ts_liquidated
        Close of the first bar at which a real venue would have closed the positions by force, ns
        UTC; None if there is none.
    risk
        See `RiskRecord`.
    """

    bars: int
    fingerprint: str
    orders: int
    fills: int
    final_equity: float
    costs: Costs
    ambiguous: Ambiguous
    stats: Stats
    ts_liquidated: int | None
    risk: RiskRecord


def collect(preparation: Preparation, traded: Traded, put: Put) -> Results:
    """Return the figures of a run, or of what there is of it so far; its tables are put away.

    Parameters
    ----------
    put
        Takes a table by name as soon as nothing needs it any more: of a long run all of them at
        once are tens of megabytes.

    Raises
    ------
    RunError
        If our accounts and the engine's do not end at the same balance.
    """
    fills, until = traded.fills, traded.until
    payments = funding_payments(
        fills,
        {i: from_before(f, preparation.past.get(i)) for i, f in preparation.frames.items()},
        preparation.funding,
        tick_offset_ns={str(s.instrument_id): s.tick_offset_ns for s in preparation.series},
        until=until,
    )
    still = standing_still(fills, preparation.frames, preparation.past)
    worth = {**preparation.frames, **still}
    curve = equity_curve(preparation.starting_equity, fills, payments, worth, until)
    frames = {i: f.between(None, int(curve.ts[-1])) for i, f in preparation.frames.items()}
    paid = float(sum(p.amount for p in payments)) if traded.settles_funding else 0.0
    _reconcile(preparation, traded, paid)
    purposes, references = traded.purposes, traded.references
    slippage = slippages(fills, references)
    interval_ns = {str(s.instrument_id): s.interval_ns for s in preparation.series}
    trips = round_trips(
        fills,
        payments,
        slippage=slippage,
        purposes=purposes,
        last_prices={i: float(f.close[-1]) for i, f in (frames | still).items() if len(f)},
        interval_ns=_lengths(preparation) | interval_ns,
        end=int(curve.ts[-1]),
        dust=preparation.context.ledger.dust,
        carried_funding={
            key: p.funding_carried for key, p in tuple(preparation.context.ledger.positions.items())
        },
    )
    put("equity", _equity_table(curve))
    put("orders", traded.orders)
    put("bars", _bars_table(preparation, frames, interval_ns))
    put("past", heard_in_turn([bars_table(f, i) for i, f in sorted(preparation.past.items())]))
    paid_rows = (msgspec.structs.asdict(p) | {"amount": -p.amount} for p in payments)
    put("funding", table_of("funding", paid_rows))
    trip_rows = (msgspec.structs.asdict(t) | {"funding": 0.0 - t.funding} for t in trips)
    positions = table_of("positions", trip_rows)
    put("positions", positions)
    filled = table_of("fills", (_fill_row(f, purposes, references, slippage) for f in fills))
    put("fills", filled)
    funding_cost = 0.0 - float(sum(p.amount for p in payments))
    stats = compute_stats(
        curve.ts,
        curve.equity,
        curve.market,
        positions,
        filled,
        starting_equity=preparation.starting_equity,
        start_ns=preparation.first_open_ns,
        exposure=curve.exposure,
        funding=funding_cost,
    )
    final_equity = float(curve.equity[-1])
    fees, slipped = float(sum(f.fee for f in fills)), float(sum(slippage.values()))
    net = final_equity - preparation.starting_equity
    costs = Costs(
        fees=fees,
        slippage=slipped,
        funding=funding_cost,
        gross_pnl=net + fees + slipped + funding_cost,
        net_pnl=net,
    )
    risk = measure_risk(
        preparation.desk.config.risk,
        _facts(curve, traded, preparation, worth, min(interval_ns.values())),
        preparation.context.guard.refusals,
        positions,
        starting_equity=preparation.starting_equity,
        interval_ns=min(interval_ns.values()),
    )
    for name, table in risk.tables.items():
        put(name, table)
    put("latency", latency_table(preparation.context.latencies))
    return Results(
        sum(map(len, frames.values())),
        _fingerprint(traded),
        traded.orders.num_rows,
        len(fills),
        final_equity,
        costs,
        traded.ambiguous,
        msgspec.convert(stats, Stats),
        _liquidated_at(preparation, curve),
        risk.record,
    )


def _lengths(preparation: Preparation) -> dict[str, int]:
    """Return how long the bars are, ns, also of an instrument that has none yet."""
    of = Interval.instrument_of_bar_type
    return {of(one): Interval.of_bar_type(one).ns for one in preparation.bar_types}


def _bars_table(
    preparation: Preparation, frames: Mapping[str, BarFrame], interval_ns: Mapping[str, int]
) -> pa.Table:
    """Return the run's bars: each of them where the catalog does not hold them as well.

    The frames stand in the order in which bars of one time are told.
    """
    there = {i: frame for i, frame in frames.items() if len(frame)}
    if preparation.mode != "backtest":
        return heard_in_turn([bars_table(frame, i) for i, frame in there.items()])
    return heard_in_turn([thin(frame, i, interval_ns[i]) for i, frame in there.items()])


def _facts(
    curve: Curve,
    traded: Traded,
    preparation: Preparation,
    frames: Mapping[str, BarFrame],
    interval_ns: int,
) -> Facts:
    """Return what risk is measured by."""
    span = int(curve.ts[-1]) - preparation.first_open_ns
    known = preparation.context.ledger.orders
    names = traded.orders.column("client_order_id").to_pylist()
    last = times(traded.orders, "ts_last").tolist()
    heard = [(known.get(name), ts) for name, ts in zip(names, last, strict=True)]
    return Facts(
        Stretches(curve.ts, length_for(span, interval_ns, _STRETCHES)),
        curve.ts,
        curve.equity,
        traded.fills,
        [(order, ts if ts > 0 else order.ts_sent) for order, ts in heard if order is not None],
        frames,
    )


def _liquidated_at(preparation: Preparation, curve: Curve) -> int | None:
    """Return when equity first fell below what a margin account must keep.

    The strictest maintenance margin of the run's instruments is asked of all positions together.
    """
    rates = [
        float(preparation.context.instruments[spec.id].margin_maint)
        / preparation.venues[spec.venue].leverage
        for spec in preparation.instruments.values()
        if spec.kind == "perpetual"
    ]
    short = np.flatnonzero(curve.equity <= curve.gross * max(rates, default=0.0))
    return int(curve.ts[short[0]]) if len(short) else None


def slippages(
    fills: Iterable[Fill], references: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Return what each fill lost against the price that its order was decided at.

    Parameters
    ----------
    references
        That price by order id; an order without one lost nothing that is known.

    Returns
    -------
    dict
        By `Fill.key`, quote currency; negative: it filled at a better price.
    """
    return {f.key: _slippage(f, references.get(f.client_order_id)) for f in fills}


def _slippage(fill: Fill, reference: float | None) -> float:
    if reference is None:
        return 0.0
    direction = 1 if fill.side == "BUY" else -1
    return direction * (fill.price - reference) * float(fill.quantity)


def _reconcile(preparation: Preparation, traded: Traded, funding: float) -> None:
    """Compare the cash that our fills leave with the engine's accounts, where it keeps any.

    A cash account pays for what it holds; a margin account only settles profit.
    """
    if traded.balances is None:
        return
    fills = traded.fills
    cash = preparation.starting_equity + funding
    positions: dict[tuple[str, str], Position] = {}
    for fill in fills:
        cash -= fill.fee
        if preparation.venues[venue_name(fill.instrument_id)].account == "cash":
            cash += signed_cash(fill)
        else:
            key = (fill.strategy_id, fill.instrument_id)
            positions.setdefault(key, Position()).apply(fill)
    cash += sum(p.realized for p in positions.values())
    total = 0.0
    currency = preparation.desk.config.trader.currency
    for name in preparation.venues:
        for code, money in traded.balances[name].items():
            if code == currency:
                total += money.raw / RAW_SCALE
    allowed = _ROUNDING * (len(fills) + 1) + 1e-9 * abs(total)
    if abs(total - cash) > allowed:
        raise RunError(
            "accounts",
            f"the engine ends with {total:.8f} {currency}, the fills add up to {cash:.8f}",
            "must be equal",
            "This is a defect in AITB or the engine; keep the run folder and report it",
        )


def _fingerprint(traded: Traded) -> str:
    """Return the sha256 of the canonical list of fills and the final balances."""
    lines = [
        f"{f.ts}|{f.instrument_id}|{f.side}|{f.price!r}|{f.quantity.normalize():f}|{f.fee!r}"
        for f in traded.fills
    ]
    for name, balances in sorted((traded.balances or {}).items()):
        lines += sorted(f"{name}|{money}" for money in balances.values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _equity_table(curve: Curve) -> pa.Table:
    schema = TABLES["equity"]
    columns = [curve.ts, curve.equity, curve.market, curve.exposure]
    arrays = [pa.array(c).cast(f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _fill_row(
    fill: Fill,
    purposes: Mapping[str, str],
    references: Mapping[str, float],
    slippage: Mapping[tuple[str, str], float],
) -> dict[str, Any]:
    return msgspec.structs.asdict(fill) | {
        "quantity": float(fill.quantity),
        "base_fee": float(fill.base_fee),
        "reference_price": references.get(fill.client_order_id),
        "slippage": slippage[fill.key],
        "purpose": purposes.get(fill.client_order_id, "exit:flatten"),
    }
