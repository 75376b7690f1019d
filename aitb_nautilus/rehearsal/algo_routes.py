"""The REST answers to signed requests about conditional orders.

References
----------
Binance, USDⓈ-M futures, Trade (Algo Order) REST endpoints
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api).
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.api import Routes
from aitb_nautilus.rehearsal.conditional import algo_report
from aitb_nautilus.rehearsal.futures_exchange import FuturesExchange
from aitb_nautilus.rehearsal.order_routes import ALL_DONE
from aitb_nautilus.rehearsal.request_params import Params, page, within

__all__ = ["ALGO_ROUTES", "cancel_conditional", "place_conditional"]


def place_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Take a new conditional order."""
    exchange.limits.add_orders(1, exchange.signing_ms())
    made = exchange.triggers.place(params)
    return algo_report(exchange.venue.markets[made.symbol].rules, made)


def cancel_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Cancel a conditional order that has not woken."""
    made = exchange.triggers.cancel(params)
    return {
        "algoId": made.algo_id,
        "clientAlgoId": made.client_id,
        "code": "200",
        "msg": "success",
    }


def cancel_all_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Cancel the conditional orders of a symbol that have not woken."""
    exchange.triggers.cancel_all(params.get("symbol"))
    return ALL_DONE


def query_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Answer one conditional order."""
    made = exchange.triggers.find(params)
    return algo_report(exchange.venue.markets[made.symbol].rules, made)


def open_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Answer the conditional orders that have not woken."""
    symbol = params.get("symbol")
    if symbol is not None:
        exchange.venue.market(symbol)
    return [
        algo_report(exchange.venue.markets[made.symbol].rules, made)
        for made in exchange.triggers.waiting(symbol)
    ]


def all_conditional(exchange: FuturesExchange, params: Params) -> Any:
    """Answer all conditional orders of a symbol, oldest first."""
    market = exchange.venue.market(params.get("symbol"))
    found = [
        made
        for made in exchange.triggers.all.values()
        if made.symbol == market.rules.symbol and within(made.created_ms, params)
    ]
    return [algo_report(market.rules, made) for made in page(found, params, 500)]


ALGO_ROUTES: Routes = {
    "POST /fapi/v1/algoOrder": (0, place_conditional),
    "DELETE /fapi/v1/algoOrder": (1, cancel_conditional),
    "GET /fapi/v1/algoOrder": (1, query_conditional),
    "DELETE /fapi/v1/algoOpenOrders": (1, cancel_all_conditional),
    "GET /fapi/v1/openAlgoOrders": (1, open_conditional),
    "GET /fapi/v1/allAlgoOrders": (5, all_conditional),
}
"""``METHOD /path``: weight and handler."""
