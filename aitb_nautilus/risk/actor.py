"""The base class of every actor: errors stop the run, the clock and the bus are wrapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId

from aitb_nautilus.risk.capture import Failure, GuardedClock, RunState, capture, wrap_callbacks
from aitb_nautilus.risk.context import Context
from aitb_nautilus.settings import Settings

__all__ = ["GuardedActor"]


class GuardedActor(DataActor):
    """Listen to data, publish messages, never trade.

    A subclass names its settings in `settings_type` and overrides the engine's ``on_*`` callbacks
    as usual. An error in one of them, or in a callback given to the clock or the bus, stops the
    run.

    Parameters
    ----------
    settings
        The actor's own settings, from the config.
    context
        What the node's components share.
    component_id
        The actor's id, such as ``features-001``.
    """

    settings_type: ClassVar[type[Settings]] = Settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        wrap_callbacks(cls)

    def __new__(cls, settings: Any, context: Context, component_id: str) -> Self:  # noqa: ARG004
        """Give the engine an explicit config: it ignores most fields of a foreign struct."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId(component_id)))  # type: ignore[call-arg] # the stub lacks the engine's __new__

    def __init__(self, settings: Any, context: Context, component_id: str) -> None:
        super().__init__(DataActorConfig(actor_id=ActorId(component_id)))
        self.settings = settings
        self.context = context
        self.component_id = component_id
        self.run_state: RunState = context.run_state
        self._topics: dict[tuple[str, Any], Any] = {}

    def now(self) -> int:
        """Return the engine's time, ns UTC."""
        now: int = super().clock.timestamp_ns()
        return now

    def notice(self, *facts: Any) -> None:
        """Do nothing: an actor asks the engine's clock for the time."""

    def after_failure(self, failure: Failure) -> None:
        """Halt the guard after an error in a callback: nothing opens any more."""
        self.context.guard.halt(failure.reason, failure.ts)

    @property
    def clock(self) -> Any:
        """Return the engine's clock; errors in callbacks given to it stop the run."""
        return GuardedClock(self, super().clock)

    def subscribe_topic(
        self, topic: str, handler: Callable[[object], None], priority: int = 0
    ) -> None:
        """Listen to a bus topic; an error in the handler stops the run."""
        name = getattr(handler, "__name__", topic)
        wrapped = capture(self, name, handler, from_engine=False)
        self._topics[topic, handler] = wrapped
        super().subscribe_topic(topic, wrapped, priority)

    def unsubscribe_topic(self, topic: str, handler: Callable[[object], None]) -> None:
        """Stop listening to a bus topic."""
        super().unsubscribe_topic(topic, self._topics.pop((topic, handler)))


wrap_callbacks(GuardedActor)
