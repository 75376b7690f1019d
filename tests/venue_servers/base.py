"""What the local servers of the venues share: one market, bars by the clock, requests kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import WSMsgType, web

from tests.exchange_servers import MINUTE_MS, Bar, bar

_PUSH_S = 0.25


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def minutes(first_ms: int, last_ms: int) -> list[Bar]:
    """Return the bars that open from one time to another, both included; the last may be open."""
    first = -(-first_ms // MINUTE_MS) * MINUTE_MS
    return [bar(open_ms) for open_ms in range(first, min(last_ms, now_ms()) + 1, MINUTE_MS)]


class VenueServer:
    """A venue on a free port: REST and sockets, in a thread of its own.

    Its market is `exchange_servers.bar`: one bar for each minute, at every venue the same. The bar
    of the running minute is served as venues serve it: with other values, since it has not closed.

    Attributes
    ----------
    asked
        Method and path with query of each request.
    said
        What came on sockets: the socket's path, and the message.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.said: list[tuple[str, Any]] = []
        self.url_http = ""
        self.url_ws = ""

    # What a venue is

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the answer to a request; None: there is no such thing."""
        raise NotImplementedError

    def greet(self, path: str) -> list[Any]:
        """Return what a new socket is told."""
        return []

    def hear(self, path: str, message: Any) -> list[Any]:
        """Return the answers to a message of a socket."""
        raise NotImplementedError

    def push(self, path: str, heard: list[Any], closed: Bar | None, running: Bar) -> list[Any]:
        """Return what a socket is told unasked, several times a second.

        `closed` is the bar that closed since the last time, `running` the one that has not.
        """
        raise NotImplementedError

    # How it is served

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        self.asked.append((request.method, request.path_qs))
        answer = self.get(request.path, request.query)
        if answer is None:
            return web.json_response({"error": f"no {request.path}"}, status=404)
        return web.json_response(answer)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard: list[Any] = []
        for message in self.greet(request.path):
            await socket.send_str(json.dumps(message))
        pusher = asyncio.create_task(self._push(socket, request.path, heard))
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            data = json.loads(message.data)
            heard.append(data)
            self.said.append((request.path, data))
            for answer in self.hear(request.path, data):
                await socket.send_str(json.dumps(answer))
        pusher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pusher
        return socket

    async def _push(self, socket: web.WebSocketResponse, path: str, heard: list[Any]) -> None:
        last = now_ms() // MINUTE_MS * MINUTE_MS
        while not socket.closed:
            await asyncio.sleep(_PUSH_S)
            opened = now_ms() // MINUTE_MS * MINUTE_MS
            closed = bar(last) if opened > last else None
            last = opened
            for message in self.push(path, heard, closed, _unfinished(opened)):
                await socket.send_str(json.dumps(message))


def _unfinished(open_ms: int) -> Bar:
    whole = bar(open_ms)
    return Bar(open_ms, whole.open, whole.open, whole.open, whole.open, "0.001")


@contextlib.contextmanager
def serving[S: VenueServer](server: S) -> Iterator[S]:
    """Run a server while the block runs."""
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server._serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    place = f"127.0.0.1:{runner.addresses[0][1]}"
    server.url_http, server.url_ws = f"http://{place}", f"ws://{place}"
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
