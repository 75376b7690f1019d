"""The machine: a node, its venue, and whatever can happen between the two.

A world is driven by the names of its `ACTIONS`, and by numbers that a `Pick` chooses: a seeded
source in the long run, Hypothesis in the short one. After each action everything that must never
happen is looked for, against the venue's truth.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Prediction,
    Quote,
    Side,
    opposite,
    prediction_topic,
)
from aitb_nautilus.risk.firewall import Explained
from aitb_nautilus.risk.firewall_check import Firewall
from aitb_nautilus.risk.firewall_file import FirewallFile
from aitb_nautilus.risk.journal_recovery import Unresolved, sent_ids
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.recovery import Recovery, follow
from aitb_nautilus.risk.trading_states import TRADER, Halt, Resume, StateScope
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder as KnownOrder
from aitb_nautilus.settings import decode
from strategies.threshold import ThresholdSettings
from tests.risk.machine.desks import (
    BTC,
    EQUITY,
    ETH,
    INSTRUMENTS,
    PRICES,
    SOL,
    draw_exits,
    draw_risk,
    draw_sizing,
)
from tests.risk.machine.invariants import Case, History, Seen, broken, only_reduces
from tests.risk.machine.node import LOTS, RANDOM, THRESHOLD, TICKS, Crash, Node
from tests.risk.machine.venue import Command, ModelVenue, Pick, Said, Trade, VenueOrder

__all__ = ["ACTIONS", "WEIGHTS", "Ended", "Found", "World"]

ZERO = Decimal(0)
SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 1_440 * MINUTE
INTERVALS = {"1m": MINUTE, "1h": 60 * MINUTE, "4h": 240 * MINUTE}
MODEL = "direction"


class Ended(Exception):  # noqa: N818
    """A person must answer the firewall before this desk goes on."""


class _NoHands:
    """Nothing is cancelled or closed at the venue without an answer."""

    def cancel(self, order: KnownOrder) -> None:
        raise Found("nobody has answered")

    def close(self, instrument_id: str, side: Side, quantity: Decimal) -> None:
        raise Found("nobody has answered")


class Found(AssertionError):  # noqa: N818 - not an error of the program: what a run looks for
    """Something happened that must never happen."""


def _nothing(_: Node) -> None:
    pass


class World:
    """Everything outside the node, and what is known to be true.

    Parameters
    ----------
    pick
        Chooses numbers.
    folder
        For the journal; empty.
    change
        Plants a fault into each new node.
    tally
        What happened how often is counted here.
    """

    def __init__(
        self,
        pick: Pick,
        folder: Path,
        change: Callable[[Node], None] = _nothing,
        tally: Counter[str] | None = None,
    ) -> None:
        self.pick = pick
        self.folder = folder
        self.change = change
        self.tally: Counter[str] = Counter() if tally is None else tally
        self.asked: dict[str, int] = {}
        self.trace: list[str] = []
        self.interval, self.interval_ns = list(INTERVALS.items())[pick(3)]
        self.risk = decode(draw_risk(pick), RiskSettings, "desk.toml")
        self.whole_bars = bool(pick(4))
        self.threshold = decode(
            {
                "instruments": [BTC, SOL],
                "interval": self.interval,
                "model": MODEL,
                "sizing": draw_sizing(pick),
                "exits": draw_exits(pick),
                "cooldown_bars": pick(2),
                "max_blind_bars": 5,
            },
            ThresholdSettings,
            "desk.toml",
        )
        self.listens = ((), (BTC,), (BTC, SOL))[pick(3)]
        self.clock = 20_000 * DAY + pick(1_440) * MINUTE
        self.venue = ModelVenue(dict(PRICES), LOTS)
        self.venue.now = self.clock
        self.history = History(EQUITY)
        self.prediction: dict[str, Prediction | None] = {}
        self.wanted: dict[str, Decimal | None] = {}
        self.wild = False
        self.halts: list[Halt] = []
        self.sent = 0
        self.built = 0
        self.lives = 0
        self.told: list[Said] = []
        self.crash_at = ""
        self.due_halts: set[str] = set()
        self.sums: dict[str, Trade] = {}
        self._last_seq = 0
        self._journalled: set[tuple[str, str]] = set()
        self.torn = False
        self._start()
        path = folder / "journal.sqlite"
        self._read = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._read.execute(_LEAVING, (0,)).fetchall()

    # Life and death

    def _start(self) -> None:
        """Start a node; one that is killed while it starts is started again."""
        while True:
            try:
                self._start_once()
            except Crash:
                self._die()
            else:
                return

    def _start_once(self) -> None:
        self.lives += 1
        self.prediction.clear()
        self.node = Node(
            self,
            self.folder,
            self.lives,
            self.risk,
            self.threshold,
            [(MODEL, instrument_id) for instrument_id in self.listens],
            self.change,
        )
        unknown = self.node.begin(self._past())
        ledger = self.node.context.ledger
        self.history = self.history.after_a_restart(
            self._trades[fill.trade_id] for fill in ledger.fills
        )
        for order in self.venue.orders.values():
            self._remember(order)
        if self.lives > 1:
            self.tally["restarts"] += 1
            # What left while the journal could not be written is not known before the firewall
            # has looked: until then nothing may open.
            withheld = self.node.context.guard.withheld
            withheld["starting"] = "the venue is being asked what it has"
            self._recover(unknown)
            self._look_through_the_firewall()
            del withheld["starting"]

    def _past(self) -> Iterator[BarClosed]:
        """Yield all bars that were told, in the order of time."""
        bars = [(bar.ts, i, bar) for i, some in self.history.bars.items() for bar in some]
        for ts, name, bar in sorted(bars, key=lambda one: (one[0], INSTRUMENTS.index(one[1]))):
            yield BarClosed(name, ts, bar.close, bar.close, bar.close, bar.close, bar.volume)

    def _remember(self, order: VenueOrder) -> None:
        """Take what a node knows of an order from its ledger."""
        known = self.node.context.ledger.orders.get(order.client_order_id)
        order.end_told = known is None or not known.is_open
        if known is None:
            return
        order.heard = known.filled
        order.known_quantity, order.known_ts = known.quantity, known.ts_terms
        order.known_prices = (known.price, known.trigger_price)
        order.asks, order.most_asked = known.changes, known.asked
        order.asked_prices = list(known.asked_prices)

    def _order_of(self, client_order_id: str) -> VenueOrder:
        """Return an order; one that was journalled as sent and never left was lost on the way."""
        order = self.venue.orders.get(client_order_id)
        if order is None:
            known = self.node.context.ledger.orders[client_order_id]
            order = VenueOrder(
                client_order_id, known.strategy_id, known.instrument_id, known.side, known.kind,
                known.quantity, known.price, known.trigger_price, known.reduce_only, known.purpose,
            )  # fmt: skip
            order.state = "lost"
            self.venue.orders[client_order_id] = order
        return order

    def _recover(self, unknown: list[Unresolved]) -> None:
        """Let the node ask for what it does not know, and hear it."""
        node, ledger = self.node, self.node.context.ledger
        recovery = Recovery(unknown, ledger, self.clock, 5 * SECOND)
        answering = {id_: one.answering for id_, one in node.strategies.items()}
        take_fill, take_update = ledger.apply_fill, ledger.apply_update

        def fill(fact: Fill) -> bool:
            news = take_fill(fact)
            if news:
                self._recovered(fact)
            return news

        def update(fact: OrderUpdate) -> None:
            take_update(fact)
            self._remember(self._order_of(fact.client_order_id))

        ledger.apply_fill, ledger.apply_update = fill, update  # type: ignore[method-assign]
        for question in recovery.questions:
            self.tally["orders asked for"] += 1
            found = self._ask(question.client_order_id)
            order, fills = found if found is not None else (None, [])
            finding = recovery.answer(question.client_order_id, order, fills, self.clock)
            self.note(f"  asks for {question.client_order_id}: {finding}")
            self._expect_halt(finding.halt, order is None and question.may_be_there)
            follow(finding, node.context, answering, self.clock)
            node.check_alive()
        self.clock += 6 * SECOND
        finding = recovery.wait(self.clock)
        self._expect_halt(finding.halt, bool(finding.halt))
        follow(finding, node.context, answering, self.clock)
        node.check_alive()
        if not recovery.done:
            raise Found(f"recovery never ends: {recovery.questions}")
        del ledger.apply_fill, ledger.apply_update

    def _expect_halt(self, why: str, is_due: bool) -> None:
        if why and not is_due:
            raise Found(f"recovery halts without a reason: {why}")
        self.due_halts |= {why} - {""}

    def _ask(self, client_order_id: str) -> tuple[KnownOrder, list[VenueFill]] | None:
        """Return what the venue says of an order; now and then it lists no fills."""
        order = self.venue.orders.get(client_order_id)
        if order is None or order.state == "lost":
            return None
        trades = [t for t in self.venue.trades if t.order is order]
        worth = sum(float(t.quantity) * t.price for t in trades)
        known = KnownOrder(
            client_order_id=client_order_id,
            venue_order_id=f"V-{client_order_id}",
            instrument_id=order.instrument_id,
            side=order.side,
            kind=order.kind,
            quantity=order.quantity,
            status="ACCEPTED" if order.state == "open" else order.ending,  # type: ignore[arg-type]
            filled=order.filled,
            price=order.price,
            trigger_price=order.trigger_price,
            average_price=worth / float(order.filled) if trades else None,
            reduce_only=order.reduce_only,
            ts=self.clock,
        )
        fills = [
            VenueFill(trade_id=t.trade_id, price=t.price, quantity=t.quantity, ts=t.ts, fee=t.fee)
            for t in trades
        ]
        return known, fills if self.pick(4) else []

    def _recovered(self, fact: Fill) -> None:
        """Note that the node has learned of a fill that it had missed."""
        self.tally["fills recovered"] += 1
        order = self.venue.orders[fact.client_order_id]
        trade = self._trades.get(fact.trade_id)
        if trade is None:  # told as a sum, without its parts
            trade = Trade(
                order, fact.trade_id, fact.ts, fact.side, fact.quantity, fact.price, fact.fee
            )
            self.sums[fact.trade_id] = trade
        self.history.hear(trade)
        self._remember(order)

    @property
    def _trades(self) -> dict[str, Trade]:
        return {t.trade_id: t for t in self.venue.trades} | self.sums

    def _look_through_the_firewall(self) -> None:
        """Let the node compare the venue with its journal, and look what it makes of it."""
        orders = [
            found[0]
            for order in self.venue.orders.values()
            if order.state == "open" and (found := self._ask(order.client_order_id))
        ]
        positions: dict[str, Decimal] = {}
        for (_, instrument_id), held in self.venue.positions.items():
            positions[instrument_id] = positions.get(instrument_id, ZERO) + held
        facts = VenueFacts(venues=("BINANCE",), orders=tuple(orders), positions=positions)
        explained = Explained(sent=sent_ids(self.folder / "journal.sqlite"), lots=LOTS)
        # What recovery has just sent is on its way, and not at the venue yet.
        flying = {c.order.client_order_id for c in self.venue.flying}
        explained = replace(explained, pending=flying)
        file = FirewallFile(self.folder, "MACHINE-001")
        firewall = Firewall(self.node.context, list(self.node.strategies), file, _NoHands())
        rows = firewall.check(facts, explained, self.clock)
        if not rows:
            return
        self.tally["firewalls that found something"] += 1
        if not self.torn:
            raise Found(f"the firewall found {rows}, and the journal is whole")
        if self.node.context.guard.state == "active":
            raise Found(f"the firewall found {rows}, and trading goes on")
        raise Ended

    def _die(self) -> None:
        """Kill the node, and let some time pass in which the market moves."""
        self.node.kill()
        # The end of an order was told before its last fill, and the fill never was: nobody asks for
        # an order that has ended, so the firewall must find it.
        self.torn |= any(o.end_told and o.filled > o.heard for o in self.venue.orders.values())
        self.crash_at = ""
        self.wild = False
        if self.is_journal_broken:
            self.mend_journal()
        self.venue.crash(self.pick)
        self.clock += self.pick(600) * SECOND
        self.venue.now = self.clock
        if self.pick(2):
            self._move(INSTRUMENTS[self.pick(3)])
        self.venue.outbox.clear()

    def close(self) -> None:
        """Let go of the files."""
        for decision in self.node.context.guard.refusals:
            self.tally[f"acted {decision.limit}"] += 1
        self.node.kill()
        self._read.close()

    def step(self, name: str) -> None:
        """Do one thing, if it can be done now, and look at everything."""
        if name in _NEEDS and not _NEEDS[name](self):
            return
        self.trace.append(name)
        self.tally["steps"] += 1
        self.tally[f"did {name}"] += 1
        self.clock += 1_000_000 * (1 + self.pick(2_000))
        self.venue.now = self.clock
        with contextlib.suppress(Crash):
            ACTIONS[name](self)
        while self.node.dead or self.node.context.run_state.stop_reason:
            self._look_at_failures()
            self._die()  # A node ends at an error, and at an order around the guard.
            self._start()
        self._look_at_halts()
        if self.venue.faults:
            raise Found("; ".join(self.venue.faults))

    def _look_at_failures(self) -> None:
        failures = self.node.context.run_state.failures
        if failures and not failures[0].error.startswith("Crash"):
            error = failures[0].error
            raise Found(error.removeprefix("Found: ") if "Found: " in error else failures[0].trace)
        if not self.node.dead:
            self._look_at_halts()

    # What the node does

    def leaves(self, strategy_id: str, terms: OrderTerms) -> None:
        """Take an order that has just left the node."""
        order = VenueOrder(
            terms.client_order_id,
            strategy_id,
            terms.instrument_id,
            terms.side,
            terms.kind,
            terms.quantity,
            terms.price,
            terms.trigger_price,
            terms.reduce_only,
            terms.purpose,
        )
        self.note(f"  {strategy_id} sends {order!r} @ {terms.price} / {terms.trigger_price}")
        self.sent += 1
        self.tally["orders"] += 1
        order.born_exit = self._is_exit(order)
        self._must_be_journalled(order, "submit", opens=not order.born_exit)
        self._must_not_be_stale(order)
        if self.crash_at == "before" and order.client_order_id not in self.venue.orders:
            # Journalled as sent, so the id is used: it must never be sent again.
            order.state = "lost"
            self.venue.orders[order.client_order_id] = order
        self._crash("before")
        self.venue.send(Command("submit", order))
        if not order.born_exit:
            self._judge(order, order.quantity, order.price, order.trigger_price, change=False)
        self._crash("after")

    def _crash(self, when: str) -> None:
        """End the node's process here, if it is to end."""
        if self.crash_at == when:
            self.note(f"  the node is killed {when} it has sent")
            self.tally[f"killed {when} sending"] += 1
            self.node.kill()
            raise Crash

    def changes(
        self,
        client_order_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Take a change that has just left the node."""
        order = self._order_of(client_order_id)
        self.note(f"  changes {order!r} to {quantity} @ {price} / {trigger_price}")
        self.sent += 1
        self.tally["changes"] += 1
        whole = order.known_quantity if quantity is None else quantity
        new_price = order.price if price is None else price
        new_trigger = order.trigger_price if trigger_price is None else trigger_price
        smaller = price is None and trigger_price is None and whole <= order.known_quantity
        opens = not (order.reduce_only or smaller or self._is_exit(order, whole - order.heard))
        self._must_be_journalled(order, "modify", opens=opens and not order.born_exit)
        self._crash("before")
        self.venue.send(Command("modify", order, quantity, price, trigger_price))
        if opens:
            largest = max(whole, order.most_asked)
            self._judge(order, largest - order.heard, new_price, new_trigger, change=True)
        order.ask(whole, price, trigger_price)
        self._crash("after")

    def cancels(self, client_order_id: str) -> None:
        """Take a cancel that has just left the node."""
        order = self._order_of(client_order_id)
        self.note(f"  cancels {order!r}")
        self.sent += 1
        self.tally["cancels"] += 1
        self.venue.send(Command("cancel", order))

    def act(self, strategy_id: str, intents: Iterable[Intent], send: Callable[..., None]) -> None:
        """See each wish before and after the node carries it out."""
        for intent in intents:
            must = self._must_pass(strategy_id, intent)
            before = self.sent
            self.wanted[strategy_id] = getattr(intent, "quantity", None)
            send([intent])
            if must and self.sent == before and not self.node.dead:
                refusals = self.node.context.guard.refusals[-1:]
                raise Found(f"an exit was refused: {strategy_id} {intent}: {refusals}")

    def knows(self, client_order_id: str) -> bool:
        """Return whether the venue has or had an order, as an engine knows that has asked it."""
        order = self.venue.orders.get(client_order_id)
        return order is not None and order.state not in ("lost", "flying")

    def fresh(self, strategy_id: str, prediction: Prediction | None) -> None:
        """Note which prediction a strategy answers."""
        self.prediction[strategy_id] = prediction
        if prediction is not None:
            # Whoever is told first, the guard knows it from then on.
            last = self.history.predictions.get(prediction.instrument_id)
            if last is None or prediction.ts_event >= last.ts_event:
                self.history.predictions[prediction.instrument_id] = prediction

    def wishes(self, strategy_id: str) -> list[Intent]:
        """Return what the random strategy answers with, mostly nothing; to the past, nothing."""
        if self.pick(6) or self.node.context.warming.ts:
            return []
        return [self._draw_intent(strategy_id)]

    # What must be true

    def _look_at_halts(self) -> None:
        """Look for halts that are lost, and for those that nobody asked for."""
        states = self.node.context.guard.states
        for halt in states.in_force:
            if halt in self.halts:
                continue
            # Terms that a torn journal does not know look like a change around the guard.
            torn = self.torn and "changed around the guard" in halt.reason
            due = torn or halt.reason in self.due_halts
            if not due and not (halt.cause == "limit" and self._drawdown_may_halt()):
                raise Found(f"halted without a reason: {halt}")
            self.halts.append(halt)
        for one in self.halts:
            if one not in states.in_force:
                raise Found(f"lost: {one}")

    def _drawdown_may_halt(self) -> bool:
        ladder = self.risk.drawdown
        if ladder is None or ladder.halt_frac is None:
            return False
        return not self.whole_bars or self.history.falls()[2] >= ladder.halt_frac - 1e-9

    def _must_halt_after_a_close(self) -> None:
        ladder = self.risk.drawdown
        if ladder is None or ladder.halt_frac is None or not self.whole_bars:
            return
        fall = self.history.falls()[1]
        if fall >= ladder.halt_frac + 1e-9:
            self.tally["drawdowns that halt"] += 1
            if self.node.context.guard.state != "halted":
                raise Found(f"the drawdown was {fall} and trading goes on")

    def _must_not_be_halted(self, order: VenueOrder) -> None:
        for halt in self.halts:
            if _covers(halt.scope, order.strategy_id, order.instrument_id):
                raise Found(f"{order!r} opens in spite of {halt}")

    def _is_exit(self, order: VenueOrder, quantity: Decimal | None = None) -> bool:
        """Return whether an order only reduces, by what the node was told."""
        held = self.history.held[order.strategy_id, order.instrument_id]
        amount = order.quantity if quantity is None else quantity
        return only_reduces(order, amount, held, self.venue.orders.values())

    def _judge(
        self,
        order: VenueOrder,
        quantity: Decimal,
        price: float | None,
        trigger: float | None,
        *,
        change: bool,
    ) -> None:
        """Look whether an opening order breaks a limit, a halt, or a rule of the venue."""
        history, strategy = self.history, self.node.strategies[order.strategy_id]
        self.tally["opening orders" if not change else "opening changes"] += 1
        case = Case(
            strategy.now(),
            self.clock,
            order,
            quantity,
            None if change else self.wanted.get(order.strategy_id),
            price,
            trigger,
            change,
            self.venue.orders,
            history,
            self.whole_bars,
            {THRESHOLD: self.threshold.instruments, RANDOM: self.listens},
        )
        self._must_not_be_halted(order)
        problems = broken(self.risk, case, self.asked)
        if order.instrument_id == ETH and order.side == "SELL":
            problems.append("a spot market was sold short")
        if quantity % LOTS[order.instrument_id]:
            problems.append(f"{quantity} is no whole number of lots")
        if problems:
            raise Found(f"{order!r} was let through: {'; '.join(problems)}")
        history.openings.append((strategy.now(), order.strategy_id, order.instrument_id))

    def _must_pass(self, strategy_id: str, intent: Intent) -> bool:
        """Return whether a wish only reduces, and must lead to a command."""
        match intent:
            case CloseIntent():
                return bool(self.history.held[strategy_id, intent.instrument_id])
            case CancelIntent():
                order = self.venue.orders.get(intent.client_order_id)
                return order is not None and order.known_leaves > 0
            case OrderIntent():
                return self._must_leave(strategy_id, intent)
            case ModifyIntent():
                return self._must_shrink(intent)

    def _must_leave(self, strategy_id: str, intent: OrderIntent) -> bool:
        instrument_id, wanted = intent.instrument_id, intent.quantity
        if wanted is None or not wanted.is_finite() or wanted < LOTS[instrument_id]:
            return False
        quantity = wanted // LOTS[instrument_id] * LOTS[instrument_id]
        prices = intent.price, intent.trigger_price
        order = VenueOrder(
            "", strategy_id, instrument_id, intent.side, intent.kind, quantity, *prices,
            intent.reduce_only, "",
        )  # fmt: skip
        return self._is_exit(order)

    def _must_shrink(self, intent: ModifyIntent) -> bool:
        order = self.venue.orders.get(intent.client_order_id)
        if order is None or order.end_told or order.asks or intent.quantity is None:
            return False
        if intent.price is not None or intent.trigger_price is not None:
            return False
        lot = LOTS[order.instrument_id]
        return order.heard < intent.quantity // lot * lot < order.known_quantity

    def _must_be_journalled(self, order: VenueOrder, action: str, *, opens: bool) -> None:
        """Look whether the journal says that it leaves, before it arrives anywhere."""
        if not self.is_journal_broken:
            for seq, id_, what in self._read.execute(_LEAVING, (self._last_seq,)).fetchall():
                self._last_seq = seq
                self._journalled.add((id_, what))
        if (order.client_order_id, action) in self._journalled:
            self._journalled.discard((order.client_order_id, action))
            order.journalled = True
        elif opens or not self.is_journal_broken:
            raise Found(f"{action} of {order!r} left before the journal had it")

    def _must_not_be_stale(self, order: VenueOrder) -> None:
        """Look whether an entry answers a prediction that still holds."""
        if order.strategy_id != THRESHOLD or self.wild or self._is_exit(order):
            return
        prediction = self.prediction.get(THRESHOLD)
        if prediction is None:
            raise Found(f"{order!r} opens without a prediction")
        if self.clock >= prediction.expires_ns:
            raise Found(f"{order!r} was sent {self.clock - prediction.expires_ns} ns too late")

    # What happens

    def bar(self) -> None:
        """Close the bars of all instruments."""
        ts = self.clock - self.clock % self.interval_ns + self.interval_ns
        self.clock = self.venue.now = ts + self.pick(3) * 200_000_000 - 200_000_000
        there = [i for i in INSTRUMENTS if self.whole_bars or self.venue.calm or self.pick(10)]
        for instrument_id in there:
            if self.pick(3):
                self._move(instrument_id)
        for n, instrument_id in enumerate(there):
            close = self.venue.prices[instrument_id]
            volume = (1 + self.pick(40)) * 2e3 / PRICES[instrument_id]
            bar = BarClosed(instrument_id, ts, close, close, close, close, round(volume, 2))
            self.history.bars.setdefault(instrument_id, []).append(Seen(ts, close, bar.volume))
            if n == len(there) - 1:
                self.history.close(ts)
            self.node.bar(bar)
            if self.node.dead and n < len(there) - 1:
                self.whole_bars = False  # The next node never hears the rest of this time.
            self.node.check_alive()
        self._must_halt_after_a_close()

    def trade(self) -> None:
        """Let the market move."""
        self._move(INSTRUMENTS[self.pick(3)])

    def _move(self, instrument_id: str) -> None:
        step = (self.pick(201) - 100) * (1e-4 if self.pick(8) else 5e-4)
        tick = TICKS[instrument_id]
        price = Decimal(self.venue.prices[instrument_id] * (1 + step)) // tick * tick
        low = Decimal(PRICES[instrument_id] / 4)
        self.venue.move(instrument_id, float(max(price, low // tick * tick)), self.pick)

    def predict(self) -> None:
        """Tell a prediction, which may be late, or for a bar that is not there yet."""
        instrument_id = (BTC, SOL)[self.pick(2)]
        bars = self.history.bars.get(instrument_id)
        ts = bars[-1].ts if bars else self.clock
        ts += (self.pick(5) == 0) * self.interval_ns
        life = (-1, 0, 1_000_000, self.interval_ns, 3 * self.interval_ns)[self.pick(5)]
        probability = (0.1, 0.3, 0.48, 0.52, 0.7, 0.9)[self.pick(6)]
        prediction = Prediction(
            instrument_id, MODEL, "1", 2 * probability - 1, probability, None, None,
            self.interval_ns, ts, ts, min(ts, self.clock), max(self.clock, ts) + life,
        )  # fmt: skip
        self.node.predict(prediction_topic(MODEL, instrument_id), prediction)

    def quote(self) -> None:
        """Tell the top of a book; now and then it is old, early, or no book at all."""
        instrument_id = INSTRUMENTS[self.pick(3)]
        middle = self.venue.prices[instrument_id] * (1 + (self.pick(21) - 10) * 1e-4)
        half = (0.0, 1e-5, 2e-4, 1e-3, 4e-3, -1e-3)[self.pick(6)]
        bid, ask = middle * (1 - half), middle * (1 + half)
        if not self.pick(20):
            bid, ask = ((0.0, ask), (bid, float("nan")))[self.pick(2)]
        size = (1.0, 500.0, 5_000.0, 50_000.0)[self.pick(4)] / middle
        ts = self.clock - (0, 0, 0, 5_000_000_000, -600_000_000)[self.pick(5)]
        quote = Quote(instrument_id, ts, bid, ask, size, size * (1 + self.pick(3)))
        last = self.history.quotes.get(instrument_id)
        if last is None or quote.ts >= last.ts:
            self.history.quotes[instrument_id] = quote
        self.node.context.guard.hearing.quote(quote)

    def wish(self) -> None:
        """Let a strategy wish something out of the blue."""
        id_ = (RANDOM, RANDOM, THRESHOLD)[self.pick(3)]
        intent = self._draw_exit(id_) if id_ == THRESHOLD else self._draw_intent(id_)
        strategy = self.node.strategies[id_]
        strategy.answering.move_on(self.clock)
        self.note(f"  {id_} wishes {intent}")
        self.wild = True
        strategy.act([intent])
        self.wild = False

    def build(self) -> None:
        """Let the random strategy send orders that it built, sometimes with an old id."""
        node, strategy = self.node, self.node.strategies[RANDOM]
        strategy.answering.move_on(self.clock)
        orders = []
        for _ in range(1 + self.pick(2)):
            self.built += 1
            old = [o.client_order_id for o in self.venue.orders.values()]
            id_ = old[self.pick(len(old))] if old and not self.pick(8) else f"B-{self.built}"
            intent = self._draw_order(RANDOM)
            orders.append(_terms(id_, intent))
        port = node.context.port_of
        if port is None or any(not (o.quantity.is_finite() and o.quantity > 0) for o in orders):
            return
        self.wanted[RANDOM] = None
        self.note(f"  {RANDOM} builds {orders}")
        out = port(RANDOM)
        strategy.answering.submit_built(orders, lambda: [out.submit(o) for o in orders])

    def arrive(self) -> None:
        """Let the venue take the next command."""
        if self.venue.up:
            self.venue.arrive(self.pick)
        elif not self.pick(2):
            self.venue.lose()
            self.tally["commands lost"] += 1

    def deliver(self) -> None:
        """Let the node hear something that the venue said, not always in order."""
        outbox = self.venue.outbox
        index = self.pick(min(len(outbox), 4)) if not self.pick(3) else 0
        # What changed an order is told before what was filled of it then: an engine takes no
        # change of an order of which nothing is left, and no fill of more than there is.
        for earlier, said in enumerate(outbox[:index]):
            if said.word == "updated" and said.order is outbox[index].order:
                index = earlier
                break
        self._tell(index)

    def _tell(self, index: int) -> None:
        said = self.venue.outbox.pop(index)
        order = said.order
        self.note(f"  node hears {said.word} of {order!r}")
        if index:
            self.tally["heard out of order"] += 1
        if said.trade is not None:
            said.trade.heard = True
            order.heard += said.trade.quantity
            if order.end_told:
                self.tally["fills heard after the end"] += 1
            if order.heard >= order.known_quantity:
                order.end_told = True
            self.history.hear(said.trade)
            self.tally["fills"] += 1
        elif said.word in _STATUS_ENDS:
            order.end_told = True
        elif said.word == "updated" and said.ts >= order.known_ts:
            order.known_ts = said.ts
            order.known_quantity = said.quantity or order.known_quantity
            order.known_prices = (said.price, said.trigger_price)
        if said.word in ("updated", "change refused"):
            order.answer()
        self.told.append(said)
        self.node.tell(said)

    def repeat(self) -> None:
        """Let the node hear something again."""
        said = self.told[-1 - self.pick(min(len(self.told), 5))]
        if said.word in ("change refused", "cancel refused"):
            return  # The answer to a command comes once; a stream may say things again.
        if any(said.order is trade.order for trade in self.sums.values()):
            return  # A venue that lists no fills of an order does not tell one of them either.
        self.tally["heard twice"] += 1
        self.note(f"  node hears again {said.word} of {said.order!r}")
        self.node.tell(said)

    def disconnect(self) -> None:
        """Cut the link to the venue."""
        self.venue.up = False

    def reconnect(self) -> None:
        """Mend the link to the venue."""
        self.venue.up = True
        self.venue.resolve_lost()

    @property
    def is_journal_broken(self) -> bool:
        return not (self.folder / "journal.sqlite").exists()

    def break_journal(self) -> None:
        """Move the journal away: nothing can be written any more."""
        (self.folder / "journal.sqlite").rename(self.folder / "aside")
        self.torn = True

    def mend_journal(self) -> None:
        """Move it back."""
        (self.folder / "aside").rename(self.folder / "journal.sqlite")

    def halt(self) -> None:
        """Let a person hold something."""
        level = ("halted", "reducing")[self.pick(2)]
        halt = Halt(
            self.clock,
            f"asked {len(self.trace)}",
            cause="command",
            level=level,  # type: ignore[arg-type]
            scope=self._draw_scope(),
            who="somebody",
            flatten=level == "halted" and not self.pick(3),
        )
        guard = self.node.context.guard
        self.note(f"  {halt}")
        guard.restrict(halt)
        if not any(_says_as_much(one, halt) for one in self.halts):
            self.halts.append(halt)
            self.tally["halts"] += 1
        self.node.obey()

    def resume(self) -> None:
        """Let a person lift what holds for one scope."""
        scope = self.halts[self.pick(len(self.halts))].scope if self.halts else TRADER
        level = ("active", "active", "reducing")[self.pick(3)]
        resume = Resume(self.clock, f"asked {len(self.trace)}", "somebody", scope, level)  # type: ignore[arg-type]
        lifted = self.node.context.guard.resume(resume)
        self.note(f"  {resume} lifts {lifted}")
        if not lifted:
            return
        self.tally["resumes"] += 1
        self.halts = [h for h in self.halts if h.scope != scope]
        if level == "reducing":
            self.halts.append(self.node.context.guard.states.held(scope)[0])
        elif scope == TRADER:
            self.history.resume()

    def _draw_scope(self) -> StateScope:
        return (
            TRADER,
            StateScope.strategy(RANDOM),
            StateScope.strategy(THRESHOLD),
            StateScope.instrument(INSTRUMENTS[self.pick(3)]),
        )[self.pick(4)]

    def _disobeyed(self) -> list[str]:
        """Return what halts have not ended, though everything has arrived."""
        left = []
        for halt in self.node.context.guard.states.in_force:
            left += [
                f"{order!r} rests in spite of {halt.reason}"
                for order in self.venue.orders.values()
                if halt.level == "halted"
                and order.state == "open"
                and not (order.reduce_only or order.born_exit)
                and _covers(halt.scope, order.strategy_id, order.instrument_id)
            ]
            left += [
                f"{held} {instrument_id} is held in spite of {halt.reason}"
                for (strategy_id, instrument_id), held in self.venue.positions.items()
                if halt.flatten and held and _covers(halt.scope, strategy_id, instrument_id)
            ]
        return left

    def crash(self) -> None:
        """Kill the node, now or at its next command."""
        self.crash_at = ("now", "before", "after")[self.pick(3)]
        if self.crash_at == "now":
            self.tally["killed out of the blue"] += 1
            self.node.kill()

    def settle(self) -> None:
        """Let everything arrive and be heard, and compare the two sides."""
        self._quieten()
        if self._disobeyed():
            self.venue.calm = True
            for _ in range(3):
                self.clock += 2 * SECOND
                self.node.obey()
                self._quieten()
            left = self._disobeyed()
            self.venue.calm = False
            if left:
                raise Found("; ".join(left))
        if self._unprotected():
            # A venue that refuses a stop and then its close is asked again at the next bar.
            self.venue.calm = True
            self.bar()
            self._quieten()
            left = self._unprotected()
            self.venue.calm = False
            if left:
                raise Found(f"held without a stop: {left}")
        self._compare()

    def _quieten(self) -> None:
        if not self.venue.up:
            self.reconnect()
        for _ in range(500):
            if self.venue.flying:
                self.venue.arrive(self.pick)
            elif self.venue.outbox:
                self._tell(0)
                self.node.check_alive()
            elif waiting := [
                o for o in self.venue.orders.values() if o.state == "open" and o.kind == "MARKET"
            ]:
                one = waiting[0].instrument_id
                self.venue.move(one, self.venue.prices[one], self.pick)
            else:
                return
        raise Found("node and venue never come to rest")

    def _unprotected(self) -> list[str]:
        if not self.threshold.exits.has_stop:
            return []
        missing = []
        for instrument_id in (BTC, SOL):
            held = self.venue.held(THRESHOLD, instrument_id)
            self.tally["positions looked at for a stop"] += bool(held)
            covered = sum(
                o.leaves
                for o in self.venue.resting(THRESHOLD, instrument_id)
                if o.reduce_only
                and o.kind == "STOP_MARKET"
                and o.side == ("SELL" if held > 0 else "BUY")
            )
            if covered < abs(held):
                missing.append(f"{held} {instrument_id}, covered {covered}")
        return missing

    def _compare(self) -> None:
        """Compare the node's ledger with the venue, now that nothing is on its way."""
        ledger = self.node.context.ledger
        ours = {k: p.quantity for k, p in ledger.positions.items() if p.quantity}
        theirs = {k: q for k, q in self.venue.positions.items() if q}
        if ours != theirs:
            raise Found(f"the ledger holds {ours}, the venue {theirs}")
        open_ = {o.client_order_id for i in INSTRUMENTS for o in ledger.open_orders(i)}
        there = {o.client_order_id for o in self.venue.orders.values() if o.state == "open"}
        if open_ != there:
            raise Found(f"open in the ledger alone {open_ - there}, at the venue {there - open_}")
        for id_ in there:
            mine, its = ledger.orders[id_], self.venue.orders[id_]
            if (mine.quantity, mine.filled) != (its.quantity, its.filled):
                raise Found(f"{its!r} is {mine.filled} of {mine.quantity} in the ledger")
        if abs(ledger.equity() - self.history.equity()) > 1e-6:
            raise Found(f"equity is {ledger.equity()}, must be {self.history.equity()}")
        self.tally["compared"] += 1

    # What strategies think of

    def _draw_intent(self, id_: str) -> Intent:
        kind = self.pick(10)
        if kind < 5:
            return self._draw_order(id_)
        if kind < 8:
            return self._draw_exit(id_)
        orders = [o for o in self.venue.orders.values() if o.strategy_id == id_ and not o.end_told]
        if not orders:
            return self._draw_order(id_)
        order = orders[-1 - self.pick(min(len(orders), 4))]
        factor = (None, None, 0.5, 1.5, 4.0)[self.pick(5)]
        quantity = None
        if factor is not None:
            lot = LOTS[order.instrument_id]
            quantity = Decimal(float(order.quantity) * factor) // lot * lot
        moved = 1 + (self.pick(81) - 40) * 1e-3
        moves = self.pick(2) or quantity is None
        return ModifyIntent(
            client_order_id=order.client_order_id,
            quantity=quantity,
            price=order.price * moved if order.price and moves else None,
            trigger_price=order.trigger_price * moved if order.trigger_price and moves else None,
        )

    def _draw_order(self, id_: str) -> OrderIntent:
        instrument_id = INSTRUMENTS[self.pick(3)]
        mark = self.venue.prices[instrument_id]
        lot = LOTS[instrument_id]
        notional = (60.0, 500.0, 2_000.0, 4_999.0, 20_000.0)[self.pick(5)]
        quantity = Decimal(notional / mark) // lot * lot
        if not self.pick(25):
            quantity = (ZERO, -lot, lot / 3, Decimal("NaN"), Decimal("1e15"))[self.pick(5)]
        away = 1 + (self.pick(121) - 60) * 1e-3
        kind = ("MARKET", "MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT", "MARKET_IF_TOUCHED")[
            self.pick(6)
        ]
        return OrderIntent(
            instrument_id=instrument_id,
            side=("BUY", "SELL")[self.pick(2)],
            kind=kind,  # type: ignore[arg-type]
            quantity=quantity,
            price=mark * away if "LIMIT" in kind else None,
            trigger_price=mark * away if kind.startswith(("STOP", "MARKET_IF")) else None,
            reduce_only=not self.pick(8),
        )

    def _draw_exit(self, id_: str) -> Intent:
        instrument_id = INSTRUMENTS[self.pick(3)]
        held = self.history.held[id_, instrument_id]
        orders = [o for o in self.venue.orders.values() if o.strategy_id == id_ and not o.end_told]
        if orders and not self.pick(3) and id_ == RANDOM:
            order = orders[-1 - self.pick(min(len(orders), 4))]
            return CancelIntent(client_order_id=order.client_order_id)
        if not held or not self.pick(2):
            return CloseIntent(instrument_id=instrument_id)
        lot = LOTS[instrument_id]
        part = max(abs(held) * (1 + self.pick(4)) / 4 // lot * lot, lot)
        return OrderIntent(
            instrument_id=instrument_id,
            side=opposite("BUY" if held > 0 else "SELL"),
            quantity=part,
            reduce_only=bool(self.pick(2)),
            purpose="exit:signal",
        )

    def side_door(self) -> None:
        """Let the engine report an order that nobody allowed."""
        strategy = self.node.strategies[RANDOM]
        permit = Permit(BTC, "BUY", LOTS[BTC], False)
        strategy.answering.created(f"stranger-{len(self.trace)}", permit)
        context = self.node.context
        if context.guard.state != "halted" or not context.run_state.stop_reason:
            raise Found("an order around the guard did not halt")
        self.due_halts.add(context.guard.states.in_force[-1].reason)
        self.tally["orders around the guard"] += 1

    def note(self, line: str) -> None:
        self.trace.append(line)


_LEAVING = (
    "SELECT seq, client_order_id, json_extract(body, '$.action') FROM records"
    " WHERE seq > ? AND kind = 'sent'"
)
_STATUS_ENDS = ("rejected", "cancelled", "expired")


def _covers(scope: StateScope, strategy_id: str, instrument_id: str) -> bool:
    """Return whether a halt holds for this, worked out from its name alone."""
    if scope.kind == "strategy":
        return strategy_id.startswith(f"{scope.id}-")
    return scope.kind == "trader" or scope.id == instrument_id


def _says_as_much(one: Halt, other: Halt) -> bool:
    """Return whether a halt by command makes another one superfluous."""
    return (
        (one.scope, one.cause) == (other.scope, other.cause)
        and (one.level == "halted" or other.level == "reducing")
        and (one.flatten or not other.flatten)
    )


def _terms(id_: str, intent: OrderIntent) -> OrderTerms:
    tick = TICKS[intent.instrument_id]
    price, trigger = (
        None if p is None else float(Decimal(p) // tick * tick)
        for p in (intent.price, intent.trigger_price)
    )
    return OrderTerms(
        client_order_id=id_,
        instrument_id=intent.instrument_id,
        side=intent.side,
        kind=intent.kind,
        quantity=intent.quantity or ZERO,
        price=price,
        trigger_price=trigger,
        reduce_only=intent.reduce_only,
        purpose="entry",
    )


ACTIONS: dict[str, Callable[[World], Any]] = {
    "bar": World.bar,
    "trade": World.trade,
    "predict": World.predict,
    "quote": World.quote,
    "wish": World.wish,
    "build": World.build,
    "arrive": World.arrive,
    "deliver": World.deliver,
    "repeat": World.repeat,
    "disconnect": World.disconnect,
    "reconnect": World.reconnect,
    "break journal": World.break_journal,
    "mend journal": World.mend_journal,
    "halt": World.halt,
    "resume": World.resume,
    "crash": World.crash,
    "side door": World.side_door,
    "settle": World.settle,
}
_NEEDS: dict[str, Callable[[World], Any]] = {
    "arrive": lambda w: w.venue.flying,
    "deliver": lambda w: w.venue.up and w.venue.outbox,
    "repeat": lambda w: w.venue.up and w.told,
    "disconnect": lambda w: w.venue.up,
    "break journal": lambda w: not w.is_journal_broken,
    "mend journal": lambda w: w.is_journal_broken,
    "resume": lambda w: w.node.context.guard.states.in_force,
    "reconnect": lambda w: not w.venue.up,
}
WEIGHTS = {
    "bar": 14,
    "trade": 8,
    "predict": 10,
    "quote": 6,
    "wish": 18,
    "build": 3,
    "arrive": 26,
    "deliver": 30,
    "repeat": 2,
    "disconnect": 2,
    "reconnect": 12,
    "break journal": 1,
    "mend journal": 12,
    "halt": 1,
    "resume": 3,
    "crash": 1,
    "side door": 0.2,
    "settle": 2,
}
