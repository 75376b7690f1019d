"""Resting exits brought to what they should be: to what is left to close, to where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aitb_nautilus.messages import CancelIntent, Intent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.view import View

__all__ = ["bring_to", "cancel_again", "differs", "fitting"]


def fitting(view: View, instrument_id: str) -> Iterator[CancelIntent | ModifyIntent]:
    """Yield what cuts a strategy's plain exits to its position, the oldest kept first.

    A venue does this with reduce-only orders; a plain one would open the other side.
    """
    held = view.quantity(instrument_id)
    room = abs(held)
    for order in view.open_orders(instrument_id):
        if not order.is_exit or order.reduce_only:
            continue
        kept = ZERO if (held > 0) == (order.side == "BUY") else min(order.leaves, room)
        room -= kept
        if kept == 0:
            yield CancelIntent(client_order_id=order.client_order_id)
        elif kept < order.leaves:
            quantity = order.filled + kept
            yield ModifyIntent(client_order_id=order.client_order_id, quantity=quantity)


def cancel_again(orders: Iterable[Order]) -> Iterator[CancelIntent]:
    """Yield cancels of exits that rest on since a venue has refused to cancel them.

    Such as where the cancel has overtaken its order. What is opened next would meet them.

    Parameters
    ----------
    orders
        Exits of a position that is gone.
    """
    for order in orders:
        if order.ending == "refused" and order.status == "ACCEPTED":
            yield CancelIntent(client_order_id=order.client_order_id, by_exits=True)


def bring_to(order: Order | None, wanted: OrderIntent, tick: float) -> Iterator[Intent]:
    """Place an exit that should rest, or bring the one that does to its terms.

    A stop only tightens. What is still on its way is left alone: the venue would not know it.

    Parameters
    ----------
    order
        That rests; None if there is none.
    wanted
        The order that should.
    tick
        Step of prices, quote currency.
    """
    if order is None:
        yield wanted
        return
    if order.status != "ACCEPTED":
        return
    is_stop, price, moved = _moved(order, wanted, tick)
    quantity = wanted.quantity or ZERO
    if moved or order.leaves != quantity:
        yield ModifyIntent(
            client_order_id=order.client_order_id,
            quantity=order.filled + quantity if order.leaves != quantity else None,
            price=price if moved and not is_stop else None,
            trigger_price=price if moved and is_stop else None,
            purpose=wanted.purpose,
        )


def differs(order: Order, wanted: OrderIntent, tick: float) -> bool:
    """Return whether an exit that rests is not what should rest; a stop may be tighter."""
    return _moved(order, wanted, tick)[2] or order.leaves != wanted.quantity


def _moved(order: Order, wanted: OrderIntent, tick: float) -> tuple[bool, float, bool]:
    """Return whether it is a stop, where it should stand, and whether it must be moved there."""
    is_stop = wanted.trigger_price is not None
    price = (wanted.trigger_price if is_stop else wanted.price) or 0.0
    resting = (order.trigger_price if is_stop else order.price) or 0.0
    tighter = (price - resting) * (1 if wanted.side == "SELL" else -1)
    # Both stand on the grid: half a tick tells a move from float arithmetic.
    return is_stop, price, (tighter if is_stop else abs(tighter)) > tick / 2
