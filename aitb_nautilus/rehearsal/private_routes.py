"""The REST answers to signed requests: orders, conditional orders, account, user data stream.

References
----------
Binance, USDⓈ-M futures, Trade, Account and User Data Streams REST endpoints
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.conditional import algo_report
from aitb_nautilus.rehearsal.entry import flag, whole
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.reports import (
    account_report,
    balance_report,
    order_report,
    position_report,
    trade_report,
)
from aitb_nautilus.rehearsal.user_events import leverage_update

__all__ = ["KEY_ROUTES", "SIGNED_ROUTES", "all_fills", "all_orders_of"]

type Params = Mapping[str, str]
type Handler = Callable[[Exchange, Params], Any]

_MAX_LEVERAGE = 125
_BATCH_ORDERS, _BATCH_CANCELS = 5, 10
_ALL_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


def place_order(exchange: Exchange, params: Params) -> Any:
    """Take a new order."""
    exchange.limits.add_orders(1, exchange.signing_ms())
    return _place(exchange, params)


def _place(exchange: Exchange, params: Params) -> Any:
    wanted = params.get("newOrderRespType", "ACK")
    if wanted not in ("ACK", "RESULT"):
        raise VenueError.of(-1130, "newOrderRespType")
    market = exchange.venue.market(params.get("symbol"))
    order = exchange.venue.place(params)
    answer = _report(exchange, order)
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


def place_batch(exchange: Exchange, params: Params) -> Any:
    """Take up to five new orders, each for itself."""
    orders = _decode_list(params, "batchOrders", _BATCH_ORDERS)
    exchange.limits.add_orders(len(orders), exchange.signing_ms())
    return [_or_error(lambda one=one: _place(exchange, one)) for one in orders]  # type: ignore[misc]


def amend_order(exchange: Exchange, params: Params) -> Any:
    """Change an open order."""
    return _report(exchange, exchange.venue.amend(params))


def amend_batch(exchange: Exchange, params: Params) -> Any:
    """Change up to five open orders, each for itself."""
    orders = _decode_list(params, "batchOrders", _BATCH_ORDERS)
    return [_or_error(lambda one=one: amend_order(exchange, one)) for one in orders]  # type: ignore[misc]


def cancel_order(exchange: Exchange, params: Params) -> Any:
    """Cancel an open order."""
    return _report(exchange, exchange.venue.cancel(params))


def cancel_batch(exchange: Exchange, params: Params) -> Any:
    """Cancel up to ten open orders, each for itself."""
    name, part = "orderIdList", "orderId"
    if name not in params:
        name, part = "origClientOrderIdList", "origClientOrderId"
    ids = _decode_list(params, name, _BATCH_CANCELS)
    symbol = params.get("symbol", "")
    return [
        _or_error(lambda one=one: cancel_order(exchange, {"symbol": symbol, part: str(one)}))  # type: ignore[misc]
        for one in ids
    ]


def cancel_all(exchange: Exchange, params: Params) -> Any:
    """Cancel the open orders of a symbol."""
    exchange.venue.cancel_all(params.get("symbol"))
    return _ALL_DONE


def countdown(exchange: Exchange, params: Params) -> Any:
    """Start, renew or end the countdown after which a symbol's orders are cancelled."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    milliseconds = whole(params, "countdownTime")
    if milliseconds is None or milliseconds < 0:
        raise VenueError.malformed("countdownTime")
    return exchange.set_countdown(symbol, milliseconds)


def query_order(exchange: Exchange, params: Params) -> Any:
    """Answer one order."""
    return _report(exchange, exchange.venue.find(params))


def open_orders(exchange: Exchange, params: Params) -> Any:
    """Answer the open orders of one or of all symbols."""
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    return [_report(exchange, order) for order in exchange.venue.open_orders(symbol)]


def all_orders(exchange: Exchange, params: Params) -> Any:
    """Answer the orders of a symbol, open or not, oldest first."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    first = whole(params, "orderId")
    found = [
        order
        for order in exchange.venue.orders.values()
        if order.symbol == symbol
        and (first is None or order.order_id >= first)
        and _within(order.created_ms, params)
    ]
    return [_report(exchange, order) for order in _some(found, params, 500)]


def user_trades(exchange: Exchange, params: Params) -> Any:
    """Answer the account's trades in a symbol, oldest first."""
    market = exchange.venue.market(params.get("symbol"))
    order_id, first = whole(params, "orderId"), whole(params, "fromId")
    found = [
        fill
        for fill in exchange.venue.fills
        if fill.symbol == market.rules.symbol
        and order_id in (None, fill.order_id)
        and (first is None or fill.trade_id >= first)
        and _within(fill.ts_ms, params)
    ]
    return [trade_report(market.rules, fill) for fill in _some(found, params, 500)]


def place_conditional(exchange: Exchange, params: Params) -> Any:
    """Take a new conditional order."""
    exchange.limits.add_orders(1, exchange.signing_ms())
    made = exchange.triggers.place(params)
    return algo_report(exchange.venue.markets[made.symbol].rules, made)


def cancel_conditional(exchange: Exchange, params: Params) -> Any:
    """Cancel a conditional order that has not woken."""
    made = exchange.triggers.cancel(params)
    return {
        "algoId": made.algo_id,
        "clientAlgoId": made.client_id,
        "code": "200",
        "msg": "success",
    }


def cancel_all_conditional(exchange: Exchange, params: Params) -> Any:
    """Cancel the conditional orders of a symbol that have not woken."""
    exchange.triggers.cancel_all(params.get("symbol"))
    return _ALL_DONE


def query_conditional(exchange: Exchange, params: Params) -> Any:
    """Answer one conditional order."""
    made = exchange.triggers.find(params)
    return algo_report(exchange.venue.markets[made.symbol].rules, made)


def open_conditional(exchange: Exchange, params: Params) -> Any:
    """Answer the conditional orders that have not woken."""
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    return [
        algo_report(exchange.venue.markets[made.symbol].rules, made)
        for made in exchange.triggers.waiting(symbol)
    ]


def all_conditional(exchange: Exchange, params: Params) -> Any:
    """Answer all conditional orders of a symbol, oldest first."""
    market = exchange.venue.market(params.get("symbol"))
    found = [
        made
        for made in exchange.triggers.all.values()
        if made.symbol == market.rules.symbol and _within(made.created_ms, params)
    ]
    return [algo_report(market.rules, made) for made in _some(found, params, 500)]


def account(exchange: Exchange, _params: Params) -> Any:
    """Answer balances, margins and positions."""
    venue = exchange.venue
    return account_report(
        venue.account, list(venue.markets.values()), venue.open_orders(), exchange.now_ms()
    )


def balance(exchange: Exchange, _params: Params) -> Any:
    """Answer the wallet."""
    venue = exchange.venue
    return balance_report(
        venue.account, list(venue.markets.values()), venue.open_orders(), exchange.now_ms()
    )


def position_risk(exchange: Exchange, params: Params) -> Any:
    """Answer the position of one or of all symbols."""
    venue = exchange.venue
    symbol = params.get("symbol")
    markets = [venue.market(symbol)] if symbol is not None else list(venue.markets.values())
    return [position_report(market, venue.account) for market in markets]


def income(exchange: Exchange, params: Params) -> Any:
    """Answer the funding settlements of the account."""
    symbol, kind = params.get("symbol"), params.get("incomeType")
    found = [
        row
        for row in exchange.venue.income
        if symbol in (None, row["symbol"])
        and kind in (None, row["incomeType"])
        and _within(row["time"], params)
    ]
    return _some(found, params, 100)


def set_leverage(exchange: Exchange, params: Params) -> Any:
    """Change a symbol's leverage."""
    symbol = exchange.venue.market(params.get("symbol")).rules.symbol
    leverage = whole(params, "leverage")
    if leverage is None:
        raise VenueError.malformed("leverage")
    if not 1 <= leverage <= _MAX_LEVERAGE:
        raise VenueError.of(-4028)
    exchange.venue.account.set_leverage(symbol, leverage)
    exchange.venue.on_user_event(leverage_update(symbol, leverage, exchange.now_ms()))
    return {"leverage": leverage, "maxNotionalValue": "100000000", "symbol": symbol}


def set_margin_type(exchange: Exchange, params: Params) -> Any:
    """Keep crossed margin, which is all that is rehearsed."""
    exchange.venue.market(params.get("symbol"))
    kind = params.get("marginType", "")
    if kind not in ("CROSSED", "ISOLATED"):
        raise VenueError.malformed("marginType")
    raise VenueError.of(-4046 if kind == "CROSSED" else -1020)


def position_mode(_exchange: Exchange, _params: Params) -> Any:
    """Answer that positions are netted."""
    return {"dualSidePosition": False}


def set_position_mode(_exchange: Exchange, params: Params) -> Any:
    """Keep one-way mode, which is all that is rehearsed."""
    raise VenueError.of(-1020 if flag(params, "dualSidePosition") else -4059)


def commission_rate(exchange: Exchange, params: Params) -> Any:
    """Answer a symbol's fees."""
    rules = exchange.venue.market(params.get("symbol")).rules
    return {
        "symbol": rules.symbol,
        "makerCommissionRate": str(rules.maker_fee),
        "takerCommissionRate": str(rules.taker_fee),
        "rpiCommissionRate": str(rules.maker_fee),
    }


def open_stream(exchange: Exchange, _params: Params) -> Any:
    """Answer the listen key of the user data stream."""
    return {"listenKey": exchange.open_listen_key()}


def keep_stream(exchange: Exchange, _params: Params) -> Any:
    """Extend the listen key."""
    return {"listenKey": exchange.keep_listen_key()}


def close_stream(exchange: Exchange, _params: Params) -> Any:
    """End the listen key."""
    exchange.end_listen_key(expired=False)
    return {}


def all_fills(exchange: Exchange) -> list[dict[str, Any]]:
    """Return every trade of the account, with the client's order id."""
    markets = exchange.venue.markets
    return [
        trade_report(markets[fill.symbol].rules, fill) | {"clientOrderId": fill.client_id}
        for fill in exchange.venue.fills
    ]


def all_orders_of(exchange: Exchange) -> list[dict[str, Any]]:
    """Return every order of the account, oldest first."""
    return [_report(exchange, order) for order in exchange.venue.orders.values()]


def _report(exchange: Exchange, order: Order) -> dict[str, Any]:
    return order_report(exchange.venue.markets[order.symbol].rules, order)


def _or_error(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except VenueError as e:
        return e.body()


def _decode_list(params: Params, name: str, most: int) -> list[Any]:
    try:
        items = msgspec.json.decode(params.get(name, ""), type=list[Any])
    except msgspec.DecodeError as e:
        raise VenueError.malformed(name) from e
    if not 1 <= len(items) <= most:
        raise VenueError.of(-1130, name)
    return [
        {key: _as_text(value) for key, value in item.items()} if isinstance(item, dict) else item
        for item in items
    ]


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _within(ts_ms: int, params: Params) -> bool:
    start, end = whole(params, "startTime"), whole(params, "endTime")
    return (start is None or ts_ms >= start) and (end is None or ts_ms <= end)


def _some[T](found: list[T], params: Params, usual: int) -> list[T]:
    """Return the first `limit` if the request says where to begin, otherwise the last."""
    limit = whole(params, "limit") or usual
    begins = any(name in params for name in ("startTime", "fromId", "orderId"))
    return found[:limit] if begins else found[-limit:]


KEY_ROUTES: dict[str, tuple[int, Handler]] = {
    "POST /fapi/v1/listenKey": (1, open_stream),
    "PUT /fapi/v1/listenKey": (1, keep_stream),
    "DELETE /fapi/v1/listenKey": (1, close_stream),
}
"""Requests that need a key but no signature: weight and handler."""

SIGNED_ROUTES: dict[str, tuple[int, Handler]] = {
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
    "POST /fapi/v1/algoOrder": (0, place_conditional),
    "DELETE /fapi/v1/algoOrder": (1, cancel_conditional),
    "GET /fapi/v1/algoOrder": (1, query_conditional),
    "DELETE /fapi/v1/algoOpenOrders": (1, cancel_all_conditional),
    "GET /fapi/v1/openAlgoOrders": (1, open_conditional),
    "GET /fapi/v1/allAlgoOrders": (5, all_conditional),
    "GET /fapi/v2/account": (5, account),
    "GET /fapi/v3/account": (5, account),
    "GET /fapi/v2/balance": (5, balance),
    "GET /fapi/v3/balance": (5, balance),
    "GET /fapi/v2/positionRisk": (5, position_risk),
    "GET /fapi/v3/positionRisk": (5, position_risk),
    "GET /fapi/v1/income": (30, income),
    "POST /fapi/v1/leverage": (1, set_leverage),
    "POST /fapi/v1/marginType": (1, set_margin_type),
    "GET /fapi/v1/positionSide/dual": (30, position_mode),
    "POST /fapi/v1/positionSide/dual": (1, set_position_mode),
    "GET /fapi/v1/commissionRate": (20, commission_rate),
}
"""Requests that must be signed: weight and handler."""
