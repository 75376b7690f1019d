"""The user data stream: the account's events, to the sockets that hold the listen key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.exchange import Exchange

__all__ = ["UserStream"]


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
        self._held: str | None = None
        self.sent: list[dict[str, Any]] = []
        """All events that the account gave rise to, whether a fault lost them or not."""
        exchange.venue.on_user_event = self.take

    def take(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self.sent.append(event)
        name = event["e"]
        if name == "ORDER_TRADE_UPDATE":
            name = f"{name} {event['o']['x']}"
        text = msgspec.json.encode(event).decode()
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
                asyncio.get_running_loop().call_later(delay_s, self._send, text)
                return
            case "reorder_event":
                self._held = text
                return
            case "duplicate_event":
                self._send(text)
        self._send(text)
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held)

    def _send(self, text: str) -> None:
        for socket in list(self._sockets):
            if socket.listen_key is None or socket.listen_key != self._exchange.listen_key:
                continue  # no user data socket, or one of a key that has ended
            if socket.combined:
                socket.send(f'{{"stream":"{socket.listen_key}","data":{text}}}')
            else:
                socket.send(text)
