"""What a config says of Redis: where it is, what a node puts there, and how much of it is kept."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from aitb_nautilus.settings import Secret, Settings

__all__ = ["RedisSettings", "database_of", "url_fault"]

_REFERENCE = ("env:", "file:")
_WANTED = (
    "must be redis://HOST:PORT or rediss://HOST:PORT, or, where it holds a password, a reference "
    "to a secret that holds the whole URL: env:NAME or file:PATH"
)


class RedisSettings(Settings, frozen=True):
    """Section ``[redis]``: let other programs follow a node; without the section there is no Redis.

    Paper and live publish. A back-test leaves Redis alone. See docs/redis.md for the streams.

    Attributes
    ----------
    url
        ``redis://HOST:PORT``, ``rediss://`` for TLS; with a password, a reference to a secret that
        holds the whole URL.
    streams
        Whether predictions, decisions, orders, fills, positions and states are published.
    cache
        Whether the engine keeps its cache in database 0 there, and knows its orders after a
        restart. Live only: on paper the exchange itself begins anew. What it brings back is
        compared with the journal.
    keep_events
        About so many events stay in the stream.
    keep_hours
        What is older is taken out of the stream as well; absent: age does not matter.
    queue_size
        So many events may wait while Redis is away. What finds the queue full is not published,
        which is counted and said; trading goes on.
    status_secs
        How often the stream says how the node stands.
    timeout_secs
        How long Redis may take to answer before it counts as away. Only the publisher waits.
    """

    url: str = "redis://127.0.0.1:6379"
    streams: bool = True
    cache: bool = False
    keep_events: Annotated[int, msgspec.Meta(ge=1_000, le=100_000_000)] = 100_000
    keep_hours: Annotated[float, msgspec.Meta(ge=0.1, le=87_600)] | None = None
    queue_size: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 50_000
    status_secs: Annotated[float, msgspec.Meta(ge=0.5, le=3600)] = 5.0
    timeout_secs: Annotated[float, msgspec.Meta(ge=0.1, le=30)] = 2.0

    def __post_init__(self) -> None:
        """Refuse what is no URL, and a password that stands in the file; neither is repeated."""
        if self.url.startswith(_REFERENCE):
            Secret(self.url)
            return
        why = url_fault(self.url)
        if why:
            raise ValueError(f"url {why}, {_WANTED}")
        if urlsplit(self.url).password:
            raise ValueError(f"url holds a password, {_WANTED}")
        if self.cache and database_of(self.url):
            raise ValueError(
                "url names another database than 0, must not where cache is true: the engine keeps "
                "its cache in database 0 of the server"
            )

    def reveal_url(self) -> str:
        """Return the URL, its password included.

        Raises
        ------
        ConfigError
            If the secret cannot be had.
        """
        return Secret(self.url).reveal() if self.url.startswith(_REFERENCE) else self.url


def url_fault(url: str) -> str:
    """Return why a text is no URL of Redis, without repeating it; empty if it is one."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("redis", "rediss"):
        return "does not begin with redis:// or rediss://"
    if not host or port == 0:
        return "names no host and port"
    if parts.query or parts.fragment:
        return "holds something after ? or #"
    path = parts.path.strip("/")
    return "" if not path or path.isdecimal() else "names a database that is no number"


def database_of(url: str) -> int:
    """Return the number of the database that a URL of Redis names; 0 if it names none."""
    return int(urlsplit(url).path.strip("/") or 0)
