"""The REST answers of spot to signed requests: orders, trades, the account.

References
----------
Binance, Spot, REST API, Trading and Account endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.request_params import Params, page, whole, within
from aitb_nautilus.rehearsal.spot.reports import (
    balance,
    cancel_report,
    new_order_report,
    trade_report,
)
from aitb_nautilus.rehearsal.spot.venue import SpotVenue

__all__ = [
    "SIGNED_ROUTES",
    "account",
    "cancel_all",
    "cancel_order",
    "cancel_replace",
    "place_order",
    "query_order",
]

type Spot = Exchange[SpotVenue]


def place_order(exchange: Spot, params: Params) -> Any:
    """Take a new order."""
    exchange.limits.add_orders(1, exchange.signing_ms())
    before = len(exchange.venue.fills)
    order = exchange.venue.place(params)
    fills = [fill for fill in exchange.venue.fills[before:] if fill.order_id == order.order_id]
    return new_order_report(exchange.venue.markets[order.symbol].rules, order, fills)


def cancel_order(exchange: Spot, params: Params) -> Any:
    """Cancel an open order."""
    order = exchange.venue.cancel(params)
    return cancel_report(exchange.venue.markets[order.symbol].rules, order)


def cancel_all(exchange: Spot, params: Params) -> Any:
    """Cancel the open orders of a symbol."""
    market = exchange.venue.market(params.get("symbol"))
    orders = exchange.venue.orders.open(market.rules.symbol)
    if not orders:
        raise VenueError.of(-2011)
    exchange.venue.cancel_all(market.rules.symbol)
    return [cancel_report(market.rules, order) for order in orders]


def cancel_replace(exchange: Spot, params: Params) -> Any:
    """Cancel an order, and place another if that succeeded or if the client wants it anyway.

    References
    ----------
    Binance, Spot, Cancel an Existing Order and Send a New Order: -2021 if one half failed, -2022 if
    both did; ``data`` says which.
    """
    anyway = params.get("cancelReplaceMode") == "ALLOW_FAILURE"
    named: Mapping[str, str | None] = {
        "symbol": params.get("symbol"),
        "orderId": params.get("cancelOrderId"),
        "origClientOrderId": params.get("cancelOrigClientOrderId"),
    }
    done: dict[str, Any] = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED"}
    try:
        found = {name: text for name, text in named.items() if text is not None}
        done["cancelResponse"] = cancel_order(exchange, found)
    except VenueError as e:
        done |= {"cancelResult": "FAILURE", "cancelResponse": e.body()}
    if done["cancelResult"] == "SUCCESS" or anyway:
        try:
            done |= {
                "newOrderResponse": place_order(exchange, params),
                "newOrderResult": "SUCCESS",
            }
        except VenueError as e:
            done |= {"newOrderResult": "FAILURE", "newOrderResponse": e.body()}
    results = (done["cancelResult"], done["newOrderResult"])
    if "FAILURE" in results:
        half = "SUCCESS" in results
        words = "Order cancel-replace partially failed." if half else "Order cancel-replace failed."
        raise VenueError(-2021 if half else -2022, words, 409 if half else 400)
    return done


def query_order(exchange: Spot, params: Params) -> Any:
    """Answer one order."""
    return exchange.venue.describe_order(exchange.venue.find(params))


def open_orders(exchange: Spot, params: Params) -> Any:
    """Answer the open orders of one or of all symbols."""
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    return [exchange.venue.describe_order(order) for order in exchange.venue.orders.open(symbol)]


def all_orders(exchange: Spot, params: Params) -> Any:
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
    return [exchange.venue.describe_order(order) for order in page(found, params, 500)]


def my_trades(exchange: Spot, params: Params) -> Any:
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


def account(exchange: Spot, _params: Params) -> Any:
    """Answer balances and fees."""
    venue = exchange.venue
    rules = next(iter(venue.markets.values())).rules
    maker, taker = f"{rules.maker_fee:.8f}", f"{rules.taker_fee:.8f}"
    rates = {"maker": maker, "taker": taker, "buyer": "0.00000000", "seller": "0.00000000"}
    return {
        "makerCommission": round(rules.maker_fee * 10_000),
        "takerCommission": round(rules.taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        **rates,
        "commissionRates": rates,
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": exchange.now_ms(),
        "accountType": "SPOT",
        "balances": [
            balance(asset, venue.free(asset), venue.locked(asset)) for asset in venue.wallet()
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def trade_fees(exchange: Spot, _params: Params) -> Any:
    """Answer the fees of all symbols."""
    return [
        {
            "symbol": market.rules.symbol,
            "makerCommission": str(market.rules.maker_fee),
            "takerCommission": str(market.rules.taker_fee),
        }
        for market in exchange.venue.markets.values()
    ]


SIGNED_ROUTES: Routes = {
    "POST /api/v3/order": (1, place_order),
    "GET /api/v3/order": (4, query_order),
    "DELETE /api/v3/order": (1, cancel_order),
    "POST /api/v3/order/cancelReplace": (1, cancel_replace),
    "GET /api/v3/openOrders": (6, open_orders),
    "DELETE /api/v3/openOrders": (1, cancel_all),
    "GET /api/v3/allOrders": (20, all_orders),
    "GET /api/v3/myTrades": (20, my_trades),
    "GET /api/v3/account": (20, account),
    "GET /sapi/v1/asset/tradeFee": (1, trade_fees),
}
"""``METHOD /path``: weight and handler."""
