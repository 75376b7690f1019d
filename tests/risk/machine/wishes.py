"""What strategies of the machine think of: orders, absurd ones among them, exits and changes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from aitb_nautilus.messages import (
    CancelIntent,
    CloseIntent,
    Intent,
    ModifyIntent,
    OrderIntent,
    opposite,
)
from aitb_nautilus.risk.order_port import OrderTerms
from tests.risk.machine.desks import INSTRUMENTS
from tests.risk.machine.node import LOTS, RANDOM, TICKS

if TYPE_CHECKING:
    from tests.risk.machine.world import World

__all__ = ["built", "draw_exit", "draw_intent", "draw_order"]

ZERO = Decimal(0)


def draw_intent(world: World, id_: str) -> Intent:
    kind = world.pick(10)
    if kind < 5:
        return draw_order(world, id_)
    if kind < 8:
        return draw_exit(world, id_)
    orders = [o for o in world.venue.orders.values() if o.strategy_id == id_ and not o.end_told]
    if not orders:
        return draw_order(world, id_)
    order = orders[-1 - world.pick(min(len(orders), 4))]
    factor = (None, None, 0.5, 1.5, 4.0)[world.pick(5)]
    quantity = None
    if factor is not None:
        lot = LOTS[order.instrument_id]
        quantity = Decimal(float(order.quantity) * factor) // lot * lot
    moved = 1 + (world.pick(81) - 40) * 1e-3
    moves = world.pick(2) or quantity is None
    return ModifyIntent(
        client_order_id=order.client_order_id,
        quantity=quantity,
        price=order.price * moved if order.price and moves else None,
        trigger_price=order.trigger_price * moved if order.trigger_price and moves else None,
    )


def draw_order(world: World, id_: str) -> OrderIntent:
    instrument_id = INSTRUMENTS[world.pick(3)]
    mark = world.venue.prices[instrument_id]
    lot = LOTS[instrument_id]
    notional = (60.0, 500.0, 2_000.0, 4_999.0, 20_000.0)[world.pick(5)]
    quantity = Decimal(notional / mark) // lot * lot
    if not world.pick(25):
        quantity = (ZERO, -lot, lot / 3, Decimal("NaN"), Decimal("1e15"))[world.pick(5)]
    away = 1 + (world.pick(121) - 60) * 1e-3
    kind = ("MARKET", "MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT", "MARKET_IF_TOUCHED")[
        world.pick(6)
    ]
    return OrderIntent(
        instrument_id=instrument_id,
        side=("BUY", "SELL")[world.pick(2)],
        kind=kind,  # type: ignore[arg-type]
        quantity=quantity,
        price=mark * away if "LIMIT" in kind else None,
        trigger_price=mark * away if kind.startswith(("STOP", "MARKET_IF")) else None,
        reduce_only=not world.pick(8),
    )


def draw_exit(world: World, id_: str) -> Intent:
    instrument_id = INSTRUMENTS[world.pick(3)]
    held = world.history.held[id_, instrument_id]
    orders = [o for o in world.venue.orders.values() if o.strategy_id == id_ and not o.end_told]
    if orders and not world.pick(3) and id_ == RANDOM:
        order = orders[-1 - world.pick(min(len(orders), 4))]
        return CancelIntent(client_order_id=order.client_order_id)
    if not held or not world.pick(2):
        return CloseIntent(instrument_id=instrument_id)
    lot = LOTS[instrument_id]
    part = max(abs(held) * (1 + world.pick(4)) / 4 // lot * lot, lot)
    return OrderIntent(
        instrument_id=instrument_id,
        side=opposite("BUY" if held > 0 else "SELL"),
        quantity=part,
        reduce_only=bool(world.pick(2)),
        purpose="exit:signal",
    )


def built(id_: str, intent: OrderIntent) -> OrderTerms:
    tick = TICKS[intent.instrument_id]
    price, trigger = (
        None if p is None else float(Decimal(p) // tick * tick)
        for p in (intent.price, intent.trigger_price)
    )
    return OrderTerms(
        client_order_id=id_,
        instrument_id=intent.instrument_id,
        side=intent.side,
        kind=intent.kind,
        quantity=intent.quantity or ZERO,
        price=price,
        trigger_price=trigger,
        reduce_only=intent.reduce_only,
        purpose="entry",
    )
