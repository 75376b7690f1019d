"""Reach the Redis of a config, or say in one paragraph why that cannot be."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.redis_settings import RedisSettings, database_of, url_fault

__all__ = ["OLDEST", "client_of", "reach", "shown_url"]

OLDEST = (6, 2)
"""Oldest version of the server: the engine wants it, and streams are trimmed by age from it on."""


def client_of(settings: RedisSettings, where: str) -> redis.Redis:
    """Return a client that tries everything once and waits no longer than it may.

    Parameters
    ----------
    where
        The config file, for errors.

    Raises
    ------
    ConfigError
        If the URL is a secret that cannot be had, or none of Redis.
    """
    url = settings.reveal_url()
    why = url_fault(url)
    if settings.cache and not why and database_of(url):
        why = "names another database than 0, where the engine keeps its cache"
    if why:
        raise ConfigError(
            f"{where}: redis.url",
            f"is {settings.url}, and what that holds {why}",
            "must be redis://[USER:PASSWORD@]HOST:PORT",
        )
    client: redis.Redis = redis.Redis.from_url(
        url,
        socket_timeout=settings.timeout_secs,
        socket_connect_timeout=settings.timeout_secs,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        protocol=2,
        client_name="aitb",
    )
    return client


def reach(settings: RedisSettings, where: str) -> redis.Redis:
    """Return a client of a Redis that answers, is new enough, and may be written to.

    Raises
    ------
    ConfigError
        If not; also as `client_of`.
    """
    client = client_of(settings, where)
    place = f"{where}: redis at {shown_url(settings)}"
    start = "Start it, or take [redis] out of the config: a node trades without it"
    try:
        info: Any = client.info("server")
        _refuse_old(info["redis_version"], place)
        role: Any = client.info("replication")
    except AuthenticationError as e:
        raise ConfigError(
            place,
            f"refused the password ({e})",
            "must take the one that redis.url holds",
            "Put redis://USER:PASSWORD@HOST:PORT (without a user: redis://:PASSWORD@...) into a "
            'variable of the environment, and name it: url = "env:NAME"',
        ) from e
    except NoPermissionError as e:
        raise ConfigError(
            place, f"lets this user not in ({e})", "must let it read and write"
        ) from e
    except ResponseError as e:
        raise ConfigError(place, f"answered: {e}", "must be a Redis that can be used", start) from e
    except RedisError as e:
        raise ConfigError(
            place,
            f"cannot be reached ({e})",
            f"must answer within {settings.timeout_secs:g} s",
            start,
        ) from e
    if role.get("role") != "master":
        raise ConfigError(
            place, f"is a {role.get('role')}", "must be the one that takes writes", "Name that one"
        )
    return client


def shown_url(settings: RedisSettings) -> str:
    """Return where Redis is, without a password: ``127.0.0.1:6379``, or the reference."""
    if "://" not in settings.url:
        return settings.url
    parts = urlsplit(settings.url)
    return f"{parts.hostname}:{parts.port or 6379}"


def _refuse_old(version: str, place: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST:
        raise ConfigError(
            place,
            f"is Redis {version}",
            f"must be {'.'.join(map(str, OLDEST))} or newer",
            "Debian and all others of today have a newer one: apt install redis-server",
        )
