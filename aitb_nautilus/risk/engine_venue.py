"""What the engine's cache holds of a venue, as plain facts.

When a node starts, the engine asks its venues for all orders, fills and positions and puts them
into its cache; from there they are read for recovery and firewall.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from nautilus_trader.common import Cache
from nautilus_trader.model import ClientOrderId, PositionSide, Venue
from nautilus_trader.trading import Strategy

from aitb_nautilus.messages import OrderStatus, OrderUpdate
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.fees import unknown_fee
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.translate import (
    fee_fact,
    fill_fact,
    kind_of,
    made_up_end,
    price_of,
    side_of,
)
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder

__all__ = [
    "concluded_end",
    "filled_of",
    "find_order",
    "has_made_up_fill",
    "let_catch_up",
    "let_engine_find",
    "venue_facts",
    "venue_order",
]

_STATUS_OF: dict[str, OrderStatus] = {
    "DENIED": "DENIED",
    "REJECTED": "REJECTED",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "FILLED": "FILLED",
    "INITIALIZED": "SENT",
    "EMULATED": "SENT",
    "RELEASED": "SENT",
    "SUBMITTED": "SENT",
}
"""All others are those of an order that rests at the venue."""


def venue_order(order: Any) -> VenueOrder:
    """Return an order of the engine as the venue has it."""
    average = order.avg_px
    return VenueOrder(
        client_order_id=str(order.client_order_id),
        venue_order_id=str(order.venue_order_id or ""),
        instrument_id=str(order.instrument_id),
        side=side_of(order.side),
        kind=kind_of(order.order_type),
        quantity=order.quantity.as_decimal(),
        status=_STATUS_OF.get(order.status.name, "ACCEPTED"),
        filled=order.filled_qty.as_decimal(),
        price=price_of(getattr(order, "price", None)),
        trigger_price=price_of(getattr(order, "trigger_price", None)),
        average_price=None if average is None else float(average),
        reduce_only=order.is_reduce_only,
        ts=order.ts_last,
    )


def filled_of(cache: Cache, client_order_id: str, ledger: Ledger) -> Decimal:
    """Return what the engine knows to be filled of an order; all, where it has let it go."""
    order = cache.order(ClientOrderId(client_order_id))
    if order is None:
        return ledger.orders[client_order_id].filled
    filled: Decimal = order.filled_qty.as_decimal()
    return filled


def let_catch_up(context: Context, cache: Cache, client_order_id: str) -> None:
    """Pass over what the engine makes up of an order whose fills the venue itself has told."""
    context.caught_up[client_order_id] = partial(filled_of, cache, client_order_id, context.ledger)


def let_engine_find(
    context: Context, cache: Cache, strategy: Strategy | None, client_order_id: str
) -> None:
    """Let the engine ask for an order as well whose fate the venue has told us, if it lags.

    Its cache would go on denying exits by what it believes.

    Parameters
    ----------
    strategy
        The order's; None: it is none of the node's.
    """
    theirs = cache.order(ClientOrderId(client_order_id))
    if theirs is None:
        return
    let_catch_up(context, cache, client_order_id)
    ours = context.ledger.orders[client_order_id]
    lags = theirs.filled_qty.as_decimal() < ours.filled
    if strategy is not None and (lags or theirs.is_open != ours.is_open):
        Strategy.query_order(strategy, theirs)


def find_order(
    cache: Cache, client_order_id: str, context: Context
) -> tuple[VenueOrder, list[VenueFill]] | None:
    """Return an order and its fills by our name of it; None if the engine knows none.

    Parameters
    ----------
    context
        Knows what the coins are worth in which fees were paid.
    """
    order = cache.order(ClientOrderId(client_order_id))
    if order is None:
        return None
    instrument = cache.instrument(order.instrument_id)
    told = [one for one in order.events() if type(one).__name__ == "OrderFilled"]
    return venue_order(order), [_venue_fill(one, instrument, context) for one in told]


def _venue_fill(event: Any, instrument: Any, context: Context) -> VenueFill:
    marks = context.ledger.marks
    fee = fee_fact(event, instrument, context.instruments, marks, context.coin_prices)
    quote, fill = instrument.quote_currency.code, fill_fact(event, fee)
    why = unknown_fee(event.trade_id, event.commission, fee.unknown, quote) if fee.unknown else ""
    return VenueFill(
        trade_id=fill.trade_id,
        price=fill.price,
        quantity=fill.quantity,
        ts=fill.ts,
        fee=fill.fee,
        liquidity=fill.liquidity,
        base_fee=fill.base_fee,
        fee_elsewhere=fill.fee_elsewhere,
        unknown_fee=why,
    )


def concluded_end(cache: Cache, client_order_id: str) -> OrderUpdate | None:
    """Return the end of an order that the engine has concluded from silence; else None."""
    order = cache.order(ClientOrderId(client_order_id))
    events = [] if order is None else order.events()
    return made_up_end(events[-1]) if events else None


def has_made_up_fill(cache: Cache, client_order_id: str) -> bool:
    """Return whether the engine has found a fill that it was not told of, perhaps without a fee."""
    order = cache.order(ClientOrderId(client_order_id))
    events = [] if order is None else order.events()
    return any(type(one).__name__ == "OrderFilled" and one.reconciliation for one in events)


def venue_facts(cache: Cache, venues: Sequence[str]) -> VenueFacts:
    """Return open orders, positions and balances of some venues."""
    orders, positions, balances = [], dict[str, Decimal](), dict[str, Decimal]()
    entry_prices: dict[str, float] = {}
    for name in venues:
        venue = Venue(name)
        orders += [venue_order(order) for order in cache.orders_open(venue=venue)]
        for position in cache.positions_open(venue=venue):
            instrument_id = str(position.instrument_id)
            held = position.quantity.as_decimal() * (
                -1 if position.side == PositionSide.SHORT else 1
            )
            positions[instrument_id] = positions.get(instrument_id, Decimal(0)) + held
            entry_prices[instrument_id] = float(position.avg_px_open)
        account = cache.account_for_venue(venue)
        if account is not None:
            for currency, money in account.balances_total().items():
                code = currency.code
                balances[code] = balances.get(code, Decimal(0)) + money.as_decimal()
    return VenueFacts(
        venues=tuple(venues),
        orders=tuple(orders),
        positions=positions,
        entry_prices=entry_prices,
        balances=balances,
    )
