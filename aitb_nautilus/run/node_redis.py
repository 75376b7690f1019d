"""What of a node goes to Redis, or nothing, where the config names none.

The client of Redis is slow to import, so only a node that has one loads it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

from aitb_nautilus.risk.journal_chain import Row
from aitb_nautilus.run.preparation import Preparation

__all__ = ["NoRedis", "NodeRedis", "node_redis"]

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

    def publishing(self, run_id: str, note: Note) -> AbstractContextManager[None]:
        """Publish while the block runs."""
        ...


class NoRedis:
    """Nothing goes anywhere."""

    actors: Sequence[Any] = ()

    def tell(self, rows: Sequence[Row]) -> None:
        """Do nothing."""

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
    if settings is None or not settings.streams:
        return NoRedis()
    streaming = importlib.import_module("aitb_nautilus.run.streaming")
    return cast("NodeRedis", streaming.Streaming(run, settings))
