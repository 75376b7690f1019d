"""What a back-test traded, from its finished engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import Venue

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.bars import RAW_SCALE
from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import Fill
from aitb_nautilus.observe.run_record import Ambiguous
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.translate import fee_fact, fill_fact, price_of, side_of
from aitb_nautilus.run.engine import BuiltEngine
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.run_writer import table_of
from aitb_nautilus.run.traded import Traded
from aitb_nautilus.run.venue_model import slipped

__all__ = ["balances_at", "traded_in_backtest"]


def traded_in_backtest(preparation: Preparation, built: BuiltEngine) -> Traded:
    """Return what a back-test traded.

    Raises
    ------
    RunError
        If the engine has no account of a venue.
    """
    ledger = preparation.context.ledger
    orders = _in_order(built.engine.cache.orders(), ledger)
    return Traded(
        fills=_fills(orders, ledger, preparation.context.instruments),
        orders=table_of("orders", (_order_row(order, preparation) for order in orders)),
        purposes={name: order.purpose for name, order in ledger.orders.items()},
        references={
            client_order_id: price
            for model in built.fill_models.values()
            for client_order_id, price in model.references.items()
        },
        balances={name: balances_at(built.engine.portfolio, name) for name in preparation.venues},
        settles_funding=True,
        ambiguous=_ambiguous(preparation, built),
        until=_reached(preparation),
    )


def balances_at(portfolio: Any, venue: str) -> dict[str, Any]:
    """Return the engine's balances at a venue by currency code.

    Raises
    ------
    RunError
        If it has no account there.
    """
    account = portfolio.account(Venue(venue))
    if account is None:
        raise RunError(f"venue {venue}", "the engine has no account of it", "must have one")
    return {currency.code: money for currency, money in account.balances_total().items()}


def _fills(orders: Sequence[Any], ledger: Ledger, instruments: Mapping[str, Any]) -> list[Fill]:
    """Return all fills of all orders, in the order in which they happened.

    The engine's orders have all of them. Which of two in the same moment came first only the ledger
    knows, which was told of each at once; it misses what came after a component was stopped.
    """
    place = {fill.key: i for i, fill in enumerate(ledger.fills)}
    events = [
        event
        for order in orders
        for event in order.events()
        if type(event).__name__ == "OrderFilled"
    ]
    fills = [
        fill_fact(e, fee_fact(e, instruments[str(e.instrument_id)], instruments, ledger.marks))
        for e in events
    ]
    return sorted(fills, key=lambda f: (f.ts, place.get(f.key, len(place))))


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


def _ambiguous(preparation: Preparation, built: BuiltEngine) -> Ambiguous:
    """Return what ambiguous bars earned under either order, after fees and slippage."""
    stop_first = target_first = 0.0
    for one in built.ambiguous.exits:
        venue = preparation.venues[venue_name(one.instrument_id)]
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


def _order_row(order: Any, preparation: Preparation) -> dict[str, Any]:
    ledger = preparation.context.ledger
    terms = order.init_event
    client_order_id = str(order.client_order_id)
    price = price_of(getattr(order, "price", None))
    trigger_price = price_of(getattr(order, "trigger_price", None))
    known = ledger.orders.get(client_order_id)
    if known is not None:
        # As the strategy set them: the venue may have held the order aside, see `run.ambiguous`.
        price, trigger_price = known.price, known.trigger_price
    average = order.avg_px
    is_held = order.instrument_id.venue.value in preparation.paid  # on its way before the engine
    return {
        "ts": known.ts_sent if is_held and known is not None else order.ts_init,
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
        "purpose": "exit:flatten" if known is None else known.purpose,
        "reason": str(getattr(order.last_event, "reason", None) or "") or None,
        "ts_last": order.ts_last,
    }
