"""What of a node goes to Redis, or nothing, where the config names none.

The client of Redis is slow to import, so only a node that has one loads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.journal_carried import Carried
from aitb_nautilus.risk.journal_chain import Row
from aitb_nautilus.run.engine_cache import EngineCache
from aitb_nautilus.run.preparation import Preparation

__all__ = ["NoRedis", "NodeRedis", "node_redis", "refuse_unproved_cache"]

type Note = Callable[[str, str, str], None]
"""Is told a level, a line and a component."""


class NodeRedis(Protocol):
    """The part of a node that speaks to Redis.

    Attributes
    ----------
    actors
        To be added to the node before all that decides.
    """

    @property
    def actors(self) -> Sequence[Any]:
        """Return actors to be added to the node before all that decides."""
        ...

    def tell(self, rows: Sequence[Row]) -> None:
        """Take rows that the journal has written."""
        ...

    def engine_cache(self, account: str) -> EngineCache | None:
        """Return where the engine keeps its cache of an account; None: nowhere."""
        ...

    def agree(self, carried: Carried) -> list[Unexplained]:
        """Empty an engine's cache that differs from the journal; return in what it did.

        The engine must not have begun yet.
        """
        ...

    def publishing(self, run_id: str, note: Note) -> AbstractContextManager[None]:
        """Publish while the block runs."""
        ...


class NoRedis:
    """Nothing goes anywhere."""

    actors: Sequence[Any] = ()

    def tell(self, rows: Sequence[Row]) -> None:
        """Do nothing."""

    def engine_cache(self, account: str) -> EngineCache | None:
        """Return none."""
        del account
        return None

    def agree(self, carried: Carried) -> list[Unexplained]:
        """Return nothing."""
        del carried
        return []

    def publishing(self, run_id: str, note: Note) -> AbstractContextManager[None]:
        """Return a block that does nothing."""
        del run_id, note
        return nullcontext()


def node_redis(run: Preparation) -> NodeRedis:
    """Return what a node publishes to the Redis of its config, which must answer.

    Raises
    ------
    ConfigError
        If it does not, or is too old, or refuses the password.
    """
    settings = run.desk.config.redis
    if settings is None or not (settings.streams or (settings.cache and run.mode == "live")):
        return NoRedis()
    streaming = importlib.import_module("aitb_nautilus.run.streaming")
    return cast("NodeRedis", streaming.Streaming(run, settings))


def refuse_unproved_cache(run: Preparation) -> None:
    """Let the engine keep its cache only where that can agree with the journal, and be checked.

    Where no order can be asked for, one that ended while no node ran would rest for ever for engine
    and journal alike, and a position would be believed to have its stop. Of a spot market the
    engine's positions are others than ours.

    Raises
    ------
    ConfigError
        If the config wants it of another venue.
    """
    settings = run.desk.config.redis
    if settings is None or not settings.cache or run.mode != "live":
        return
    for venue in run.venues.values():
        if venue.adapter_name == "binance" and venue.account == "cash":
            raise ConfigError(
                f"{run.desk.path}: redis.cache",
                f"was true, and {venue.name} is a spot market",
                "must be false: the engine takes no fee from the coins that it counts as held, and "
                "begins with none after a restart. Its cache would differ from the journal, and be "
                "emptied, at every start",
                "Take it out; the journal brings everything back without it",
            )
        if venue.adapter_name != "binance":
            raise ConfigError(
                f"{run.desk.path}: redis.cache",
                f"was true, and {venue.name} is not Binance USD-M",
                "must be false: whether an order of the cache still rests can be asked for at "
                "Binance USD-M alone, and a stop that is gone would be believed in",
                "Take it out; the journal brings everything back without it",
            )
