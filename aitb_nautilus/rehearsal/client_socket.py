"""One WebSocket of a client: what is to be sent waits in a buffer, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from aiohttp import WSCloseCode, web

from aitb_nautilus.rehearsal.faults import Faults

__all__ = ["ClientSocket", "SocketKind"]

type SocketKind = Literal["market", "user", "api"]

_MOST_UNREAD = 64 << 20
"""Bytes after which a client that does not read is disconnected."""


class ClientSocket:
    """A connected client.

    Parameters
    ----------
    request, ws
        The request, and the prepared socket that answered it.
    kind
        What it is for: public streams, the user data stream, or requests.
    combined
        Whether messages are wrapped with the name of their stream.
    faults
        Asked before each message whether the socket is silent.
    now_ms
        The exchange's time.
    """

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        kind: SocketKind,
        *,
        combined: bool,
        faults: Faults,
        now_ms: Callable[[], int],
    ) -> None:
        self._request, self._ws = request, ws
        self.kind = kind
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.listen_key: str | None = None
        self.session_ms = 0
        """When it logged on, or 0."""
        self.hears_account = False
        """Whether it hears the account's events without a listen key."""
        self.binary = False
        """Whether it asked for binary answers."""
        self._faults, self._now_ms = faults, now_ms
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Take a whole frame; it is lost while the socket is silent or gone."""
        if self._faults.silences(self.kind, self._now_ms()):
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(frame)

    def cut(self) -> None:
        """Break the connection without a farewell, as a failing network does."""
        self._waiting.clear()
        if isinstance(self._request.transport, asyncio.Transport):
            self._request.transport.abort()

    async def close(self) -> None:
        """Close the connection as the venue does."""
        self._flush()
        await self._ws.close(code=WSCloseCode.GOING_AWAY, message=b"closed by the venue")

    def _flush(self) -> None:
        # Whole frames straight into the transport: one system call for all that came together.
        frames, self._waiting = self._waiting, []
        transport = self._request.transport
        if not frames or not isinstance(transport, asyncio.Transport) or transport.is_closing():
            return
        transport.write(b"".join(frames))
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            self.cut()
