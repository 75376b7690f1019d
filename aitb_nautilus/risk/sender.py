"""From an intent to the port: judge, permit, note, write down, send, announce.

A strategy reaches it through intents or through the overridden `submit_order` and its kin; both
ways pass the same guard. It holds nothing of the engine: what is allowed leaves by an `OrderPort`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from time import perf_counter_ns

from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    ModifyIntent,
    OrderIntent,
    Prediction,
    opposite,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.decision_ids import DecisionIds, Fact
from aitb_nautilus.risk.departures import Departures
from aitb_nautilus.risk.exit_fitting import fitting
from aitb_nautilus.risk.journal_records import Sent
from aitb_nautilus.risk.order_port import OrderPort, OrderTerms, plan
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.port_calls import PortCalls
from aitb_nautilus.risk.price_grid import wish_on_grid
from aitb_nautilus.risk.silence import silenced
from aitb_nautilus.risk.used_ids import UsedIds
from aitb_nautilus.risk.view import View
from aitb_nautilus.risk.warming import WARM_UP

__all__ = ["OrderSender", "cause_of"]


class OrderSender:
    """Send one strategy's orders through the guard.

    Parameters
    ----------
    context
        What the node's components share.
    strategy_id
        The strategy whose orders these are.
    port
        By which they leave.
    now
        Returns the time of the fact that is being answered, ns UTC.
    calls
        Of the strategy: holds its answers while a command is carried out.
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
        self._chronicle = context.chronicle
        self._strategy_id = strategy_id
        self._port = port
        self._now = now
        self._view = View(context.ledger, strategy_id)
        self._departures = Departures(context, strategy_id, port, now, calls)
        self._ids = DecisionIds(context.trader, strategy_id)
        self._used = UsedIds(context, strategy_id, port, now)

    def submit(self, intent: OrderIntent, wish: OrderIntent | CloseIntent, fact: Fact) -> Decision:
        """Judge an intent, and send it as far as it is allowed.

        What passes because it only reduces is sent as reduce-only, so that it cannot turn the
        position around if another exit fills before it. A wish that was sent before, by this node
        or by the one before a crash, is not sent again.

        Parameters
        ----------
        intent
            What is wanted, with its quantity.
        wish
            What the strategy said.
        fact
            What it answered.
        """
        intent = self._on_grid(intent, intent)
        place = self._ids.place(fact, self._now())
        asked = perf_counter_ns()
        decision = self._context.guard.judge(intent, self._strategy_id, self._now())
        if not self._context.warming.ts:
            self._context.latencies.spent("guard", perf_counter_ns() - asked)
        if decision.allowed:
            decision = self._silenced(intent.instrument_id) or decision
        if not decision.allowed:
            self._chronicle.decided(intent, decision, "submit", intent.quantity)
            return decision
        name = self._ids.name(place, wish)
        for attempt in count(1):
            if not self._used.is_used(name):
                break
            if self._used.is_done_with(name, decision):
                used = self._used.refuse(name, intent)
                self._chronicle.decided(intent, used, "submit", intent.quantity)
                return used
            name = self._ids.name(place, wish, attempt)
        if decision.reducing:
            intent = replace(intent, reduce_only=True)
        terms = plan(intent, decision.quantity, name, self._port)
        self._context.latencies.allowed(name, cause_of(fact), at_once=terms.kind == "MARKET")
        noted = self._note(terms, intent, decision)
        leave = partial(self._departures.leave, noted, terms)
        locks = self._context.locks
        if locks is not None and locks.concerns(noted):
            sell = partial(self._sell, intent, wish, fact)
            locks.take(self._departures.sale(noted, leave, sell, self.cancel), self._port.now())
            return decision
        turns = None if decision.reducing else self._context.turns
        if turns is not None and turns.must_wait(self._strategy_id, intent.instrument_id):
            send = partial(self._departures.leave_in_turn, noted, leave)
            give_up = partial(self._departures.give_up, noted)
            turns.take(noted, self._port.now(), send, give_up)
            return decision
        refusal = self._departures.journalled([noted], ahead=True)
        if refusal is None:
            leave()
        return refusal or decision

    def _sell(
        self, intent: OrderIntent, wish: OrderIntent | CloseIntent, fact: Fact, quantity: Decimal
    ) -> None:
        self.submit(replace(intent, quantity=quantity), wish, fact)

    def submit_built(
        self, orders: Sequence[OrderTerms], send: Callable[[], None]
    ) -> list[Decision]:
        """Judge orders that the strategy built itself, and send all of them or none.

        Parameters
        ----------
        orders
            One, or all of a linked list.
        send
            Sends them.

        Returns
        -------
        list[Decision]
            One per order that was judged; the last one is a refusal if nothing was sent.
        """
        locks = self._context.locks
        line = "" if locks is None else locks.objection_to_list(orders)
        if line:
            refusal = self._context.guard.refuse(
                orders[0].instrument_id, self._strategy_id, self._now(), "order", line
            )
            self._chronicle.decided(orders[0].intent(), refusal, "submit", orders[0].quantity)
            return [refusal]
        decisions: list[Decision] = []
        noted: list[Order] = []
        latencies = self._context.latencies
        for order in orders:
            intent = order.intent()
            asked = perf_counter_ns()
            decision = self._judge_built(order.client_order_id, intent)
            latencies.spent("guard", perf_counter_ns() - asked)
            decisions.append(decision)
            if not decision.allowed:
                self._chronicle.decided(intent, decision, "submit", intent.quantity)
                self._departures.withdraw(noted, "another order of its list was refused")
                return decisions
            # Noted at once: the limits count the orders of a list together.
            latencies.allowed(order.client_order_id, None, at_once=order.kind == "MARKET")
            noted.append(self._note(order, intent, decision))

        def send_all() -> None:
            if not self._departures.may_still_leave(noted):
                return
            send()
            for order in orders:
                self._departures.announce(order.client_order_id, order.instrument_id, "submit")

        leave = partial(self._departures.send, orders[0].instrument_id, send_all)
        if locks is not None and locks.concerns(noted[0]):
            intent = orders[0].intent()
            sell = partial(self._sell, intent, intent, None)
            locks.take(self._departures.sale(noted[0], leave, sell, self.cancel), self._port.now())
            return decisions
        unwritten = self._departures.journalled(noted)
        if unwritten is not None:
            return [*decisions, unwritten]
        leave()
        return decisions

    def close(self, intent: CloseIntent, fact: Fact) -> Decision | None:
        """Close the strategy's position with a reduce-only order; None if it is flat."""
        held = self._view.quantity(intent.instrument_id)
        if held == 0:
            return None
        return self.submit(
            OrderIntent(
                instrument_id=intent.instrument_id,
                side=opposite("BUY" if held > 0 else "SELL"),
                quantity=abs(held),
                reduce_only=True,
                purpose=intent.purpose,
            ),
            intent,
            fact,
        )

    def cancel(self, intent: CancelIntent) -> None:
        """Cancel an order if it is still open; the guard has nothing to say against it."""
        order = self._context.ledger.orders.get(intent.client_order_id)
        if order is None or not order.is_open or self.is_silenced(order.instrument_id):
            return
        if self._context.take_back(order.client_order_id):
            self._departures.withdraw([order], "it was cancelled before it left")
            return
        order.ask_end(by_exits=intent.by_exits)

        def send() -> None:
            if intent.client_order_id in self._context.ledger.orders:  # else it never left
                self._port.cancel(intent.client_order_id)

        self._chronicle.cancelling(order, self._now())
        self._departures.send(order.instrument_id, send)

    def modify(self, intent: ModifyIntent) -> Decision | None:
        """Judge a change of an open order, and send it whole.

        None if the order has ended, or if nothing would change.
        """
        guard = self._context.guard
        order = self._context.ledger.orders.get(intent.client_order_id)
        if order is None or not order.is_open:
            return None
        instrument_id = order.instrument_id
        line = self._unchangeable(order)
        if line:
            refusal = guard.refuse(instrument_id, self._strategy_id, self._now(), "order", line)
            self._decided_change(intent, refusal)
            return refusal
        intent = self._on_grid(intent, order)
        decision = guard.judge_modify(intent, order, self._now())
        if decision.allowed:
            decision = self._silenced(instrument_id) or decision
        if not decision.allowed:
            self._decided_change(intent, decision)
            return decision
        return self._change(intent, order, decision)

    def _unchangeable(self, order: Order) -> str:
        """Return why an open order cannot be changed; empty if it can."""
        turns, locks, name = self._context.turns, self._context.locks, order.client_order_id
        if turns is not None and turns.holds(name):
            why = "has not left yet, it waits for the close before it"
        elif locks is not None and locks.is_spot(order.instrument_id):
            why = "cannot be changed, a spot market only replaces orders"
        else:
            return ""
        return f"order {name} {why}; cancel it, and wish anew"

    def _change(self, intent: ModifyIntent, order: Order, decision: Decision) -> Decision | None:
        """Send an allowed change, unless the order is what it asks for already."""
        guard, port, instrument_id = self._context.guard, self._port, order.instrument_id
        quantity = None if intent.quantity is None else decision.quantity
        price, trigger = intent.price, intent.trigger_price
        if (
            quantity in (None, order.quantity)
            and price in (None, order.price)
            and trigger in (None, order.trigger_price)
        ):
            if not order.changes:
                order.purpose = intent.purpose or order.purpose
                self._decided_change(intent, decision, idle=True)
                return None
            line = (
                f"order {intent.client_order_id} is being changed already, and the engine cannot "
                f"take that back; wait for the answer"
            )
            refusal = guard.refuse(instrument_id, self._strategy_id, self._now(), "order", line)
            self._decided_change(intent, refusal)
            return refusal
        self._decided_change(intent, decision)
        terms = Sent(
            action="modify",
            quantity=quantity,
            price=price,
            trigger_price=trigger,
            purpose=intent.purpose or "",
        )
        why = self._chronicle.sent([(order, terms)], self._now())
        # What only makes an order smaller opens nothing, and neither does an exit.
        moved = intent.price is not None or intent.trigger_price is not None
        opens = moved or (quantity is not None and quantity > order.quantity)
        if why and opens and not (order.reduce_only or order.is_exit or decision.reducing):
            return guard.refuse(instrument_id, self._strategy_id, self._now(), "journal", why)
        self._context.ledger.ask_change(order, quantity, price, trigger, terms.purpose)

        def send() -> None:
            with guard.permits.announced_modify(intent.client_order_id):
                port.modify(intent.client_order_id, instrument_id, quantity, price, trigger)
            self._departures.announce(intent.client_order_id, instrument_id, "modify")

        self._departures.send(instrument_id, send)
        return decision

    def fit_exits(self, instrument_id: str) -> None:
        """Cut exits that the strategy built itself to what is left to close."""
        for intent in fitting(self._view, instrument_id):
            if isinstance(intent, CancelIntent):
                self.cancel(intent)
            else:
                self.modify(intent)

    def _on_grid[T: (OrderIntent, ModifyIntent)](self, intent: T, order: OrderIntent | Order) -> T:
        """Put the prices of a wish onto the grid: what is judged is what is sent."""
        instrument_id = order.instrument_id
        if intent.price is None and intent.trigger_price is None:
            return intent  # Orders at the market.
        if instrument_id not in self._context.guard.lots:
            return intent  # The guard will say so.
        held, buys = self._view.quantity(instrument_id), order.side == "BUY"
        reduces = order.reduce_only or (held < 0 if buys else held > 0)
        price, trigger_price = wish_on_grid(
            (order.kind, order.side, intent.price, intent.trigger_price),
            self._context.ledger.marks.get(instrument_id),
            partial(self._port.on_grid, instrument_id),
            reduces=reduces,
        )
        return replace(intent, price=price, trigger_price=trigger_price)

    def _judge_built(self, client_order_id: str, intent: OrderIntent) -> Decision:
        if self._used.is_used(client_order_id):
            return replace(self._used.refuse(client_order_id, intent), whole=True)
        decision = self._context.guard.judge_whole(intent, self._strategy_id, self._now())
        silenced = self._silenced(intent.instrument_id) if decision.allowed else None
        return decision if silenced is None else replace(silenced, whole=True)

    def is_silenced(self, instrument_id: str) -> bool:
        """Return whether nothing at all may be sent, and record that something was to be."""
        return self._silenced(instrument_id) is not None

    def _silenced(self, instrument_id: str) -> Decision | None:
        guard = self._context.guard
        name, why = silenced(guard)
        if self._context.warming.ts:
            name, why = WARM_UP, "a bar of the past is told: an answer to it comes too late"
        if not why:
            return None
        return guard.refuse(instrument_id, self._strategy_id, self._now(), name, why)

    def _decided_change(
        self, intent: ModifyIntent, decision: Decision, *, idle: bool = False
    ) -> None:
        self._chronicle.decided(
            intent, decision, "modify", intent.quantity, intent.client_order_id, idle=idle
        )

    def _note(self, terms: OrderTerms, intent: OrderIntent, decision: Decision) -> Order:
        """Give the order a permit, and tell ledger and chronicle of it."""
        client_order_id = terms.client_order_id
        permit = Permit(terms.instrument_id, terms.side, terms.quantity, terms.reduce_only)
        self._context.guard.permits.give(client_order_id, permit)
        self._chronicle.decided(intent, decision, "submit", intent.quantity, client_order_id)
        noted = Order(
            client_order_id=client_order_id,
            strategy_id=self._strategy_id,
            instrument_id=terms.instrument_id,
            side=terms.side,
            kind=terms.kind,
            quantity=terms.quantity,
            price=terms.price,
            trigger_price=terms.trigger_price,
            reduce_only=terms.reduce_only,
            purpose=terms.purpose,
            ts_sent=self._now(),
            is_exit=decision.reducing,
        )
        self._context.ledger.apply_order(noted)
        return noted


def cause_of(fact: Fact) -> str | None:
    """Return the instrument of the bar or prediction that is answered; None: something else is."""
    return fact.instrument_id if isinstance(fact, BarClosed | Prediction) else None
