"""How what was allowed leaves: now, once the market opens, or not at all.

Between the decision and the venue an order may have to wait: for a market that is closed, or for
its turn. A halt that comes in between is asked once more before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Literal

from aitb_nautilus.messages import ORDER_SENT, CancelIntent, OrderSent
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.journal_records import Sent
from aitb_nautilus.risk.locks import Sale
from aitb_nautilus.risk.order_port import OrderPort, OrderTerms
from aitb_nautilus.risk.port_calls import PortCalls
from aitb_nautilus.risk.trading_states import Halt, StateScope

__all__ = ["Departures"]


class Departures:
    """Let one strategy's commands leave, or take them back.

    Parameters
    ----------
    context, strategy_id, port, now, calls
        As of `OrderSender`.
    """

    def __init__(
        self,
        context: Context,
        strategy_id: str,
        port: OrderPort,
        now: Callable[[], int],
        calls: PortCalls,
    ) -> None:
        self._context = context
        self._strategy_id = strategy_id
        self._port = port
        self._now = now
        self._calls = calls

    def send(self, instrument_id: str, send: Callable[[], None]) -> None:
        """Send a command now, or once the market opens again if nobody would hear it before.

        All that wait for one moment leave in the order in which they were wished.
        """
        heard_at = self._context.heard_at.get(instrument_id)
        now = self._port.now()
        opening = now if heard_at is None else heard_at(now)
        # In a replay nobody knows when it was heard but the recording.
        opening = self._context.tape.recalled("opening", opening if opening > now else 0) or now
        if opening <= now:
            self._call(send)
            return
        waiting = self._context.waiting.setdefault(opening, [])
        waiting.append(partial(self._call, send))
        if len(waiting) == 1:
            # The engine keeps the callback of each name for ever: a name is used again and again.
            openings = self._context.openings
            number = next(n for n in count() if n not in openings)
            openings.add(number)

            def leave() -> None:
                for command in self._context.waiting.pop(opening):
                    command()
                openings.discard(number)

            self._port.alert_at(opening, f"opening-{number}", leave)

    def _call(self, send: Callable[[], None]) -> None:
        with self._calls:
            send()

    def leave(self, order: Order, terms: OrderTerms) -> None:
        """Send an order, as soon as somebody hears it and if it may then still leave."""

        def send() -> None:
            if self.may_still_leave([order]):
                self._port.submit(terms)
                self.announce(terms.client_order_id, terms.instrument_id, "submit")

        self.send(terms.instrument_id, send)

    def leave_in_turn(self, order: Order, leave: Callable[[], None]) -> None:
        """Send an opening order whose turn has come, journalled only now, if it may still leave.

        After a crash the venue is asked for what the journal says was sent.
        """
        if self.may_still_leave([order]) and self.journalled([order]) is None:
            leave()

    def sale(
        self,
        order: Order,
        leave: Callable[[], None],
        sell: Callable[[Decimal], None],
        cancel: Callable[[CancelIntent], None],
    ) -> Sale:
        """Return an order that may have to wait until what it sells is free.

        Parameters
        ----------
        leave
            Sends it, journalled as it is by then.
        sell
            Wishes for the same of another quantity, base currency.
        cancel
            Cancels what locks it.
        """

        def send() -> None:
            # Only now, as in `leave_in_turn`.
            self.journalled([order])
            leave()

        def give_up(why: str) -> None:
            self.withdraw([order], f"not sent: {why}")

        def again(quantity: Decimal) -> None:
            give_up(f"{quantity} is left to sell")
            sell(quantity)

        def unlock(client_order_id: str) -> None:
            cancel(CancelIntent(client_order_id=client_order_id))

        def late(client_order_ids: list[str]) -> None:
            self._bind(order, client_order_ids)

        return Sale(order, unlock, send, give_up, again, late)

    def _bind(self, order: Order, client_order_ids: list[str]) -> None:
        """Open nothing while a sale waits for orders of which no end is told; say so, once."""
        states = self._context.guard.states
        if states.level(order.strategy_id, order.instrument_id) != "active":
            return
        names = ", ".join(client_order_ids)
        why = (
            f"{order.strategy_id} cannot place its {order.side} {order.quantity} {order.kind} of "
            f"{order.instrument_id}: the venue has not said that what locks its coins is gone "
            f"({names}); that is cancelled again and again, and nothing opens until you resume"
        )
        self._context.guard.restrict(
            Halt(
                self._now(),
                why,
                order.strategy_id,
                order.client_order_id,
                cause="check",
                level="reducing",
                scope=StateScope.strategy(order.strategy_id),
                who="exits",
            )
        )

    def may_still_leave(self, orders: Sequence[Order]) -> bool:
        """Return whether orders that may have had to wait may leave; else take them back.

        What only reduces always may.
        """
        guard = self._context.guard
        for order in orders:
            if order.is_exit:
                continue
            name, why = guard.standing_objection(self._strategy_id, order.instrument_id)
            if why:
                self.withdraw(orders, why)
                guard.refuse(order.instrument_id, self._strategy_id, self._now(), name, why)
                return False
        return True

    def withdraw(self, orders: Sequence[Order], why: str) -> None:
        """Take back orders that have not left: nobody knows of them but this node."""
        for order in orders:
            self._context.latencies.ended(order.client_order_id)
            self._context.chronicle.not_sent(order, why, self._now())
            self._context.guard.permits.withdraw(order.client_order_id)
            self._context.ledger.withdraw_order(order.client_order_id)

    def journalled(self, orders: Sequence[Order], *, ahead: bool = False) -> Decision | None:
        """Write that orders are about to leave, or take them back and refuse.

        What only reduces leaves even if it cannot be written.

        Parameters
        ----------
        ahead
            As of `Chronicle.sent`.
        """
        now = self._now()
        leaving = [
            (
                order,
                Sent(
                    action="submit",
                    side=order.side,
                    order_kind=order.kind,
                    quantity=order.quantity,
                    price=order.price,
                    trigger_price=order.trigger_price,
                    reduce_only=order.reduce_only,
                    purpose=order.purpose,
                ),
            )
            for order in orders
        ]
        why = self._context.chronicle.sent(leaving, now, ahead=ahead)
        if not why or all(order.is_exit for order in orders):
            return None
        self.withdraw(orders, "it could not be journalled")
        first = orders[0]
        return self._context.guard.refuse(
            first.instrument_id, first.strategy_id, now, "journal", why
        )

    def give_up(self, order: Order) -> None:
        """Take back an order whose turn did not come."""
        why, now = "not sent: the close before it was not answered in time", self._now()
        self.withdraw([order], why)
        self._context.guard.refuse(order.instrument_id, self._strategy_id, now, "turn", why)

    def announce(
        self,
        client_order_id: str,
        instrument_id: str,
        action: Literal["submit", "modify", "cancel"],
    ) -> None:
        """Tell on the bus that a command has left for the venue."""
        self._port.publish(
            ORDER_SENT,
            OrderSent(self._strategy_id, instrument_id, client_order_id, action, self._now()),
        )
