"""A rehearsal on a thread of its own, beside a node that blocks the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aitb_nautilus.rehearsal import Rehearsal, RehearsalSettings, Source
from aitb_nautilus.rehearsal.clock import Clock

_START_S = 30.0


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


@contextmanager
def serve_in_thread(
    settings: RehearsalSettings, sources: Sequence[Source], clock: Clock | None = None
) -> Iterator[RunningRehearsal]:
    """Run a rehearsal on a thread of its own while the block runs."""
    rehearsal = Rehearsal(settings, sources, clock)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run_loop, args=(loop,), name="rehearsal", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(rehearsal.start(), loop).result(_START_S)
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
