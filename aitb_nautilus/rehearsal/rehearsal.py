"""A running rehearsal: the exchange, its server, and the market that is played to it.

`Rehearsal` runs on the event loop of its caller, `serve_in_thread` on a thread of its own. A test
without sockets takes `build` and applies the events itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager

from aitb_nautilus.errors import RunError
from aitb_nautilus.rehearsal.admin import Admin
from aitb_nautilus.rehearsal.clock import Clock, SteppedClock, WallClock
from aitb_nautilus.rehearsal.feed import Event
from aitb_nautilus.rehearsal.server import Server
from aitb_nautilus.rehearsal.sources import RehearsalSettings, Source, build

__all__ = ["Rehearsal", "RunningRehearsal", "serve_in_thread"]

_NAP_S = 0.25
"""Longest sleep between two looks at the clock."""
_BURST = 16
"""Events that are played at once before the sockets have their turn."""
_TICK_S = 0.05
_START_S = 30.0


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
        if isinstance(self.clock, WallClock):
            self.exchange.signing_clock = self.clock  # one clock, so that a skew moves all of it
        self.server = Server(self.exchange, settings.host, settings.port)
        self.server.admin = Admin(self).answer
        self.finished = False
        """Whether everything has been played."""
        self._next: Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._ended = asyncio.Event()

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
        return f"ws://{self.server.host}:{self.server.port}/ws-fapi/v1"

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

    def end(self) -> None:
        """Let `wait` return."""
        self._ended.set()

    def restart(self, down_s: float) -> None:
        """Be away for a while, with the state kept; markets and countdowns go on."""
        self._begin(self.server.restart(down_s))

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


class RunningRehearsal:
    """A rehearsal on a thread of its own; whatever touches it runs on that thread's loop.

    Parameters
    ----------
    rehearsal
        The rehearsal.
    loop
        Its event loop.
    """

    def __init__(self, rehearsal: Rehearsal, loop: asyncio.AbstractEventLoop) -> None:
        self.rehearsal = rehearsal
        self._loop = loop
        self.url_http = rehearsal.url_http
        self.url_ws = rehearsal.url_ws
        self.url_ws_api = rehearsal.url_ws_api

    def call[T](self, work: Callable[[Rehearsal], T]) -> T:
        """Return what a function of the rehearsal returns, run between two of its events."""

        async def run() -> T:
            return work(self.rehearsal)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_START_S)

    def restart(self, down_s: float) -> None:
        """Be away for a while, with the state kept; return when the exchange is back."""
        asyncio.run_coroutine_threadsafe(self.rehearsal.server.restart(down_s), self._loop).result(
            _START_S + down_s
        )


@contextmanager
def serve_in_thread(
    settings: RehearsalSettings, sources: Sequence[Source], clock: Clock | None = None
) -> Iterator[RunningRehearsal]:
    """Run a rehearsal on a thread of its own while the block runs.

    Raises
    ------
    RunError
        If the server does not come up.
    """
    rehearsal = Rehearsal(settings, sources, clock)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run_loop, args=(loop,), name="rehearsal", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(rehearsal.start(), loop).result(_START_S)
    except (OSError, TimeoutError) as e:
        loop.call_soon_threadsafe(loop.stop)
        raise RunError("rehearsal", f"did not start ({e})", "must be able to listen") from e
    try:
        yield RunningRehearsal(rehearsal, loop)
    finally:
        asyncio.run_coroutine_threadsafe(rehearsal.stop(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)
        loop.close()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
