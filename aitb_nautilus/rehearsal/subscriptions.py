"""Subscriptions of a socket to streams.

References
----------
Binance, WebSocket Market Streams, Live Subscribing/Unsubscribing to streams.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.frames import text_frame
from aitb_nautilus.rehearsal.hub import Hub

__all__ = ["answer_subscription"]


def answer_subscription(hub: Hub, socket: ClientSocket, text: str) -> None:
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
                hub.subscribe(name, socket)
        case "UNSUBSCRIBE" if _texts(names):
            for name in names:
                socket.streams.pop(name, None)
                hub.unsubscribe(name, socket)
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


def _reply(socket: ClientSocket, answer: Any) -> None:
    socket.send(text_frame(msgspec.json.encode(answer)))
