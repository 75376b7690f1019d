"""One WebSocket of a client: what is to be sent waits in a queue, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from aiohttp import WSCloseCode, web

from aitb_nautilus.rehearsal.faults import Faults

__all__ = ["ClientSocket", "SocketKind"]

type SocketKind = Literal["market", "user", "api"]

_MOST_WAITING = 100_000
"""Messages after which a client that does not read is disconnected."""


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
        self.sent = 0
        self._faults, self._now_ms = faults, now_ms
        self._queue: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._task = asyncio.get_running_loop().create_task(self._write())

    def send(self, text: str) -> None:
        """Take a message; it is lost while the socket is silent or gone."""
        if self._faults.silences(self.kind, self._now_ms()):
            return
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.cut()

    def cut(self) -> None:
        """Break the connection without a farewell, as a failing network does."""
        self._task.cancel()
        if isinstance(self._request.transport, asyncio.Transport):
            self._request.transport.abort()

    async def close(self) -> None:
        """Close the connection as the venue does."""
        self._task.cancel()
        await self._ws.close(code=WSCloseCode.GOING_AWAY, message=b"closed by the venue")

    async def _write(self) -> None:
        while True:
            text = await self._queue.get()
            try:
                await self._ws.send_str(text)
            except ConnectionError:  # the client has gone; its reader ends the session
                return
            self.sent += 1
