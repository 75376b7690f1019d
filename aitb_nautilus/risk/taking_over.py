"""What a node takes over from the one before it, brought to ledger, guard and strategies.

Each of these passes the tape first, with everything that it needs, and is then done. So a replay
does the very same, by the same function, at the same place in the order (`replay_node`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import to_builtins
from msgspec.structs import astuple

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.journal_carried import Carried, take_over
from aitb_nautilus.risk.journal_records import Sent
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.venue_facts import VenueOrder

__all__ = [
    "adopt",
    "begin_day",
    "begin_with_equity",
    "bind",
    "hold",
    "know_sent",
    "protect",
    "put_back",
    "settle_on",
]


def know_sent(context: Context, client_order_ids: Collection[str]) -> None:
    """Let the guard know which orders earlier runs have sent: none is sent again."""
    context.tape.heard("sent before", "", list(client_order_ids))
    context.guard.permits.remember_sent(client_order_ids)


def bind(context: Context, halt: Halt) -> None:
    """Let less be sent, for a reason that the node has found."""
    context.tape.heard("bound", "", to_builtins(halt))
    context.guard.restrict(halt)


def hold(
    context: Context,
    strategies: Iterable[GuardedStrategy],
    carried: Carried,
    exits: Mapping[str, Mapping[str, ExitState]],
) -> None:
    """Let ledger, permits and exits begin with what the run before held.

    Parameters
    ----------
    carried
        What it was.
    exits
        What exits remembered of it, by the ids of strategy and instrument.
    """
    context.tape.heard("carried", "", to_builtins(carried), to_builtins(exits))
    take_over(carried, context.ledger)
    for name, state in carried.own_trades.items():
        if name in context.trade_records:
            context.trade_records[name].restore(state)
    context.guard.permits.expect_again()
    for strategy in strategies:
        saved = exits.get(strategy.component_id, {})
        for name, manager in strategy.exit_managers().items():
            manager.bring_back(saved.get(name))


def protect(context: Context, strategy: GuardedStrategy, instrument_id: str, now: int) -> None:
    """Place the exits of a position that are missing, before the past is told.

    Parameters
    ----------
    now
        ns UTC.
    """
    manager = strategy.exit_managers().get(instrument_id)
    if manager is None or not strategy.view.quantity(instrument_id):
        return
    context.tape.heard("protect", strategy.component_id, now, instrument_id)
    strategy.answering.move_on(now)
    strategy.act(manager.protect())


def put_back(
    context: Context,
    strategy: GuardedStrategy,
    instrument_id: str,
    bars: Sequence[BarClosed],
    now: int,
) -> None:
    """Put the exits of a position back into place, or close what they would have closed.

    Parameters
    ----------
    bars
        Of the instrument, oldest first; at least those that closed since the position was opened.
    now
        ns UTC.
    """
    manager = strategy.exit_managers().get(instrument_id)
    position = strategy.view.position(instrument_id)
    if manager is None or not position.quantity:
        return
    since = [bar for bar in bars if bar.ts >= position.ts_opened]
    context.tape.heard(
        "exits", strategy.component_id, now, instrument_id, [astuple(bar) for bar in since]
    )
    strategy.answering.move_on(now)
    strategy.act(manager.resume(since))


def settle_on(context: Context, balance: float) -> None:
    """Let the ledger add up to a balance that the venue says, in the trader's currency."""
    context.tape.heard("equity", "", balance)
    context.ledger.settle_on(balance)


def begin_with_equity(context: Context, equity: float) -> None:
    """Let the ledger's account begin with another equity, in the trader's currency."""
    context.tape.heard("began with", "", equity)
    context.ledger.begin_with(equity)


def begin_day(context: Context, now: int) -> None:
    """Let the limits of a day that begins with this node know what it begins with.

    Everything that was held before is known by now, and nothing was opened since.
    """
    context.tape.heard("began at", "", now)
    context.guard.memory.begin_day(now)


def adopt(context: Context, order: VenueOrder, owner: str, now: int) -> str:
    """Make an order that nobody here sent one of a strategy's.

    Parameters
    ----------
    owner
        Id of the strategy.
    now
        ns UTC.

    Returns
    -------
    str
        Why that cannot be, or nothing.
    """
    context.tape.heard("adopted", "", owner, now, to_builtins(order))
    name = order.client_order_id
    ours = Order(
        client_order_id=name,
        strategy_id=owner,
        instrument_id=order.instrument_id,
        side=order.side,
        kind=order.kind,
        quantity=order.quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        reduce_only=order.reduce_only,
        purpose="adopted",
        ts_sent=now,
        is_exit=order.reduce_only,
    )
    sent = Sent(
        action="submit",
        side=order.side,
        order_kind=order.kind,
        quantity=order.quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        reduce_only=order.reduce_only,
        purpose="adopted",
    )
    why = context.chronicle.sent([(ours, sent)], now)
    if why:
        return f"it cannot be journalled: {why}"
    permit = Permit(order.instrument_id, order.side, order.quantity, order.reduce_only)
    context.guard.permits.give(name, permit)
    context.ledger.apply_order(ours)
    return ""
