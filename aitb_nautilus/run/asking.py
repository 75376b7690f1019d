"""What all need that ask venues about orders while a live node runs, and tell what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.engine_venue import let_engine_find
from aitb_nautilus.risk.recovery import Finding, finding_of, follow
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.venue_look import Asker

__all__ = ["Asking"]


class Asking(msgspec.Struct, frozen=True):
    """Whom to ask about orders, and whom to tell.

    Attributes
    ----------
    context
        What the node's components share.
    strategies
        Of the node.
    askers
        By venue name; of other venues nobody is asked.
    cache
        The engine's.
    pool
        On which venues are asked.
    note
        For the log of the run.
    """

    context: Context
    strategies: Sequence[GuardedStrategy]
    askers: Mapping[str, Asker]
    cache: Any
    pool: ThreadPoolExecutor
    note: Callable[[str, str], None]

    def may_ask(self, instrument_id: str) -> bool:
        """Return whether the venue of an instrument can be asked."""
        return venue_name(instrument_id) in self.askers

    def asker(self, instrument_id: str) -> Asker:
        """Return what asks the venue of an instrument."""
        return self.askers[venue_name(instrument_id)]

    def strategy(self, strategy_id: str) -> GuardedStrategy | None:
        """Return a strategy of the node."""
        return next((one for one in self.strategies if one.component_id == strategy_id), None)

    def answering(self) -> Mapping[str, Answers]:
        """Return who answers facts, by strategy id."""
        return {one.component_id: one.answering for one in self.strategies}

    def follow(self, finding: Finding, now: int) -> None:
        """Tell what was found; now, ns UTC."""
        follow(finding, self.context, self.answering(), now)

    def tell(
        self, client_order_id: str, found: tuple[VenueOrder, list[VenueFill]], now: int
    ) -> None:
        """Tell what became of an order, and let the engine find it as well; now, ns UTC."""
        self.follow(finding_of(self.context.ledger, client_order_id, found, now), now)
        self.let_engine_find(client_order_id)

    def let_engine_find(self, client_order_id: str) -> None:
        """Let the engine ask for an order of the ledger as well, if it lags behind that."""
        owner = self.strategy(self.context.ledger.orders[client_order_id].strategy_id)
        let_engine_find(self.context, self.cache, owner, client_order_id)
