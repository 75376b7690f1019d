"""The user data stream: the account's events, to the sockets that hold the listen key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.frames import binary_frame, text_frame

__all__ = ["UserStream"]

_KEPT_EVENTS = 10_000


class UserStream:
    """Sends the account's events, unless a fault stands in the way.

    Parameters
    ----------
    exchange
        Whose account it is.
    sockets
        All sockets; those of the listen key get the events.
    """

    def __init__(self, exchange: Exchange[Any], sockets: Iterable[ClientSocket]) -> None:
        self._exchange, self._sockets = exchange, sockets
        self._held: list[dict[str, Any]] = []
        self.sent: deque[dict[str, Any]] = deque(maxlen=_KEPT_EVENTS)
        """The last events that the account gave rise to, whether a fault lost them or not."""
        exchange.venue.on_user_event = self.take

    def take(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self.sent.append(event)
        name = event["e"]
        execution = event.get("x") or event.get("o", {}).get("x")
        if execution:
            name = f"{name} {execution}"
        fault = self._exchange.faults.take(
            name,
            self._exchange.signing_ms(),
            "drop_event",
            "duplicate_event",
            "delay_event",
            "reorder_event",
        )
        match fault.kind if fault is not None else None:
            case "drop_event":
                return
            case "delay_event" if fault is not None:
                delay_s = fault.delay_ms / 1_000
                asyncio.get_running_loop().call_later(delay_s, self._send, event)
                return
            case "reorder_event":
                self._held.append(event)
                return
            case "duplicate_event":
                self._send(event)
        self._send(event)
        held, self._held = self._held, []
        for late in held:
            self._send(late)

    def _send(self, event: dict[str, Any]) -> None:
        key, encode = self._exchange.listen_key, self._exchange.api.encode
        data = msgspec.json.encode(event)
        for socket in tuple(self._sockets):
            if socket.hears_account and socket.binary and encode is not None:
                socket.send(binary_frame(encode(event["e"], {"subscriptionId": 0, **event})))
            elif socket.hears_account:
                socket.send(text_frame(b'{"subscriptionId":0,"event":%b}' % data))
            elif key is None or socket.listen_key != key:
                continue  # no user data socket, or one of a key that has ended
            elif socket.combined:
                socket.send(text_frame(b'{"stream":"%b","data":%b}' % (key.encode(), data)))
            else:
                socket.send(text_frame(data))
