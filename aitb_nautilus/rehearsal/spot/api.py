"""The interface of spot, in JSON and in binary."""

from __future__ import annotations

from aitb_nautilus.rehearsal import account_routes
from aitb_nautilus.rehearsal.api import Api
from aitb_nautilus.rehearsal.limits import SPOT_LIMITS
from aitb_nautilus.rehearsal.public_routes import ping, server_time
from aitb_nautilus.rehearsal.spot import public_routes, signed_routes
from aitb_nautilus.rehearsal.spot.sbe import encode

__all__ = ["SPOT_API"]

SPOT_API = Api(
    limits=SPOT_LIMITS,
    ws_path="ws-api/v3",
    public=public_routes.PUBLIC_ROUTES,
    keyed={
        "POST /api/v3/userDataStream": (2, account_routes.open_stream),
        "PUT /api/v3/userDataStream": (2, account_routes.keep_stream),
        "DELETE /api/v3/userDataStream": (2, account_routes.close_stream),
    },
    signed=signed_routes.SIGNED_ROUTES,
    ws_public={
        "ping": ping,
        "time": server_time,
        "exchangeInfo": public_routes.exchange_info,
        "depth": public_routes.depth,
    },
    ws_keyed={},
    ws_signed={
        "order.place": signed_routes.place_order,
        "order.cancel": signed_routes.cancel_order,
        "order.cancelReplace": signed_routes.cancel_replace,
        "order.status": signed_routes.query_order,
        "openOrders.cancelAll": signed_routes.cancel_all,
        "account.status": signed_routes.account,
    },
    sessions=True,
    binary={
        "GET /api/v3/ping": "ping",
        "GET /api/v3/time": "time",
        "GET /api/v3/exchangeInfo": "exchangeInfo",
        "GET /api/v3/depth": "depth",
        "GET /api/v3/trades": "trades",
        "GET /api/v3/klines": "klines",
        "POST /api/v3/order": "newOrder",
        "GET /api/v3/order": "order",
        "DELETE /api/v3/order": "cancelOrder",
        "POST /api/v3/order/cancelReplace": "cancelReplace",
        "GET /api/v3/openOrders": "orders",
        "DELETE /api/v3/openOrders": "cancelAll",
        "GET /api/v3/allOrders": "orders",
        "GET /api/v3/myTrades": "myTrades",
        "GET /api/v3/account": "account",
        "ping": "ping",
        "time": "time",
        "exchangeInfo": "exchangeInfo",
        "depth": "depth",
        "order.place": "newOrder",
        "order.cancel": "cancelOrder",
        "order.cancelReplace": "cancelReplace",
        "order.status": "order",
        "openOrders.cancelAll": "cancelAll",
        "account.status": "account",
        "session.logon": "logon",
        "userDataStream.subscribe": "subscribed",
    },
    encode=encode,
)
