"""The user data stream: the account's events, to the sockets that hold the listen key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.frames import text_frame

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

    def __init__(self, exchange: Exchange, sockets: Iterable[ClientSocket]) -> None:
        self._exchange, self._sockets = exchange, sockets
        self._held: list[bytes] = []
        self.sent: deque[dict[str, Any]] = deque(maxlen=_KEPT_EVENTS)
        """The last events that the account gave rise to, whether a fault lost them or not."""
        exchange.venue.on_user_event = self.take

    def take(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self.sent.append(event)
        name = event["e"]
        if name == "ORDER_TRADE_UPDATE":
            name = f"{name} {event['o']['x']}"
        data = msgspec.json.encode(event)
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
                asyncio.get_running_loop().call_later(delay_s, self._send, data)
                return
            case "reorder_event":
                self._held.append(data)
                return
            case "duplicate_event":
                self._send(data)
        self._send(data)
        held, self._held = self._held, []
        for late in held:
            self._send(late)

    def _send(self, data: bytes) -> None:
        key = self._exchange.listen_key
        for socket in tuple(self._sockets):
            if key is None or socket.listen_key != key:
                continue  # no user data socket, or one of a key that has ended
            if socket.combined:
                socket.send(text_frame(b'{"stream":"%b","data":%b}' % (key.encode(), data)))
            else:
                socket.send(text_frame(data))
