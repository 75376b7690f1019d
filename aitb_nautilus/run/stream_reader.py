"""Follow a node through its stream, from any machine that reaches the Redis; Redis may come and go.

::

    from pathlib import Path
    from aitb_nautilus.run.stream_reader import StreamReader, StreamPlace

    reader = StreamReader(StreamPlace.read(Path("my_desk.toml")), print)
    for event in reader.follow(reader.position(last=10)):
        print(event.kind, event.data)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import redis
from redis import exceptions
from redis.exceptions import RedisError

from aitb_nautilus.errors import ConfigError, DataError, UsageError
from aitb_nautilus.run.config import RedisSettings, TraderSettings
from aitb_nautilus.run.load import read_toml
from aitb_nautilus.run.redis_server import client_of, reach
from aitb_nautilus.run.stream_events import VERSION, StreamEvent, event_of, stream_key
from aitb_nautilus.settings import decode

__all__ = ["BEGINNING", "StreamPlace", "StreamReader"]

BEGINNING = "0-0"
"""The position before everything that a stream still holds."""
_BLOCK_MS = 500
_AGAIN_S = 0.5
_AT_ONCE = 256


class StreamPlace(msgspec.Struct, frozen=True):
    """Where the stream of a trader is.

    Attributes
    ----------
    where
        The config file, for errors.
    """

    where: str
    key: str
    settings: RedisSettings

    @classmethod
    def read(cls, config: Path) -> StreamPlace:
        """Return the place that a file names; only its ``[trader]`` and ``[redis]`` are read.

        Raises
        ------
        ConfigError
            If the file is missing or is no TOML, one of the sections is wrong, or nothing is
            published.
        """
        data, where = read_toml(config), str(config)
        trader = decode(data.get("trader", {}), TraderSettings, where, "trader")
        if "redis" not in data:
            raise ConfigError(
                where,
                "has no [redis]",
                "must have one: a node of this config publishes nothing",
                "Write [redis] with its url, as docs/redis.md shows, and start the node again",
            )
        settings = decode(data["redis"], RedisSettings, where, "redis")
        if not settings.streams:
            raise ConfigError(
                f"{where}: redis.streams", "was false", "must be true for a node to be followed"
            )
        return cls(where, stream_key(trader.id), settings)


class StreamReader:
    """Read a stream in its order.

    Parameters
    ----------
    place
        Of the stream.
    tell
        Told in a line when Redis goes and comes back, and of events that are missing.

    Raises
    ------
    ConfigError
        If Redis does not answer at the start.
    """

    def __init__(self, place: StreamPlace, tell: Callable[[str], None]) -> None:
        # Waiting for news takes half a second by itself.
        slow = max(place.settings.timeout_secs, 2.0) + _BLOCK_MS / 1000
        self._settings = msgspec.structs.replace(place.settings, timeout_secs=slow)
        self._place = place
        self._tell = tell
        self._client: redis.Redis | None = reach(self._settings, place.where)
        self._away_since = 0.0
        self._run, self._number = "", 0

    def position(self, *, last: int) -> str:
        """Return the position before the last so many events.

        Raises
        ------
        ConfigError
            If Redis does not answer.
        """
        client = self._client or reach(self._settings, self._place.where)
        newest: Any = client.xrevrange(self._place.key, count=last + 1)
        if len(newest) <= last:
            return BEGINNING
        return str(newest[-1][0])

    def follow(self, after: str) -> Iterator[StreamEvent | None]:
        """Yield events as they come, and None whenever none has come for half a second.

        Parameters
        ----------
        after
            The position after which to begin: the id of an event, or what `position` returned.

        Raises
        ------
        UsageError
            If the position is none.
        DataError
            If an entry is no event of a node, or one of a newer version.
        """
        if not _is_position(after):
            raise UsageError(
                "after", f"was {after!r}", "must be the id of an event, such as 1795724172454-17"
            )
        self._look_back(after)
        while True:
            entries = self._entries(after)
            for entry_id, fields in entries:
                after = entry_id
                yield self._event(entry_id, fields)
            if not entries:
                yield None

    def _entries(self, after: str) -> list[tuple[str, dict[str, str]]]:
        try:
            if self._client is None:
                self._client = client_of(self._settings, self._place.where)
            key = self._place.key
            found: Any = self._client.xread({key: after}, count=_AT_ONCE, block=_BLOCK_MS)
        except (exceptions.ConnectionError, exceptions.TimeoutError) as e:
            self._lose(e)
            return []
        except RedisError as e:
            raise DataError(self._place.key, f"cannot be read ({e})", "must be a stream") from e
        if self._away_since:
            took = time.monotonic() - self._away_since
            self._away_since = 0.0
            self._tell(f"Redis is back after {took:.1f} s; going on after {after}")
        return list(found[0][1]) if found else []

    def _lose(self, error: RedisError) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if not self._away_since:
            self._away_since = time.monotonic()
            self._tell(f"Redis is away ({error}); waiting for it")
        time.sleep(_AGAIN_S)

    def _event(self, entry_id: str, fields: dict[str, str]) -> StreamEvent:
        try:
            event = event_of(entry_id, fields)
        except ValueError as e:
            raise DataError(self._place.key, str(e), "must hold what a node wrote") from e
        if event.version != VERSION:
            raise DataError(
                f"{self._place.key} {entry_id}",
                f"is of version {event.version}",
                f"must be of version {VERSION}, which this program reads",
                "Follow the node with the version of the program that it runs",
            )
        if event.run == self._run and event.number > self._number + 1:
            self._tell(f"{event.number - self._number - 1:,} events are missing here")
        self._run, self._number = event.run, event.number
        return event

    def _look_back(self, after: str) -> None:
        """Say if events after a position were taken out of the stream already."""
        if after == BEGINNING or self._client is None:
            return
        first: Any = self._client.xrange(self._place.key, count=1)
        if first and _pair(first[0][0]) > _pair(after):
            self._tell(f"the stream begins at {first[0][0]} by now: events before it are missing")


def _is_position(text: str) -> bool:
    ms, _, number = text.partition("-")
    return ms.isdecimal() and (number.isdecimal() or "-" not in text)


def _pair(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number or 0)
