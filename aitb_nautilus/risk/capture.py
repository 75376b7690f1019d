"""Errors in callbacks stop the run; the engine alone would log them and go on.

Every callback of a component is wrapped: the ``on_*`` methods when the class is made, the callbacks
given to the clock and to the bus when they are given. An error is recorded in the shared
`RunState`. From then on only what orders do is delivered; at any other callback the engine is told
to shut down. The error itself is not raised into a running engine, which would stop at once and
leave out the fills of orders in flight, and the ledger must not miss a fill.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from types import FunctionType
from typing import Any, Self

import msgspec

__all__ = [
    "Failure",
    "GuardedClock",
    "RunState",
    "capture",
    "capture_fact",
    "record_failure",
    "wrap_callbacks",
]


class Failure(msgspec.Struct, frozen=True):
    """An error that a component raised.

    Attributes
    ----------
    component
        Id of the strategy or actor.
    callback
        Name of the method or callback.
    ts
        The component's time, ns UTC.
    error
        Type and text of the error.
    trace
        Formatted traceback.
    """

    component: str
    callback: str
    ts: int
    error: str
    trace: str

    @classmethod
    def of(cls, component: str, callback: str, ts: int, error: BaseException) -> Self:
        """Return what was raised, as text."""
        trace = "".join(traceback.format_exception(error))
        return cls(component, callback, ts, f"{type(error).__name__}: {error}", trace)

    @property
    def reason(self) -> str:
        """Return who raised what, in one line."""
        return f"{self.component}.{self.callback} raised {self.error}"


class RunState:
    """What the node and all its components share: the first failure, and the wish to stop.

    Signal handlers and component errors set it; every callback and the node's loop look at it.

    Attributes
    ----------
    is_ended_by_node
        Whether the node ends the engine itself, once open orders are as they should be; else the
        next callback does.
    """

    __slots__ = ("failures", "is_ended_by_node", "raised", "stop_reason")

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.raised: BaseException | None = None
        self.stop_reason = ""
        self.is_ended_by_node = False

    def end(self, component: Any) -> None:
        """Let a component tell the engine to shut down, unless the node does."""
        if not self.is_ended_by_node:
            component.shutdown_system(self.stop_reason)

    def stop(self, reason: str) -> None:
        """Ask the node to stop; the first reason stays."""
        self.stop_reason = self.stop_reason or reason

    def fail(self, failure: Failure) -> None:
        """Record an error and ask the node to stop."""
        self.failures.append(failure)
        self.stop(failure.reason)


_ALWAYS = (
    "on_order",
    "on_position",
    "on_market_exit",
    "post_market_exit",
    "on_stop",
    "on_resume",
    "on_reset",
    "on_degrade",
    "on_fault",
    "on_dispose",
    "on_save",
)
"""Callbacks that are still delivered while stopping: the ledger must not miss a fill, and while the
engine changes a component's state it can be told nothing."""


def capture(
    component: Any, name: str, callback: Callable[..., Any], *, from_engine: bool = True
) -> Callable[..., Any]:
    """Return a callback that records its error in the component's run state.

    Once a stop was asked for, the callback is skipped and the engine is told to shut down: nothing
    may be decided after a failure.

    Parameters
    ----------
    component
        Strategy or actor with `run_state`, `component_id`, `now`, `notice`, `after_failure` and
        `shutdown_system`.
    name
        What the failure is called.
    callback
        Called with whatever the engine passes.
    from_engine
        Whether the engine calls it. What another component publishes comes in the middle of that
        one's callback, when the engine can be told nothing.
    """
    state: RunState = component.run_state

    def captured(*args: Any) -> Any:
        if state.stop_reason:
            if from_engine:
                state.end(component)
            return None
        try:
            component.notice(*args)
            return callback(*args)
        except BaseException as e:
            record_failure(component, name, e)
            return None

    return captured


def capture_fact[T](
    component: Any, name: str, callback: Callable[[T], object]
) -> Callable[[T], None]:
    """Return a callback for one plain fact that another component hands on; see `capture`.

    It is called a million times in a run, and does nothing that it need not.
    """
    state: RunState = component.run_state

    def captured(fact: T) -> None:
        if state.stop_reason:
            return
        try:
            callback(fact)
        except BaseException as e:
            record_failure(component, name, e)

    return captured


def wrap_callbacks(cls: type) -> None:
    """Wrap every ``on_*`` method of a class as `capture` does, those of its mixins included.

    What the class has from the engine is empty and stays as it is.
    """
    for name in dir(cls):
        if not (name.startswith("on_") or name == "post_market_exit"):
            continue
        home = next(c for c in cls.__mro__ if name in vars(c))
        if home.__module__.startswith("nautilus_trader"):
            continue
        method = vars(home)[name]
        if not isinstance(method, FunctionType):
            raise TypeError(
                f"{cls.__module__}:{cls.__qualname__}.{name} is a {type(method).__name__}, must be "
                f"a plain method: an error in it would not be seen"
            )
        if not hasattr(method, "__captured__"):
            setattr(cls, name, _captured_method(name, method))


def _captured_method(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    always = name.startswith(_ALWAYS)

    @functools.wraps(method)
    def captured(self: Any, *args: Any) -> Any:
        if getattr(type(self), name) is not captured:
            # An override called it as `super`; that one is wrapped, and an error ends it too.
            return method(self, *args)
        state: RunState = self.run_state
        if state.stop_reason and not always:
            state.end(self)
            return None
        try:
            self.notice(*args)
            return method(self, *args)
        except BaseException as e:
            record_failure(self, name, e)
            if name == "on_start":
                raise  # The engine then gives up the run before it begins.
            return None

    captured.__captured__ = True  # type: ignore[attr-defined]
    return captured


def record_failure(component: Any, name: str, error: BaseException) -> None:
    """Record an error once, however many wrapped callbacks it passes on its way."""
    if component.run_state.raised is error:
        return
    component.run_state.raised = error
    failure = Failure.of(component.component_id, name, component.now(), error)
    component.run_state.fail(failure)
    component.after_failure(failure)


class GuardedClock:
    """The engine's clock, with every callback that it is given wrapped.

    Parameters
    ----------
    component
        The strategy or actor that owns the clock.
    clock
        The engine's clock.
    """

    def __init__(self, component: Any, clock: Any) -> None:
        self._component = component
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._clock, name)
        if not name.startswith(("set_", "register_")):
            return attribute

        def setter(*args: Any, **kwargs: Any) -> Any:
            timer = args[0] if args else kwargs.get("name", "")
            return attribute(
                *(self._wrap(a, timer) for a in args),
                **{k: self._wrap(v, timer) for k, v in kwargs.items()},
            )

        return setter

    def _wrap(self, value: Any, timer: Any) -> Any:
        if not callable(value):
            return value
        component = self._component
        captured = capture(component, getattr(value, "__name__", repr(value)), value)

        def called(event: Any) -> Any:
            stamps = getattr(event, "ts_event", 0), getattr(event, "ts_init", 0)
            component.context.tape.heard_by("timer", component.component_id, str(timer), *stamps)
            return captured(event)

        return called
