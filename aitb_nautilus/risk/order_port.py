"""How an allowed order leaves: the one seam between what decides and what carries out.

Guard, sender and strategy know an order by its `OrderTerms` and hand it to an `OrderPort`. In a
node that is the engine (`engine_port`). Where decisions are taken again without an engine, it is
one that only writes down what it was given; nothing above it can tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import OrderIntent, OrderKind, OrderSent, Side
from aitb_nautilus.risk.price_grid import goes_up

__all__ = ["OrderPort", "OrderTerms", "plan"]

_NEEDS: dict[OrderKind, tuple[str, ...]] = {
    "MARKET": (),
    "LIMIT": ("price",),
    "STOP_MARKET": ("trigger_price",),
    "STOP_LIMIT": ("price", "trigger_price"),
    "MARKET_IF_TOUCHED": ("trigger_price",),
}
"""The kinds that an intent can ask for, and the prices that each must name."""


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order exactly as it is sent.

    Attributes
    ----------
    client_order_id
        Our name of it.
    quantity
        Base currency, whole lots.
    price, trigger_price
        Quote currency, on the instrument's grid; None where the kind has none.
    purpose
        What it is for, as in `OrderIntent`.
    """

    client_order_id: str
    instrument_id: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    price: float | None = None
    trigger_price: float | None = None
    reduce_only: bool = False
    post_only: bool = False
    purpose: str = "entry"

    def intent(self) -> OrderIntent:
        """Return the wish for exactly this order."""
        return OrderIntent(
            instrument_id=self.instrument_id,
            side=self.side,
            kind=self.kind,
            quantity=self.quantity,
            price=self.price,
            trigger_price=self.trigger_price,
            reduce_only=self.reduce_only,
            post_only=self.post_only,
            purpose=self.purpose,
        )


class OrderPort(Protocol):
    """Carry out one strategy's commands. It is asked for nothing that was not allowed."""

    def knows(self, client_order_id: str) -> bool:
        """Return whether there is an order of that id, of whatever origin."""
        ...

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        """Return a price, quote currency, on the instrument's grid, rounded up or down."""
        ...

    def submit(self, terms: OrderTerms) -> None:
        """Send an order."""
        ...

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Change a resting order; None leaves a term as it is."""
        ...

    def cancel(self, client_order_id: str) -> None:
        """Cancel an order."""
        ...

    def carry_out(self, call: Callable[[], None]) -> None:
        """Send by the engine's own method what a strategy built, or asked of it itself."""
        ...

    def now(self) -> int:
        """Return the time of the clock that alerts follow, ns UTC."""
        ...

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        """Call back at a time, ns UTC, once; of one name there is one alert at a time."""
        ...

    def publish(self, topic: str, message: OrderSent) -> None:
        """Tell a message to all who listen to the topic."""
        ...


def plan(
    intent: OrderIntent, quantity: Decimal, client_order_id: str, port: OrderPort
) -> OrderTerms:
    """Return the terms of an allowed intent: its prices on the grid, rounded as `goes_up` says.

    Raises
    ------
    ConfigError
        If the intent's kind needs a price that it does not give, or cannot be sent as an intent.
    """
    needs = _NEEDS.get(intent.kind)
    if needs is None:
        raise ConfigError(
            f"intent for {intent.instrument_id}",
            f"kind was {intent.kind}",
            f"must be {', '.join([*_NEEDS][:-1])} or {[*_NEEDS][-1]}",
            "Build other kinds with self.order_factory and give them to self.submit_order",
        )
    return OrderTerms(
        client_order_id=client_order_id,
        instrument_id=intent.instrument_id,
        side=intent.side,
        kind=intent.kind,
        quantity=quantity,
        price=_needed(intent, "price", intent.price, port) if "price" in needs else None,
        trigger_price=(
            _needed(intent, "trigger_price", intent.trigger_price, port)
            if "trigger_price" in needs
            else None
        ),
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        purpose=intent.purpose,
    )


def _needed(intent: OrderIntent, name: str, price: float | None, port: OrderPort) -> float:
    if price is None:
        raise ConfigError(
            f"intent for {intent.instrument_id}", f"{intent.kind} had no {name}", "must have one"
        )
    up = goes_up(
        intent.kind,
        intent.side,
        is_trigger=name == "trigger_price",
        reduces=intent.reduce_only,
    )
    return port.on_grid(intent.instrument_id, price, up=up)
