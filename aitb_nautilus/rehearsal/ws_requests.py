"""What a client asks over the WebSocket interface: orders, the account, a session.

References
----------
Binance, USDⓈ-M futures and Spot, WebSocket API General Info: the payload of a signature is all
parameters but the signature, by name, as a query string. A session that has logged on needs no
more signatures (spot), and may subscribe to the account's events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import msgspec

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.frames import binary_frame, text_frame
from aitb_nautilus.rehearsal.request_params import as_text
from aitb_nautilus.rehearsal.signing import check_time

__all__ = ["answer_request"]


async def answer_request(exchange: Exchange[Any], socket: ClientSocket, text: str) -> None:
    """Do what a request asks, and answer it."""
    try:
        request = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        bad = {"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON"}}
        socket.send(text_frame(msgspec.json.encode(bad)))
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
        result = _do(exchange, socket, method, request.get("params") or {})
        if fault is not None and fault.kind == "unknown":
            raise fault.refusal()
        answer["result"] = result
    except VenueError as e:
        answer["status"] = e.status
        answer["error"] = e.body()
    answer["rateLimits"] = exchange.limits.counts()
    if fault is not None and fault.kind == "no_answer":
        return
    frame = _frame(exchange, socket, method, answer)
    if fault is not None and fault.kind == "late_answer":
        asyncio.get_running_loop().call_later(fault.delay_ms / 1_000, socket.send, frame)
        return
    socket.send(frame)


def _do(exchange: Exchange[Any], socket: ClientSocket, method: str, sent: Any) -> Any:
    if not isinstance(sent, dict):
        raise VenueError.malformed("params")
    api = exchange.api
    params = {name: as_text(value) for name, value in sent.items() if value is not None}
    exchange.limits.add_request(1, exchange.signing_ms())
    if method in api.ws_public:
        return api.ws_public[method](exchange, params)
    if method == "userDataStream.subscribe" and api.sessions and socket.session_ms:
        socket.hears_account = True
        return {"subscriptionId": 0}
    logs_on = method == "session.logon" and api.sessions
    if not logs_on and method not in api.ws_keyed and method not in api.ws_signed:
        raise VenueError.of(-1020)
    signs = "signature" in params or not socket.session_ms
    if signs:
        key = exchange.key(params.get("apiKey"))
    if method in api.ws_keyed:
        return api.ws_keyed[method](exchange, params)
    if signs:
        check_time(params.get("timestamp"), params.get("recvWindow"), exchange.signing_ms())
        key.check(_payload(params), params.get("signature"))
    if not logs_on:
        return api.ws_signed[method](exchange, params)
    socket.session_ms = exchange.signing_ms()
    return {
        "apiKey": params["apiKey"],
        "authorizedSince": socket.session_ms,
        "connectedSince": socket.session_ms,
        "returnRateLimits": True,
        "serverTime": exchange.signing_ms(),
        "userDataStream": False,
    }


def _frame(
    exchange: Exchange[Any], socket: ClientSocket, method: str, answer: Mapping[str, Any]
) -> bytes:
    api = exchange.api
    if not socket.binary or api.encode is None or method not in api.binary:
        return text_frame(msgspec.json.encode(answer))
    error = answer.get("error")
    result = (
        api.encode(api.binary[method], answer["result"])
        if error is None
        else api.encode("error", error)
    )
    whole = {**answer, "deprecated": False, "result": result}
    return binary_frame(api.encode("response", whole))


def _payload(params: Mapping[str, str]) -> str:
    return "&".join(
        f"{name}={quote_plus(value)}"
        for name, value in sorted(params.items())
        if name != "signature"
    )
