"""One life of a node without an engine: the product's own classes, from facts to commands.

Guard, ledger, limits, journal, strategies with their exits and sizing are those of the product;
only the engine is absent. What leaves by the port is handed to a world, which holds the venue.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from nautilus_trader.model import Bar, BarType, Price, Quantity

from aitb_nautilus.market.bars import Interval
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.messages import BarClosed, Fill, Intent, OrderSent, OrderUpdate, Prediction
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import Failure, RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.disk import OnDisk
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_ahead import AheadLog
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.journal_recovery import Unresolved, sent_ids, unresolved
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings, build_limits
from aitb_nautilus.risk.listening import Listening
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.price_grid import on_grid
from aitb_nautilus.risk.recovery import resting
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.run.warm_up import tell_past
from aitb_nautilus.settings import Settings
from strategies.threshold import Threshold, ThresholdSettings
from tests.risk.machine.desks import EQUITY, INSTRUMENTS
from tests.risk.machine.venue import Said

__all__ = ["LOTS", "RANDOM", "THRESHOLD", "TICKS", "Crash", "Node", "Outside"]

THRESHOLD, RANDOM = "threshold-001", "random-001"
_SPECS = {i: find_instrument(i) for i in INSTRUMENTS}
_ENGINE = {i: engine_instrument(s) for i, s in _SPECS.items()}
TICKS = {i: Decimal(s.tick_size).normalize() for i, s in _SPECS.items()}
LOTS = {i: Decimal(s.lot).normalize() for i, s in _SPECS.items()}
_RULES = {
    i: LotRules(s.lot, Decimal(s.min_quantity or 0), float(s.min_notional or 0), s.kind == "spot")
    for i, s in _SPECS.items()
}
_DECIMALS = {i: (e.price_precision, e.size_precision) for i, e in _ENGINE.items()}
_STATUS: dict[str, Any] = {
    "accepted": "ACCEPTED",
    "rejected": "REJECTED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
}


class Crash(BaseException):
    """The node's process ends right here."""


class Outside(Protocol):
    """What the node is joined to."""

    clock: int

    def leaves(self, strategy_id: str, terms: OrderTerms) -> None: ...

    def changes(
        self,
        client_order_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None: ...

    def cancels(self, client_order_id: str) -> None: ...

    def act(
        self, strategy_id: str, intents: Iterable[Intent], send: Callable[..., None]
    ) -> None: ...

    def knows(self, client_order_id: str) -> bool: ...

    def fresh(self, strategy_id: str, prediction: Prediction | None) -> None: ...

    def wishes(self, strategy_id: str) -> list[Intent]: ...

    def writes_ahead(self, log: AheadLog, write: Callable[[], None]) -> None: ...


class _Port:
    """What a strategy's commands leave by: it announces them first, as the engine does."""

    def __init__(self, node: Node, strategy_id: str) -> None:
        self._node = node
        self._id = strategy_id

    def knows(self, client_order_id: str) -> bool:
        return self._node.outside.knows(client_order_id)

    def on_grid(self, instrument_id: str, price: float, *, up: bool) -> float:
        return on_grid(price, _ENGINE[instrument_id].price_increment.as_decimal(), up=up)

    def submit(self, terms: OrderTerms) -> None:
        self._node.check_alive()
        permit = Permit(terms.instrument_id, terms.side, terms.quantity, terms.reduce_only)
        self._node.strategies[self._id].answering.created(terms.client_order_id, permit)
        self._node.submitted.append((self._id, terms.client_order_id))
        self._node.outside.leaves(self._id, terms)

    def modify(
        self,
        client_order_id: str,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        self._node.check_alive()
        self._node.strategies[self._id].answering.changing(client_order_id)
        self._node.outside.changes(client_order_id, quantity, price, trigger_price)

    def cancel(self, client_order_id: str) -> None:
        self._node.check_alive()
        self._node.outside.cancels(client_order_id)

    def carry_out(self, call: Callable[[], None]) -> None:
        call()

    def now(self) -> int:
        return self._node.outside.clock

    def alert_at(self, ts: int, name: str, callback: Callable[[], None]) -> None:
        raise AssertionError("no market of the machine is ever closed")

    def publish(self, topic: str, message: OrderSent) -> None:
        pass


class _Ears:
    """What `Listening` needs of a component, without an engine that subscribes."""

    def __init__(self, node: Node, component_id: str) -> None:
        self.context = node.context
        self.run_state = node.context.run_state
        self.component_id = component_id
        self._node = node

    def now(self) -> int:
        return self._node.outside.clock

    def subscribe_bars(self, bar_type: BarType) -> None:
        pass

    def shutdown_system(self, why: str) -> None:
        pass

    def after_failure(self, failure: Failure) -> None:
        if not self._node.dead:
            self.context.guard.halt(failure.reason, failure.ts)


class _Watched(Threshold):
    """The product's strategy; the world is told which prediction it answers."""

    outside: Outside

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self.outside.fresh(THRESHOLD, None)
        return super().decide_on_bar(bar)

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        self.outside.fresh(THRESHOLD, prediction)
        return super().decide_on_prediction(prediction)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        self.outside.fresh(THRESHOLD, None)
        return super().decide_on_fill(fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        self.outside.fresh(THRESHOLD, None)
        return super().decide_on_order(order, update)


class _Random(GuardedStrategy):
    """Answer whatever happens with whatever comes to mind."""

    outside: Outside
    interval: str
    listens: Sequence[tuple[str, str]]

    def predictions(self) -> Sequence[tuple[str, str]]:
        return self.listens

    def decide_on_prediction(self, prediction: Prediction) -> Iterable[Intent]:
        self.outside.fresh(RANDOM, prediction)
        return self.outside.wishes(RANDOM)

    def bar_types(self) -> Sequence[str]:
        return [Interval.parse(self.interval).bar_type(i) for i in INSTRUMENTS]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        return self.outside.wishes(RANDOM)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        return self.outside.wishes(RANDOM)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        return self.outside.wishes(RANDOM)


class Node:
    """One life: from start to kill.

    Parameters
    ----------
    outside
        The world.
    folder
        Where the journal lies, and goes on from.
    life
        How many there were before.
    on_disk
        As of the journal. With ``soon``, the world says when it looks where the journal is.
    """

    def __init__(
        self,
        outside: Outside,
        folder: Path,
        life: int,
        risk: RiskSettings,
        threshold: ThresholdSettings,
        listens: Sequence[tuple[str, str]],
        change: Callable[[Node], None],
        on_disk: OnDisk,
    ) -> None:
        self.outside = outside
        self.life = life
        self.dead = False
        self.submitted: list[tuple[str, str]] = []
        ledger = Ledger(EQUITY)
        guard = Guard(ledger, build_limits(risk), _RULES)
        self.strategies: dict[str, Any] = {}
        self.context = Context(
            RunState(), ledger, guard, _ENGINE, "MACHINE-001", port_of=lambda i: _Port(self, i)
        )
        opened = Opened(run_id="machine", config_sha256="", mode="paper")
        self._path = folder / "journal.sqlite"
        self._opened = opened
        self._on_disk = on_disk
        self.states = StateFile(folder / "state.sqlite")
        guard.states.put_in_force(self.states.read())
        guard.states.keeper = self.states
        strategy = _Watched(threshold, self.context, THRESHOLD)
        other = _Random(Settings(), self.context, RANDOM)
        strategy.outside = other.outside = outside
        other.interval, other.listens = threshold.interval, listens
        self.strategies = {THRESHOLD: strategy, RANDOM: other}
        self._bars = {
            i: BarType.from_str(Interval.parse(threshold.interval).bar_type(i)) for i in INSTRUMENTS
        }
        self._topics: dict[str, list[Callable[[Any], None]]] = defaultdict(list)
        self.listening = {id_: self._listen(id_, one) for id_, one in self.strategies.items()}
        change(self)
        for id_, one in self.strategies.items():
            self._watch_acts(id_, one)

    def begin(self, past: Iterable[BarClosed]) -> list[Unresolved]:
        """Hear the past, remember what the node before knew, and return what it did not know."""
        context, guard = self.context, self.context.guard
        unknown: list[Unresolved] = []
        if self._path.exists():
            names = [str(bar_type) for bar_type in self._bars.values()]
            tell_past(context, iter(past), names)
            rebuild(self._path, context.ledger, guard.hear_fill, guard.hearing.sent_before)
            guard.permits.remember_sent(sent_ids(self._path))
            asked = unresolved(self._path)
            unknown = [*asked, *resting(context.ledger, asked)]
        self.journal = journal = Journal(
            self._path, self._opened, self.outside.clock, on_disk=self._on_disk
        )
        if journal._follower is not None and journal._ahead is not None:
            journal._follower.close()
            self._watch_log(journal._ahead)
        context.chronicle.journal = self.journal
        return unknown

    def bar(self, bar: BarClosed) -> None:
        """Tell a bar to ledger, guard, and all who listen."""
        bar_type = self._bars[bar.instrument_id]
        decimals, lots = _DECIMALS[bar.instrument_id]
        prices = (Price(p, decimals) for p in (bar.open, bar.high, bar.low, bar.close))
        engine_bar = Bar(bar_type, *prices, Quantity(bar.volume, lots), bar.ts, bar.ts)
        self.context.audiences[bar_type].host.take(engine_bar)

    def predict(self, topic: str, prediction: Prediction) -> None:
        """Tell a prediction to who listens to its topic."""
        for hear in self._topics[topic]:
            hear(prediction)

    def tell(self, said: Said) -> None:
        """Tell what the venue says of an order to the strategy whose order it is."""
        order = said.order
        answers = self.strategies[order.strategy_id].answering
        answers.move_on(self.outside.clock)
        if said.trade is not None:
            trade = said.trade
            answers.fill(
                Fill(
                    order.strategy_id,
                    order.instrument_id,
                    order.client_order_id,
                    trade.trade_id,
                    trade.ts,
                    trade.side,
                    trade.price,
                    trade.quantity,
                    trade.fee,
                    "TAKER",
                )
            )
            return
        answers.update(
            OrderUpdate(
                order.client_order_id,
                order.instrument_id,
                said.ts,
                _STATUS.get(said.word),
                said.quantity,
                said.price,
                said.trigger_price,
                said.word,
                said.word in ("updated", "change refused"),
            )
        )

    def look(self) -> None:
        """Look where the journal is, as the thread of a live node does."""
        follower = self.journal._follower
        if follower is not None:
            follower.astray = follower._looks()

    def tell_submitted(self) -> None:
        """Tell that orders have left, as the engine does once it has its loop back."""
        left, self.submitted = self.submitted, []
        for strategy_id, client_order_id in left:
            self.strategies[strategy_id].answering.left(client_order_id)

    def obey(self) -> None:
        """Carry out halts, as the timer of a live node does."""
        for strategy in self.strategies.values():
            strategy.answering.obey(self.outside.clock)

    def check_alive(self) -> None:
        if self.dead:
            raise Crash

    def kill(self) -> None:
        """Let go of all that the kernel would let go of, and write nothing more."""
        if not self.dead:
            self.dead = True
            self.journal._database.close()
            if self.journal._ahead is not None:
                os.close(self.journal._ahead._handle)
            self.journal._lock.release()
            self.states.close()

    def _listen(self, id_: str, strategy: Any) -> Listening:
        listening = Listening(
            _Ears(self, id_),
            lambda topic, hear: self._topics[topic].append(hear),
            first=False,
            on_bar=strategy.answering.bar,
            on_prediction=strategy.answering.prediction,
        )
        predictions = strategy.predictions()
        self.context.guard.hearing.expect(id_, predictions)
        listening.start(lambda: self.outside.clock, strategy.bar_types(), predictions)
        return listening

    def _watch_log(self, log: AheadLog) -> None:
        """Let the world see each write ahead of SQLite, and end the process in the middle of it."""
        write = log.write
        log.write = lambda *what: self.outside.writes_ahead(log, lambda: write(*what))  # type: ignore[method-assign]

    def _watch_acts(self, id_: str, strategy: Any) -> None:
        """Let the world see each wish before and after it was carried out."""
        act = strategy.answering.act
        strategy.answering.act = lambda intents: self.outside.act(id_, intents, act)
