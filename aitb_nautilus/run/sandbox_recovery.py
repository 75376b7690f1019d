"""The engine's sandbox forgets everything: what a paper trader held is opened there once more.

The journal is the book; the sandbox only has to know that something is held, or it would refuse the
exits. So each position is bought there again at the market by an order that no strategy is told of
and no account counts: ledger and results go on with the average price of the journal. What is worth
less than the least order is bought with more, which is sold again. Orders that rested are ended;
exits are placed anew, entries are not: they were decided in another market.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

from nautilus_trader.model import ClientOrderId, InstrumentId

from aitb_nautilus.messages import OrderUpdate, Side, opposite
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.risk.recovery import Finding, follow
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.venue_hands import EngineHands

__all__ = ["Reopening", "end_orders"]

_AGAIN_NS = 1_000_000_000
_MORE = 1.2
"""The price may have fallen since the last bar: so much more than the least value is sent."""
_ENDED = "ended with the simulated exchange that it rested at"


def end_orders(context: Context, now: int) -> int:
    """End every open order of a ledger that was taken over; return how many."""
    updates = tuple(
        OrderUpdate(o.client_order_id, o.instrument_id, now, "CANCELED", reason=_ENDED)
        for o in context.ledger.every_open_order()
    )
    follow(Finding(updates), context, {}, now)
    return len(updates)


class _Leg(NamedTuple):
    side: Side
    quantity: Decimal
    reduce_only: bool


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
        self._left = {p: _legs(p, context) for p in positions if p.strategy_id in strategies}
        self._sent = dict.fromkeys(self._left, "")
        self._hands = {
            name: EngineHands(context, [strategy]) for name, strategy in strategies.items()
        }
        self._on_quotes = on_quotes
        self._refusals: dict[CarriedPosition | None, str] = {}
        self._prices = "quotes" if on_quotes else "bars"
        self._again = dict.fromkeys(self._left, 0)

    def go_on(self, cache: Any, now: int) -> bool:
        """Send what can be filled by now; return whether all of it is.

        Parameters
        ----------
        cache
            The engine's.
        now
            ns UTC.
        """
        for position, name in tuple(self._sent.items()):
            order = cache.order(ClientOrderId(name)) if name else None
            if order is not None and order.status.name == "FILLED":
                self._sent[position], self._again[position] = "", 0
                self._refusals.pop(position, None)
                del self._left[position][0]
                if not self._left[position]:
                    del self._left[position], self._sent[position]
                    continue
                order = None
            elif order is not None and order.is_closed:
                self._hear_refusal(position, order)
            if (order is None or order.is_closed) and now >= self._again[position]:
                self._send(position, cache, now)
        return not self._left

    @property
    def obstacles(self) -> Mapping[CarriedPosition | None, str]:
        """Return in a sentence each what keeps it from being open, as the sandbox said it last.

        By the position that is refused; with None, all wait for prices.
        """
        waits = f"the sandbox has no {self._prices} yet; what was held waits for them"
        return self._refusals or {None: waits}

    def _hear_refusal(self, position: CarriedPosition, order: Any) -> None:
        side, quantity, _ = self._left[position][0]
        reason = getattr(order.last_event, "reason", None) or f"it is {order.status.name}"
        self._refusals[position] = (
            f"the sandbox refuses to open again what was held ({side.lower()} {quantity} "
            f"{position.instrument_id}): {reason}; it is tried once a second, and no order leaves "
            f"before, exits among them"
        )

    def _send(self, position: CarriedPosition, cache: Any, now: int) -> None:
        instrument_id = InstrumentId.from_str(position.instrument_id)
        if self._on_quotes and cache.quote(instrument_id) is None:
            return
        self._again[position] = now + _AGAIN_NS
        side, quantity, reduce_only = self._left[position][0]
        self._sent[position] = self._hands[position.strategy_id].send(
            position.instrument_id, side, quantity, reduce_only=reduce_only
        )


def _legs(position: CarriedPosition, context: Context) -> list[_Leg]:
    """Return the orders that lead to a position: one, or two if one would be too small."""
    name, quantity = position.instrument_id, abs(position.quantity)
    side: Side = "BUY" if position.quantity > 0 else "SELL"
    rules = context.guard.lots[name]
    price = context.ledger.marks.get(name, position.average_price)
    least = max(rules.min_quantity, Decimal(rules.min_notional * _MORE / price))
    if quantity >= least:
        return [_Leg(side, quantity, False)]
    least = (least / rules.lot).to_integral_value(ROUND_CEILING) * rules.lot
    return [_Leg(side, quantity + least, False), _Leg(opposite(side), least, True)]
