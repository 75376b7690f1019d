"""From an allowed intent to the engine: judge, permit, note, send, announce.

The one place that calls the engine's own order methods. A strategy reaches it through intents or
through the overridden `submit_order` and its kin; both ways pass the same guard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nautilus_trader.model import ClientOrderId, Quantity
from nautilus_trader.trading import Strategy

from aitb_nautilus.messages import (
    ORDER_SENT,
    CancelIntent,
    CloseIntent,
    ModifyIntent,
    OrderIntent,
    OrderSent,
    opposite,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.guard import Decision
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.translate import build_order, intent_of, price_of

if TYPE_CHECKING:
    from aitb_nautilus.risk.strategy import GuardedStrategy

__all__ = ["OrderSender"]


class OrderSender:
    """Send one strategy's orders through the guard.

    Parameters
    ----------
    strategy
        The strategy whose orders these are.
    """

    def __init__(self, strategy: GuardedStrategy) -> None:
        self._strategy = strategy
        self._context = strategy.context

    def submit(self, intent: OrderIntent) -> Decision:
        """Judge an intent, and send it as far as it is allowed."""
        strategy = self._strategy
        decision = self._context.guard.judge(intent, strategy.component_id, strategy.now())
        if decision.allowed:
            instrument = self._context.instruments[intent.instrument_id]
            order = build_order(strategy.order_factory, instrument, intent, decision.quantity)
            self._note(order, intent)
            Strategy.submit_order(strategy, order)
            self._announce(str(order.client_order_id), intent.instrument_id, "submit")
        return decision

    def submit_built(self, orders: Sequence[Any], send: Callable[[], None]) -> list[Decision]:
        """Judge orders that the strategy built itself, and send all of them or none.

        Parameters
        ----------
        orders
            The engine's orders: one, or all of a linked list.
        send
            Calls the engine's own method with them.

        Returns
        -------
        list[Decision]
            One per order that was judged; the last one is a refusal if nothing was sent.
        """
        intents = [intent_of(order) for order in orders]
        decisions = []
        for order, intent in zip(orders, intents, strict=True):
            decisions.append(self._judge_built(str(order.client_order_id), intent))
            if not decisions[-1].allowed:
                return decisions
        for order, intent in zip(orders, intents, strict=True):
            self._note(order, intent)
        send()
        for order, intent in zip(orders, intents, strict=True):
            self._announce(str(order.client_order_id), intent.instrument_id, "submit")
        return decisions

    def close(self, intent: CloseIntent) -> Decision | None:
        """Close the strategy's position with a reduce-only order; None if it is flat."""
        held = self._strategy.view.quantity(intent.instrument_id)
        if held == 0:
            return None
        return self.submit(
            OrderIntent(
                instrument_id=intent.instrument_id,
                side=opposite("BUY" if held > 0 else "SELL"),
                quantity=abs(held),
                reduce_only=True,
                purpose=intent.purpose,
            )
        )

    def cancel(self, intent: CancelIntent) -> None:
        """Cancel an order if it is still open; the guard has nothing to say against it."""
        order = self._context.ledger.orders.get(intent.client_order_id)
        if order is not None and order.is_open:
            Strategy.cancel_order(self._strategy, ClientOrderId(intent.client_order_id))
            self._announce(intent.client_order_id, order.instrument_id, "cancel")

    def modify(self, intent: ModifyIntent) -> Decision | None:
        """Judge a change of an open order, and send it whole; None if the order has ended."""
        strategy, guard = self._strategy, self._context.guard
        order = self._context.ledger.orders.get(intent.client_order_id)
        if order is None or not order.is_open:
            return None
        decision = guard.judge_modify(intent, order, strategy.now())
        if decision.allowed:
            instrument = self._context.instruments[order.instrument_id]
            quantity, price, trigger = intent.quantity, intent.price, intent.trigger_price
            order.purpose = intent.purpose or order.purpose
            with guard.permits.announced_modify(intent.client_order_id):
                Strategy.modify_order(
                    strategy,
                    ClientOrderId(intent.client_order_id),
                    quantity=(
                        None
                        if quantity is None
                        else Quantity.from_decimal_dp(quantity, instrument.size_precision)
                    ),
                    price=None if price is None else instrument.make_price(price),
                    trigger_price=None if trigger is None else instrument.make_price(trigger),
                )
            self._announce(intent.client_order_id, order.instrument_id, "modify")
        return decision

    def _judge_built(self, client_order_id: str, intent: OrderIntent) -> Decision:
        guard, strategy = self._context.guard, self._strategy
        if guard.permits.is_known(client_order_id):
            line = f"order id {client_order_id} was used before; the engine would fill it twice"
            return guard.refuse(intent, strategy.component_id, strategy.now(), "id", line)
        decision = guard.judge(intent, strategy.component_id, strategy.now())
        if decision.allowed and decision.quantity != intent.quantity:
            line = decision.line or f"{intent.quantity} is no whole number of lots"
            limit = decision.limit or "lot"
            return guard.refuse(intent, strategy.component_id, strategy.now(), limit, line)
        return decision

    def _note(self, order: Any, intent: OrderIntent) -> None:
        strategy = self._strategy
        client_order_id = str(order.client_order_id)
        terms = order.init_event
        quantity = terms.quantity.as_decimal()
        self._context.guard.permits.give(
            client_order_id,
            Permit(intent.instrument_id, intent.side, quantity, intent.reduce_only),
        )
        self._context.ledger.apply_order(
            Order(
                client_order_id=client_order_id,
                strategy_id=strategy.component_id,
                instrument_id=intent.instrument_id,
                side=intent.side,
                kind=intent.kind,
                quantity=quantity,
                price=price_of(terms.price),
                trigger_price=price_of(terms.trigger_price),
                reduce_only=intent.reduce_only,
                purpose=intent.purpose,
                ts_sent=strategy.now(),
            )
        )

    def _announce(
        self,
        client_order_id: str,
        instrument_id: str,
        action: Literal["submit", "modify", "cancel"],
    ) -> None:
        strategy = self._strategy
        strategy.publish_message(
            ORDER_SENT,
            OrderSent(
                strategy.component_id, instrument_id, client_order_id, action, strategy.now()
            ),
        )
