"""Conditional orders: they wait beside the book for a price, and then become an order.

References
----------
Binance, USDⓈ-M futures, New Algo Order
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order),
Cancel Algo Order, Query Algo Order, and Event: Algo Order Update. Since 2025-12-09 the venue takes
stops and take-profits only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.entry import (
    CONDITIONAL,
    check_limit,
    check_quantity,
    check_tick,
    read_client_id,
    read_side,
)
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import BUY, Order
from aitb_nautilus.rehearsal.reports import average_price
from aitb_nautilus.rehearsal.request_params import flag, whole
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["Conditional", "algo_report", "algo_update", "read_conditional"]

_TRAILING = "TRAILING_STOP_MARKET"


@dataclass
class Conditional:
    """A conditional order; prices and quantities are whole units of the symbol.

    Parameters
    ----------
    algo_id
        The exchange's number.
    client_id
        The client's own id; the order that is placed carries it too.
    trigger
        Price at which it wakes; moves with the market if it trails.
    callback
        Distance of a trailing stop as a fraction, or None.
    activation
        Price from which a stop trails, or None from the start.
    status
        ``NEW``, ``TRIGGERING``, ``TRIGGERED``, ``FINISHED``, ``CANCELED``, ``EXPIRED``,
        ``REJECTED``.
    """

    algo_id: int
    client_id: str
    symbol: str
    side: str
    kind: str
    quantity: int
    price: int | None
    trigger: int
    time_in_force: str
    working_type: str
    reduce_only: bool
    close_position: bool
    created_ms: int
    updated_ms: int
    callback: Decimal | None = None
    activation: int | None = None
    expires_ms: int = 0
    status: str = "NEW"
    triggered_ms: int = 0
    order: Order | None = None
    reason: str = ""

    @property
    def rises(self) -> bool:
        """Whether the price must rise to the trigger; otherwise it must fall."""
        return (self.side == BUY) == (self.kind not in ("TAKE_PROFIT", "TAKE_PROFIT_MARKET"))

    def reached(self, price: int) -> bool:
        """Return whether a price wakes the order; a trailing one first moves its trigger."""
        if self.kind == _TRAILING and not self._trail(price):
            return False
        return price >= self.trigger if self.rises else price <= self.trigger

    def _trail(self, price: int) -> bool:
        if self.activation is not None:
            active = price <= self.activation if self.rises else price >= self.activation
            if not active:
                return False
            self.activation = None
            self.trigger = 0
        distance = self.callback or Decimal(0)
        if self.rises:
            follow = int(price * (1 + distance))
            self.trigger = min(self.trigger, follow) if self.trigger else follow
        else:
            self.trigger = max(self.trigger, int(price * (1 - distance)))
        return True


def read_conditional(
    params: Mapping[str, str], market: Market, algo_id: int, now_ms: int
) -> Conditional:
    """Return the order of ``POST /fapi/v1/algoOrder``.

    Raises
    ------
    VenueError
        With Binance's code for what is wrong; -2021 if it would wake at once.
    """
    rules = market.rules
    if params.get("algoType") != "CONDITIONAL":
        raise VenueError.malformed("algoType")
    kind = params.get("type", "")
    if kind not in CONDITIONAL:
        raise VenueError.of(-1116) if kind else VenueError.malformed("type")
    side = read_side(params)
    close_position = flag(params, "closePosition")
    reduce_only = flag(params, "reduceOnly")
    if close_position and (params.get("quantity") or reduce_only):
        raise VenueError.of(-1106, "reduceOnly" if reduce_only else "quantity")
    working_type = params.get("workingType", "CONTRACT_PRICE")
    if working_type not in ("CONTRACT_PRICE", "MARK_PRICE"):
        raise VenueError.of(-1130, "workingType")
    made = Conditional(
        algo_id=algo_id,
        client_id=read_client_id(params.get("clientAlgoId"), f"algo{algo_id}"),
        symbol=rules.symbol,
        side=side,
        kind=kind,
        quantity=0 if close_position else check_quantity(rules, params.get("quantity")),
        price=_limit(params, market, side, kind),
        trigger=0,
        time_in_force=params.get("timeInForce", "GTC"),
        working_type=working_type,
        reduce_only=reduce_only,
        close_position=close_position,
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_ms=whole(params, "goodTillDate") or 0,
    )
    if kind == _TRAILING:
        made.callback = _callback(params)
        activation = params.get("activatePrice") or params.get("activationPrice")
        made.activation = check_tick(rules, activation, "activatePrice") if activation else None
        return made
    made.trigger = check_tick(rules, params.get("triggerPrice"), "triggerPrice")
    price = trigger_price(made, market)
    if price is not None and made.reached(price):
        raise VenueError.of(-2021)
    return made


def trigger_price(order: Conditional, market: Market) -> int | None:
    """Return the price that an order watches."""
    return market.mark_price if order.working_type == "MARK_PRICE" else market.last_price


def _limit(params: Mapping[str, str], market: Market, side: str, kind: str) -> int | None:
    if kind in ("STOP", "TAKE_PROFIT"):
        return check_limit(market, params.get("price"), side)
    return None


def _callback(params: Mapping[str, str]) -> Decimal:
    text = params.get("callbackRate", "")
    try:
        rate = Decimal(text)
    except ArithmeticError as e:
        raise VenueError.malformed("callbackRate") from e
    if not rate.is_finite() or not Decimal("0.1") <= rate <= 10:
        raise VenueError.of(-1130, "callbackRate")
    return rate / 100


def algo_report(rules: Rules, made: Conditional) -> dict[str, Any]:
    """Return a conditional order as New and Query Algo Order answer it."""
    price = rules.price_text
    order = made.order
    return {
        "algoId": made.algo_id,
        "clientAlgoId": made.client_id,
        "algoType": "CONDITIONAL",
        "orderType": made.kind,
        "symbol": made.symbol,
        "side": made.side,
        "positionSide": "BOTH",
        "timeInForce": made.time_in_force,
        "quantity": rules.size_text(made.quantity),
        "algoStatus": made.status,
        "actualOrderId": str(order.order_id) if order else "",
        "actualPrice": average_price(rules, order) if order else "0.00000",
        "actualType": order.kind if order else "",
        "actualQty": rules.size_text(order.filled) if order else rules.size_text(0),
        "triggerPrice": price(made.trigger),
        "price": price(made.price or 0),
        "icebergQuantity": None,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": made.working_type,
        "priceMatch": "NONE",
        "closePosition": made.close_position,
        "priceProtect": False,
        "reduceOnly": made.reduce_only,
        "activatePrice": price(made.activation or 0),
        "callbackRate": str(made.callback * 100) if made.callback is not None else "",
        "createTime": made.created_ms,
        "updateTime": made.updated_ms,
        "triggerTime": made.triggered_ms,
        "goodTillDate": made.expires_ms,
    }


def algo_update(rules: Rules, made: Conditional, now_ms: int) -> dict[str, Any]:
    """Return a change of a conditional order as the user data stream tells it."""
    order = made.order
    body: dict[str, Any] = {
        "caid": made.client_id,
        "aid": made.algo_id,
        "at": "CONDITIONAL",
        "o": made.kind,
        "s": made.symbol,
        "S": made.side,
        "ps": "BOTH",
        "f": made.time_in_force,
        "q": rules.size_text(made.quantity),
        "X": made.status,
        "ai": str(order.order_id) if order else "",
        "ap": average_price(rules, order) if order else "0.00000",
        "aq": rules.size_text(order.filled) if order else "0.00000",
        "act": order.kind if order else "0",
        "tp": rules.price_text(made.trigger),
        "p": rules.price_text(made.price or 0),
        "V": "EXPIRE_MAKER",
        "wt": made.working_type,
        "pm": "NONE",
        "cp": made.close_position,
        "pP": False,
        "R": made.reduce_only,
        "tt": made.triggered_ms,
        "gtd": made.expires_ms,
        "rm": made.reason,
    }
    return {"e": "ALGO_UPDATE", "T": made.updated_ms, "E": now_ms, "o": body}
