"""What the engine has heard of orders since its strategies were stopped.

A strategy is told of nothing once the engine stops it, while what is on its way goes on: for half a
second the engine still books fills. They are taken from its cache, so that the journal ends with
what the account ends with.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.engine_venue import concluded_end, find_order
from aitb_nautilus.risk.recovery import finding_of, follow
from aitb_nautilus.run.carried_orders import has_news

__all__ = ["follow_to_the_end"]

_ENDED = "ended while the node was being stopped"


def follow_to_the_end(context: Context, cache: Any, now: int) -> None:
    """Let ledger and journal know what became of open orders; the engine has ended.

    Parameters
    ----------
    context
        What the node's components share; journal and recording are open.
    cache
        The engine's.
    now
        ns UTC.
    """
    ledger = context.ledger
    for known in tuple(ledger.every_open_order()):
        found = find_order(cache, known.client_order_id, context)
        if found is None or not has_news(found[0], known):
            continue
        end = concluded_end(cache, known.client_order_id)
        if end is not None and context.doubt_end(end):
            continue  # It is open for us, and the next node asks for it.
        finding = finding_of(ledger, known.client_order_id, found, now)
        facts = tuple(
            replace(fact, reason=_ENDED) if isinstance(fact, OrderUpdate) and fact.reason else fact
            for fact in finding.facts
        )
        follow(replace(finding, facts=facts), context, {}, now)
