"""Between the engine's objects and our plain messages.

Prices leave the engine exactly: ``raw`` divided by its scale, never ``as_double()`` (decision 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from types import MappingProxyType
from typing import Any

from nautilus_trader.model import (
    Bar,
    ClientOrderId,
    LiquiditySide,
    OrderFilled,
    OrderInitialized,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
)

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import RAW_SCALE
from aitb_nautilus.messages import (
    BarClosed,
    Fill,
    FundingRate,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    Quote,
    Side,
)
from aitb_nautilus.risk.fees import Fee, coin_price, fee_of
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit

__all__ = [
    "Tradable",
    "bar_fact",
    "build_order",
    "fee_fact",
    "fill_fact",
    "funding_fact",
    "made_up_end",
    "permit_of",
    "price_of",
    "quote_fact",
    "side_of",
    "terms_of",
    "update_fact",
]

_PURPOSE_OF_TAG = {"ENTRY": "entry", "STOP_LOSS": "exit:stop", "TAKE_PROFIT": "exit:target"}
"""What the engine's own brackets call their orders."""

_WRONG_CLOCK = (
    "the clocks of the venue and of this machine are apart; set this one right (timedatectl "
    "set-ntp true), and what closes is taken again"
)
"""What to do about Binance's -1021: it takes no signed command, exits among them."""
_REDUCES = "reduces"
_SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
_ENDS = ("OrderCanceled", "OrderExpired", "OrderRejected")
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


def bar_fact(bar: Bar, instrument_id: str, ts: int | None = None) -> BarClosed:
    """Return an engine bar as a fact; it closed at `ts`, ns UTC, or when the engine says so."""
    return BarClosed(
        instrument_id,
        bar.ts_event if ts is None else ts,
        bar.open.raw / RAW_SCALE,
        bar.high.raw / RAW_SCALE,
        bar.low.raw / RAW_SCALE,
        bar.close.raw / RAW_SCALE,
        bar.volume.raw / RAW_SCALE,
    )


def quote_fact(quote: QuoteTick, instrument_id: str) -> Quote:
    """Return an engine quote as a fact."""
    return Quote(
        instrument_id,
        quote.ts_event,
        quote.bid_price.raw / RAW_SCALE,
        quote.ask_price.raw / RAW_SCALE,
        quote.bid_size.raw / RAW_SCALE,
        quote.ask_size.raw / RAW_SCALE,
    )


def fill_fact(event: OrderFilled, fee: Fee) -> Fill:
    """Return an engine fill as a fact."""
    return Fill(
        # Each text is new otherwise, and a node remembers fills as long as it runs.
        intern(str(event.strategy_id)),
        intern(str(event.instrument_id)),
        str(event.client_order_id),
        str(event.trade_id),
        event.ts_event,
        side_of(event.order_side),
        event.last_px.raw / RAW_SCALE,
        event.last_qty.as_decimal(),
        fee.value,
        "MAKER" if event.liquidity_side == LiquiditySide.MAKER else "TAKER",
        fee.base,
        fee.elsewhere,
    )


def fee_fact(
    event: OrderFilled,
    instrument: Any,
    instruments: Mapping[str, Any],
    marks: Mapping[str, float],
    told: Mapping[tuple[str, str], float] = MappingProxyType({}),
) -> Fee:
    """Return what an engine fill cost.

    The event's own currency is not looked at: of a spot market it is that of the fee.

    Parameters
    ----------
    instrument
        The engine's, of the fill.
    instruments, marks, told
        As of `coin_price`.
    """
    commission = event.commission
    if commission is None:
        return Fee(0.0)
    coin, quote = commission.currency.code, instrument.quote_currency.code
    worth = coin_price(coin, quote, instruments, marks, told) if coin != quote else None
    price = event.last_px.raw / RAW_SCALE
    return fee_of(commission.as_decimal(), coin, price, instrument, worth)


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
        _reason(event),
        changed or name == "OrderModifyRejected",
    )


def _reason(event: Any) -> str:
    """Return what a venue has said, with what to do about it where that is known."""
    said = str(getattr(event, "reason", "") or "")
    return f"{said.rstrip('.')}: {_WRONG_CLOCK}" if "-1021" in said else said


def made_up_end(event: Any) -> OrderUpdate | None:
    """Return the end of an order that the engine has not heard of, but concluded; else None."""
    if type(event).__name__ in _ENDS and event.reconciliation:
        return update_fact(event)
    return None


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
        event.reduce_only or _REDUCES in (event.tags or ()),
    )


def terms_of(order: Any) -> OrderTerms:
    """Return the terms of an order that was built with the engine's order factory.

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
    return OrderTerms(
        client_order_id=str(event.client_order_id),
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


class Tradable:
    """An instrument of the engine, and what of it every order says; asked of it once.

    Parameters
    ----------
    instrument
        The engine's.
    """

    __slots__ = ("id", "instrument", "size_precision")

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self.id = instrument.id
        self.size_precision = instrument.size_precision


def build_order(
    factory: Any, tradable: Tradable, terms: OrderTerms, *, tagged: bool = False
) -> Any:
    """Return the engine's order with these terms.

    Parameters
    ----------
    factory
        The strategy's, of the engine.
    tagged
        Whether that the order only reduces stands in a tag: a spot market knows no reduce-only,
        since nothing can be sold there that is not held, and the engine denies it.
    """
    common = {
        "instrument_id": tradable.id,
        "order_side": _SIDES[terms.side],
        "quantity": Quantity.from_decimal_dp(terms.quantity, tradable.size_precision),
        "reduce_only": terms.reduce_only and not tagged,
        "tags": [terms.purpose, _REDUCES] if terms.reduce_only and tagged else [terms.purpose],
        "client_order_id": ClientOrderId(terms.client_order_id),
    }
    if terms.price is not None:
        common["price"] = tradable.instrument.make_price(terms.price)
        common["post_only"] = terms.post_only
    if terms.trigger_price is not None:
        common["trigger_price"] = tradable.instrument.make_price(terms.trigger_price)
    return getattr(factory, terms.kind.lower())(**common)


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
