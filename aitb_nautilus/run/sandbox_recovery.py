"""The engine's sandbox forgets everything: what a paper trader held is opened there once more.

The journal is the book; the sandbox only has to know that something is held, or it would refuse the
exits. So each position is bought there again at the market by an order that no strategy is told of
and no account counts: ledger and results go on with the average price of the journal. Orders that
rested are ended; exits are placed anew, entries are not: they were decided in another market.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.risk.recovery import Finding, follow
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.venue_hands import EngineHands

__all__ = ["Reopening", "end_orders"]

_AGAIN_NS = 1_000_000_000
_ENDED = "ended with the simulated exchange that it rested at"


def end_orders(context: Context, now: int) -> int:
    """End every open order of a ledger that was taken over; return how many."""
    updates = tuple(
        OrderUpdate(o.client_order_id, o.instrument_id, now, "CANCELED", reason=_ENDED)
        for o in context.ledger.every_open_order()
    )
    follow(Finding(updates), context, {}, now)
    return len(updates)


class Reopening:
    """Open positions again in the sandbox.

    Parameters
    ----------
    context
        What the node's components share.
    strategies
        By id.
    positions
        What was held.
    on_quotes
        Whether the sandbox fills on quotes; else it does on bars.
    """

    def __init__(
        self,
        context: Context,
        strategies: Mapping[str, GuardedStrategy],
        positions: tuple[CarriedPosition, ...],
        *,
        on_quotes: bool,
    ) -> None:
        self._left = {p: "" for p in positions if p.strategy_id in strategies}
        self._hands = {
            name: EngineHands(context, [strategy]) for name, strategy in strategies.items()
        }
        self._on_quotes = on_quotes
        self._again = 0

    def go_on(self, cache: Any, now: int) -> bool:
        """Send what can be filled by now; return whether all of it is.

        Parameters
        ----------
        cache
            The engine's.
        now
            ns UTC.
        """
        for position, name in tuple(self._left.items()):
            order = cache.order(ClientOrderId(name)) if name else None
            if order is not None and order.status.name == "FILLED":
                del self._left[position]
            elif (order is None or order.is_closed) and now >= self._again:
                self._send(position, cache, now)
        return not self._left

    def _send(self, position: CarriedPosition, cache: Any, now: int) -> None:
        instrument_id = InstrumentId.from_str(position.instrument_id)
        if self._on_quotes and cache.quote(instrument_id) is None:
            return
        self._again = now + _AGAIN_NS
        self._left[position] = self._hands[position.strategy_id].send(
            position.instrument_id,
            "BUY" if position.quantity > 0 else "SELL",
            abs(position.quantity),
            reduce_only=False,
        )
