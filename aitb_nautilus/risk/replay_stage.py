"""A stage for components without an engine: a bus, a clock that only remembers, a dry port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from aitb_nautilus.messages import OrderSent
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.price_grid import on_grid

__all__ = ["DryPort", "ReplayStage", "TimeEvent"]


class TimeEvent(NamedTuple):
    """What a timer's callback is told, as the engine tells it."""

    name: str
    ts_event: int
    ts_init: int


class ReplayStage:
    """Where components stand in a replay.

    Parameters
    ----------
    listeners
        Returns, of those who listen to a prediction, who is to be told next; None: nobody more.

    Attributes
    ----------
    time
        That of the entry that is told, ns UTC.
    timers
        Callbacks by component and name.
    alerts
        The same of what a strategy's port is to call back for; the engine's timer behind it stands
        in the recording as well, and calls nothing.
    """

    def __init__(self) -> None:
        self.time = 0
        self.timers: dict[tuple[str, str], Callable[..., Any]] = {}
        self.alerts: dict[tuple[str, str], Callable[[], None]] = {}
        self.listeners: Callable[[], str | None] = lambda: None
        self._handlers: dict[str, list[tuple[str, Callable[[Any], None]]]] = {}

    def now(self) -> int:
        """Return the time."""
        return self.time

    def clock(self, component_id: str) -> _Clock:
        """Return a clock that remembers what it is to call."""
        return _Clock(self, component_id)

    def subscribe(self, component_id: str, topic: str, handler: Callable[[Any], None]) -> None:
        """Let a component listen to a topic."""
        self._handlers.setdefault(topic, []).append((component_id, handler))

    def publish(self, topic: str, message: object) -> None:
        """Tell a message: a prediction in the order in which it was heard, the rest as subscribed.

        The engine's own order is not the same in every process.
        """
        handlers = self._handlers.get(topic, ())
        if not topic.startswith("aitb.prediction."):
            for _, handler in handlers:
                handler(message)
            return
        by_id = dict(handlers)
        while (who := self.listeners()) in by_id:
            by_id[who](message)


class _Clock:
    """The engine's clock, as far as a component may ask it."""

    def __init__(self, stage: ReplayStage, component_id: str) -> None:
        self._stage = stage
        self._id = component_id

    def timestamp_ns(self) -> int:
        return self._stage.time

    def set_time_alert_ns(
        self, name: str, alert_time_ns: int, callback: Callable[..., Any], **_: Any
    ) -> None:
        del alert_time_ns  # the recording says when
        self._stage.timers[self._id, name] = callback

    def set_timer(
        self, name: str, interval: Any, *_: Any, callback: Callable[..., Any], **__: Any
    ) -> None:
        del interval
        self._stage.timers[self._id, name] = callback

    def cancel_timer(self, name: str) -> None:
        self._stage.timers.pop((self._id, name), None)


class DryPort:
    """Carry out nothing: what came of each command is in the recording.

    Parameters
    ----------
    stage
        Of the replay.
    strategy_id
        Whose port it is.
    instruments
        The engine's instruments by id text.
    """

    def __init__(
        self, stage: ReplayStage, strategy_id: str, instruments: Mapping[str, Any]
    ) -> None:
        self._stage = stage
        self._id = strategy_id
        self._instruments = instruments

    def knows(self, client_order_id: str) -> bool:  # noqa: ARG002
        """Return whether there is an order of that id; the tape knows it better."""
        return False

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        """Return a price on the instrument's grid, rounded up or down."""
        return on_grid(price, self._instruments[instrument_id].price_increment.as_decimal(), up=up)

    def submit(self, terms: OrderTerms) -> None:
        """Send nothing."""

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Change nothing."""

    def cancel(self, client_order_id: str) -> None:
        """Cancel nothing."""

    def carry_out(self, call: Callable[[], None]) -> None:
        """Send nothing."""

    def now(self) -> int:
        """Return the time."""
        return self._stage.time

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        """Remember what to call; the recording says when."""
        del ts
        self._stage.alerts[self._id, name] = callback

    def publish(self, topic: str, message: OrderSent) -> None:
        """Tell a message to all who listen to the topic."""
        self._stage.publish(topic, message)
