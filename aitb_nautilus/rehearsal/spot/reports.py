"""Spot orders, trades and balances, as REST answers them and the user data stream tells them.

References
----------
Binance, Spot, REST API (New order, Query order, Account information, Account trade list) and User
Data Streams (Order Update, Account Update).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.account import money
from aitb_nautilus.rehearsal.orders import BUY, Fill, Order
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = [
    "account_position",
    "balance",
    "cancel_report",
    "execution_report",
    "new_order_report",
    "order_report",
    "trade_report",
]

_PREVENTION = "EXPIRE_MAKER"


def order_report(rules: Rules, order: Order, *, working: bool) -> dict[str, Any]:
    """Return an order as Query Order answers it."""
    return {
        **_common(rules, order),
        "clientOrderId": order.client_id,
        "icebergQty": money(Decimal(0)),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": working,
        "workingTime": order.updated_ms if working else -1,
    }


def new_order_report(rules: Rules, order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    """Return a new order as New Order answers it, with what it traded at once."""
    common = _common(rules, order)
    if not order.stop_price:
        del common["stopPrice"]
    return {
        **common,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
        "workingTime": order.updated_ms,
        "fills": [
            {
                "price": rules.price_text(fill.price),
                "qty": rules.size_text(fill.quantity),
                "commission": fill.commission,
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ],
    }


def cancel_report(rules: Rules, order: Order) -> dict[str, Any]:
    """Return an order as Cancel Order answers it."""
    return {
        **_common(rules, order),
        "origClientOrderId": order.client_id,
        "clientOrderId": f"cancel{order.order_id}",
        "transactTime": order.updated_ms,
    }


def trade_report(rules: Rules, fill: Fill) -> dict[str, Any]:
    """Return a trade as Account Trade List gives it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": rules.price_text(fill.price),
        "qty": rules.size_text(fill.quantity),
        "quoteQty": rules.value_text(fill.price * fill.quantity),
        "commission": fill.commission,
        "commissionAsset": fill.commission_asset,
        "time": fill.ts_ms,
        "isBuyer": fill.side == BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def balance(asset: str, free: Decimal, locked: Decimal) -> dict[str, Any]:
    """Return a balance as Account Information gives it."""
    return {"asset": asset, "free": money(free), "locked": money(locked)}


def account_position(
    balances: Sequence[tuple[str, Decimal, Decimal]], now_ms: int
) -> dict[str, Any]:
    """Return what assets came to: name, free, locked."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [{"a": a, "f": money(free), "l": money(locked)} for a, free, locked in balances],
    }


def execution_report(
    rules: Rules,
    order: Order,
    execution: str,
    now_ms: int,
    fill: Fill | None,
    *,
    number: int,
    working: bool,
) -> dict[str, Any]:
    """Return an order's change; `execution` is NEW, TRADE, CANCELED or EXPIRED."""
    price, size, nothing = rules.price_text, rules.size_text, money(Decimal(0))
    cancelled = execution == "CANCELED"
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": f"cancel{order.order_id}" if cancelled else order.client_id,
        "S": order.side,
        "o": order.origin,
        "f": _time_in_force(order),
        "q": size(order.quantity),
        "p": price(order.price or 0),
        "P": price(order.stop_price),
        "F": nothing,
        "g": -1,
        "C": order.client_id if cancelled else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": size(fill.quantity if fill else 0),
        "z": size(order.filled),
        "L": price(fill.price if fill else 0),
        "n": fill.commission if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": order.updated_ms,
        "t": fill.trade_id if fill else -1,
        "I": number,
        "w": working and order.is_open,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": rules.value_text(order.filled_value),
        "Y": rules.value_text(fill.price * fill.quantity if fill else 0),
        "Q": nothing,
        "W": order.created_ms,
        "V": _PREVENTION,
    }


def _common(rules: Rules, order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": rules.price_text(order.price or 0),
        "origQty": rules.size_text(order.quantity),
        "executedQty": rules.size_text(order.filled),
        "origQuoteOrderQty": money(Decimal(0)),
        "cummulativeQuoteQty": rules.value_text(order.filled_value),
        "status": order.status,
        "timeInForce": _time_in_force(order),
        "type": order.origin,
        "side": order.side,
        "stopPrice": rules.price_text(order.stop_price),
        "selfTradePreventionMode": _PREVENTION,
    }


def _time_in_force(order: Order) -> str:
    return "GTC" if order.time_in_force == "GTX" else order.time_in_force
