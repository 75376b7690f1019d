"""What one strategy does with each fact: let it decide, and carry its answer through the guard.

Everything between the engine's callbacks and its order methods, without the engine: facts come in,
commands leave by an `OrderPort`. A back-test, a live node and a replay of recorded facts run the
same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Protocol

from msgspec.structs import astuple, replace

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Prediction,
    Side,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.decision_ids import Fact
from aitb_nautilus.risk.departures import Departures
from aitb_nautilus.risk.flatten import Enforcement
from aitb_nautilus.risk.giving_up import GivingUp
from aitb_nautilus.risk.order_port import OrderPort, OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.port_calls import PortCalls
from aitb_nautilus.risk.sender import OrderSender, cause_of
from aitb_nautilus.risk.silence import silence
from aitb_nautilus.risk.tape import TapedPort
from aitb_nautilus.risk.warming import WARM_UP

__all__ = ["Answers", "Decider"]


class Decider(Protocol):
    """What decides: a `GuardedStrategy`, or anything else with its hooks."""

    @property
    def component_id(self) -> str:
        """Return its id."""
        ...

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        """Answer a closed bar."""
        ...

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        """Answer a prediction that has not expired."""
        ...

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        """Answer a fill of one of its orders; the ledger already holds it."""
        ...

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        """Answer an order that was accepted, changed, ended, or refused a change."""
        ...

    def decide_on_refusal(self, decision: Decision) -> Iterable[Intent]:
        """Answer a wish that the guard refused or shrank."""
        ...

    def size(self, intent: OrderIntent) -> Decimal:
        """Return the quantity, base currency, of an intent that names none."""
        ...


class Answers:
    """Carry one strategy's answers through the guard.

    Parameters
    ----------
    decider
        The strategy.
    context
        What the node's components share.
    port
        By which its commands leave.

    Attributes
    ----------
    now
        Time of the fact that is being answered, ns UTC; `move_on` moves it.
    calls
        Calls of the strategy that are being carried out; what comes within one is answered after.
    """

    def __init__(self, decider: Decider, context: Context, port: OrderPort) -> None:
        self._decider = decider
        self._context = context
        self._id = decider.component_id
        self._tape = context.tape
        self._port = TapedPort(port, context.tape, self._id)
        self.calls = PortCalls()
        self._sender = OrderSender(context, self._id, self._port, lambda: self.now, self.calls)
        self._departures = Departures(context, self._id, port, lambda: self.now, self.calls)
        self._enforcement = Enforcement(context.ledger, context.guard.states, self._id)
        self._giving_up = GivingUp(context, self._id, self._sender.cancel)
        self._strangers: set[str] = set()
        self._fact: Fact = None
        self._decided: Fact = None
        self.now = 0

    def move_on(self, ts: int) -> None:
        """Let time go on; it never goes back."""
        self.now = max(self.now, ts)

    def act(self, intents: Iterable[Intent]) -> None:
        """Carry out intents, one after the other, each through the guard."""
        for intent in intents:
            decision = self._carry_out(intent)
            if decision is not None and decision.line:
                self.act(self._decider.decide_on_refusal(decision))

    def obey(self, ts: int) -> None:
        """Cancel and close what the trading states do not bear, unless that is on its way.

        Parameters
        ----------
        ts
            Now, ns UTC.
        """
        guard = self._context.guard
        if guard.states.in_force and WARM_UP not in guard.withheld and not silence(guard):
            self.move_on(ts)
            self.act(self._enforcement.due(ts))

    def submit_built(self, orders: Sequence[OrderTerms], send: Callable[[], None]) -> None:
        """Send orders that the strategy built itself, if the guard allows all of every one."""

        def send_taped() -> None:
            for order in orders:
                self._port.note_submit(order)
            self._port.carry_out(send)

        for decision in self._sender.submit_built(orders, send_taped):
            if decision.line:
                self.act(self._decider.decide_on_refusal(decision))

    def ask_engine(self, instrument_id: str, call: Callable[[], None]) -> None:
        """Cancel or close by a method of the engine that the strategy has called itself.

        Parameters
        ----------
        instrument_id
            Empty if it is about all of them.
        """
        if self._sender.is_silenced(instrument_id):
            return
        with self.calls:
            self._port.carry_out(call)

    # Facts of the market

    def bar(self, bar: BarClosed) -> None:
        """Answer a bar that ledger and guard hold already."""
        self.now = bar.ts
        self._fact = bar
        intents = self._decider.decide_on_bar(bar)
        if intents:
            self.act(intents)
        self.obey(bar.ts)
        self._fact = None

    def prediction(self, prediction: Prediction) -> None:
        """Answer a prediction that has not expired."""
        self.now = max(self.now, prediction.ts_inference)
        self._fact = prediction
        intents = self._decider.decide_on_prediction(prediction)
        if intents:
            self.act(intents)
        self._fact = None

    # Facts of the strategy's orders

    def created(self, client_order_id: str, order: Permit) -> None:
        """Compare a new order with the permits; halt at the first that has none."""
        self._heard("created", client_order_id, *_permit(order))
        why = self._context.guard.permits.objection(client_order_id, order, self._id)
        if why:
            self._halt(why, client_order_id)
            if not order.reduce_only:
                self._strangers.add(client_order_id)

    def emulated(self, client_order_id: str) -> None:
        """Expect an order that is held back to be made once more when it is let go."""
        self._heard("emulated", client_order_id)
        self._context.guard.permits.expect_release(client_order_id)

    def left(self, client_order_id: str) -> None:
        """Cancel an order that has left without a permit, as soon as that can be done."""
        self._context.latencies.left(client_order_id)
        if self._context.chronicle.owes:
            # Not where it was submitted: the engine sends once we have given back its loop.
            self._context.chronicle.settle()
        self._heard("left", client_order_id)
        if client_order_id in self._strangers:
            self._strangers.discard(client_order_id)
            self.calls.answer(partial(self._cancel_stranger, client_order_id))

    def _cancel_stranger(self, client_order_id: str) -> None:
        with self.calls:
            self._port.cancel(client_order_id)

    def cancelling(self, client_order_id: str, instrument_id: str) -> None:
        """Announce that a cancel is on its way, whoever asked for it."""
        self._heard("cancelling", client_order_id, instrument_id)
        order = self._context.ledger.orders.get(client_order_id)
        if order is not None and order.is_open:
            order.ask_end()
        self._departures.announce(client_order_id, instrument_id, "cancel")

    def changing(self, client_order_id: str) -> None:
        """Halt if a change is on its way that was not announced."""
        self._heard("changing", client_order_id)
        why = self._context.guard.permits.objection_to_change(client_order_id)
        if why:
            self._halt(why, client_order_id)

    def fill(self, fill: Fill) -> None:
        """Take a fill, cut the exits that it leaves too large, and answer it; once."""
        self._context.latencies.filled(fill.client_order_id)
        self._heard("fill", *astuple(fill))
        ledger, guard = self._context.ledger, self._context.guard
        if not ledger.apply_fill(fill):
            return
        order = ledger.orders.get(fill.client_order_id)
        if order is not None and not order.is_open:
            guard.permits.let_go(order.client_order_id)
        guard.hear_fill(fill)
        self._context.chronicle.filled(fill)
        self.calls.answer(partial(self._answer_fill, fill))

    def _answer_fill(self, fill: Fill) -> None:
        self._sender.fit_exits(fill.instrument_id)
        self._answer(fill, self._decider.decide_on_fill(fill))
        self._go_on(fill.instrument_id)
        self.obey(fill.ts)

    def update(self, update: OrderUpdate) -> None:
        """Take what became of an order, other than a fill, and answer it; once."""
        context = self._context
        if update.status == "ACCEPTED":
            context.latencies.accepted(update.client_order_id)
        elif update.status is not None:
            context.latencies.ended(update.client_order_id)
        self._heard("update", *astuple(update))
        self._take_update(update, self._answer_update)

    def unknown(self, update: OrderUpdate) -> None:
        """Take that a venue knows no such order, which has ended by that; answer it, once."""
        self._context.latencies.ended(update.client_order_id)
        self._heard("unknown", *astuple(update))
        self._take_update(update, self._answer_update, known=False)

    def again(self, update: OrderUpdate) -> None:
        """Take that the engine has denied a sale whose coins are free by now, and send it again."""
        self._context.latencies.ended(update.client_order_id)
        self._heard("again", *astuple(update))
        self._take_update(update, self._send_again)

    def _take_update(
        self,
        update: OrderUpdate,
        answer: Callable[[Order, OrderUpdate], None],
        *,
        known: bool = True,
    ) -> None:
        context = self._context
        order = context.ledger.orders.get(update.client_order_id)
        if order is None or not context.ledger.is_news(update):
            return
        why = context.guard.permits.objection_to_terms(order, update)
        if why:
            self._halt(why, order.client_order_id)
        context.ledger.apply_update(update)
        if not order.is_open:
            context.guard.permits.let_go(order.client_order_id)
        if known:
            context.chronicle.answered(order, update)
        else:
            who = order.strategy_id, order.instrument_id, order.client_order_id
            context.chronicle.unknown(*who, update.reason, update.ts)
        self.calls.answer(partial(answer, order, update))

    def _answer_update(self, order: Order, update: OrderUpdate) -> None:
        self._giving_up.hear(order, update)
        self._answer(update, self._decider.decide_on_order(order, update))
        self._go_on(order.instrument_id)

    def _send_again(self, order: Order, _: OrderUpdate) -> None:
        held = self._context.ledger.position(self._id, order.instrument_id).quantity
        if held > 0:
            wish = OrderIntent(
                instrument_id=order.instrument_id,
                side=order.side,
                kind=order.kind,
                quantity=min(order.leaves, held),
                price=order.price,
                trigger_price=order.trigger_price,
                reduce_only=True,
                purpose=order.purpose,
            )
            self.act([wish])
        self._go_on(order.instrument_id)

    def _go_on(self, instrument_id: str) -> None:
        """Send what waited for a close, or for coins, that this fact has ended or set free."""
        if self._context.locks is not None:
            self._context.locks.go_on(self._id, instrument_id)
        if self._context.turns is not None:
            self._context.turns.go_on(self._id, instrument_id)

    def act_on(self, intents: Sequence[Intent], why: str) -> None:
        """Carry out what the node itself wishes, such as at its end."""
        self._heard("act", why, [(type(one).__name__, *_plain(one)) for one in intents])
        self.act(intents)

    def enforce(self, ts: int) -> None:
        """Do as `obey`, where it is the node's timer that asks."""
        self._heard("obey", ts)
        self.obey(ts)

    def _heard(self, kind: str, *what: object) -> None:
        if self._tape.recorder is not None:
            self._tape.heard(kind, self._id, self.now, *what)

    def _answer(self, fact: Fact, intents: Iterable[Intent]) -> None:
        """Act on a fact that may come in the middle of the answer to another one."""
        before, self._fact = (self._fact, self._decided), fact
        self.act(intents)
        self._fact, self._decided = before

    def _halt(self, reason: str, client_order_id: str) -> None:
        self._context.guard.halt(reason, self.now, self._id, client_order_id)
        self._context.run_state.stop(f"trading halted: {reason}")

    def _carry_out(self, intent: Intent) -> Decision | None:
        if self._fact is not self._decided:
            self._decided = self._fact
            cause = cause_of(self._fact)
            if cause is not None and not self._context.warming.ts:
                self._context.latencies.decided(cause)
        match intent:
            case OrderIntent():
                sized = intent
                if intent.quantity is None:
                    sized = replace(intent, quantity=self._decider.size(intent))
                return self._sender.submit(sized, intent, self._fact)
            case CloseIntent(instrument_id=instrument_id):
                if self._giving_up.instead_of_close(instrument_id, self.now):
                    return None
                return self._sender.close(intent, self._fact)
            case CancelIntent():
                self._sender.cancel(intent)
                return None
            case ModifyIntent():
                return self._sender.modify(intent)
        raise TypeError(f"{self._id} answered with {intent!r}, which is no intent")


def _permit(permit: Permit) -> tuple[str, Side, str, bool]:
    return permit.instrument_id, permit.side, str(permit.quantity), permit.reduce_only


def _plain(intent: Intent) -> tuple[object, ...]:
    return tuple(str(v) if isinstance(v, Decimal) else v for v in astuple(intent))
