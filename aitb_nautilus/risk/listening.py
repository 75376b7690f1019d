"""What a component listens to, in an order that does not depend on the engine.

The engine gives a bar to its listeners in an order that differs from process to process. So only
one of them subscribes, and passes it on to all: actors before strategies, each in the order of the
config. And a prediction is heard after the listener's own bar of the same time, whichever of the
two comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from nautilus_trader.model import Bar, BarType

from aitb_nautilus.messages import BarClosed, Prediction, prediction_topic
from aitb_nautilus.risk.capture import capture_fact, record_failure
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.translate import bar_fact

__all__ = ["Audience", "Listening"]


class Audience:
    """Everybody who listens to the bars of one type.

    Parameters
    ----------
    instrument_id
        Of the bars.
    host
        The one that the engine gives them to, unless the node brings them.
    context
        Of the node.
    """

    __slots__ = ("_context", "host", "instrument_id", "listeners")

    def __init__(self, instrument_id: str, host: Listening, context: Context) -> None:
        self.instrument_id = instrument_id
        self.host = host
        self.listeners: list[Listening] = []
        self._context = context

    def tell(self, bar: BarClosed) -> None:
        """Mark the instrument, let the limits hear the bar, and then everybody who listens."""
        context = self._context
        note_bar(context, bar)
        context.ledger.apply_bar(bar)
        context.guard.hear_bar(bar, past=bool(context.warming.ts))
        if context.tape.player is not None:
            context.tape.injected()
        for listener in tuple(self.listeners):
            listener.answer(bar)


class Listening:
    """The ears of one component. All components of a node stop together.

    Parameters
    ----------
    component
        Strategy or actor.
    subscribe
        The engine's own subscription to a topic.
    first
        Whether it hears a bar before those that are not: actors do.
    on_bar, on_prediction
        What it does with each.
    """

    def __init__(
        self,
        component: Any,
        subscribe: Callable[[str, Callable[[Any], None]], None],
        *,
        first: bool,
        on_bar: Callable[[BarClosed], None],
        on_prediction: Callable[[Prediction], None],
    ) -> None:
        self._component = component
        self._subscribe = subscribe
        self._first = first
        self._on_bar = on_bar
        self._on_prediction = on_prediction
        self._now: Callable[[], int] = component.now
        self._audiences: dict[BarType, Audience] = {}
        self._last: dict[str, int] = {}
        self._held: dict[str, list[Prediction]] = {}
        self.answer = capture_fact(component, "on_bar", self._answer)

    def start(
        self,
        now: Callable[[], int],
        bar_types: Sequence[str],
        predictions: Sequence[tuple[str, str]],
    ) -> None:
        """Subscribe to bars, and to the predictions of a model for an instrument.

        Parameters
        ----------
        now
            The engine's time, ns UTC.
        """
        context = self._component.context
        warming, tape = context.warming, context.tape
        self._now = lambda: warming.ts or tape.reading(now())
        if context.guard.clock is None:
            context.guard.clock = self._now
        audiences = context.audiences
        for text in bar_types:
            bar_type = BarType.from_str(text)
            audience = audiences.get(bar_type)
            if audience is None:
                audience = Audience(str(bar_type.instrument_id), self, context)
                audiences[bar_type] = audience
                if text not in context.brought:
                    self._component.subscribe_bars(bar_type)
            place = sum(1 for other in audience.listeners if other._first >= self._first)
            audience.listeners.insert(place, self)
            self._audiences[bar_type] = audience
            self._last[audience.instrument_id] = 0
        hear = capture_fact(self._component, "on_prediction", self._hear)
        for model, instrument_id in predictions:
            self._subscribe(prediction_topic(model, instrument_id), hear)

    def stop(self) -> None:
        """Hear no bar any more."""
        for audience in self._audiences.values():
            audience.listeners.remove(self)
        self._audiences.clear()

    def take(self, bar: Bar) -> None:
        """Mark the instrument and let everybody who listens answer.

        The engine's callback itself, called for every bar: it records its own errors.
        """
        component = self._component
        if component.run_state.stop_reason:
            component.run_state.end(component)
            return
        try:
            audience = self._audiences[bar.bar_type]
            if audience.host is not self:
                return  # It has subscribed to the bars by itself as well.
            fact = bar_fact(bar, audience.instrument_id)
            component.context.latencies.bar_came(fact.instrument_id)
            if len(audience.listeners) > 1:
                audience.tell(fact)
                return
            note_bar(component.context, fact)
            component.context.ledger.apply_bar(fact)
            component.context.guard.hear_bar(fact)
            self._answer(fact)
        except BaseException as e:
            record_failure(component, "on_bar", e)

    def _answer(self, bar: BarClosed) -> None:
        self._on_bar(bar)
        instrument_id = bar.instrument_id
        self._last[instrument_id] = bar.ts
        if self._held:
            for prediction in self._held.pop(instrument_id, ()):
                self._hand_over(prediction)

    def _hear(self, prediction: Prediction) -> None:
        self._component.context.tape.heard_by("hear", self._component.component_id)
        instrument_id = prediction.instrument_id
        last = self._last.get(instrument_id)
        if last is None or prediction.ts_event <= last:
            self._hand_over(prediction)
        elif instrument_id in self._held:
            self._held[instrument_id].append(prediction)
        else:
            self._held[instrument_id] = [prediction]

    def _hand_over(self, prediction: Prediction) -> None:
        if self._now() < prediction.expires_ns:
            self._component.context.guard.hearing.prediction(prediction)
            self._on_prediction(prediction)


def note_bar(context: Context, bar: BarClosed) -> None:
    """Let the tape note a bar that is about to be told."""
    tape = context.tape
    if tape.recorder is not None:
        tape.heard("past" if context.warming.ts else "bar", "", *msgspec.structs.astuple(bar))
