"""Between the engine's objects and our plain messages.

Prices leave the engine exactly: ``raw`` divided by its scale, never ``as_double()`` (decision 4).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    Bar,
    LiquiditySide,
    OrderFilled,
    OrderInitialized,
    OrderSide,
    Price,
    Quantity,
)

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import RAW_SCALE
from aitb_nautilus.messages import (
    BarClosed,
    Fill,
    FundingRate,
    OrderIntent,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.permits import Permit

__all__ = [
    "bar_fact",
    "build_order",
    "fill_fact",
    "funding_fact",
    "intent_of",
    "permit_of",
    "price_of",
    "side_of",
    "update_fact",
]

_PURPOSE_OF_TAG = {"ENTRY": "entry", "STOP_LOSS": "exit:stop", "TAKE_PROFIT": "exit:target"}
"""What the engine's own brackets call their orders."""

_STATUS_AFTER: dict[str, OrderStatus | None] = {
    "OrderDenied": "DENIED",
    "OrderRejected": "REJECTED",
    "OrderAccepted": "ACCEPTED",
    "OrderTriggered": "ACCEPTED",
    "OrderCanceled": "CANCELED",
    "OrderExpired": "EXPIRED",
    "OrderUpdated": None,
    "OrderModifyRejected": None,
    "OrderCancelRejected": None,
}


def bar_fact(bar: Bar, instrument_id: str) -> BarClosed:
    """Return an engine bar as a fact."""
    return BarClosed(
        instrument_id,
        bar.ts_event,
        bar.open.raw / RAW_SCALE,
        bar.high.raw / RAW_SCALE,
        bar.low.raw / RAW_SCALE,
        bar.close.raw / RAW_SCALE,
        bar.volume.raw / RAW_SCALE,
    )


def fill_fact(event: OrderFilled) -> Fill:
    """Return an engine fill as a fact."""
    commission = event.commission
    return Fill(
        str(event.strategy_id),
        str(event.instrument_id),
        str(event.client_order_id),
        str(event.trade_id),
        event.ts_event,
        side_of(event.order_side),
        event.last_px.raw / RAW_SCALE,
        event.last_qty.as_decimal(),
        float(commission.as_decimal()) if commission is not None else 0.0,
        "MAKER" if event.liquidity_side == LiquiditySide.MAKER else "TAKER",
    )


def update_fact(event: Any) -> OrderUpdate | None:
    """Return an order event as a fact, or None if it changes nothing for us."""
    name = type(event).__name__
    if name not in _STATUS_AFTER:
        return None
    changed = name == "OrderUpdated"
    return OrderUpdate(
        str(event.client_order_id),
        str(event.instrument_id),
        event.ts_event,
        _STATUS_AFTER[name],
        event.quantity.as_decimal() if changed else None,
        price_of(event.price) if changed else None,
        price_of(event.trigger_price) if changed else None,
        str(getattr(event, "reason", "") or ""),
        changed or name == "OrderModifyRejected",
    )


def funding_fact(rate: Any) -> FundingRate | None:
    """Return an engine funding rate as a fact, or None if it names no settlement."""
    if rate.next_funding_ns is None:
        return None
    return FundingRate(str(rate.instrument_id), float(rate.rate), rate.next_funding_ns)


def permit_of(event: OrderInitialized) -> Permit:
    """Return what the engine says a new order is, in the words of a permit."""
    return Permit(
        str(event.instrument_id),
        side_of(event.order_side),
        event.quantity.as_decimal(),
        event.reduce_only,
    )


def intent_of(order: Any) -> OrderIntent:
    """Return the intent of an order that was built with the engine's order factory.

    Raises
    ------
    ConfigError
        If the order asks for an execution algorithm or for a quantity in quote currency, which
        the guard does not judge.
    """
    event = order.init_event
    if event.exec_algorithm_id is not None:
        raise ConfigError(
            f"order {event.client_order_id}",
            f"asked for the execution algorithm {event.exec_algorithm_id}",
            "execution algorithms are not supported, they spawn orders around the guard",
            "Send plain orders",
        )
    if event.quote_quantity:
        raise ConfigError(
            f"order {event.client_order_id}",
            "had its quantity in quote currency",
            "must be in base currency",
        )
    tags = event.tags
    return OrderIntent(
        instrument_id=str(event.instrument_id),
        side=side_of(event.order_side),
        kind=kind_of(event.order_type),
        quantity=event.quantity.as_decimal(),
        price=price_of(event.price),
        trigger_price=price_of(event.trigger_price),
        reduce_only=event.reduce_only,
        post_only=event.post_only,
        purpose=(
            _PURPOSE_OF_TAG.get(tags[0], tags[0])
            if tags
            else ("exit:signal" if event.reduce_only else "entry")
        ),
    )


def build_order(factory: Any, instrument: Any, intent: OrderIntent, quantity: Decimal) -> Any:
    """Return the engine's order for an allowed intent; prices are put onto the tick grid.

    Raises
    ------
    ConfigError
        If the intent's kind needs a price that it does not give, or cannot be built from an intent.
    """
    common = {
        "instrument_id": instrument.id,
        "order_side": OrderSide.BUY if intent.side == "BUY" else OrderSide.SELL,
        "quantity": Quantity.from_decimal_dp(quantity, instrument.size_precision),
        "reduce_only": intent.reduce_only,
        "tags": [intent.purpose],
    }
    match intent.kind:
        case "MARKET":
            return factory.market(**common)
        case "LIMIT":
            return factory.limit(
                **common,
                price=_tick(instrument, intent.price, intent, "price"),
                post_only=intent.post_only,
            )
        case "STOP_MARKET":
            trigger = _tick(instrument, intent.trigger_price, intent, "trigger_price")
            return factory.stop_market(**common, trigger_price=trigger)
        case "STOP_LIMIT":
            return factory.stop_limit(
                **common,
                price=_tick(instrument, intent.price, intent, "price"),
                trigger_price=_tick(instrument, intent.trigger_price, intent, "trigger_price"),
                post_only=intent.post_only,
            )
        case "MARKET_IF_TOUCHED":
            trigger = _tick(instrument, intent.trigger_price, intent, "trigger_price")
            return factory.market_if_touched(**common, trigger_price=trigger)
        case _:
            raise ConfigError(
                f"intent for {intent.instrument_id}",
                f"kind was {intent.kind}",
                "must be MARKET, LIMIT, STOP_MARKET, STOP_LIMIT or MARKET_IF_TOUCHED",
                "Build other kinds with self.order_factory and give them to self.submit_order",
            )


def side_of(side: OrderSide) -> Side:
    """Return the engine's order side as text."""
    return "BUY" if side == OrderSide.BUY else "SELL"


def kind_of(order_type: Any) -> OrderKind:
    """Return the engine's order type as text."""
    kind: OrderKind = order_type.name
    return kind


def price_of(price: Price | None) -> float | None:
    """Return an engine price as its exact float64, quote currency."""
    return None if price is None else price.raw / RAW_SCALE


def _tick(instrument: Any, price: float | None, intent: OrderIntent, name: str) -> Price:
    if price is None:
        raise ConfigError(
            f"intent for {intent.instrument_id}", f"{intent.kind} had no {name}", "must have one"
        )
    rounded: Price = instrument.make_price(price)
    return rounded
