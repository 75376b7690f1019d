"""Orders of the run before that the engine gives to no strategy: read off its cache.

The engine gives what it finds at a venue to the strategy that claims the instrument. Where several
trade one, none does; the journal knows whose each order is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId

from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.engine_venue import concluded_end, find_order, has_made_up_fill
from aitb_nautilus.risk.recovery import finding_of, follow
from aitb_nautilus.risk.venue_facts import VenueOrder

__all__ = ["CarriedOrders", "has_news"]


class CarriedOrders:
    """Follow the orders that were open when a node took over.

    Parameters
    ----------
    context
        What the node's components share; its ledger holds what was taken over.
    cache
        The engine's.
    """

    def __init__(self, context: Context, cache: Any) -> None:
        self._context = context
        self._cache = cache
        self._asked: dict[str, Decimal] = {}
        self._names = [o.client_order_id for o in context.ledger.every_open_order()]

    def follow(self, answering: Mapping[str, Answers], now: int) -> None:
        """Tell what became of them; called ten times a second.

        Parameters
        ----------
        answering
            By strategy id.
        now
            ns UTC.
        """
        ledger = self._context.ledger
        for name in tuple(self._names):
            known = ledger.orders[name]
            if not known.is_open:
                self._names.remove(name)
                continue
            cached = self._cache.order(ClientOrderId(name))
            if cached is None or str(cached.strategy_id) == known.strategy_id:
                continue
            found = find_order(self._cache, name, self._context)
            if found is None or not has_news(found[0], known):
                continue
            order, fills = found
            lacks_fee = has_made_up_fill(self._cache, name) or any(f.unknown_fee for f in fills)
            is_missed = order.filled > known.filled
            if is_missed and lacks_fee and self._is_asked_for(name, order.filled):
                continue
            end = concluded_end(self._cache, name)
            if end is not None and self._context.doubt_end(end):
                continue
            follow(finding_of(ledger, name, found, now), self._context, answering, now)

    def _is_asked_for(self, client_order_id: str, filled: Decimal) -> bool:
        """Ask the venue itself for fills whose fee the engine does not say, once for each amount.

        A fill that is made up has none, and on a spot market more would be held than there is; that
        of another one may be paid in a coin of which the run knows no price.
        """
        if self._asked.get(client_order_id) != filled:
            if not self._context.ask_venue(client_order_id):
                return False
            self._asked[client_order_id] = filled
        return True


def has_news(order: VenueOrder, known: Order) -> bool:
    """Return whether the engine knows more of an order than the ledger does."""
    if order.filled < known.filled:
        return False  # The venue itself has told more than the engine knows.
    return (
        order.filled > known.filled
        or order.is_open != known.is_open
        or (order.price, order.trigger_price, order.quantity)
        != (known.price, known.trigger_price, known.quantity)
    )
