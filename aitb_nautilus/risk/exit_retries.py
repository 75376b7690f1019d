"""What is sent again when a venue takes no exit, and what follows when that is of no use either.

A venue that goes on refusing must not be flooded, and a position must not stand without a stop
until the next bar, which may close in an hour. So between two bars, or fills, a stop is put back
once and a close is sent again once. After that the strategy is halted flat: the node goes on
closing once a second, and a person gets to know of it. Unless there is nothing to close any more:
of that a venue is asked before, and where strategies share the instrument before the second close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aitb_nautilus.messages import CloseIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.shared import is_shared
from aitb_nautilus.risk.trading_states import Halt, StateScope

__all__ = ["ExitRetries", "GiveUp", "halt_flat"]

type GiveUp = Callable[[Order, OrderUpdate, bool], bool]
"""See `ExitRetries`."""


class ExitRetries:
    """Count what was sent again since the last bar or fill.

    Parameters
    ----------
    halt
        Told of an order that came to nothing, and whether it was the last one to be tried. Returns
        whether it sees to the rest.

    Attributes
    ----------
    may_put_back
        Whether a stop may be put back.
    """

    def __init__(self, halt: GiveUp) -> None:
        self._halt = halt
        self._may_close = True
        self.may_put_back = True

    def renew(self) -> None:
        """Begin to count anew."""
        self.may_put_back = self._may_close = True

    def close(self, order: Order, update: OrderUpdate) -> Iterator[CloseIntent]:
        """Close what stands without a stop since an order came to nothing, or give up."""
        is_last, self._may_close = not self._may_close, False
        if self._halt(order, update, is_last) or is_last:
            return
        yield CloseIntent(instrument_id=order.instrument_id, purpose=order.purpose)


def halt_flat(context: Context) -> GiveUp:
    """Return what halts the strategy of an order, and has all closed that it holds.

    A venue that can be asked is asked first whether it holds the position at all: a stop that has
    just filled leaves nothing to close. Where another strategy has the instrument as well it is
    asked before a second close leaves: that would take what the other one holds.
    """

    def halt(order: Order, update: OrderUpdate, is_last: bool) -> bool:
        guard, key = context.guard, (order.strategy_id, order.instrument_id)
        if guard.states.flattens(*key) or not (is_last or is_shared(context.ledger, *key)):
            return False
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
        is_asked = bool(context.tape.recalled("asked", context.ask_held(order, halt)))
        if is_last and not is_asked:
            guard.restrict(halt)
        return is_asked

    return halt
