"""The base class of every strategy.

A strategy answers facts with intents: it overrides `decide_on_bar` and its sisters, sees only
`self.view` and `self.now()`, and returns what it wishes. The base turns engine events into facts,
intents into guarded orders, and errors into a stopped run. It also closes the engine's side doors:
`submit_order`, `modify_order`, `close_position` and their kin all pass the guard, and an order that
comes around them halts trading at that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Self

from msgspec.structs import astuple
from nautilus_trader.model import (
    Bar,
    BarType,
    ClientOrderId,
    CurrencyPair,
    Position as EnginePosition,
    PositionSide,
    Price,
    Quantity,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import (
    BarClosed,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Prediction,
)
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import Failure, GuardedClock, RunState, capture, wrap_callbacks
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.engine_port import EnginePort
from aitb_nautilus.risk.exits import ExitManager
from aitb_nautilus.risk.listening import Listening
from aitb_nautilus.risk.order_events import tell_order_event
from aitb_nautilus.risk.translate import funding_fact, price_of, terms_of
from aitb_nautilus.risk.view import View
from aitb_nautilus.settings import Settings

__all__ = ["GuardedStrategy"]

_HOOKS = {
    "on_start": "decide_on_start",
    "on_stop": "decide_on_stop",
    "on_bar": "decide_on_bar",
    "on_order_event": "decide_on_fill or decide_on_order",
    "on_funding_rate": "self.view.position(...).funding",
    "on_market_exit": "decide_on_stop",
    "post_market_exit": "decide_on_stop",
}


class GuardedStrategy(Strategy):
    """Turn facts into guarded orders.

    A subclass names its settings in `settings_type`, says in `bar_types` and `predictions` what it
    listens to, and overrides the ``decide_on_*`` methods that it needs. Each returns the intents
    that it wishes, or yields them. Any other ``on_*`` callback of the engine may be overridden as
    usual; errors in it stop the run like all others.

    Parameters
    ----------
    settings
        The strategy's own settings, from the config.
    context
        What the node's components share.
    component_id
        The strategy's id; ends in its order tag, such as ``ema-001``.
    """

    settings_type: ClassVar[type[Settings]] = Settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, hook in _HOOKS.items():
            home = next(c for c in cls.__mro__ if name in vars(c))
            if home is not GuardedStrategy:
                raise TypeError(
                    f"{home.__module__}:{home.__qualname__} overrides {name}, which the guard "
                    f"needs; use {hook} instead"
                )
        wrap_callbacks(cls)

    def __new__(cls, settings: Any, context: Context, component_id: str) -> Self:  # noqa: ARG004
        """Give the engine an explicit config: it ignores most fields of a foreign struct."""
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId(component_id)))  # type: ignore[call-arg] # the stub lacks the engine's __new__

    def __init__(self, settings: Any, context: Context, component_id: str) -> None:
        super().__init__(StrategyConfig(strategy_id=StrategyId(component_id)))
        self.settings = settings
        self.context = context
        self.component_id = component_id
        self.run_state: RunState = context.run_state
        self.view = View(context.ledger, component_id)
        self.answering = Answers(
            self,
            context,
            context.port_of(component_id)
            if context.port_of
            else EnginePort(
                self, context.instruments, context.guard, self._take_update, context.tagged
            ),
        )
        self._listening = Listening(
            self,
            super().subscribe_topic
            if context.stage is None
            else partial(context.stage.subscribe, component_id),
            first=False,
            on_bar=self.answering.bar,
            on_prediction=self.answering.prediction,
        )
        self._topics: dict[tuple[str, Any], Any] = {}

    # What a strategy overrides

    def bar_types(self) -> Sequence[str]:
        """Return the bar types that the strategy listens to."""
        return ()

    def bars_before(self) -> int:
        """Return how many bars before the run it wants to have heard, so as to be warm."""
        return 0

    def predictions(self) -> Sequence[tuple[str, str]]:
        """Return the models, each with an instrument id, whose predictions it listens to."""
        return ()

    def decide_on_start(self) -> Iterable[Intent]:
        """Answer the start of the run."""
        return ()

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:  # noqa: ARG002
        """Answer a closed bar."""
        return ()

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:  # noqa: ARG002
        """Answer a prediction that has not expired.

        Where the strategy listens to the instrument's bars, it has answered the one of that time.
        """
        return ()

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:  # noqa: ARG002
        """Answer a fill of one of the strategy's orders; the view already holds it."""
        return ()

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:  # noqa: ARG002
        """Answer an order that was accepted, changed, ended, or refused a change."""
        return ()

    def decide_on_refusal(self, decision: Decision) -> Iterable[Intent]:  # noqa: ARG002
        """Answer a wish that the guard refused or shrank."""
        return ()

    def decide_on_stop(self) -> Iterable[Intent]:
        """Answer the end of the run."""
        return ()

    def exit_managers(self) -> Mapping[str, ExitManager]:
        """Return who keeps the exits of each instrument, so that a restart can bring them back."""
        return {}

    def size(self, intent: OrderIntent) -> Decimal:
        """Return the quantity, base currency, of an intent that names none."""
        raise ConfigError(
            f"{self.component_id}: order for {intent.instrument_id}",
            "had no quantity",
            "the strategy has no sizing",
            "Give the intent a quantity, or override size()",
        )

    def now(self) -> int:
        """Return the time of the fact that is being answered, ns UTC."""
        return self.answering.now

    def notice(self, *facts: Any) -> None:
        """Move the strategy's time on to that of what the engine tells it."""
        if facts:
            self.answering.move_on(getattr(facts[0], "ts_init", 0))

    def act(self, intents: Iterable[Intent]) -> None:
        """Carry out intents, one after the other, each through the guard."""
        self.answering.act(intents)

    def after_failure(self, failure: Failure) -> None:
        """Halt the guard after an error in a callback: nothing opens any more."""
        self.context.guard.halt(failure.reason, failure.ts)

    # What the engine calls

    def on_start(self) -> None:
        """Subscribe to what the strategy listens to, then let it answer."""
        stage, tape = self.context.stage, self.context.tape
        now = super().clock.timestamp_ns if stage is None else stage.now
        tape.heard_by("start", self.component_id)
        self.answering.move_on(tape.reading(now()))
        bar_types = self.bar_types()
        predictions = self.predictions()
        self._listening.start(now, bar_types, predictions)
        self.context.guard.hearing.expect(self.component_id, predictions)
        for text in bar_types if stage is None else ():
            instrument_id = BarType.from_str(text).instrument_id
            if not isinstance(self.context.instruments[str(instrument_id)], CurrencyPair):
                self.subscribe_funding_rates(instrument_id)
        self.act(self.decide_on_start())

    def on_stop(self) -> None:
        """Let the strategy answer the end of the run."""
        self.context.tape.heard_by("stop", self.component_id, self.answering.now)
        self._listening.stop()
        self.act(self.decide_on_stop())

    def on_bar(self, bar: Bar) -> None:
        """Hand a bar to all who listen to it; see `Listening`."""
        self._listening.take(bar)

    on_bar.__captured__ = True  # type: ignore[attr-defined]  # `take` records its own errors

    def on_funding_rate(self, funding_rate: Any) -> None:
        """Remember a funding rate until it is settled."""
        fact = funding_fact(funding_rate)
        if fact is not None:
            self.context.tape.heard("rate", "", *astuple(fact))
            self.context.ledger.apply_funding_rate(fact)

    def on_order_event(self, event: Any) -> None:
        """Take what the engine says of an order, once the strategies may be told."""
        deferred = self.context.deferred
        if deferred is not None:
            deferred.append((self, event))
            return
        tell_order_event(event, self.answering, self.context, self.component_id)

    def _take_update(self, update: OrderUpdate) -> None:
        self.answering.update(update)

    def on_market_exit(self) -> None:
        """Tell the guard that the engine is about to close everything."""
        self.context.tape.heard("exiting", self.component_id)
        self.context.guard.permits.announce_exit(self.component_id)

    def post_market_exit(self) -> None:
        """Tell the guard that the engine has closed everything."""
        self.context.tape.heard("exited", self.component_id)
        self.context.guard.permits.end_exit(self.component_id)

    # The engine's side doors, through the guard

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

    def publish_message(self, topic: str, message: object) -> None:
        """Tell a message to all who listen to a bus topic."""
        if self.context.stage is not None:
            self.context.stage.publish(topic, message)
            return
        super().publish_message(topic, message)

    def unsubscribe_topic(self, topic: str, handler: Callable[[object], None]) -> None:
        """Stop listening to a bus topic."""
        super().unsubscribe_topic(topic, self._topics.pop((topic, handler)))

    def submit_order(self, order: Any, *args: Any, **kwargs: Any) -> None:
        """Send an order built with `self.order_factory`, if the guard allows all of it."""
        send = super().submit_order
        self.answering.submit_built([terms_of(order)], lambda: send(order, *args, **kwargs))

    def submit_order_list(self, order_list: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        """Send linked orders, if the guard allows all of every one."""
        send = super().submit_order_list
        self.answering.submit_built(
            [terms_of(order) for order in order_list],
            lambda: send(order_list, *args, **kwargs),
        )

    def cancel_order(self, client_order_id: ClientOrderId, *args: Any, **kwargs: Any) -> None:
        """Cancel an order; the guard has nothing to say against it."""
        order = self.view.order(str(client_order_id))
        self.answering.ask_engine(
            "" if order is None else order.instrument_id,
            partial(super().cancel_order, client_order_id, *args, **kwargs),
        )

    def cancel_all_orders(self, instrument_id: Any, *args: Any, **kwargs: Any) -> None:
        """Cancel all orders in an instrument."""
        call = partial(super().cancel_all_orders, instrument_id, *args, **kwargs)
        self.answering.ask_engine(str(instrument_id), call)

    def market_exit(self, *args: Any, **kwargs: Any) -> None:
        """Let the engine cancel and close all that the strategy has."""
        self.answering.ask_engine("", partial(super().market_exit, *args, **kwargs))

    def modify_order(
        self,
        client_order_id: ClientOrderId,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Change a resting order, if the guard allows it."""
        self.act(
            [
                ModifyIntent(
                    client_order_id=str(client_order_id),
                    quantity=None if quantity is None else quantity.as_decimal(),
                    price=price_of(price),
                    trigger_price=price_of(trigger_price),
                )
            ]
        )

    def modify_orders(self, updates: Sequence[Any] = (), *_: Any, **__: Any) -> None:
        """Change several resting orders, each if the guard allows it."""
        for client_order_id, quantity, price, trigger_price in updates:
            self.modify_order(client_order_id, quantity, price, trigger_price)

    def close_position(self, position: EnginePosition, *_: Any, **__: Any) -> None:
        """Close the strategy's position in the position's instrument."""
        self.act([CloseIntent(instrument_id=str(position.instrument_id))])

    def close_all_positions(
        self,
        instrument_id: Any,
        position_side: PositionSide | None = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Close the strategy's position in an instrument, if it is on that side."""
        held = self.view.quantity(str(instrument_id))
        side = PositionSide.LONG if held > 0 else PositionSide.SHORT
        if position_side is None or position_side == side:
            self.act([CloseIntent(instrument_id=str(instrument_id))])


wrap_callbacks(GuardedStrategy)
