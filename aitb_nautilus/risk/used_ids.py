"""An order id is used once: the engine would fill it twice."""

from __future__ import annotations

from collections.abc import Callable

from aitb_nautilus.messages import OrderIntent
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.order_port import OrderPort

__all__ = ["UsedIds"]


class UsedIds:
    """Look ids of one strategy's orders up in the journal and in the engine.

    Parameters
    ----------
    context, strategy_id, port, now
        As of `OrderSender`.
    """

    def __init__(
        self, context: Context, strategy_id: str, port: OrderPort, now: Callable[[], int]
    ) -> None:
        self._context = context
        self._strategy_id = strategy_id
        self._port = port
        self._now = now

    def is_used(self, client_order_id: str) -> bool:
        """Return whether there was an order of that id, in this run or in one before."""
        permits = self._context.guard.permits
        return permits.is_used(client_order_id) or self._port.knows(client_order_id)

    def is_done_with(self, client_order_id: str, decision: Decision) -> bool:
        """Return whether what a used id stands for need not, or must not, be sent once more.

        An exit that came to nothing is sent under another id: exits always pass.
        """
        order = self._context.ledger.orders.get(client_order_id)
        came_to_nothing = order is None or not (order.is_open or order.filled)
        return not (decision.reducing and came_to_nothing)

    def refuse(self, client_order_id: str, intent: OrderIntent) -> Decision:
        """Refuse a wish whose id was used."""
        line = f"order id {client_order_id} was used before; the engine would fill it twice"
        return self._context.guard.refuse(
            intent.instrument_id, self._strategy_id, self._now(), "id", line
        )
