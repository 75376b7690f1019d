"""The REST answers to signed requests about orders and trades.

References
----------
Binance, USDⓈ-M futures, Trade REST endpoints
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.reports import trade_report
from aitb_nautilus.rehearsal.request_params import Params, page, text_list, whole, within

__all__ = [
    "ORDER_ROUTES",
    "amend_order",
    "cancel_order",
    "place_order",
    "query_order",
]


_BATCH_ORDERS, _BATCH_CANCELS = 5, 10
ALL_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


def place_order(exchange: FuturesExchange, params: Params) -> Any:
    """Take a new order."""
    exchange.limits.add_orders(1, exchange.signing_ms())
    return _place(exchange, params)


def _place(exchange: FuturesExchange, params: Params) -> Any:
    wanted = params.get("newOrderRespType", "ACK")
    if wanted not in ("ACK", "RESULT"):
        raise VenueError.of(-1130, "newOrderRespType")
    market = exchange.venue.market(params.get("symbol"))
    order = exchange.venue.place(params)
    answer = order_answer(exchange, order)
    if wanted == "ACK":  # the answer of the moment in which the order was taken
        zero = market.rules.size_text(0)
        answer |= {
            "status": "NEW",
            "executedQty": zero,
            "cumQty": zero,
            "cumQuote": market.rules.value_text(0),
            "avgPrice": "0.00",
        }
    return answer


def place_batch(exchange: FuturesExchange, params: Params) -> Any:
    """Take up to five new orders, each for itself."""
    orders = text_list(params, "batchOrders", _BATCH_ORDERS)
    exchange.limits.add_orders(len(orders), exchange.signing_ms())
    return [_or_error(lambda one=one: _place(exchange, one)) for one in orders]  # type: ignore[misc]


def amend_order(exchange: FuturesExchange, params: Params) -> Any:
    """Change an open order."""
    return order_answer(exchange, exchange.venue.amend(params))


def amend_batch(exchange: FuturesExchange, params: Params) -> Any:
    """Change up to five open orders, each for itself."""
    orders = text_list(params, "batchOrders", _BATCH_ORDERS)
    return [_or_error(lambda one=one: amend_order(exchange, one)) for one in orders]  # type: ignore[misc]


def cancel_order(exchange: FuturesExchange, params: Params) -> Any:
    """Cancel an open order."""
    return order_answer(exchange, exchange.venue.cancel(params))


def cancel_batch(exchange: FuturesExchange, params: Params) -> Any:
    """Cancel up to ten open orders, each for itself."""
    name, part = "orderIdList", "orderId"
    if name not in params:
        name, part = "origClientOrderIdList", "origClientOrderId"
    ids = text_list(params, name, _BATCH_CANCELS)
    symbol = params.get("symbol", "")
    return [
        _or_error(lambda one=one: cancel_order(exchange, {"symbol": symbol, part: str(one)}))  # type: ignore[misc]
        for one in ids
    ]


def cancel_all(exchange: FuturesExchange, params: Params) -> Any:
    """Cancel the open orders of a symbol."""
    exchange.venue.cancel_all(params.get("symbol"))
    return ALL_DONE


def countdown(exchange: FuturesExchange, params: Params) -> Any:
    """Start, renew or end the countdown after which a symbol's orders are cancelled."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    milliseconds = whole(params, "countdownTime")
    if milliseconds is None or milliseconds < 0:
        raise VenueError.malformed("countdownTime")
    return exchange.set_countdown(symbol, milliseconds)


def query_order(exchange: FuturesExchange, params: Params) -> Any:
    """Answer one order."""
    return order_answer(exchange, exchange.venue.find(params))


def open_orders(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the open orders of one or of all symbols."""
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    return [order_answer(exchange, order) for order in exchange.venue.orders.open(symbol)]


def all_orders(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the orders of a symbol, open or not, oldest first."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    first = whole(params, "orderId")
    found = [
        order
        for order in exchange.venue.orders
        if order.symbol == symbol
        and (first is None or order.order_id >= first)
        and within(order.created_ms, params)
    ]
    return [order_answer(exchange, order) for order in page(found, params, 500)]


def user_trades(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the account's trades in a symbol, oldest first."""
    market = exchange.venue.market(params.get("symbol"))
    order_id, first = whole(params, "orderId"), whole(params, "fromId")
    found = [
        fill
        for fill in exchange.venue.fills
        if fill.symbol == market.rules.symbol
        and order_id in (None, fill.order_id)
        and (first is None or fill.trade_id >= first)
        and within(fill.ts_ms, params)
    ]
    return [trade_report(market.rules, fill) for fill in page(found, params, 500)]


def order_answer(exchange: FuturesExchange, order: Order) -> dict[str, Any]:
    """Return an order as the endpoints answer it."""
    return exchange.venue.describe_order(order)


def _or_error(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except VenueError as e:
        return e.body()


ORDER_ROUTES: Routes = {
    "POST /fapi/v1/order": (0, place_order),
    "PUT /fapi/v1/order": (1, amend_order),
    "DELETE /fapi/v1/order": (1, cancel_order),
    "GET /fapi/v1/order": (1, query_order),
    "POST /fapi/v1/batchOrders": (5, place_batch),
    "PUT /fapi/v1/batchOrders": (5, amend_batch),
    "DELETE /fapi/v1/batchOrders": (1, cancel_batch),
    "DELETE /fapi/v1/allOpenOrders": (1, cancel_all),
    "POST /fapi/v1/countdownCancelAll": (10, countdown),
    "GET /fapi/v1/openOrders": (1, open_orders),
    "GET /fapi/v1/allOrders": (5, all_orders),
    "GET /fapi/v1/userTrades": (5, user_trades),
}
"""``METHOD /path``: weight and handler."""
