"""Orders that the engine has open, and that ended for all we know.

A Redis that was away, or came back with what it had an hour ago, lets the engine begin with orders
that are gone. Nothing is told of them to anybody, and the engine is made to ask the venue for each:
what has ended there ends in its cache as well. What the venue does not end stays open there, and is
what the firewall shows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nautilus_trader.model import ClientOrderId

from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.strategy import GuardedStrategy

__all__ = ["StaleOrders"]


class StaleOrders:
    """Bring such orders of the engine's cache to where the venue has them.

    Parameters
    ----------
    context
        What the node's components share; its ledger holds what was taken over.
    strategies
        By id.
    """

    def __init__(self, context: Context, strategies: Mapping[str, GuardedStrategy]) -> None:
        self._context = context
        self._strategies = strategies
        self._asked: set[str] = set()

    def ask(self, cache: Any, sent: Collection[str]) -> int:
        """Ask for those that were not asked for yet; return how many.

        Parameters
        ----------
        cache
            The engine's.
        sent
            Ids that the journal says were sent.
        """
        ledger, before = self._context.ledger, len(self._asked)
        for order in cache.orders_open():
            name = str(order.client_order_id)
            known = ledger.orders.get(name)
            strategy = self._strategies.get(str(order.strategy_id))
            if name in self._asked or name not in sent or strategy is None:
                continue
            if known is None or not known.is_open:
                self._asked.add(name)
                self._context.outside.add(name)
                strategy.query_order(order)
        return len(self._asked) - before

    def is_waiting(self, cache: Any) -> bool:
        """Return whether the engine has some of them open still."""
        asked = (cache.order(ClientOrderId(name)) for name in self._asked)
        return any(order is not None and order.is_open for order in asked)

    def let_go(self) -> None:
        """Tell strategies again of those that the venue has open after all."""
        self._context.outside.difference_update(self._asked)
        self._asked.clear()
