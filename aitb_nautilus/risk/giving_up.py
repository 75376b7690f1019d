"""What a venue takes no order for is given up: it becomes dust, once, and is said.

A spot market takes no sale below a least value. A position that was worth more when it was bought
can fall below that; then no close of it is taken, and no stop. Sent again and again, it would halt
its strategy, and be refused once a second. So where a close is wished, and what is held is worth
too little at the last price, it is given up in its stead; and where the venue refuses a sale at the
market for that, since it looks at the average price of some minutes. What rests for it is
cancelled. The strategy holds nothing then, and goes on; the coins are sold with the next position.

References
----------
Binance, Spot, Filters: NOTIONAL and MIN_NOTIONAL. ``minNotional`` holds for price times quantity;
of an order at the market, the price is the average of the last ``avgPriceMins`` minutes
(https://developers.binance.com/docs/binance-spot-api-docs/filters).
"""

from __future__ import annotations

from collections.abc import Callable

from aitb_nautilus.messages import CancelIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.silence import silence

__all__ = ["GivingUp"]

_FILTER = "NOTIONAL"
"""Stands in the venue's words for a refusal because of an order's value, too low or too high."""
_NEAR = 2
"""A refusal because of the value says that it is too low, if it is below so many least values."""


class GivingUp:
    """Give up what one strategy holds where nothing can sell it.

    Parameters
    ----------
    context
        What the node's components share.
    strategy_id
        Whose positions.
    cancel
        Cancels one of its orders.
    """

    def __init__(
        self, context: Context, strategy_id: str, cancel: Callable[[CancelIntent], None]
    ) -> None:
        self._context = context
        self._strategy_id = strategy_id
        self._cancel = cancel

    def instead_of_close(self, instrument_id: str, ts: int) -> bool:
        """Give up what is too little for a close at the last price; return whether it was.

        Before the first bar no price is known that is new enough: the venue says it then.

        Parameters
        ----------
        ts
            Of the fact that is answered, ns UTC.
        """
        ledger = self._context.ledger
        return bool(ledger.heard) and self._give_up(instrument_id, ts, 1)

    def hear(self, order: Order, update: OrderUpdate) -> None:
        """Give up what an order should have sold that the venue has refused for its value."""
        is_close = order.side == "SELL" and order.kind == "MARKET" and order.is_exit
        if is_close and update.status == "REJECTED" and _FILTER in update.reason:
            self._give_up(order.instrument_id, update.ts, _NEAR)

    def _give_up(self, instrument_id: str, ts: int, near: int) -> bool:
        """Give up what is worth less than so many least values; return whether it was."""
        ledger, rules = self._context.ledger, self._context.guard.lots.get(instrument_id)
        mark = ledger.marks.get(instrument_id)
        held = ledger.position(self._strategy_id, instrument_id).quantity
        if rules is None or not rules.long_only or mark is None or held <= 0:
            return False
        if silence(self._context.guard):
            return False  # Nothing is sent at all: it stays what it is.
        mine = [o for o in ledger.open_orders(instrument_id) if o.strategy_id == self._strategy_id]
        sales = [order for order in mine if order.side == "SELL"]
        if not rules.is_too_small(held / near, mark) or any(o.kind == "MARKET" for o in sales):
            return False  # One that is on its way at the market may still sell it.
        why = (
            f"at {mark:g} it is worth {float(held) * mark:.2f}, and the venue takes no order below "
            f"{rules.min_notional:g}"
        )
        ledger.give_up(self._strategy_id, instrument_id, ts, why)
        self._context.chronicle.gave_up(ledger.dust.given_up[-1])
        for order in sales:
            self._cancel(CancelIntent(client_order_id=order.client_order_id))
        return True
