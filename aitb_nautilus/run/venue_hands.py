"""What a node does at a venue about things that no strategy owns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

from aitb_nautilus.messages import Side
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.engine_port import EnginePort
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.venue_facts import VenueOrder

__all__ = ["EngineHands"]


class EngineHands:
    """Cancel and close through the engine, by the commands of the node's first strategy.

    No strategy is told of it: what was done is seen at the next comparison.

    Parameters
    ----------
    context
        What the node's components share.
    strategies
        Of the node.
    """

    def __init__(self, context: Context, strategies: Sequence[GuardedStrategy]) -> None:
        self._context = context
        self._strategies = strategies
        first, guard = strategies[0], context.guard
        tell = first.answering.update
        self._port = EnginePort(first, context.instruments, guard, tell, context.tagged)

    def knows(self, order: VenueOrder) -> bool:
        """Return whether the engine has an order."""
        return self._port.knows(order.client_order_id or order.venue_order_id)

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an order, whoever sent it."""
        self._port.cancel(order.client_order_id or order.venue_order_id)

    def close(self, instrument_id: str, side: Side, quantity: Decimal) -> None:
        """Send a reduce-only order at the market that belongs to no strategy."""
        self.send(instrument_id, side, quantity, reduce_only=True)

    def answering(self) -> Mapping[str, Answers]:
        """Return who answers facts, by strategy id."""
        return {one.component_id: one.answering for one in self._strategies}

    def send(self, instrument_id: str, side: Side, quantity: Decimal, *, reduce_only: bool) -> str:
        """Send an order at the market that no strategy is told of; return its id."""
        name = uuid.uuid4().hex
        self._context.outside.add(name)
        permit = Permit(instrument_id, side, quantity, reduce_only)
        self._context.guard.permits.give(name, permit)
        self._port.submit(
            OrderTerms(
                client_order_id=name,
                instrument_id=instrument_id,
                side=side,
                kind="MARKET",
                quantity=quantity,
                price=None,
                trigger_price=None,
                reduce_only=reduce_only,
                post_only=False,
                purpose="outside",
            )
        )
        return name
