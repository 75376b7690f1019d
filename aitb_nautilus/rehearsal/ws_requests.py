"""What a client asks over a WebSocket: subscriptions to streams, and orders.

References
----------
Binance, USDⓈ-M futures, WebSocket Market Streams, Live Subscribing/Unsubscribing to streams; and
WebSocket API General Info
(https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info):
the payload of a signature is all parameters but the signature, by name, as a query string.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import msgspec

from aitb_nautilus.rehearsal import account_routes, algo_routes, order_routes, public_routes
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.frames import text_frame
from aitb_nautilus.rehearsal.request_params import as_text
from aitb_nautilus.rehearsal.signing import check_time

__all__ = ["answer_request", "answer_subscription"]

type Handler = Callable[[Exchange, Mapping[str, str]], Any]

_PUBLIC: dict[str, Handler] = {
    "ping": public_routes.ping,
    "time": public_routes.server_time,
    "depth": public_routes.depth,
    "ticker.price": public_routes.price_ticker,
    "ticker.book": public_routes.book_ticker,
}
_KEYED: dict[str, Handler] = {
    "userDataStream.start": account_routes.open_stream,
    "userDataStream.ping": account_routes.keep_stream,
    "userDataStream.stop": account_routes.close_stream,
}
_SIGNED: dict[str, Handler] = {
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
}


def answer_subscription(exchange: Exchange, socket: ClientSocket, text: str) -> None:
    """Subscribe, unsubscribe, or list the streams of a socket."""
    try:
        request = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        _reply(socket, {"error": {"code": 3, "msg": "Invalid JSON"}})
        return
    number, method = request.get("id"), request.get("method")
    names = request.get("params") or []
    result: Any = None
    match method:
        case "SUBSCRIBE" if _texts(names):
            for name in names:
                socket.streams[name] = None
                exchange.hub.subscribe(name, socket)
        case "UNSUBSCRIBE" if _texts(names):
            for name in names:
                socket.streams.pop(name, None)
                exchange.hub.unsubscribe(name, socket)
        case "LIST_SUBSCRIPTIONS":
            result = list(socket.streams)
        case "SET_PROPERTY" if isinstance(names, list) and len(names) == 2:
            socket.combined = bool(names[1])
        case "GET_PROPERTY":
            result = socket.combined
        case _:
            error = {"code": 2, "msg": "Invalid request: unknown method or params"}
            _reply(socket, {"error": error, "id": number})
            return
    _reply(socket, {"result": result, "id": number})


def _texts(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


async def answer_request(exchange: Exchange, socket: ClientSocket, text: str) -> None:
    """Do what a request of the WebSocket interface asks, and answer it."""
    try:
        request = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        _reply(socket, {"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON"}})
        return
    method = str(request.get("method"))
    fault = exchange.faults.take(
        f"WS {method}",
        exchange.signing_ms(),
        "refuse",
        "slow",
        "late_answer",
        "unknown",
        "no_answer",
    )
    answer: dict[str, Any] = {"id": request.get("id"), "status": 200}
    try:
        if fault is not None and fault.kind == "refuse":
            raise fault.refusal()
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.delay_ms / 1_000)
        result = _do(exchange, method, request.get("params") or {})
        if fault is not None and fault.kind == "unknown":
            raise fault.refusal()
        answer["result"] = result
    except VenueError as e:
        answer["status"] = e.status
        answer["error"] = e.body()
    answer["rateLimits"] = exchange.limits.counts()
    if fault is not None and fault.kind == "no_answer":
        return
    if fault is not None and fault.kind == "late_answer":
        asyncio.get_running_loop().call_later(fault.delay_ms / 1_000, _reply, socket, answer)
        return
    _reply(socket, answer)


def _do(exchange: Exchange, method: str, sent: Any) -> Any:
    if not isinstance(sent, dict):
        raise VenueError.malformed("params")
    params = {name: as_text(value) for name, value in sent.items() if value is not None}
    exchange.limits.add_request(1, exchange.signing_ms())
    if method in _PUBLIC:
        return _PUBLIC[method](exchange, params)
    if method not in _KEYED and method not in _SIGNED:
        raise VenueError.of(-1020)
    key = exchange.key(params.get("apiKey"))
    if method in _KEYED:
        return _KEYED[method](exchange, params)
    check_time(params.get("timestamp"), params.get("recvWindow"), exchange.signing_ms())
    key.check(_payload(params), params.get("signature"))
    return _SIGNED[method](exchange, params)


def _payload(params: Mapping[str, str]) -> str:
    return "&".join(
        f"{name}={quote_plus(value)}"
        for name, value in sorted(params.items())
        if name != "signature"
    )


def _reply(socket: ClientSocket, answer: Mapping[str, Any]) -> None:
    socket.send(text_frame(msgspec.json.encode(answer)))
