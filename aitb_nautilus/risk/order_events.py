"""What the engine says of an order, as the facts that a strategy answers."""

from __future__ import annotations

from functools import partial
from typing import Any

from nautilus_trader.model import TriggerType

from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.fees import unknown_fee
from aitb_nautilus.risk.translate import (
    fee_fact,
    fill_fact,
    kind_of,
    made_up_end,
    permit_of,
    price_of,
    update_fact,
)

__all__ = ["tell_order_event"]

_CHANGES = ("OrderPendingUpdate", "OrderUpdated")
_OURS = ("OrderInitialized", "OrderSubmitted", "OrderPendingCancel", "OrderPendingUpdate")
"""What the engine says of our own commands, while it carries them out: that never waits."""


def tell_order_event(event: Any, answering: Answers, context: Context, strategy_id: str) -> None:
    """Check new and changed orders against the permits; let the strategy answer the rest.

    Parameters
    ----------
    event
        Any order event of the engine.
    answering
        Of the strategy whose order it is.
    context
        What the node's components share.
    strategy_id
        The strategy's id.
    """
    kind = type(event).__name__
    client_order_id = str(event.client_order_id)
    if _is_no_news(event, kind, client_order_id, context):
        return
    if context.unpriced.held and kind not in _OURS:
        again = partial(tell_order_event, event, answering, context, strategy_id)
        if context.unpriced.follow(client_order_id, again):
            return
    if kind == "OrderInitialized":
        # The engine holds the strategy while it says this; no method of it may be called.
        answering.created(client_order_id, permit_of(event))
        if event.emulation_trigger not in (None, TriggerType.NO_TRIGGER):
            # Not at OrderEmulated: one that is triggered at once is let go without it.
            answering.emulated(client_order_id)
        elif client_order_id in context.ledger.orders:
            # An emulated order is let go as another kind: a stop as a market order.
            prices = price_of(event.price), price_of(event.trigger_price)
            context.ledger.apply_kind(client_order_id, kind_of(event.order_type), *prices)
    elif kind == "OrderSubmitted":
        answering.left(client_order_id)
    elif kind == "OrderPendingCancel":
        # Here and not where a cancel is wished: the engine's own methods cancel as well.
        answering.cancelling(client_order_id, str(event.instrument_id))
    elif kind == "OrderPendingUpdate":
        answering.changing(client_order_id)
    elif kind == "OrderFilled":
        _tell_fill(event, answering, context, strategy_id)
    else:
        update = update_fact(event)
        is_denial = update is not None and update.status == "DENIED"
        if update is not None and not (is_denial and context.hold_denial(update)):
            answering.update(update)


def _tell_fill(event: Any, answering: Answers, context: Context, strategy_id: str) -> None:
    """Let the strategy answer a fill, once it is known what its fee was worth."""
    instruments, marks = context.instruments, context.ledger.marks
    client_order_id, instrument_id = str(event.client_order_id), str(event.instrument_id)
    instrument = instruments[instrument_id]
    fee = fee_fact(event, instrument, instruments, marks, context.coin_prices)
    pair = fee.unknown, instrument.quote_currency.code
    again = partial(tell_order_event, event, answering, context, strategy_id)
    if fee.unknown and context.unpriced.take(client_order_id, instrument_id, pair, again):
        return
    answering.fill(fill_fact(event, fee))
    if fee.unknown:
        # After the fill: what it opened gets its exits all the same.
        why = unknown_fee(event.trade_id, event.commission, *pair)
        context.halt_from_node(why, event.ts_event, strategy_id, client_order_id)


def _is_no_news(event: Any, kind: str, client_order_id: str, context: Context) -> bool:
    """Return whether an event is not the strategy's business, or was told before."""
    if client_order_id in context.outside:
        return True
    if kind == "OrderFilled":
        filled = context.caught_up.get(client_order_id)
        if filled is not None and filled() <= context.ledger.orders[client_order_id].filled:
            return True
        return event.reconciliation and context.ask_venue(client_order_id)
    end = made_up_end(event)
    if end is not None and context.doubt_end(end):
        return True
    return client_order_id in context.aside and kind in _CHANGES
