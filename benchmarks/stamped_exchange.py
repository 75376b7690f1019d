"""A rehearsal of the exchange that takes stamps: when a bar left by the socket, and an order came.

    python benchmarks/stamped_exchange.py CONFIG START_NS

Prints where it listens, and then answers each line on stdin with one on stdout: ``heard`` once
somebody listens; ``apart BARS MS`` plays so many bars of every instrument, closing them one after
the other, so far apart; ``together BARS`` closes those of one time at once. What is answered are
stamps of CLOCK_MONOTONIC in ns, which all processes of a machine share: for each bar when its
closing message was handed to the socket, and when the first byte of the first order of its
instrument after that was read.

It is the exchange of ``aitb rehearse`` on a clock that is stepped. The stamps are taken around the
one call that writes a socket and the one that reads it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web, web_protocol

from aitb_nautilus.rehearsal import Rehearsal, SteppedClock
from aitb_nautilus.rehearsal.client_socket import ClientSocket
from aitb_nautilus.rehearsal.feed import BarClose
from aitb_nautilus.rehearsal.limits import USD_M_LIMITS, RateLimits
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.rehearse import plan_rehearsal

_MINUTE_NS = 60_000_000_000
_CLOSED = re.compile(rb'"s":"([A-Z0-9]+)"[^{}]*\{[^{}]*"x":true')
_SYMBOL = re.compile(r'"symbol":"([A-Z0-9]+)"')
_STREAMS = ("kline_1m", "markPrice@1s")
_FEW_S = 0.002
_DRAIN_S = 0.25
"""What came of the last order, and what a bar did inside, is over when the next one closes."""
_TOGETHER_S = 1.3
"""The engine's adapter lets 20 orders through in a second; the rest wait."""


class Stamps:
    """What was measured since the last bar."""

    def __init__(self) -> None:
        self.closed: dict[str, int] = {}
        self.ordered: dict[str, int] = {}
        self.orders = 0
        self.read: dict[Any, int] = {}

    def install(self) -> None:
        """Take stamps in the one place that reads, and in the one that writes."""
        read, handler = web_protocol.RequestHandler.data_received, web_protocol.RequestHandler
        flush = ClientSocket._flush

        def data_received(protocol: Any, data: bytes) -> None:
            self.read[protocol] = time.perf_counter_ns()
            read(protocol, data)

        def flushed(socket: ClientSocket) -> None:
            frames = list(socket._waiting)
            now = time.perf_counter_ns()
            flush(socket)
            for frame in frames:
                if found := _CLOSED.search(frame):
                    self.closed.setdefault(found[1].decode(), now)

        handler.data_received = data_received  # type: ignore[method-assign]
        ClientSocket._flush = flushed  # type: ignore[method-assign]

    def take(self, protocol: Any, symbol: str) -> None:
        """Note an order."""
        self.orders += 1
        self.ordered.setdefault(symbol, self.read[protocol])

    def begin(self) -> None:
        """Forget what was measured."""
        self.closed, self.ordered = {}, {}

    def taken(self) -> list[tuple[str, int, int]]:
        """Return symbol, when its bar was written, and when its order was read; 0: none came."""
        return [(name, at, self.ordered.get(name, 0)) for name, at in self.closed.items()]


class Exchange:
    """A rehearsal whose bars are closed by hand."""

    def __init__(self, config: Path, start_ns: int) -> None:
        plan = plan_rehearsal(load_config(config), start_ns=start_ns)
        clock = SteppedClock(time.time_ns() // _MINUTE_NS * _MINUTE_NS)
        self.rehearsal = Rehearsal(plan.settings, plan.sources, clock)
        self.clock = clock
        self.stamps = Stamps()
        server = self.rehearsal.server
        take, do = server._take, server._do

        async def taken(socket: ClientSocket, text: str) -> None:
            if '"order.place"' in text and (found := _SYMBOL.search(text)):
                self.stamps.take(socket._request.protocol, found[1])
            await take(socket, text)

        async def done(request: web.Request, what: str) -> Any:
            if what == "POST /fapi/v1/order":
                text = request.rel_url.raw_query_string or (await request.read()).decode()
                self.stamps.take(request.protocol, parse_qs(text)["symbol"][0])
            return await do(request, what)

        server._take, server._do = taken, done  # type: ignore[method-assign]

    async def heard(self) -> int:
        """Wait until somebody listens to the bars of every instrument: that takes some seconds."""
        wanted, hub = self.rehearsal.exchange.venue.markets, self.rehearsal.exchange.hub
        streams = [f"{name.lower()}@{end}" for name in wanted for end in _STREAMS]
        while not all(map(hub.wanted, streams)):
            await asyncio.sleep(0.05)
        return len(wanted)

    async def play(self, bars: int, apart_s: float | None) -> list[tuple[str, int, int]]:
        """Play bars of every instrument; apart, or together where that is None."""
        found = []
        for _ in range(bars):
            end = self.clock.now_ns() + _MINUTE_NS
            self.rehearsal.exchange.limits = RateLimits(USD_M_LIMITS)
            await self._within(end)
            await asyncio.sleep(_DRAIN_S)
            found += await self._close(end, apart_s)
        return found

    async def _within(self, end: int) -> None:
        """Let happen what does before the bars close."""
        rehearsal = self.rehearsal
        while (event := rehearsal._peek()) is not None and event.ts_ns < end:
            rehearsal.advance(event.ts_ns)
            await asyncio.sleep(_FEW_S)  # as the venue, which does not tell a minute at once

    async def _close(self, end: int, apart_s: float | None) -> list[tuple[str, int, int]]:
        """Close the bars of a time, and let the next ones begin."""
        rehearsal, found = self.rehearsal, []
        self.clock.advance_to(end)
        self.stamps.begin()
        while (event := rehearsal._peek()) is not None and event.ts_ns <= end:
            if isinstance(event, BarClose) and apart_s is not None:
                await asyncio.sleep(apart_s)
                found += self.stamps.taken()
                self.stamps.begin()
            rehearsal._next = None
            rehearsal.exchange.venue.apply(event)
        await asyncio.sleep(apart_s or _TOGETHER_S)
        return found + self.stamps.taken()


async def main(config: Path, start_ns: int) -> None:
    """Serve until stdin ends."""
    exchange = Exchange(config, start_ns)
    exchange.stamps.install()
    await exchange.rehearsal.start()
    _say(exchange.rehearsal.address())
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        how, *rest = line.split()
        if how == "heard":
            _say(await exchange.heard())
        else:
            _say(await exchange.play(int(rest[0]), float(rest[1]) / 1e3 if rest[1:] else None))
    await exchange.rehearsal.stop()


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
