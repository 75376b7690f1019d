"""A running rehearsal: the exchange, its server, and the market that is played to it.

`Rehearsal` runs on the event loop of its caller. A test without sockets takes `build` and applies
the events itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal.admin import Admin
from aitb_nautilus.rehearsal.clock import MS, Clock, SteppedClock, WallClock
from aitb_nautilus.rehearsal.fault_plan import PlannedFault
from aitb_nautilus.rehearsal.faults import AT_ONCE, Fault
from aitb_nautilus.rehearsal.feed import Event
from aitb_nautilus.rehearsal.server import Server
from aitb_nautilus.rehearsal.sources import RehearsalSettings, Source, build

__all__ = ["Rehearsal"]

_NAP_S = 0.25
"""Longest sleep between two looks at the clock."""
_BURST = 16
"""Events that are played at once before the sockets have their turn."""
_TICK_S = 0.05


class Rehearsal:
    """An exchange, its server, and its market.

    Parameters
    ----------
    settings
        What the exchange is like.
    sources
        Where its market comes from.
    clock
        The exchange's time: `WallClock` plays by itself, `SteppedClock` waits for `advance`.
    """

    def __init__(
        self, settings: RehearsalSettings, sources: Sequence[Source], clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or WallClock()
        self.exchange, self._events, self.timeline = build(settings, sources, self.clock)
        self._own_skew_ns = 0
        if isinstance(self.clock, WallClock):
            self.exchange.signing_clock = self.clock  # one clock, so that a skew moves all of it
            self._own_skew_ns = self.clock.skew_ns
        self.server = Server(self.exchange, settings.host, settings.port)
        self.server.admin = Admin(self).answer
        self.finished = False
        """Whether everything has been played."""
        self._next: Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._ended = asyncio.Event()
        self._played = asyncio.Event()

    @property
    def url_http(self) -> str:
        """Base URL of REST: the adapter's ``base_url_http``."""
        return f"http://{self.server.host}:{self.server.port}"

    @property
    def url_ws(self) -> str:
        """URL of the streams: the adapter's ``base_url_ws``, for data and for execution."""
        return f"ws://{self.server.host}:{self.server.port}/ws"

    @property
    def url_ws_api(self) -> str:
        """URL of requests over WebSocket: the adapter's ``base_url_ws_trading``."""
        path = self.exchange.api.ws_path
        # Spot's adapter adds nothing to the address, so that it says here how it wants its answers.
        query = "?responseFormat=sbe&sbeSchemaId=3&sbeSchemaVersion=4"
        query = query if self.settings.product == "spot" else ""
        return f"ws://{self.server.host}:{self.server.port}/{path}{query}"

    def address(self) -> dict[str, str | int]:
        """Return what a client needs to reach the exchange."""
        return {
            "venue": "BINANCE",
            "product": self.settings.product,
            "speed": self.settings.speed,
            "base_url_http": self.url_http,
            "base_url_ws": self.url_ws,
            "base_url_ws_trading": self.url_ws_api,
            "api_key": self.settings.api_key,
            "api_secret": self.settings.api_secret,
        }

    async def start(self) -> None:
        """Listen, and play by the wall clock unless the clock is stepped."""
        self.advance(self.clock.now_ns())
        await self.server.start()
        self._begin(self._tick())
        if not isinstance(self.clock, SteppedClock):
            self._begin(self._play())

    async def stop(self) -> None:
        """Stop playing and listening; raise what broke it before, if anything did."""
        for task in self._tasks:
            task.cancel()
        await self.server.stop()
        if self._broken is not None:
            raise self._broken

    async def wait(self) -> None:
        """Wait until `end` is called or something breaks."""
        await self._ended.wait()

    async def played(self) -> None:
        """Wait until everything has been played; orders are still taken then."""
        await self._played.wait()

    def end(self) -> None:
        """Let `wait` return."""
        self._ended.set()

    def inject(self, fault: Fault) -> None:
        """Arm a fault, or let it happen if it is one that happens at once.

        Raises
        ------
        ConfigError
            If the clock is stepped and cannot be skewed.
        """
        if fault.kind not in AT_ONCE:
            self.exchange.faults.arm(fault)
            return
        what = fault.match or "all"
        match fault.kind:
            case "disconnect":
                what = f"{self.server.disconnect(fault.match)} sockets of {what}"
            case "restart":  # markets and countdowns go on meanwhile
                what = f"away for {fault.delay_ms} ms"
                self._begin(self.server.restart(fault.delay_ms / 1_000))
            case "skew":
                if not isinstance(self.clock, WallClock):
                    raise ConfigError("skew", "the clock is stepped", "must be a wall clock")
                what = f"{fault.skew_ms} ms"
                self.clock.skew_ns = fault.skew_ms * MS
            case "end_listen_key":
                what = self.exchange.listen_key or "none"
                self.exchange.end_listen_key(expired=True)
        self.exchange.faults.note(fault, self.exchange.signing_ms(), what)

    def clear_faults(self) -> None:
        """Disarm all faults, and end what still lasts: silences, and a skew that one has set."""
        self.exchange.faults.clear()
        if isinstance(self.clock, WallClock):
            self.clock.skew_ns = self._own_skew_ns

    def plan(self, faults: Iterable[PlannedFault]) -> None:
        """Inject faults at their times from now on."""
        for fault in faults:
            self._begin(self._inject_later(fault))

    async def _inject_later(self, planned: PlannedFault) -> None:
        await asyncio.sleep(planned.at_s)
        self.inject(planned)
        while planned.every_s is not None:
            await asyncio.sleep(planned.every_s)
            self.inject(planned)

    def advance(self, until_ns: int) -> int:
        """Play everything up to a time; return how many events there were.

        A stepped clock moves with the events, and to `until_ns` in the end.
        """
        count = 0
        stepped = self.clock if isinstance(self.clock, SteppedClock) else None
        while (event := self._peek()) is not None and event.ts_ns <= until_ns:
            if stepped is not None:
                stepped.advance_to(event.ts_ns)
            self._next = None
            self.exchange.venue.apply(event)
            count += 1
        if stepped is not None:
            stepped.advance_to(until_ns)
            self.exchange.tick()
        return count

    def _peek(self) -> Event | None:
        if self._next is None and not self.finished:
            self._next = next(self._events, None)
            self.finished = self._next is None
        return self._next

    async def _play(self) -> None:
        applied = 0
        while (event := self._peek()) is not None:
            wait_s = (event.ts_ns - self.clock.now_ns()) / 1e9
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, _NAP_S))
                continue
            self._next = None
            self.exchange.venue.apply(event)
            applied += 1
            if applied % _BURST == 0:
                await asyncio.sleep(0)  # let the sockets breathe, however far behind this is
        self._played.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.exchange.tick()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_of)

    def _end_of(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = self._broken or error
            self._ended.set()
