"""The base class of every actor: errors stop the run, the clock and the bus are wrapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self

from msgspec.structs import astuple
from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, Bar

from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.messages import (
    LATE_PREDICTION,
    BarClosed,
    LatePrediction,
    Prediction,
    prediction_topic,
)
from aitb_nautilus.risk.capture import Failure, GuardedClock, RunState, capture, wrap_callbacks
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.listening import Listening
from aitb_nautilus.settings import Settings

__all__ = ["GuardedActor"]

_HOOKS = {"on_start": "starting", "on_bar": "hear_bar", "on_stop": "stopping"}


class GuardedActor(DataActor):
    """Listen to data, publish messages, never trade.

    A subclass names its settings in `settings_type`, says in `bar_types` and `predictions` what it
    listens to, and overrides `hear_bar` and `hear_prediction`. It hears a bar before any strategy
    does. The engine's other ``on_*`` callbacks may be overridden as usual. An error in any of them,
    or in a callback given to the clock or the bus, stops the run.

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
        listens = cls.bar_types, cls.predictions
        if listens != (GuardedActor.bar_types, GuardedActor.predictions):
            for name, instead in _HOOKS.items():
                home = next(c for c in cls.__mro__ if name in vars(c))
                if home is not GuardedActor:
                    raise TypeError(
                        f"{home.__module__}:{home.__qualname__} overrides {name}, which bar_types "
                        f"and predictions need; use {instead} instead"
                    )
        wrap_callbacks(cls)

    def __new__(
        cls,
        settings: Any,  # noqa: ARG004
        context: Context,  # noqa: ARG004
        component_id: str,
        *_: Any,
        **__: Any,
    ) -> Self:
        """Give the engine an explicit config: it ignores most fields of a foreign struct.

        What a subclass takes beside these is hidden from the engine.
        """
        return super().__new__(cls, DataActorConfig(actor_id=ActorId(component_id)))  # type: ignore[call-arg] # the stub lacks the engine's __new__

    def __init__(self, settings: Any, context: Context, component_id: str) -> None:
        super().__init__(DataActorConfig(actor_id=ActorId(component_id)))
        self.settings = settings
        self.context = context
        self.component_id = component_id
        self.run_state: RunState = context.run_state
        self._topics: dict[tuple[str, Any], Any] = {}
        self._warming = context.warming
        self._listening = Listening(
            self,
            super().subscribe_topic
            if context.stage is None
            else partial(context.stage.subscribe, component_id),
            first=True,
            on_bar=self.hear_bar,
            on_prediction=self.hear_prediction,
        )
        self._prediction_topics: dict[tuple[str, str], str] = {}
        self._engine_ns: Callable[[], int] | None = None

    # What an actor overrides

    def bar_types(self) -> Sequence[str]:
        """Return the bar types that the actor listens to."""
        return ()

    def bars_before(self) -> int:
        """Return how many bars before the run it wants to have heard, so as to be warm."""
        return 0

    def predictions(self) -> Sequence[tuple[str, str]]:
        """Return the models, each with an instrument id, whose predictions it listens to."""
        return ()

    def foresee(self, frames: Mapping[str, BarFrame]) -> None:
        """Take the bars that the run is going to bring, where the node knows them before.

        For work that is faster done for all bars at once. What the actor then says at a bar must
        not depend on any bar after it, and must be what it would have said without this call.

        Parameters
        ----------
        frames
            Bars by instrument id, in order of time.
        """

    def hear_bar(self, bar: BarClosed) -> None:
        """Take a closed bar."""

    def rehearse(self, instrument_id: str) -> None:
        """Do once more what a bar of an instrument asks for, without any effect.

        A live node calls it again and again while that bar is due, so that code and data are in the
        processor's caches when it comes. Nothing may be said, read off a clock or kept of it. After
        an error it is called no more; the run goes on, and says so.
        """

    def hear_prediction(self, prediction: Prediction) -> None:
        """Take a prediction that has not expired.

        Where the actor listens to the instrument's bars, it has heard the one of that time.
        """

    def starting(self) -> None:
        """Begin, before the first bar."""

    def stopping(self) -> None:
        """End, after the last bar."""

    # What it may call

    def publish_prediction(self, prediction: Prediction) -> None:
        """Tell a prediction to all who listen to that model and instrument."""
        key = prediction.model, prediction.instrument_id
        topic = self._prediction_topics.get(key)
        if topic is None:
            topic = self._prediction_topics[key] = prediction_topic(*key)
        tape = self.context.tape
        if not tape.is_idle:
            tape.said("prediction", self.component_id, *astuple(prediction))
        self.publish_message(topic, prediction)

    def publish_late(self, late: LatePrediction) -> None:
        """Tell that a prediction was not there in time."""
        self.context.tape.said("late", self.component_id, *astuple(late))
        self.publish_message(LATE_PREDICTION, late)

    def publish_message(self, topic: str, message: object) -> None:
        """Tell a message to all who listen to a bus topic."""
        if self.context.stage is not None:
            self.context.stage.publish(topic, message)
            return
        super().publish_message(topic, message)

    @property
    def is_past(self) -> bool:
        """Return whether it is the past that is told, so that what is slow may be left out."""
        return bool(self._warming.ts)

    def now(self) -> int:
        """Return the engine's time, or that of the past that is told, ns UTC."""
        past = self._warming.ts
        if past:
            return past
        return self._engine_ns() if self._engine_ns else int(super().clock.timestamp_ns())

    # What the engine and the base call

    def on_start(self) -> None:
        """Subscribe to what the actor listens to."""
        stage, tape = self.context.stage, self.context.tape
        # Bound once: it is asked at every bar.
        now = super().clock.timestamp_ns if stage is None else stage.now
        tape.heard_by("start", self.component_id)
        self._engine_ns = now
        if self.component_id in tape.desk:
            self._engine_ns = lambda: tape.reading(now())
        self._listening.start(now, self.bar_types(), self.predictions())
        self.starting()

    def on_stop(self) -> None:
        """Let the actor end."""
        self.context.tape.heard_by("stop", self.component_id)
        self._listening.stop()
        self.stopping()

    def on_bar(self, bar: Bar) -> None:
        """Hand a bar to all who listen to it; see `Listening`."""
        self._listening.take(bar)

    on_bar.__captured__ = True  # type: ignore[attr-defined]  # `take` records its own errors

    def notice(self, *facts: Any) -> None:
        """Do nothing: an actor asks the engine's clock for the time."""

    def after_failure(self, failure: Failure) -> None:
        """Halt the guard after an error in a callback: nothing opens any more."""
        if self.component_id not in self.context.tape.desk:
            self.context.tape.heard("failed", self.component_id, failure.reason, failure.ts)
        self.context.guard.halt(failure.reason, failure.ts)

    @property
    def clock(self) -> Any:
        """Return the engine's clock; errors in callbacks given to it stop the run."""
        stage = self.context.stage
        return GuardedClock(
            self, super().clock if stage is None else stage.clock(self.component_id)
        )

    def subscribe_topic(
        self, topic: str, handler: Callable[[object], None], priority: int = 0
    ) -> None:
        """Listen to a bus topic; an error in the handler stops the run."""
        name = getattr(handler, "__name__", topic)
        wrapped = capture(self, name, handler, from_engine=False)
        self._topics[topic, handler] = wrapped
        if self.context.stage is not None:
            self.context.stage.subscribe(self.component_id, topic, wrapped)
            return
        super().subscribe_topic(topic, wrapped, priority)

    def unsubscribe_topic(self, topic: str, handler: Callable[[object], None]) -> None:
        """Stop listening to a bus topic."""
        super().unsubscribe_topic(topic, self._topics.pop((topic, handler)))


wrap_callbacks(GuardedActor)
