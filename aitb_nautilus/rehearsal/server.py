"""The exchange behind real sockets: REST, public streams, user data stream and order requests.

One port serves everything. The paths are Binance's; the routed ones of 2026 (``/market/ws``,
``/public/ws``, ``/private/ws``) and the plain ones lead to the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import WSMsgType, web

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.client_socket import ClientSocket, SocketKind
from aitb_nautilus.rehearsal.exchange import Exchange
from aitb_nautilus.rehearsal.signing import check_time
from aitb_nautilus.rehearsal.subscriptions import answer_subscription
from aitb_nautilus.rehearsal.user_stream import UserStream
from aitb_nautilus.rehearsal.ws_requests import answer_request

__all__ = ["Server"]

_STOP_S = 1.0
"""Longest wait for requests that are being answered when the server stops."""
_CATEGORIES = ("market", "public", "private")


class Server:
    """The sockets of an exchange, on the running event loop.

    Parameters
    ----------
    exchange
        What is offered.
    host, port
        Where to listen; port 0 takes a free one.

    Attributes
    ----------
    admin
        Answers the paths below ``/rehearsal/``, if there is one.
    """

    def __init__(self, exchange: Exchange[Any], host: str = "127.0.0.1", port: int = 0) -> None:
        self.admin: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.exchange = exchange
        self.host, self.port = host, port
        self.sockets: dict[ClientSocket, None] = {}
        self.user_stream = UserStream(exchange, self.sockets)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; `port` holds the port from now on."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await site.start()
        for address in self._runner.addresses:
            self.port = int(address[1])

    async def stop(self) -> None:
        """Close all sockets and stop listening; the exchange keeps its state."""
        for socket in list(self.sockets):
            socket.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self, down_s: float) -> None:
        """Be away for a while, with the state kept; nothing happens to a server that is away."""
        if self._runner is None:
            return
        await self.stop()
        await asyncio.sleep(down_s)
        await self.start()

    def disconnect(self, kind: str = "") -> int:
        """Break the connections of a kind, or all; return how many there were."""
        cut = [socket for socket in self.sockets if kind in ("", socket.kind)]
        for socket in cut:
            socket.cut()
        return len(cut)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        head, _, rest = path.partition("/")
        if head in _CATEGORIES:
            path = rest
        if head == "rehearsal" and self.admin is not None:
            return await self.admin(request)
        if path == self.exchange.api.ws_path:
            return await self._serve_socket(request, "api", [], combined=False)
        if path == "ws" or path.startswith("ws/"):
            return await self._open_streams(request, path[3:].split("/"), combined=False)
        if path == "stream":
            names = request.query.get("streams", "").split("/")
            return await self._open_streams(request, names, combined=True)
        return await self._answer(request)

    # REST

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.path}"
        faults, now = self.exchange.faults, self.exchange.signing_ms()
        fault = faults.take(what, now, "refuse", "slow", "late_answer", "unknown", "no_answer")
        body: Any
        try:
            if fault is not None and fault.kind == "refuse":
                raise fault.refusal()
            if fault is not None and fault.kind == "slow":
                await asyncio.sleep(fault.delay_ms / 1_000)
            body, status, retry_after = await self._do(request, what), 200, None
            if fault is not None and fault.kind == "unknown":
                raise fault.refusal()
        except VenueError as e:
            body, status, retry_after = e.body(), e.status, e.retry_after
        if fault is not None and fault.kind == "late_answer":
            await asyncio.sleep(fault.delay_ms / 1_000)
        if fault is not None and fault.kind == "no_answer" and request.transport is not None:
            request.transport.close()
        headers = self.exchange.limits.headers()
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        encode, layout = self.exchange.api.encode, self.exchange.api.binary.get(what)
        if encode is not None and layout and request.headers.get("Accept") == "application/sbe":
            packed = encode(layout if status == 200 else "error", body)
            kind = "application/sbe"
        else:
            packed, kind = msgspec.json.encode(body), "application/json"
        return web.Response(body=packed, status=status, content_type=kind, headers=headers)

    async def _do(self, request: web.Request, what: str) -> Any:
        text = (await request.read()).decode(errors="replace")
        query = request.rel_url.raw_query_string
        params = dict(parse_qsl(query, keep_blank_values=True)) | dict(
            parse_qsl(text, keep_blank_values=True)
        )
        exchange = self.exchange
        api = exchange.api
        public, keyed, signed = (routes.get(what) for routes in (api.public, api.keyed, api.signed))
        route = public or keyed or signed
        if route is None:
            raise VenueError(-5000, f"Path {request.path}, Method {request.method} is invalid", 404)
        weight, handler = route
        exchange.limits.add_request(weight, exchange.signing_ms())
        if public is None:
            key = exchange.key(request.headers.get("X-MBX-APIKEY"))
            if signed is not None:
                check_time(params.get("timestamp"), params.get("recvWindow"), exchange.signing_ms())
                key.check(_unsigned(query) + _unsigned(text), params.get("signature"))
        return handler(exchange, params)

    # sockets

    async def _open_streams(
        self, request: web.Request, names: list[str], *, combined: bool
    ) -> web.StreamResponse:
        asked = [name for name in names if name]
        listen_key = request.query.get("listenKey")
        if listen_key is None and asked and asked[0] == self.exchange.listen_key:
            listen_key = asked.pop(0)
        kind: SocketKind = "user" if listen_key is not None else "market"
        return await self._serve_socket(
            request, kind, asked, combined=combined, listen_key=listen_key
        )

    async def _serve_socket(
        self,
        request: web.Request,
        kind: SocketKind,
        streams: list[str],
        *,
        combined: bool,
        listen_key: str | None = None,
    ) -> web.StreamResponse:
        ws = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        if not ws.can_prepare(request):
            return web.Response(status=400, text="a WebSocket was expected")
        await ws.prepare(request)
        exchange = self.exchange
        socket = ClientSocket(
            request, ws, kind, combined=combined, faults=exchange.faults, now_ms=exchange.signing_ms
        )
        socket.listen_key = listen_key
        socket.binary = request.query.get("responseFormat") == "sbe"
        self.sockets[socket] = None
        for stream in streams:
            self._subscribe(socket, stream)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    await self._take(socket, message.data)
        finally:
            exchange.hub.forget(socket)
            self.sockets.pop(socket, None)
            await socket.close()
        return ws

    def _subscribe(self, socket: ClientSocket, stream: str) -> None:
        socket.streams[stream] = None
        self.exchange.hub.subscribe(stream, socket)

    async def _take(self, socket: ClientSocket, text: str) -> None:
        if socket.kind == "api":
            await answer_request(self.exchange, socket, text)
        else:
            answer_subscription(self.exchange.hub, socket, text)


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
