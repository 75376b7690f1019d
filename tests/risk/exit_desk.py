"""A strategy with nothing but exits, and a venue that takes and answers its orders at once."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.exits import ExitManager, Exits
from aitb_nautilus.risk.guard import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.spot_exits import SpotExitManager
from aitb_nautilus.risk.view import View

__all__ = ["LOTS", "Desk", "X"]

X = "X.V"
LOTS = LotRules(Decimal("0.001"))


class Desk:
    """One strategy with an exit manager, and a venue that takes and answers its orders."""

    def __init__(
        self, tick: float = 0.1, takes: bool = True, lots: LotRules = LOTS, **exits: Any
    ) -> None:
        self.ledger = Ledger(10_000.0, {X: lots})
        self.view = View(self.ledger, "S-001")
        self.halts: list[tuple[str, str]] = []
        manager = SpotExitManager if lots.long_only else ExitManager
        self.exits = manager(Exits(**exits), self.view, X, tick, lots, halt=self.halt)
        self.takes = takes
        self.now = 0
        self.sent: list[Intent] = []

    def halt(self, order: Order, update: OrderUpdate, is_last: bool) -> bool:
        if is_last:
            self.halts.append((order.purpose, update.reason))
        return False

    def carry_out(self, intents: Iterable[Intent]) -> None:
        for intent in intents:
            self.sent.append(intent)
            match intent:
                case OrderIntent():
                    self._send(intent)
                case CloseIntent():
                    held = self.view.quantity(X)
                    if held:
                        self._send(
                            OrderIntent(
                                instrument_id=X,
                                side="SELL" if held > 0 else "BUY",
                                quantity=abs(held),
                                reduce_only=True,
                                purpose=intent.purpose,
                            )
                        )
                case CancelIntent():
                    order = self.ledger.orders[intent.client_order_id]
                    order.ask_end(by_exits=intent.by_exits)
                    if self.takes:
                        self.update(intent.client_order_id, "CANCELED")
                case ModifyIntent():
                    order = self.ledger.orders[intent.client_order_id]
                    order.purpose = intent.purpose or order.purpose
                    if self.takes:
                        self.update(
                            intent.client_order_id,
                            None,
                            quantity=intent.quantity,
                            price=intent.price,
                            trigger_price=intent.trigger_price,
                        )

    def _send(self, intent: OrderIntent) -> None:
        assert intent.quantity is not None
        client_order_id = f"O-{len(self.ledger.orders) + 1}"
        self.ledger.apply_order(
            Order(
                client_order_id=client_order_id,
                strategy_id="S-001",
                instrument_id=X,
                side=intent.side,
                kind=intent.kind,
                quantity=intent.quantity,
                price=intent.price,
                trigger_price=intent.trigger_price,
                reduce_only=intent.reduce_only,
                purpose=intent.purpose,
                ts_sent=self.now,
            )
        )
        if self.takes and intent.kind != "MARKET":
            self.update(client_order_id, "ACCEPTED")

    def order(self, side: Side, quantity: str, kind: OrderKind = "LIMIT") -> Order:
        """Let an entry rest, and return it."""
        intent = OrderIntent(instrument_id=X, side=side, kind=kind, quantity=Decimal(quantity))
        self._send(intent)
        return self.open()[-1]

    def update(self, client_order_id: str, status: OrderStatus | None, **changes: Any) -> None:
        update = OrderUpdate(client_order_id, X, self.now, status, **changes)
        order = self.ledger.orders[client_order_id]
        self.ledger.apply_update(update)
        self.carry_out(self.exits.on_order(order, update))

    def fill(self, side: Side, quantity: str | Decimal, price: float, order: str = "entry") -> None:
        self.now += 1
        trade_id, amount = f"T-{self.now}", Decimal(quantity)
        fill = Fill("S-001", X, order, trade_id, self.now, side, price, amount, 0.0, "TAKER")
        self.ledger.apply_fill(fill)
        self.carry_out(self.exits.on_fill(fill))

    def fill_order(self, order: Order, price: float, quantity: str | Decimal | None = None) -> None:
        amount = order.leaves if quantity is None else Decimal(quantity)
        self.fill(order.side, amount, price, order.client_order_id)

    def bar(self, close: float, high: float | None = None, low: float | None = None) -> None:
        """Close a bar, without wicks unless a high or a low is given."""
        self.now += 1
        bar = BarClosed(X, self.now, close, high or close, low or close, close, 1.0)
        self.ledger.apply_bar(bar)
        self.carry_out(self.exits.on_bar(bar))

    def open(self) -> list[Order]:
        return self.view.open_orders(X)

    def stop(self) -> Order:
        (order,) = [o for o in self.open() if o.is_stop]
        return order

    def target(self) -> Order:
        (order,) = [o for o in self.open() if o.kind == "LIMIT"]
        return order

    def targets(self) -> list[tuple[str, float | None, Decimal]]:
        """Return name, price and quantity of the resting targets, oldest first."""
        return [(o.purpose, o.price, o.leaves) for o in self.open() if o.kind == "LIMIT"]

    def closing(self) -> Order:
        (order,) = [o for o in self.open() if o.kind == "MARKET"]
        return order

    def closed_at_market(self) -> list[Order]:
        """Return the market orders that are on their way."""
        return [o for o in self.open() if o.kind == "MARKET"]
