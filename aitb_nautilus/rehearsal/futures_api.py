"""The interface of USDⓈ-M perpetuals."""

from __future__ import annotations

from aitb_nautilus.rehearsal import account_routes, algo_routes, order_routes, public_routes
from aitb_nautilus.rehearsal.api import Api
from aitb_nautilus.rehearsal.limits import USD_M_LIMITS

__all__ = ["USD_M_API"]

USD_M_API = Api(
    limits=USD_M_LIMITS,
    ws_path="ws-fapi/v1",
    public=public_routes.PUBLIC_ROUTES,
    keyed=account_routes.KEY_ROUTES,
    signed={
        **order_routes.ORDER_ROUTES,
        **algo_routes.ALGO_ROUTES,
        **account_routes.ACCOUNT_ROUTES,
    },
    ws_public={
        "ping": public_routes.ping,
        "time": public_routes.server_time,
        "depth": public_routes.depth,
        "ticker.price": public_routes.price_ticker,
        "ticker.book": public_routes.book_ticker,
    },
    ws_keyed={
        "userDataStream.start": account_routes.open_stream,
        "userDataStream.ping": account_routes.keep_stream,
        "userDataStream.stop": account_routes.close_stream,
    },
    ws_signed={
        "order.place": order_routes.place_order,
        "order.modify": order_routes.amend_order,
        "order.cancel": order_routes.cancel_order,
        "order.status": order_routes.query_order,
        "algoOrder.place": algo_routes.place_conditional,
        "algoOrder.cancel": algo_routes.cancel_conditional,
        "account.position": account_routes.position_risk,
        "v2/account.position": account_routes.position_risk,
        "account.balance": account_routes.balance,
        "v2/account.balance": account_routes.balance,
        "account.status": account_routes.account,
        "v2/account.status": account_routes.account,
    },
)
