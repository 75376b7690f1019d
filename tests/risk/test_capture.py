"""Recording of errors without an engine; `test_strategy` and `test_actor` have it in one."""

from __future__ import annotations

from typing import Any

import pytest

from aitb_nautilus.risk.capture import Failure, RunState, capture, wrap_callbacks


class Component:
    """All that a wrapper asks of a component."""

    component_id = "C-001"

    def __init__(self) -> None:
        self.run_state = RunState()
        self.told: list[str] = []
        self.seen: list[Any] = []
        self.ts = 0

    def now(self) -> int:
        return self.ts

    def notice(self, *facts: Any) -> None:
        self.ts += len(facts)

    def after_failure(self, failure: Failure) -> None:
        self.seen.append(failure)

    def shutdown_system(self, reason: str) -> None:
        self.told.append(reason)


def test_first_reason_to_stop_stays() -> None:
    state = RunState()
    assert state.stop_reason == ""
    state.stop("first")
    state.stop("second")
    assert state.stop_reason == "first"


def test_failure_is_a_reason_to_stop_and_all_are_kept() -> None:
    state = RunState()
    for number in (1, 2):
        state.fail(Failure("S-001", "on_bar", number, f"ValueError: {number}", "trace"))
    assert state.stop_reason == "S-001.on_bar raised ValueError: 1"
    assert [f.ts for f in state.failures] == [1, 2]


def test_callback_gives_back_what_it_returns() -> None:
    component = Component()
    assert capture(component, "double", lambda n: 2 * n)(21) == 42
    assert component.ts == 1, "it noticed what came"


@pytest.mark.parametrize(
    "error", [ValueError("boom"), SystemExit("boom"), KeyboardInterrupt("boom")]
)
def test_error_is_recorded_with_all_that_helps_and_not_raised(error: BaseException) -> None:
    component = Component()

    def fail(_: object) -> None:
        raise error

    assert capture(component, "fail", fail)("x") is None
    (failure,) = component.run_state.failures
    assert (failure.component, failure.callback, failure.ts) == ("C-001", "fail", 1)
    assert failure.error == f"{type(error).__name__}: boom"
    assert "in fail" in failure.trace
    assert component.seen == [failure]
    assert component.told == [], "the engine goes on until the next callback"


@pytest.mark.parametrize("name", ["on_tick", "on_order_board", "on_stop_sign"])
def test_callback_is_skipped_once_a_stop_was_asked_for_whatever_its_name(name: str) -> None:
    component = Component()
    component.run_state.stop("enough")
    capture(component, name, component.seen.append)("x")
    assert (component.seen, component.told) == ([], ["enough"])


def test_what_another_component_publishes_is_skipped_without_a_word_to_the_engine() -> None:
    component = Component()
    handler = capture(component, "hear", component.seen.append, from_engine=False)
    handler("before")
    component.run_state.stop("enough")
    handler("after")
    assert (component.seen, component.told) == (["before"], [])


class Wrapped(Component):
    def on_quote(self, quote: Any) -> str:
        self.seen.append(quote)
        return "answer"

    def on_start(self) -> None:
        raise ValueError("boom")

    def on_order_filled(self, event: Any) -> None:
        self.seen.append(event)

    def other(self) -> None:
        raise ValueError("boom")


wrap_callbacks(Wrapped)


def test_methods_called_by_the_engine_are_wrapped_and_others_are_not() -> None:
    component = Wrapped()
    assert component.on_quote(1) == "answer"
    with pytest.raises(ValueError, match="boom"):
        component.other()
    assert component.run_state.failures == []
    assert Wrapped.on_quote.__name__ == "on_quote"


def test_wrapping_twice_changes_nothing() -> None:
    before = Wrapped.on_quote
    wrap_callbacks(Wrapped)
    assert Wrapped.on_quote is before


def test_error_at_the_start_is_recorded_and_raised_so_that_the_engine_does_not_begin() -> None:
    component = Wrapped()
    with pytest.raises(ValueError, match="boom"):
        component.on_start()
    assert [f.callback for f in component.run_state.failures] == ["on_start"]


def test_orders_are_still_told_while_stopping_and_data_are_not() -> None:
    component = Wrapped()
    component.run_state.stop("enough")
    component.on_quote(1)
    component.on_order_filled(2)
    assert (component.seen, component.told) == ([2], ["enough"])
