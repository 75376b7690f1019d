"""A client of Binance's interface for the tests of the rehearsal, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from aitb_nautilus.rehearsal import BarSource, Rehearsal, RehearsalSettings, SteppedClock
from aitb_nautilus.rehearsal.clock import Clock
from tests.rehearsal_lab import SPEC, START_NS, hour_bars

HOUR_NS = 3_600_000_000_000


def bar_source(count: int = 60, history: int = 50) -> BarSource:
    """Return hourly bars, of which the first `history` are over when the rehearsal begins."""
    frame = hour_bars(count)
    return BarSource(SPEC, frame, HOUR_NS, int(frame.ts_close[history - 1]))


class Client:
    """A client with an HMAC key."""

    def __init__(self, rehearsal: Rehearsal, session: aiohttp.ClientSession) -> None:
        self.rehearsal, self.session = rehearsal, session
        self.headers: dict[str, str] = {}

    async def ask(self, method: str, path: str, **params: str) -> tuple[int, Any]:
        """Send a request without a signature; return status and body."""
        url = f"{self.rehearsal.url_http}{path}"
        async with self.session.request(method, url, params=params) as answer:
            self.headers = dict(answer.headers)
            return answer.status, await answer.json()

    async def sign(self, method: str, path: str, **params: str) -> tuple[int, Any]:
        """Send a signed request; return status and body."""
        query = self.signed(params)
        url = URL(f"{self.rehearsal.url_http}{path}?{query}", encoded=True)  # as it was signed
        headers = {"X-MBX-APIKEY": "rehearsal"}
        async with self.session.request(method, url, headers=headers) as answer:
            self.headers = dict(answer.headers)
            return answer.status, await answer.json()

    def signed(self, params: dict[str, str]) -> str:
        """Return a query string with time and signature."""
        stamped = {"timestamp": str(int(time.time() * 1_000))} | params
        query = urlencode(stamped)
        return f"{query}&signature={sign(query)}"

    async def buy(self, quantity: str = "0.010", **more: str) -> tuple[int, Any]:
        """Buy at the market."""
        params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
        return await self.sign("POST", "/fapi/v1/order", **(params | more))

    @asynccontextmanager
    async def streams(self, *names: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Subscribe to public streams."""
        async with self.session.ws_connect(self.rehearsal.url_ws) as ws:
            await ws.send_json({"method": "SUBSCRIBE", "params": list(names), "id": 1})
            assert await ws.receive_json() == {"result": None, "id": 1}
            yield ws

    @asynccontextmanager
    async def account(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Listen to the user data stream."""
        url = f"{self.rehearsal.url_http}/fapi/v1/listenKey"
        async with self.session.post(url, headers={"X-MBX-APIKEY": "rehearsal"}) as answer:
            key = (await answer.json())["listenKey"]
        async with self.session.ws_connect(f"{self.rehearsal.url_ws}?listenKey={key}") as ws:
            yield ws


def sign(payload: str, secret: str = "rehearsal") -> str:
    """Return the HMAC signature of a payload."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


@asynccontextmanager
async def connected(
    clock: Clock | None = None, settings: RehearsalSettings | None = None
) -> AsyncIterator[Client]:
    """Run a rehearsal on a stepped clock, one bar after its beginning, and connect to it."""
    rehearsal = Rehearsal(
        settings or RehearsalSettings(), [bar_source()], clock or SteppedClock(START_NS)
    )
    await rehearsal.start()
    if clock is None:
        rehearsal.advance(rehearsal.clock.now_ns() + HOUR_NS)
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(rehearsal, session)
    finally:
        await rehearsal.stop()


async def next_events(
    ws: aiohttp.ClientWebSocketResponse, count: int, name: str = "ORDER_TRADE_UPDATE"
) -> list[dict[str, Any]]:
    """Return the next events of a name."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await asyncio.wait_for(ws.receive_json(), 5)
        if message.get("e") == name:
            found.append(message)
    return found
