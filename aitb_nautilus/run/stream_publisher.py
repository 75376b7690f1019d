"""Publish events to a Redis stream: taken on the node's thread, sent by a thread of its own.

Between the two stands a queue of bounded length, and the node never waits for it: what finds it
full is not published, which is counted, said at once, and stands in the stream as an event of its
own. While Redis is away events wait; once it is back they are sent in order, none of them twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import redis
from redis.exceptions import RedisError, ResponseError

from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.run.stream_events import Lost, fields_of

__all__ = ["StreamPublisher"]

_BATCH = 64
"""Few, so that the thread never holds the interpreter for long."""
_PAUSE_S = 0.02
_AGAIN_S = 0.5
_TRIM_S = 60.0
_SLOW_LOSS = 10_000
"""How many lost events are counted before it is said again."""


class _Waiting(NamedTuple):
    number: int
    at_ms: int
    kind: str
    ts: int
    data: Any


class StreamPublisher:
    """Publish events; `put` may be called from several threads.

    Parameters
    ----------
    connect
        Returns a client of Redis; called again whenever the connection broke.
    key
        Of the stream.
    run
        Id of the run.
    settings
        How much may wait, and how much is kept.

    Attributes
    ----------
    lost
        Events that were not published.
    published
        Events that are in the stream.
    away
        Why Redis cannot be written to; empty if it can.
    """

    def __init__(
        self, connect: Callable[[], redis.Redis], key: str, run: str, settings: RedisSettings
    ) -> None:
        self._connect = connect
        self._key = key
        self._run = run
        self._settings = settings
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._number = 0
        self._missing = 0
        self._news: deque[tuple[str, str]] = deque()
        self._client: redis.Redis | None = None
        self._batch: list[tuple[str, _Waiting]] = []
        self._last_ms = 0
        self._taken = ""
        self._trimmed = 0.0
        self._away_since = 0.0
        self._until: float | None = None
        self._thread = threading.Thread(target=self._work, name="stream", daemon=True)
        self.lost = 0
        self.published = 0
        self.away = ""

    def start(self) -> None:
        """Begin to send what waits."""
        self._thread.start()

    def put(self, kind: str, ts: int, data: Any) -> None:
        """Take an event; what `data` is must not change any more."""
        at_ms = time.time_ns() // 1_000_000
        with self._mutex:
            self._number += 1
            if len(self._queue) >= self._settings.queue_size:
                self._lose(1)
                return
            if self._missing:
                self._queue.append(self._gap(at_ms, ts))
                self._number += 1
            self._queue.append(_Waiting(self._number, at_ms, kind, ts, data))

    def news(self) -> list[tuple[str, str]]:
        """Return, once each, what happened to the stream: a level and a line."""
        found = []
        while self._news:
            found.append(self._news.popleft())
        return found

    def close(self, patience_s: float) -> None:
        """Send what waits, as long as that is not longer than so many seconds."""
        self._until = time.monotonic() + patience_s
        if self._thread.ident is not None:
            # A Redis that stalls is waited for no longer; the thread is a daemon.
            self._thread.join(patience_s + _AGAIN_S)
        with self._mutex:
            left = len(self._queue) + len(self._batch)
            self.lost += left
        if self.lost:
            self._say(
                "WARNING",
                f"{self.lost:,} of {self.lost + self.published:,} events were not published",
            )

    def _lose(self, count: int) -> None:
        self.lost += count
        self._missing += count
        if self._missing == 1 or self._missing % _SLOW_LOSS == 0:
            self._say(
                "WARNING",
                f"{self._missing:,} events of this run not published by now: Redis is away and "
                f"{self._settings.queue_size:,} wait already (redis.queue_size). Trading goes on",
            )

    def _gap(self, at_ms: int, ts: int) -> _Waiting:
        first = self._number - self._missing
        lost = Lost(self._missing, first, self._number - 1, "the queue of the publisher was full")
        self._missing = 0
        return _Waiting(self._number, at_ms, "lost", ts, lost)

    def _say(self, level: str, line: str) -> None:
        self._news.append((level, line))

    # In the thread

    def _work(self) -> None:
        try:
            while not self._is_over():
                if not self._batch:
                    self._next_batch()
                if not self._batch:
                    time.sleep(_PAUSE_S)
                elif not self._sent():
                    time.sleep(_AGAIN_S)
        except Exception as e:
            # The node must hear of a defect here; it trades on.
            self.away = f"{type(e).__name__}: {e}"
            self._say("ERROR", f"nothing is published any more, by a defect: {self.away}")

    def _is_over(self) -> bool:
        until = self._until
        if until is None:
            return False
        return not (self._queue or self._batch) or time.monotonic() >= until

    def _next_batch(self) -> None:
        with self._mutex:
            count = min(len(self._queue), _BATCH)
            some = [self._queue.popleft() for _ in range(count)]
            self._batch = [(self._id_of(one), one) for one in some]

    def _id_of(self, one: _Waiting) -> str:
        self._last_ms = max(self._last_ms, one.at_ms)
        return f"{self._last_ms}-{one.number}"

    def _sent(self) -> bool:
        """Send the batch; return whether it is in the stream."""
        try:
            if self._client is None:
                self._client = self._connect()
                self._agree(self._client)
            answers = self._send(self._client) if self._batch else []
        except (RedisError, OSError) as e:
            return self._is_away(e)
        for (entry_id, _), answer in zip(tuple(self._batch), answers, strict=True):
            if isinstance(answer, ResponseError):
                return self._is_away(answer)
            del self._batch[0]
            self.published += 1
            self._taken = entry_id
        self._is_back()
        return True

    def _send(self, client: redis.Redis) -> list[Any]:
        """Send the batch, whole or not at all; return what Redis says to each event."""
        pipeline = client.pipeline(transaction=True)
        # Whether it still has what it took last: the connection may have been made anew silently.
        pipeline.xrange(self._key, min=self._taken or "-", max=self._taken or "+", count=1)
        for entry_id, one in self._batch:
            fields: Any = fields_of(self._run, one.number, one.kind, one.ts, one.data)
            pipeline.xadd(self._key, fields, id=entry_id, maxlen=self._settings.keep_events)
        hours = self._settings.keep_hours
        if hours is not None and time.monotonic() - self._trimmed > _TRIM_S:
            self._trimmed = time.monotonic()
            oldest = time.time_ns() // 1_000_000 - round(hours * 3_600_000)
            pipeline.xtrim(self._key, minid=oldest)
        before, *answers = pipeline.execute(raise_on_error=False)
        if self._taken and before == []:
            self._say(
                "WARNING",
                "Redis has events no more that it had taken: it was emptied, or ended before it "
                "had written them to its disk. Whoever follows the node may miss them",
            )
        return list(answers[: len(self._batch)])

    def _agree(self, client: redis.Redis) -> None:
        """Take note of what the stream has: of what was sent last nobody said that it arrived."""
        last, entry = (0, 0), {}
        if client.exists(self._key):
            about: Any = client.xinfo_stream(self._key)
            last = _pair(about["last-generated-id"])
            newest: Any = client.xrevrange(self._key, count=1)
            entry = dict(newest[0][1]) if newest else {}
        if entry.get("run") == self._run:
            while self._batch and _pair(self._batch[0][0]) <= last:
                del self._batch[0]
                self.published += 1
        # Ids only rise, also if the clock was put back since the run before.
        if (self._batch and _pair(self._batch[0][0]) <= last) or self._last_ms <= last[0]:
            self._last_ms = max(self._last_ms, last[0] + (entry.get("run") != self._run))
            self._batch = [(self._id_of(one), one) for _, one in self._batch]

    def _is_away(self, error: Exception) -> bool:
        if self._client is not None:
            self._client.close()
            self._client = None
        if not self.away:
            self._away_since = time.monotonic()
            self._say(
                "WARNING",
                f"Redis is away, or takes nothing ({error}). Events wait for it, as many as "
                f"redis.queue_size says; trading goes on",
            )
        self.away = str(error) or type(error).__name__
        return False

    def _is_back(self) -> None:
        if self.away:
            self.away = ""
            took = time.monotonic() - self._away_since
            self._say("INFO", f"Redis is back after {took:.1f} s; what waited is published")


def _pair(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)
