"""A desk without an engine: facts are told by hand, and commands are only written down.

The same strategies, guard, sender, ledger and chronicle as in a node; the ports are dry. What the
engine says by itself while it takes a command (that an order was made, that a change or a cancel is
on its way) the port says too. What becomes of an order is up to the caller: `DryDesk.fill` and
`DryDesk.update`.

    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    desk.bar(BarClosed(...))
    order = desk.commands[-1].terms
    desk.fill(order.client_order_id, price=30_000.0)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from aitb_nautilus.messages import BarClosed, Fill, OrderSent, OrderStatus, OrderUpdate, Prediction
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.price_grid import on_grid

__all__ = ["Command", "DryDesk", "DryPort"]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What left by a dry port.

    Attributes
    ----------
    terms
        Of a new order.
    quantity, price, trigger_price
        New terms of a change.
    """

    action: Literal["submit", "modify", "cancel"]
    strategy_id: str
    client_order_id: str
    ts: int
    terms: OrderTerms | None = None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None


class DryPort:
    """Write down one strategy's commands, and say of them what the engine would say at once."""

    def __init__(self, desk: DryDesk, strategy_id: str) -> None:
        self._desk = desk
        self._strategy_id = strategy_id

    def knows(self, client_order_id: str) -> bool:
        return client_order_id in self._desk.elsewhere

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        tick = self._desk.context.instruments[instrument_id].price_increment.as_decimal()
        return on_grid(price, tick, up=up)

    def submit(self, terms: OrderTerms) -> None:
        answering = self._note("submit", terms.client_order_id, terms=terms)
        permit = Permit(terms.instrument_id, terms.side, terms.quantity, terms.reduce_only)
        answering.created(terms.client_order_id, permit)
        answering.left(terms.client_order_id)

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        terms = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
        self._note("modify", client_order_id, **terms).changing(client_order_id)

    def cancel(self, client_order_id: str) -> None:
        answering = self._note("cancel", client_order_id)
        order = self._desk.context.ledger.orders.get(client_order_id)
        if order is not None:
            answering.cancelling(client_order_id, order.instrument_id)

    def carry_out(self, call: Callable[[], None]) -> None:
        call()

    def now(self) -> int:
        return self._desk.now

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        self._desk.alerts.append((ts, name, callback))

    def publish(self, topic: str, message: OrderSent) -> None:
        self._desk.published.append((topic, message))

    def _note(self, action: Any, client_order_id: str, **terms: Any) -> Answers:
        desk, strategy_id = self._desk, self._strategy_id
        answering = desk.answering[strategy_id]
        command = Command(
            action=action,
            strategy_id=strategy_id,
            client_order_id=client_order_id,
            ts=answering.now,
            **terms,
        )
        desk.commands.append(command)
        return answering


class DryDesk:
    """Tell facts to strategies; they are told in the order in which they were added.

    Attributes
    ----------
    commands
        All that left, oldest first.
    elsewhere
        Ids of orders that the port knows from somewhere else.
    now
        Time of the last fact, ns UTC. Alerts that are due by then are called before the fact.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        msgspec.structs.force_setattr(context, "port_of", lambda one: DryPort(self, one))
        self.answering: dict[str, Answers] = {}
        self.commands: list[Command] = []
        self.published: list[tuple[str, OrderSent]] = []
        self.alerts: list[tuple[int, str, Callable[[], None]]] = []
        self.elsewhere: set[str] = set()
        self.now = 0
        self._trades = itertools.count(1)

    def add(self, strategy: Any) -> None:
        """Take a strategy that was made with this desk's context."""
        self.answering[strategy.component_id] = strategy.answering

    def bar(self, bar: BarClosed) -> None:
        """Close a bar."""
        self.move_on(bar.ts)
        self.context.ledger.apply_bar(bar)
        self.context.guard.hear_bar(bar)
        for answering in self.answering.values():
            answering.bar(bar)

    def prediction(self, prediction: Prediction) -> None:
        """Publish a prediction to everybody."""
        self.move_on(prediction.ts_inference)
        for answering in self.answering.values():
            answering.prediction(prediction)

    def fill(
        self,
        client_order_id: str,
        *,
        price: float,
        quantity: Decimal | None = None,
        ts: int | None = None,
        fee: float = 0.0,
    ) -> Fill:
        """Fill an order, by default all that is left of it, now."""
        order = self.context.ledger.orders[client_order_id]
        fill = Fill(
            order.strategy_id,
            order.instrument_id,
            client_order_id,
            f"T{next(self._trades)}",
            self.now if ts is None else ts,
            order.side,
            price,
            order.leaves if quantity is None else quantity,
            fee,
            "TAKER",
        )
        answering = self._at(order.strategy_id, fill.ts)
        answering.fill(fill)
        return fill

    def update(
        self, client_order_id: str, status: OrderStatus | None, ts: int | None = None, **terms: Any
    ) -> None:
        """Say what became of an order."""
        order = self.context.ledger.orders[client_order_id]
        at = self.now if ts is None else ts
        answering = self._at(order.strategy_id, at)
        answering.update(OrderUpdate(client_order_id, order.instrument_id, at, status, **terms))

    def move_on(self, ts: int) -> None:
        """Let time go on, and call the alerts that are due."""
        for alert in sorted((a for a in self.alerts if a[0] <= ts), key=lambda a: a[0]):
            self.alerts.remove(alert)
            self.now = max(self.now, alert[0])
            alert[2]()
        self.now = max(self.now, ts)

    def _at(self, strategy_id: str, ts: int) -> Answers:
        self.move_on(ts)
        answering = self.answering[strategy_id]
        answering.move_on(ts)
        return answering
