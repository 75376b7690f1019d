"""What stands in for the engine where facts are told without one: its bus, its clock, its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Stage"]


class Stage(Protocol):
    """Where components stand instead of in an engine."""

    def now(self) -> int:
        """Return the time, ns UTC."""
        ...

    def clock(self, component_id: str) -> Any:
        """Return what a component takes for the engine's clock."""
        ...

    def subscribe(self, component_id: str, topic: str, handler: Callable[[Any], None], /) -> None:
        """Let a component listen to a topic."""
        ...

    def publish(self, topic: str, message: object) -> None:
        """Tell a message to all who listen to the topic."""
        ...
