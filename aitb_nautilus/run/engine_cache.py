"""The engine's own cache in Redis: where it is, and whose."""

from __future__ import annotations

import hashlib
import math
import uuid
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from nautilus_trader.common import CacheConfig, SerializationEncoding
from nautilus_trader.core import UUID4
from nautilus_trader.infrastructure import RedisCacheConfig

__all__ = ["QUIET", "EngineCache"]

QUIET = {"nautilus_infrastructure::redis::cache": "OFF"}
"""The engine says of every command that it could not write it; the node says once that Redis is
away."""
_BUFFER_MS = 100


class EngineCache(msgspec.Struct, frozen=True):
    """What the engine is told of its cache.

    Attributes
    ----------
    url
        Of Redis.
    trader_id
        Whose node it is.
    port
        Of this machine, where it is reached in its place.
    account
        Names the account: a rehearsal must not find what the exchange's desk left, nor the other
        way round. It becomes part of the keys.
    timeout_s
        How long Redis may take to answer.
    """

    url: str
    trader_id: str
    port: int
    account: str
    timeout_s: float

    def config(self, capacity: int) -> CacheConfig:
        """Return how the cache is kept; of ticks and bars, so many in memory alone."""
        return CacheConfig(
            encoding=SerializationEncoding.JSON,
            buffer_interval_ms=_BUFFER_MS,
            use_instance_id=True,
            flush_on_start=False,
            persist_account_events=True,
            tick_capacity=capacity,
            bar_capacity=capacity,
        )

    def database(self) -> RedisCacheConfig:
        """Return how the engine reaches it: each command once, since what fails is no loss."""
        parts = urlsplit(self.url)
        seconds = max(1, math.ceil(self.timeout_s))
        return RedisCacheConfig(
            host="127.0.0.1",
            port=self.port,
            username=None if not parts.username else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            connection_timeout=seconds,
            response_timeout=seconds,
            number_of_retries=0,
            max_delay=1,
        )

    @property
    def prefix(self) -> str:
        """Return with what the keys of the cache begin."""
        return f"trader-{self.trader_id}:{self.instance_id()}:"

    def instance_id(self) -> Any:
        """Return the id under which the engine keeps this account's cache, the same every time."""
        digest = hashlib.sha256(self.account.encode()).digest()[:16]
        return UUID4.from_str(str(uuid.UUID(bytes=digest, version=4)))
