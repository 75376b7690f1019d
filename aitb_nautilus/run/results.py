"""From a finished engine to the tables and figures of a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from nautilus_trader.model import Venue

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.bars import RAW_SCALE
from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import Ambiguous, Costs
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.observe.stats import Stats, compute_stats
from aitb_nautilus.risk.book import Position
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.translate import fill_fact, price_of, side_of
from aitb_nautilus.run.accounting import Curve, equity_curve, funding_payments, signed_cash
from aitb_nautilus.run.engine import BuiltEngine
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.round_trips import round_trips
from aitb_nautilus.run.run_writer import bars_table, heard_in_turn, table_of, thin
from aitb_nautilus.run.venue_model import slipped

__all__ = ["Results", "collect"]

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
    """

    bars: int
    fingerprint: str
    orders: int
    fills: int
    final_equity: float
    costs: Costs
    ambiguous: Ambiguous
    stats: Stats
    tables: Mapping[str, pa.Table]
    ts_liquidated: int | None


def collect(preparation: Preparation, built: BuiltEngine) -> Results:
    """Return tables and figures of a run.

    Raises
    ------
    RunError
        If our accounts and the engine's do not end at the same balance.
    """
    orders = _in_order(built.engine.cache.orders(), preparation.context.ledger)
    fills = _fills(orders, preparation.context.ledger)
    until = _reached(preparation)
    payments = funding_payments(
        fills,
        preparation.frames,
        preparation.funding,
        tick_offset_ns={str(s.instrument_id): s.tick_offset_ns for s in preparation.series},
        until=until,
    )
    curve = equity_curve(preparation.starting_equity, fills, payments, preparation.frames, until)
    frames = {i: f.between(None, int(curve.ts[-1])) for i, f in preparation.frames.items()}
    _reconcile(preparation, built, fills, float(sum(p.amount for p in payments)))
    purposes = {
        client_order_id: order.purpose
        for client_order_id, order in preparation.context.ledger.orders.items()
    }
    references = {
        client_order_id: price
        for model in built.fill_models.values()
        for client_order_id, price in model.references.items()
    }
    slippage = {f.trade_id: _slippage(f, references.get(f.client_order_id)) for f in fills}
    interval_ns = {str(s.instrument_id): s.interval_ns for s in preparation.series}
    trips = round_trips(
        fills,
        payments,
        slippage=slippage,
        purposes=purposes,
        last_prices={i: float(f.close[-1]) for i, f in frames.items() if len(f)},
        interval_ns=interval_ns,
        end=int(curve.ts[-1]),
    )
    tables = {
        "equity": _equity_table(curve),
        "fills": table_of("fills", [_fill_row(f, purposes, references, slippage) for f in fills]),
        "orders": table_of(
            "orders", [_order_row(o, preparation.context.ledger, purposes) for o in orders]
        ),
        "positions": table_of(
            "positions", [msgspec.structs.asdict(t) | {"funding": 0.0 - t.funding} for t in trips]
        ),
        "funding": table_of(
            "funding", [msgspec.structs.asdict(p) | {"amount": -p.amount} for p in payments]
        ),
        # The frames stand in the order in which the engine gets bars of one time.
        "bars": heard_in_turn([thin(f, i, interval_ns[i]) for i, f in frames.items() if len(f)]),
    }
    past = [bars_table(f, i) for i, f in sorted(preparation.past.items())]
    tables["past"] = heard_in_turn(past)
    funding_cost = 0.0 - float(sum(p.amount for p in payments))
    stats = compute_stats(
        curve.ts,
        curve.equity,
        curve.market,
        tables["positions"],
        tables["fills"],
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
    return Results(
        sum(map(len, frames.values())),
        _fingerprint(fills, built, preparation),
        len(orders),
        len(fills),
        final_equity,
        costs,
        _ambiguous(preparation, built),
        msgspec.convert(stats, Stats),
        tables,
        _liquidated_at(preparation, curve),
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


def _fills(orders: Sequence[Any], ledger: Ledger) -> list[Fill]:
    """Return all fills of all orders, in the order in which they happened.

    The engine's orders have all of them. Which of two in the same moment came first only the ledger
    knows, which was told of each at once; it misses what came after a component was stopped.
    """
    place = {fill.trade_id: i for i, fill in enumerate(ledger.fills)}
    events = [
        event
        for order in orders
        for event in order.events()
        if type(event).__name__ == "OrderFilled"
    ]
    fills = [fill_fact(event) for event in events]
    return sorted(fills, key=lambda f: (f.ts, place.get(f.trade_id, len(place))))


def _reached(preparation: Preparation) -> int | None:
    """Return the close of the last bar of a run that was stopped, ns UTC; None if it was not."""
    if not preparation.context.run_state.stop_reason:
        return None
    first = min(int(f.ts_close[0]) for f in preparation.frames.values())
    return max(preparation.context.ledger.now, first)


def _in_order(orders: Sequence[Any], ledger: Ledger) -> list[Any]:
    """Return the engine's orders as they were sent; it names them in no order of its own.

    Those of one moment that the ledger does not know came around the guard; they come last.
    """
    place = {client_order_id: i for i, client_order_id in enumerate(ledger.orders)}

    def key(order: Any) -> tuple[int, int, str]:
        client_order_id = str(order.client_order_id)
        return order.ts_init, place.get(client_order_id, len(place)), client_order_id

    return sorted(orders, key=key)


def _slippage(fill: Fill, reference: float | None) -> float:
    if reference is None:
        return 0.0
    direction = 1 if fill.side == "BUY" else -1
    return direction * (fill.price - reference) * float(fill.quantity)


def _reconcile(
    preparation: Preparation, built: BuiltEngine, fills: Sequence[Fill], funding: float
) -> None:
    """Compare the cash that our fills leave with the engine's accounts.

    A cash account pays for what it holds; a margin account only settles profit.
    """
    cash = preparation.starting_equity + funding
    positions: dict[tuple[str, str], Position] = {}
    for fill in fills:
        cash -= fill.fee
        if preparation.venues[fill.instrument_id.rpartition(".")[2]].account == "cash":
            cash += signed_cash(fill)
        else:
            key = (fill.strategy_id, fill.instrument_id)
            positions.setdefault(key, Position()).apply(fill)
    cash += sum(p.realized for p in positions.values())
    total = 0.0
    currency = preparation.desk.config.trader.currency
    for name in preparation.venues:
        for code, money in _balances(built, name).items():
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


def _balances(built: BuiltEngine, venue: str) -> dict[str, Any]:
    """Return the engine's final balances at a venue by currency code."""
    account = built.engine.portfolio.account(Venue(venue))
    if account is None:
        raise RunError(f"venue {venue}", "the engine has no account of it", "must have one")
    return {currency.code: money for currency, money in account.balances_total().items()}


def _fingerprint(fills: Sequence[Fill], built: BuiltEngine, preparation: Preparation) -> str:
    """Return the sha256 of the canonical list of fills and the final balances."""
    lines = [
        f"{f.ts}|{f.instrument_id}|{f.side}|{f.price!r}|{f.quantity.normalize():f}|{f.fee!r}"
        for f in fills
    ]
    for name in sorted(preparation.venues):
        lines += sorted(f"{name}|{money}" for money in _balances(built, name).values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _ambiguous(preparation: Preparation, built: BuiltEngine) -> Ambiguous:
    """Return what ambiguous bars earned under either order, after fees and slippage."""
    stop_first = target_first = 0.0
    for one in built.ambiguous.exits:
        venue = preparation.venues[one.instrument_id.rpartition(".")[2]]
        stop = float(
            slipped(
                Decimal(repr(one.stop_price)),
                Decimal(repr(venue.slippage_bps)) / 10_000,
                preparation.instruments[one.instrument_id].tick,
                is_buy=one.direction < 0,
            )
        )
        stop_fee = stop * venue.taker_fee_bps / 1e4
        target_fee = one.target_price * venue.maker_fee_bps / 1e4
        stop_first += one.pnl(stop) - stop_fee * one.quantity
        target_first += one.pnl(one.target_price) - target_fee * one.quantity
    return Ambiguous(
        count=len(built.ambiguous.exits),
        pnl_stop_first=stop_first,
        pnl_target_first=target_first,
        rule=preparation.desk.config.backtest.ambiguous_bars,
    )


def _equity_table(curve: Curve) -> pa.Table:
    schema = TABLES["equity"]
    columns = [curve.ts, curve.equity, curve.market, curve.exposure]
    arrays = [pa.array(c).cast(f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _fill_row(
    fill: Fill,
    purposes: Mapping[str, str],
    references: Mapping[str, float],
    slippage: Mapping[str, float],
) -> dict[str, Any]:
    return msgspec.structs.asdict(fill) | {
        "quantity": float(fill.quantity),
        "reference_price": references.get(fill.client_order_id),
        "slippage": slippage[fill.trade_id],
        "purpose": purposes.get(fill.client_order_id, "exit:flatten"),
    }


def _order_row(order: Any, ledger: Ledger, purposes: Mapping[str, str]) -> dict[str, Any]:
    terms = order.init_event
    client_order_id = str(order.client_order_id)
    price = price_of(getattr(order, "price", None))
    trigger_price = price_of(getattr(order, "trigger_price", None))
    known = ledger.orders.get(client_order_id)
    if known is not None:
        # As the strategy set them: the venue may have held the order aside, see `run.ambiguous`.
        price, trigger_price = known.price, known.trigger_price
    average = order.avg_px
    return {
        "ts": order.ts_init,
        "client_order_id": client_order_id,
        "strategy_id": str(order.strategy_id),
        "instrument_id": str(order.instrument_id),
        "side": side_of(order.side),
        "type": order.order_type.name,
        "quantity": order.quantity.raw / RAW_SCALE,
        "price": price,
        "trigger_price": trigger_price,
        "reduce_only": terms.reduce_only,
        "status": order.status.name,
        "filled_quantity": order.filled_qty.raw / RAW_SCALE,
        "average_price": None if average is None else float(average),
        "purpose": purposes.get(client_order_id, "exit:flatten"),
        "reason": str(getattr(order.last_event, "reason", None) or "") or None,
        "ts_last": order.ts_last,
    }
