"""A new order as the client wrote it, read and checked against the symbol's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import BUY, SELL, Order
from aitb_nautilus.rehearsal.request_params import flag, whole
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = [
    "CONDITIONAL",
    "Request",
    "check_limit",
    "check_quantity",
    "check_tick",
    "read_client_id",
    "read_order",
    "read_side",
]

CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
"""Types that the order endpoint refuses since December 2025; they belong to the algo endpoint."""
_TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX", "GTD")
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_BAND = Decimal("0.05")
"""PERCENT_PRICE: how far a limit may lie on the losing side of the mark price."""


@dataclass(frozen=True)
class Request:
    """A new order that has passed the checks of form; whole units of the symbol."""

    symbol: str
    side: str
    kind: str
    quantity: int
    price: int | None
    time_in_force: str
    reduce_only: bool
    client_id: str
    expires_ms: int = 0
    origin: str = ""
    """The type that the client sent, where it is another."""
    stop_price: int = 0
    close_position: bool = False

    def order(self, number: int, now_ms: int) -> Order:
        """Return the order that this asks for, under the exchange's number."""
        return Order(
            order_id=number,
            client_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            kind=self.kind,
            quantity=self.quantity,
            price=self.price,
            time_in_force=self.time_in_force,
            reduce_only=self.reduce_only,
            created_ms=now_ms,
            updated_ms=now_ms,
            origin=self.origin or self.kind,
            stop_price=self.stop_price,
            close_position=self.close_position,
            expires_ms=self.expires_ms,
        )


def read_order(params: Mapping[str, str], market: Market, spare_id: str) -> Request:
    """Return the order of ``POST /fapi/v1/order``.

    Parameters
    ----------
    params
        As sent; values are text.
    market
        The symbol's market.
    spare_id
        The client order id if the client sent none.

    Raises
    ------
    VenueError
        With Binance's code for what is wrong.

    References
    ----------
    Binance, USDⓈ-M futures, New Order.
    """
    rules = market.rules
    kind = params.get("type", "")
    if kind in CONDITIONAL:
        raise VenueError.of(-4120)
    if kind not in ("LIMIT", "MARKET"):
        raise VenueError.of(-1116) if kind else VenueError.malformed("type")
    side = read_side(params)
    time_in_force = params.get("timeInForce", "GTC" if kind == "MARKET" else "")
    if not time_in_force:
        raise VenueError.malformed("timeInForce")
    if time_in_force not in _TIMES_IN_FORCE:
        raise VenueError.of(-1115)
    reduce_only = flag(params, "reduceOnly")
    quantity = check_quantity(rules, params.get("quantity"))
    price = None
    if kind == "LIMIT":
        price = check_limit(market, params.get("price"), side)
    elif params.get("price") is not None:
        raise VenueError.of(-1106, "price")
    reference = price if price is not None else market.mark_price or 0
    if not reduce_only and rules.price(reference) * rules.size(quantity) < rules.min_notional:
        raise VenueError.of(-4164, rules.min_notional)
    return Request(
        symbol=rules.symbol,
        side=side,
        kind=kind,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        client_id=read_client_id(params.get("newClientOrderId"), spare_id),
        expires_ms=whole(params, "goodTillDate") or 0 if time_in_force == "GTD" else 0,
    )


def read_side(params: Mapping[str, str]) -> str:
    """Return the side, in one-way mode only."""
    side = params.get("side", "")
    if side not in (BUY, SELL):
        raise VenueError.of(-1117) if side else VenueError.malformed("side")
    if params.get("positionSide", "BOTH") != "BOTH":
        raise VenueError.of(-4061)
    return side


def read_client_id(text: str | None, spare_id: str) -> str:
    """Return the client's id, or `spare_id` if there is none."""
    if text is None:
        return spare_id
    if not _CLIENT_ID.fullmatch(text):
        raise VenueError.of(-4015)
    return text


def check_quantity(rules: Rules, text: str | None) -> int:
    """Return a quantity within LOT_SIZE, in quantity units."""
    if not text:
        raise VenueError.malformed("quantity")
    quantity = rules.size_units(text)
    if quantity <= 0:
        raise VenueError.of(-4003)
    if quantity < rules.min_quantity:
        raise VenueError.of(-4004)
    if quantity > rules.max_quantity:
        raise VenueError.of(-4005)
    if quantity % rules.lot:
        raise VenueError.of(-4023)
    return quantity


def check_limit(market: Market, text: str | None, side: str) -> int:
    """Return a limit within PRICE_FILTER and PERCENT_PRICE, in price units."""
    if not text:
        raise VenueError.malformed("price")
    price = check_tick(market.rules, text, "price")
    mark = market.mark_price
    if mark is not None and side == BUY and price > mark * (1 + _BAND):
        limit = market.rules.price(int(mark * (1 + _BAND)))
        raise VenueError(-4016, f"Limit price can't be higher than {limit}.")
    if mark is not None and side == SELL and price < mark * (1 - _BAND):
        limit = market.rules.price(int(mark * (1 - _BAND)))
        raise VenueError(-4024, f"Limit price can't be lower than {limit}.")
    return price


def check_tick(rules: Rules, text: str | None, name: str) -> int:
    """Return a price on the tick, in price units."""
    if not text:
        raise VenueError.malformed(name)
    price = rules.price_units(text, name)
    if price < rules.tick:
        raise VenueError.of(-4013)
    if price % rules.tick:
        raise VenueError.of(-4014)
    return price
