"""The way by which the engine reaches Redis for its cache: one that can be shut.

The engine writes its cache from a thread of its own, so that a Redis that dies holds up no trade.
But it tries every command that waits, one after the other, each for a second at least: behind a
Redis that stalls the end of a run would take minutes (observed with 2.0.0rc7). So the engine is
given a port of this machine, and what comes there is handed on. Once Redis has not answered for as
long as it may, or the run has ended, the port is shut and the engine gives up at once.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

__all__ = ["CacheDoor"]

_PART = 1 << 16
_AGAIN_S = 0.5
_LOOK_S = 0.1
_START_S = 10.0


class CacheDoor:
    """Hand on what the engine and Redis tell each other.

    Parameters
    ----------
    url
        Of Redis; its password is the engine's affair.
    timeout_s
        How long Redis may take to answer.

    Attributes
    ----------
    port
        Of this machine, where the engine is to connect.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 6379)
        self._tls = ssl.create_default_context() if parts.scheme == "rediss" else None
        self._timeout_s = timeout_s
        self._news: deque[tuple[str, str]] = deque()
        self._away_since = 0.0
        self._open: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="cache", daemon=True)
        self._thread.start()
        self.port = self._wait_for(self._listen())

    def news(self) -> list[tuple[str, str]]:
        """Return, once each, what happened to the cache: a level and a line."""
        found = []
        while self._news:
            found.append(self._news.popleft())
        return found

    def shut(self, after_s: float = 0.0) -> None:
        """Let nothing through any more: at once, or after so many seconds, without waiting."""
        if after_s:
            self._loop.call_soon_threadsafe(self._loop.call_later, after_s, self._shut)
        else:
            self._loop.call_soon_threadsafe(self._shut)

    def _wait_for[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_S)

    # In the thread

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
            # Who was let in in this turn is sent away in the next one: asyncio's server, once it is
            # closed, neither serves nor closes such a connection, and the engine would wait on it.
            self._loop.call_soon(server.close)
        for task in tuple(self._open):
            task.cancel()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the engine until either side ends it, or Redis stalls."""
        task = asyncio.current_task()
        if task is None or self._server is None or self._away_since:
            writer.transport.abort()
            return
        self._open.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                answers, far = await asyncio.open_connection(*self._address, ssl=self._tls)
            talk = _Talk()
            ways = [
                asyncio.ensure_future(one)
                for one in (
                    talk.ask(reader, far),
                    talk.answer(answers, writer),
                    talk.watch(self._timeout_s),
                )
            ]
            try:
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in ways:
                    one.cancel()
            if ways[0] not in done:
                self._is_away("it ended the connection" if ways[1] in done else "it stalls")
        except (OSError, TimeoutError) as e:
            self._is_away(str(e) or "it stalls")
        finally:
            self._open.discard(task)
            writer.transport.abort()
            if far is not None:
                far.transport.abort()

    def _is_away(self, why: str) -> None:
        if self._away_since or self._server is None:
            return
        self._away_since = time.monotonic()
        self._news.append(
            (
                "WARNING",
                f"the engine's cache has lost its Redis ({why}), and will lack what happens until "
                f"it is back. Trading goes on; after a restart the journal and the venue say what "
                f"is held",
            )
        )
        self._look_task = self._loop.create_task(self._look())

    async def _look(self) -> None:
        """Ask Redis again and again until it answers; let the engine in again then."""
        while self._server is not None:
            if await self._answers():
                took = time.monotonic() - self._away_since
                self._away_since = 0.0
                self._news.append(
                    ("INFO", f"Redis is back for the engine's cache after {took:.1f} s")
                )
                return
            await asyncio.sleep(_AGAIN_S)

    async def _answers(self) -> bool:
        far: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                answers, far = await asyncio.open_connection(*self._address, ssl=self._tls)
                far.write(b"PING\r\n")
                # That a password is wanted is an answer too.
                return bool(await answers.read(64))
        except (OSError, TimeoutError):
            return False
        finally:
            if far is not None:
                far.transport.abort()


class _Talk:
    """One connection: who has spoken last."""

    def __init__(self) -> None:
        self._asked = 0.0

    async def ask(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while part := await reader.read(_PART):
            self._asked = self._asked or time.monotonic()
            far.write(part)
            await far.drain()

    async def answer(self, answers: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while part := await answers.read(_PART):
                self._asked = 0.0
                near.write(part)
                await near.drain()

    async def watch(self, timeout_s: float) -> None:
        while not self._asked or time.monotonic() - self._asked < timeout_s:
            await asyncio.sleep(_LOOK_S)
