"""What is sent again when a venue takes no exit, and what follows when that is of no use either.

A venue that goes on refusing must not be flooded, and a position must not stand without a stop
until the next bar, which may close in an hour. So between two bars, or fills, a stop is put back
once and a close is sent again once. After that the strategy is halted flat: the node goes on
closing once a second, and a person gets to know of it. Unless there is nothing to close any more:
of that a venue is asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aitb_nautilus.messages import CloseIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.trading_states import Halt, StateScope

__all__ = ["ExitRetries", "halt_flat"]


class ExitRetries:
    """Count what was sent again since the last bar or fill.

    Parameters
    ----------
    halt
        Told of the last order that came to nothing once there is nothing more to try.

    Attributes
    ----------
    may_put_back
        Whether a stop may be put back.
    """

    def __init__(self, halt: Callable[[Order, OrderUpdate], None]) -> None:
        self._halt = halt
        self._may_close = True
        self.may_put_back = True

    def renew(self) -> None:
        """Begin to count anew."""
        self.may_put_back = self._may_close = True

    def close(self, order: Order, update: OrderUpdate) -> Iterator[CloseIntent]:
        """Close what stands without a stop since an order came to nothing, or give up."""
        if not self._may_close:
            self._halt(order, update)
            return
        self._may_close = False
        yield CloseIntent(instrument_id=order.instrument_id, purpose=order.purpose)


def halt_flat(context: Context) -> Callable[[Order, OrderUpdate], None]:
    """Return what halts the strategy of an order, and has all closed that it holds.

    A venue that can be asked is asked first whether it holds the position at all: a stop that has
    just filled leaves nothing to close.
    """

    def halt(order: Order, update: OrderUpdate) -> None:
        guard = context.guard
        if guard.states.flattens(order.strategy_id, order.instrument_id):
            return
        ended = "refused" if update.status in ("REJECTED", "DENIED") else "ended"
        why = f": {update.reason}" if update.reason else ""
        halt = Halt(
            update.ts,
            f"{order.strategy_id} holds {order.instrument_id} without a stop, and the venue "
            f"has {ended} the close as well ({order.client_order_id}{why}); it is closed once "
            f"a second until that is done",
            order.strategy_id,
            order.client_order_id,
            cause="check",
            scope=StateScope.strategy(order.strategy_id),
            who="exits",
            flatten=True,
        )
        if not context.tape.recalled("asked", context.ask_held(order, halt)):
            guard.restrict(halt)

    return halt
