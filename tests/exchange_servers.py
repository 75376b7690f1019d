"""Real HTTP servers that speak the wire protocols of exchanges, with the faults that they have."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aiohttp import web

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_STEPS = {"1m": MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS}


@dataclass
class Fault:
    """What goes wrong with one answer: a status, a delay, a body that is cut or changed."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut_body: bool = False
    cut_connection: bool = False
    change: Callable[[list], list] = lambda rows: rows


@dataclass
class Bar:
    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str


def bar(open_ms: int) -> Bar:
    """Return the one bar that every server here has at a time; a different one each minute."""
    k = open_ms // MINUTE_MS
    cents = 4_000_000 + (k * 7919) % 10_000
    return Bar(
        open_ms,
        f"{cents / 100:.2f}",
        f"{(cents + 500) / 100:.2f}",
        f"{(cents - 500) / 100:.2f}",
        f"{(cents + 100) / 100:.2f}",
        f"{(k * 104_729) % 10**6 / 10**3:.3f}",
    )


class Server:
    """A server on a free port in its own thread; subclasses add the routes."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, str, dict[str, str]]] = []
        self.faults: deque[Fault] = deque()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        raise NotImplementedError

    def application(self) -> web.Application:
        """Return a fresh application: one cannot be started twice."""
        app = web.Application(middlewares=[self._log])
        self.add_routes(app.router)
        return app

    @web.middleware
    async def _log(self, request: web.Request, handler):
        self.requests.append((time.monotonic(), request.path, dict(request.query)))
        return await handler(request)

    def asked(self, path: str) -> list[dict[str, str]]:
        return [query for _, p, query in self.requests if p == path]

    async def answer(self, request: web.Request, rows: list, wrap=lambda rows: rows):
        """Send rows as JSON, with the next fault in the queue."""
        fault = self.faults.popleft() if self.faults else Fault()
        await asyncio.sleep(fault.delay_s)
        if fault.status != 200:
            said = {"code": -1003, "msg": "Too many requests."}
            if fault.status not in {418, 429}:
                said = {"code": 0, "msg": "Service unavailable."}
            return web.json_response(said, status=fault.status, headers=fault.headers)
        body = json.dumps(wrap(fault.change(rows))).encode()
        if fault.cut_body:
            body = body[: len(body) // 2]
        if fault.cut_connection:
            response = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            request.transport.close()
            return response
        return web.Response(body=body, content_type="application/json")


@contextlib.contextmanager
def running(server: Server) -> Iterator[str]:
    """Run a server in a thread and give its address."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
    started: list[str] = []
    ready = threading.Event()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        loop.run_until_complete(site.start())
        started.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


class BinanceServer(Server):
    """Binance spot and USDT-M perpetuals: ``/api/v3`` and ``/fapi/v1``.

    `recorded` are answers of the real exchange, by path. `missing` are open times of 1m bars that
    it lacks; bars before `listed_ms` it lacks as well. With `window`, it looks only into the window
    of one page, as several other exchanges do.
    """

    def __init__(self, now_ms: int, listed_ms: int = 0, *, window: bool = False) -> None:
        self.now_ms = now_ms
        self.listed_ms = listed_ms
        self.window = window
        self.missing: set[int] = set()
        self.recorded: dict[str, str] = {}
        self.symbols = {
            "BTCUSDT": ("BTC", "0.01"),
            "ETHUSDT": ("ETH", "0.01"),
            "FOOUSDT": ("FOO", "0.1"),
        }
        super().__init__()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for prefix in ("/api/v3", "/fapi/v1"):
            router.add_get(f"{prefix}/exchangeInfo", self.exchange_info)
            router.add_get(f"{prefix}/time", self.time)
            router.add_get(f"{prefix}/klines", self.klines)
        router.add_get("/dapi/v1/exchangeInfo", self.nothing)

    def bar_at(self, open_ms: int, step: int) -> Bar | None:
        return None if open_ms in self.missing and step == MINUTE_MS else bar(open_ms)

    async def nothing(self, request: web.Request) -> web.Response:
        return web.json_response({"symbols": []})

    async def time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now_ms})

    async def exchange_info(self, request: web.Request) -> web.Response:
        perpetual = request.path.startswith("/fapi")
        if request.path in self.recorded:
            return web.Response(text=self.recorded[request.path], content_type="application/json")
        symbols = []
        for name, (base, tick) in self.symbols.items():
            symbol = {
                "symbol": name,
                "status": "TRADING",
                "baseAsset": base,
                "quoteAsset": "USDT",
                "baseAssetPrecision": 8,
                "quoteAssetPrecision": 8,
                "quotePrecision": 8,
                "orderTypes": ["LIMIT", "MARKET"],
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": tick, "tickSize": tick},
                    {"filterType": "LOT_SIZE", "minQty": "0.001", "stepSize": "0.001"},
                ],
            }
            if perpetual:
                symbol |= {
                    "pair": name,
                    "contractType": "PERPETUAL",
                    "deliveryDate": 4133404800000,
                    "onboardDate": 1569398400000,
                    "marginAsset": "USDT",
                    "pricePrecision": 2,
                    "quantityPrecision": 3,
                }
            else:
                symbol |= {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}
            symbols.append(symbol)
        return web.json_response({"timezone": "UTC", "symbols": symbols})

    async def klines(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if query["symbol"] not in self.symbols:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        step = _STEPS[query["interval"]]
        limit = min(int(query.get("limit", 500)), 1000)
        start = int(query.get("startTime", self.now_ms - limit * step))
        stop = min(self.now_ms + 1, int(query.get("endTime", self.now_ms)) + 1)
        if self.window:
            stop = min(stop, start + limit * step)
        rows: list[list] = []
        first = max(start, self.listed_ms // step * step)
        for open_ms in range(-(-first // step) * step, stop, step):
            b = self.bar_at(open_ms, step)
            if b is None:
                continue
            values = (b.open, b.high, b.low, b.close, b.volume)
            rows.append([open_ms, *values, open_ms + step - 1, "0", 1, "0", "0", "0"])
            if len(rows) == limit:
                break
        return await self.answer(request, rows)


class KrakenServer(Server):
    """Kraken's ``/0/public``: seconds instead of milliseconds, and only the newest 720 bars."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        super().__init__()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/0/public/Assets", self.assets)
        router.add_get("/0/public/AssetPairs", self.pairs)
        router.add_get("/0/public/Time", self.time)
        router.add_get("/0/public/OHLC", self.ohlc)

    async def assets(self, request: web.Request) -> web.Response:
        assets = {
            name: {"aclass": "currency", "altname": alt, "decimals": 10, "display_decimals": 5}
            for name, alt in (("XXBT", "XBT"), ("USDT", "USDT"))
        }
        return web.json_response({"error": [], "result": assets})

    async def pairs(self, request: web.Request) -> web.Response:
        pair = {
            "altname": "XBTUSDT",
            "wsname": "XBT/USDT",
            "aclass_base": "currency",
            "base": "XXBT",
            "aclass_quote": "currency",
            "quote": "USDT",
            "lot": "unit",
            "cost_decimals": 8,
            "pair_decimals": 1,
            "lot_decimals": 8,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD",
            "ordermin": "0.00005",
            "costmin": "0.5",
            "tick_size": "0.1",
            "status": "online",
        }
        return web.json_response({"error": [], "result": {"XBTUSDT": pair}})

    async def time(self, request: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"unixtime": self.now_ms // 1000}})

    async def ohlc(self, request: web.Request) -> web.StreamResponse:
        step = int(request.query["interval"]) * MINUTE_MS
        since = int(request.query.get("since", 0)) * 1000
        newest = self.now_ms // step * step
        opens = [o for o in range(newest - 719 * step, newest + 1, step) if o > since]
        rows = []
        for open_ms in opens:
            b = bar(open_ms)
            prices = [f"{float(text):.1f}" for text in (b.open, b.high, b.low, b.close)]
            rows.append([open_ms // 1000, *prices, prices[3], b.volume, 5])

        def wrap(rows: list) -> dict:
            return {"error": [], "result": {"XBTUSDT": rows, "last": newest // 1000 - step // 1000}}

        return await self.answer(request, rows, wrap)


class ArchiveServer(Server):
    """Binance's public archive: monthly zips, each with the sha256 in a file beside it.

    `files` maps paths to bytes. A fault is taken by the next request for a zip.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        super().__init__()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/data/{path:.+}", self.file)

    def add_month(
        self, symbol: str, interval: str, month: str, opens_ms: range, folder: str = "spot"
    ) -> str:
        """Publish one month and return the path of its zip."""
        name = f"{symbol}-{interval}-{month}"
        step = opens_ms.step
        lines = []
        for open_ms in opens_ms:
            b = bar(open_ms)
            values = (b.open, b.high, b.low, b.close, b.volume)
            lines.append(f"{open_ms},{','.join(values)},{open_ms + step - 1},0,1,0,0,0")
        return self.publish(f"/data/{folder}/monthly/klines/{symbol}/{interval}/{name}", lines)

    def publish(self, stem: str, lines: list[str]) -> str:
        name = stem.rpartition("/")[2]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(f"{name}.csv"), "\n".join(lines) + "\n")
        data = buffer.getvalue()
        self.files[f"{stem}.zip"] = data
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"{stem}.zip.CHECKSUM"] = f"{digest}  {name}.zip\n".encode()
        return f"{stem}.zip"

    async def file(self, request: web.Request) -> web.StreamResponse:
        data = self.files.get(request.path)
        if data is None:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        fault = self.faults.popleft() if self.faults and request.path.endswith(".zip") else Fault()
        if fault.status != 200:
            return web.Response(status=fault.status, headers=fault.headers)
        if fault.cut_connection:
            response = web.StreamResponse(headers={"Content-Length": str(len(data))})
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            request.transport.close()
            return response
        return web.Response(body=data, content_type="application/zip")
