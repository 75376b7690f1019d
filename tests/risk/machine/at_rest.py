"""What must be true once everything has arrived and was heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aitb_nautilus.risk.trading_states import StateScope
from tests.risk.machine.desks import BTC, INSTRUMENTS, SOL
from tests.risk.machine.node import THRESHOLD
from tests.risk.machine.outcomes import Found

if TYPE_CHECKING:
    from tests.risk.machine.world import World

__all__ = ["covers", "settle"]

SECOND = 10**9


def covers(scope: StateScope, strategy_id: str, instrument_id: str) -> bool:
    """Return whether a halt holds for this, worked out from its name alone."""
    if scope.kind == "strategy":
        return strategy_id.startswith(f"{scope.id}-")
    return scope.kind == "trader" or scope.id == instrument_id


def disobeyed(world: World) -> list[str]:
    """Return what halts have not ended, though everything has arrived."""
    left = []
    for halt in world.node.context.guard.states.in_force:
        left += [
            f"{order!r} rests in spite of {halt.reason}"
            for order in world.venue.orders.values()
            if halt.level == "halted"
            and order.state == "open"
            and not (order.reduce_only or order.born_exit)
            and covers(halt.scope, order.strategy_id, order.instrument_id)
        ]
        left += [
            f"{held} {instrument_id} is held in spite of {halt.reason}"
            for (strategy_id, instrument_id), held in world.venue.positions.items()
            if halt.flatten and held and covers(halt.scope, strategy_id, instrument_id)
            if not world.history.is_dust(strategy_id, instrument_id)
        ]
    return left


def settle(world: World) -> None:
    """Let everything arrive and be heard, and compare the two sides."""
    quieten(world)
    if disobeyed(world):
        world.venue.calm = True
        for _ in range(3):
            world.clock += 2 * SECOND
            world.node.obey()
            quieten(world)
        left = disobeyed(world)
        world.venue.calm = False
        if left:
            raise Found("; ".join(left))
    if unprotected(world):
        # A venue that refuses a stop and then its close is asked again at the next bar.
        world.venue.calm = True
        world.bar()
        quieten(world)
        left = unprotected(world)
        world.venue.calm = False
        if left:
            raise Found(f"held without a stop: {left}")
    compare(world)


def quieten(world: World) -> None:
    if not world.venue.up:
        world.reconnect()
    for _ in range(500):
        if world.venue.flying:
            world.venue.arrive(world.pick)
        elif world.venue.outbox:
            world._tell(0)
            world.node.check_alive()
        elif waiting := [
            o for o in world.venue.orders.values() if o.state == "open" and o.kind == "MARKET"
        ]:
            one = waiting[0].instrument_id
            world.venue.move(one, world.venue.prices[one], world.pick)
        else:
            return
    raise Found("node and venue never come to rest")


def unprotected(world: World) -> list[str]:
    if not world.threshold.exits.has_stop:
        return []
    missing = []
    for instrument_id in (BTC, SOL):
        held = world.venue.held(THRESHOLD, instrument_id)
        world.tally["positions looked at for a stop"] += bool(held)
        covered = sum(
            o.leaves
            for o in world.venue.resting(THRESHOLD, instrument_id)
            if o.reduce_only
            and o.kind == "STOP_MARKET"
            and o.side == ("SELL" if held > 0 else "BUY")
        )
        if covered < abs(held):
            missing.append(f"{held} {instrument_id}, covered {covered}")
    return missing


def compare(world: World) -> None:
    """Compare the node's ledger with the venue, now that nothing is on its way."""
    ledger = world.node.context.ledger
    ours = {k: p.held for k, p in ledger.positions.items() if p.held}
    theirs = {k: q for k, q in world.venue.positions.items() if q}
    if ours != theirs:
        raise Found(f"the ledger holds {ours}, the venue {theirs}")
    open_ = {o.client_order_id for i in INSTRUMENTS for o in ledger.open_orders(i)}
    there = {o.client_order_id for o in world.venue.orders.values() if o.state == "open"}
    if open_ != there:
        raise Found(f"open in the ledger alone {open_ - there}, at the venue {there - open_}")
    for id_ in there:
        mine, its = ledger.orders[id_], world.venue.orders[id_]
        if (mine.quantity, mine.filled) != (its.quantity, its.filled):
            raise Found(f"{its!r} is {mine.filled} of {mine.quantity} in the ledger")
    if abs(ledger.equity() - world.history.equity()) > 1e-6:
        raise Found(f"equity is {ledger.equity()}, must be {world.history.equity()}")
    world.tally["compared"] += 1
