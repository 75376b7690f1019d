"""Errors in callbacks stop the run; the engine alone would log them and go on.

Every callback of a component is wrapped: the ``on_*`` methods when the class is made, the callbacks
given to the clock and to the bus when they are given. An error is recorded in the shared `RunState`
first, then raised on, so that the engine sees it too.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Failure", "GuardedClock", "RunState", "capture", "wrap_callbacks"]


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


class RunState:
    """What the node and all its components share: the first failure, and the wish to stop.

    Signal handlers and component errors set it; every callback and the node's loop look at it.
    """

    __slots__ = ("failures", "stop_reason")

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.stop_reason = ""

    def stop(self, reason: str) -> None:
        """Ask the node to stop; the first reason stays."""
        self.stop_reason = self.stop_reason or reason

    def fail(self, failure: Failure) -> None:
        """Record an error and ask the node to stop."""
        self.failures.append(failure)
        self.stop(f"{failure.component}.{failure.callback} raised {failure.error}")


_ALWAYS = ("on_order", "on_position", "on_stop", "on_dispose", "on_market_exit", "post_market_exit")
"""Callbacks that are still delivered while stopping: the ledger must not miss a fill."""


def capture(component: Any, name: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback that records its error in the component's run state and raises it on.

    Once a stop was asked for, the callback is skipped and the engine is told to shut down: nothing
    may be decided after a failure.

    Parameters
    ----------
    component
        Strategy or actor with `run_state`, `component_id`, `now`, `after_failure` and
        `shutdown_system`.
    name
        What the failure is called.
    callback
        Called with whatever the engine passes.
    """
    always = name.startswith(_ALWAYS)
    state: RunState = component.run_state

    def captured(*args: Any) -> Any:
        if state.stop_reason and not always:
            component.shutdown_system(state.stop_reason)
            return None
        try:
            return callback(*args)
        except BaseException as e:
            _record(component, name, e)
            raise

    return captured


def wrap_callbacks(cls: type) -> None:
    """Wrap every ``on_*`` method that a class itself defines, as `capture` does."""
    for name, method in list(vars(cls).items()):
        wanted = name.startswith("on_") or name == "post_market_exit"
        if wanted and callable(method) and not hasattr(method, "__captured__"):
            setattr(cls, name, _captured_method(name, method))


def _captured_method(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    always = name.startswith(_ALWAYS)

    @functools.wraps(method)
    def captured(self: Any, *args: Any) -> Any:
        state: RunState = self.run_state
        if state.stop_reason and not always:
            self.shutdown_system(state.stop_reason)
            return None
        try:
            return method(self, *args)
        except BaseException as e:
            _record(self, name, e)
            raise

    captured.__captured__ = True  # type: ignore[attr-defined]
    return captured


def _record(component: Any, name: str, error: BaseException) -> None:
    failure = Failure(
        component.component_id,
        name,
        component.now(),
        f"{type(error).__name__}: {error}",
        "".join(traceback.format_exception(error)),
    )
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
            return attribute(
                *(self._wrap(a) for a in args), **{k: self._wrap(v) for k, v in kwargs.items()}
            )

        return setter

    def _wrap(self, value: Any) -> Any:
        if not callable(value):
            return value
        return capture(self._component, getattr(value, "__name__", repr(value)), value)
