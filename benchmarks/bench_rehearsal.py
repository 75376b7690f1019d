"""How many messages the rehearsal exchange serves to one client, and how quickly it answers.

Server and client share one process and one event loop, so a figure holds the work of both. Messages
are counted by seconds of the processor, so that neighbours do not matter; the ratio is to what
aiohttp alone does with messages of the same size in the same run. An order's answer is measured by
the wall clock, and wants a quiet machine.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import aiohttp
from aiohttp import web

from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.rehearsal import (
    BarSource,
    BookModel,
    Rehearsal,
    RehearsalSettings,
    SteppedClock,
)
from aitb_nautilus.rehearsal.limits import USD_M_LIMITS, RateLimits
from benchmarks.figures import figure
from tests.rehearsal_client import HOUR_NS, Client
from tests.rehearsal_lab import START_NS, hour_bars

BARS = 200
MESSAGES = 20_000
ORDERS = 300
STREAMS = ("kline_1h", "aggTrade", "bookTicker", "depth@0ms", "trade")


async def serve_rehearsal() -> tuple[float, float, float]:
    """Return messages a second of the processor, and p50 and p99 of an order's answer, ms."""
    spec = find_instrument("BTCUSDT-PERP.BINANCE")
    frame = hour_bars(BARS + 50)
    source = BarSource(spec, frame, HOUR_NS, int(frame.ts_close[49]))
    settings = RehearsalSettings(book=BookModel(steps=60), balances={"USDT": "1000000000"})
    rehearsal = Rehearsal(settings, [source], SteppedClock(START_NS))
    await rehearsal.start()
    async with aiohttp.ClientSession() as session:
        client = Client(rehearsal, session)
        async with client.streams(*(f"btcusdt@{name}" for name in STREAMS)) as ws:
            begin = time.process_time()
            count = 0
            for _ in range(BARS // 2):
                before = rehearsal.exchange.hub.published
                rehearsal.advance(rehearsal.clock.now_ns() + HOUR_NS)
                for _ in range(rehearsal.exchange.hub.published - before):
                    await ws.receive()
                    count += 1
            rate = count / (time.process_time() - begin)
        waits = []
        for n in range(ORDERS):
            begin = time.perf_counter()
            status, _ = await client.sign(
                "POST",
                "/fapi/v1/order",
                symbol="BTCUSDT",
                side=("BUY", "SELL")[n % 2],
                type="MARKET",
                quantity="0.010",
            )
            waits.append((time.perf_counter() - begin) * 1_000)
            if status != 200:
                raise RuntimeError(f"order {n} was answered with {status}")
            if n % 200 == 0:
                rehearsal.exchange.limits = RateLimits(USD_M_LIMITS)
    await rehearsal.stop()
    return rate, statistics.median(waits), statistics.quantiles(waits, n=100)[98]


async def serve_plain() -> float:
    """Return messages a second that aiohttp alone sends and receives."""
    text = "x" * 400

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        for _ in range(MESSAGES):
            await ws.send_str(text)
        return ws

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        begin = time.process_time()
        for _ in range(MESSAGES):
            await ws.receive()
        rate = MESSAGES / (time.process_time() - begin)
    await runner.cleanup()
    return rate


def main() -> None:
    rate, middle, slow = asyncio.run(serve_rehearsal())
    plain = asyncio.run(serve_plain())
    figure("rehearsal messages to one client", rate, unit="1/s", better="higher")
    figure(
        "rehearsal messages / aiohttp messages",
        rate / plain,
        unit="ratio",
        limit=0.1,
        better="higher",
    )
    figure("rehearsal order answered, p50", middle, unit="ms", better="lower")
    figure("rehearsal order answered, p99", slow, unit="ms", better="lower")


if __name__ == "__main__":
    main()
