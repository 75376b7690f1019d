"""What the node gives to every component when it builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.latency import Latencies
from aitb_nautilus.market.instruments import likely_instrument
from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.chronicle import Chronicle
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.kelly import TradeRecord
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.locks import Locks
from aitb_nautilus.risk.order_port import OrderPort
from aitb_nautilus.risk.risk_parity import RiskParity
from aitb_nautilus.risk.sources import PredictionSource
from aitb_nautilus.risk.stage import Stage
from aitb_nautilus.risk.tape import Tape
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.risk.unpriced import Unpriced
from aitb_nautilus.risk.warming import Warming

__all__ = ["Context"]


class Context(msgspec.Struct, frozen=True):
    """What a node's components share.

    Attributes
    ----------
    run_state
        First failure and the wish to stop.
    ledger
        Orders, positions and marks of the trader.
    guard
        The one guard that every order passes.
    instruments
        The engine's instruments by id text.
    trader
        The trader's id; part of the id of each order.
    begins_ns
        When the run begins, ns UTC: a model must not have expired by then. 0 if the config does not
        say; it is then asked again once the data are known.
    likely
        Ids of instruments that a misspelt one may mean: those of the config, then others; absent:
        all.
    audiences
        Who listens to a bar type, by the engine's bar type.
    brought
        Bar types that the node brings to their audience by itself; nobody subscribes to them.
    warming
        Whether it is the past that is told.
    sources
        What publishes predictions, by the name that it uses.
    seconds
        Wall-clock seconds spent on ``features`` and ``inference``.
    heard_at
        When a venue hears a command that is sent at a time, ns UTC, by instrument id: at once, or
        when the market opens again, where the data of a back-test have a gap. Absent: at once.
    waiting
        What leaves when a market opens again, by that time.
    openings
        Numbers of the alerts that let these leave; each is used again once its alert has come.
    aside
        Ids of orders that a simulated venue holds aside for a moment. Strategies are not told: the
        order keeps its terms for them.
    port_of
        Returns the port by which the orders of a strategy, by its id, leave; None: they go to the
        engine.
    stage
        What stands in for the engine where decisions are taken again without one; None: the engine.
    tape
        By which everything passes that reaches the desk's decisions.
    risk_parity
        How strategies that ask for it share out the desk's risk.
    trade_records
        What strategies learn from their own trades, by their ids.
    tagged
        Venues whose orders cannot say that they only reduce; a tag says it.
    outside
        Ids of orders that the node itself sends past all strategies; none of them is told.
    deferred
        Order events that came before the strategies know what was held before the node began, each
        with its strategy; None once they know.
    ask_venue
        Asks the venue itself what became of an order, by its id, and returns whether it does so:
        fills that the engine makes up, since it has missed them, have no fee.
    ask_held
        Asks the venue whether it holds what it has refused to close by an order, and returns
        whether it does so: the halt that is given with it follows if it does hold it.
    coin_prices
        What venues have said of coins that the run does not trade, by coin and quote currency: fees
        may be paid with one.
    unpriced
        Holds fills back until the coin in which their fee was paid has a price.
    doubt_end
        Asks the venue itself whether an order has ended as the engine makes up, and returns whether
        it does so: then nobody is told before it has answered.
    hold_denial
        Holds back that the engine has denied an order, and returns whether it does so: it is sent
        again once the venue has said what is free.
    caught_up
        What the engine knows to be filled, by the id of an order whose fills the venue itself has
        told: the engine, which had missed them, makes up others when it finds out.
    locks
        Holds sales on spot markets while their coins are locked; None: nothing locks them.
    turns
        Holds what opens while a close is on its way; None: commands arrive in the order of sending.
    latencies
        How long everything takes; measured, and never asked by what decides.
    chronicle
        Tells the journal what was decided.
    """

    run_state: RunState
    ledger: Ledger
    guard: Guard
    instruments: Mapping[str, Any]
    trader: str = ""
    begins_ns: int = 0
    likely: Sequence[Sequence[str]] = ()
    audiences: dict[Any, Any] = msgspec.field(default_factory=dict)
    brought: set[str] = msgspec.field(default_factory=set)
    warming: Warming = msgspec.field(default_factory=Warming)
    sources: dict[str, PredictionSource] = msgspec.field(default_factory=dict)
    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    heard_at: dict[str, Callable[[int], int]] = msgspec.field(default_factory=dict)
    waiting: dict[int, list[Callable[[], None]]] = msgspec.field(default_factory=dict)
    openings: set[int] = msgspec.field(default_factory=set)
    aside: set[str] = msgspec.field(default_factory=set)
    port_of: Callable[[str], OrderPort] | None = None
    stage: Stage | None = None
    tape: Tape = msgspec.field(default_factory=Tape)
    risk_parity: RiskParity = msgspec.field(default_factory=RiskParity)
    trade_records: dict[str, TradeRecord] = msgspec.field(default_factory=dict)
    tagged: set[str] = msgspec.field(default_factory=set)
    outside: set[str] = msgspec.field(default_factory=set)
    deferred: list[tuple[Any, Any]] | None = None
    ask_venue: Callable[[str], bool] = lambda _: False
    ask_held: Callable[[Order, Halt], bool] = lambda *_: False
    coin_prices: dict[tuple[str, str], float] = msgspec.field(default_factory=dict)
    unpriced: Unpriced = msgspec.field(default_factory=Unpriced)
    doubt_end: Callable[[OrderUpdate], bool] = lambda _: False
    hold_denial: Callable[[OrderUpdate], bool] = lambda _: False
    caught_up: dict[str, Callable[[], Decimal]] = msgspec.field(default_factory=dict)
    locks: Locks | None = None
    turns: Turns | None = None
    latencies: Latencies = msgspec.field(default_factory=Latencies)
    chronicle: Chronicle = cast("Chronicle", None)

    def __post_init__(self) -> None:
        """Give the trader its one chronicle, and stop the run if the guard fails."""
        msgspec.structs.force_setattr(self, "chronicle", Chronicle(self.ledger, self.guard))
        self.guard.tell_error = self.run_state.fail
        self.tape.withheld = self.guard.withheld
        self.tape.is_past = lambda: bool(self.warming.ts)
        self.warming.holdings = self.ledger

    def add_source(self, source: PredictionSource) -> None:
        """Say that an actor publishes predictions.

        Raises
        ------
        ConfigError
            If another one uses the name already.
        """
        if source.model in self.sources:
            raise ConfigError(
                f"model {source.model}",
                "is published by two actors",
                "must be published by one: nobody could tell their predictions apart",
                "Take it out of one of them, or give an ensemble another name",
            )
        self.sources[source.model] = source

    def holds(self, client_order_id: str) -> bool:
        """Return whether an order waits here for others, and the venue knows nothing of it."""
        return any(
            waiting is not None and waiting.holds(client_order_id)
            for waiting in (self.turns, self.locks)
        )

    def take_back(self, client_order_id: str) -> bool:
        """Never send an order that waits here; return whether one of that id did."""
        return any(
            waiting is not None and waiting.take_back(client_order_id)
            for waiting in (self.turns, self.locks)
        )

    def expire(self, ts: int) -> None:
        """Give up what has waited too long; now, ns UTC."""
        for waiting in (self.turns, self.locks):
            if waiting is not None:
                waiting.expire(ts)

    def halt_from_node(
        self, reason: str, ts: int, strategy_id: str = "", client_order_id: str = ""
    ) -> None:
        """Halt for a reason that lies in the node itself, and not in what the desk decides."""
        self.tape.heard("halted", "", reason, ts, strategy_id, client_order_id)
        self.guard.halt(reason, ts, strategy_id, client_order_id)

    def tick_size(self, instrument_id: str) -> float:
        """Return the step of an instrument's prices, quote currency.

        Raises
        ------
        ConfigError
            If the run has no such instrument.
        """
        instrument = self.instruments.get(instrument_id)
        if instrument is None:
            likely = self.likely or (list(self.instruments),)
            close = likely_instrument(instrument_id, *likely)
            own = f"the config has {', '.join(likely[0])}" if likely[0] else ""
            raise ConfigError(
                f"instrument {instrument_id}",
                "is not known",
                f"did you mean {close}?" if close else own,
                "" if close else "One of your own needs a block [[instruments]] in the config",
            )
        return float(instrument.price_increment.as_decimal())
