"""The machine: a node, its venue, and whatever can happen between the two.

A world is driven by the names of its `ACTIONS`, and by numbers that a `Pick` chooses: a seeded
source in the long run, Hypothesis in the short one. After each action everything that must never
happen is looked for, against the venue's truth.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Intent,
    ModifyIntent,
    OrderIntent,
    Prediction,
    Quote,
    Side,
    prediction_topic,
)
from aitb_nautilus.risk.journal_ahead import AheadLog, ahead_of
from aitb_nautilus.risk.journal_records import Sent
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.permits import Permit
from aitb_nautilus.risk.trading_states import TRADER, Halt, Resume, StateScope
from aitb_nautilus.settings import decode
from strategies.threshold import ThresholdSettings
from tests.risk.machine import at_rest, restart, wishes
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
from tests.risk.machine.outcomes import Found
from tests.risk.machine.venue import ENDS, Command, ModelVenue, Pick, Said, Trade, VenueOrder

__all__ = ["ACTIONS", "WEIGHTS", "World"]

ZERO = Decimal(0)
SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 1_440 * MINUTE
INTERVALS = {"1m": MINUTE, "1h": 60 * MINUTE, "4h": 240 * MINUTE}
MODEL = "direction"


def nothing(_: Node) -> None:
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
        change: Callable[[Node], None] = nothing,
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
        restart.start(self)
        path = folder / "journal.sqlite"
        self._read = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._read.execute(_LEAVING, (0,)).fetchall()

    # Life and death

    @property
    def trades(self) -> dict[str, Trade]:
        return {t.trade_id: t for t in self.venue.trades} | self.sums

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
        if self.pick(2):
            self.node.look()
        self.tally["steps"] += 1
        self.tally[f"did {name}"] += 1
        self.clock += 1_000_000 * (1 + self.pick(2_000))
        self.venue.now = self.clock
        with contextlib.suppress(Crash):
            ACTIONS[name](self)
            if self.node.submitted and self.pick(2):
                self.node.tell_submitted()
        while self.node.dead or self.node.context.run_state.stop_reason:
            self._look_at_failures()
            restart.die(self)  # A node ends at an error, and at an order around the guard.
            restart.start(self)
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
        if self.venue.faults:
            raise Found("; ".join(self.venue.faults))
        if not order.born_exit:
            self._judge(order, order.quantity, order.price, order.trigger_price, change=False)
        self._crash("after")

    def _crash(self, when: str) -> None:
        """End the node's process here, if it is to end."""
        if self.crash_at == when:
            self.note(f"  the node is killed {when} it has sent")
            self.tally[f"killed {when}{' sending' if when != 'in the log' else ''}"] += 1
            self.node.kill()
            raise Crash

    def writes_ahead(self, log: AheadLog, write: Callable[[], None]) -> None:
        """See what the journal writes ahead of SQLite; the node may be killed in the middle."""
        begin, before = log._end if log.waiting else 0, log.path.read_bytes()
        write()
        self.tally["written ahead"] += 1
        if self.crash_at == "in the log":
            # The operating system has a part of it; behind that is what was there before.
            cut = begin + self.pick(log._end - begin)
            log.path.write_bytes(log.path.read_bytes()[:cut] + before[cut:])
            self._crash("in the log")

    def changes(
        self,
        client_order_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Take a change that has just left the node."""
        order = restart.order_of(self, client_order_id)
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
        order = restart.order_of(self, client_order_id)
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
        return [wishes.draw_intent(self, strategy_id)]

    # What must be true

    def _took_no_exit(self, halt: Halt) -> bool:
        """Return whether the venue has ended an exit and another one before it, not filled."""
        last = self.venue.orders.get(halt.client_order_id)
        if halt.who != "exits" or last is None:
            return False
        ended = [
            one
            for one in self.venue.orders.values()
            if (one.strategy_id, one.instrument_id) == (last.strategy_id, last.instrument_id)
            and one.born_exit
            and one.end_told
            and one.heard < one.known_quantity
        ]
        return last in ended and len(ended) > 1

    def _look_at_halts(self) -> None:
        """Look for halts that are lost, and for those that nobody asked for."""
        states = self.node.context.guard.states
        for halt in states.in_force:
            if halt in self.halts:
                continue
            # Terms that a torn journal does not know look like a change around the guard.
            torn = self.torn and "changed around the guard" in halt.reason
            due = torn or halt.reason in self.due_halts or self._took_no_exit(halt)
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
            if at_rest.covers(halt.scope, order.strategy_id, order.instrument_id):
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
        problems += [
            f"{other} holds the other side"
            for other in self._against(order.strategy_id, order.instrument_id, order.side)
        ]
        if quantity % LOTS[order.instrument_id]:
            problems.append(f"{quantity} is no whole number of lots")
        if problems:
            raise Found(f"{order!r} was let through: {'; '.join(problems)}")
        history.openings.append((order.strategy_id, order.instrument_id, self.clock))

    def _must_pass(self, strategy_id: str, intent: Intent) -> bool:
        """Return whether a wish only reduces, and must lead to a command."""
        match intent:
            case CloseIntent():
                key = strategy_id, intent.instrument_id
                return bool(self.history.held[key]) and not self.history.is_dust(*key)
            case CancelIntent():
                order = self.venue.orders.get(intent.client_order_id)
                return order is not None and order.known_leaves > 0
            case OrderIntent():
                return self._must_leave(strategy_id, intent)
            case ModifyIntent():
                return self._must_shrink(intent)

    def _must_leave(self, strategy_id: str, intent: OrderIntent) -> bool:
        instrument_id, wanted = intent.instrument_id, intent.quantity
        if self.history.is_dust(strategy_id, instrument_id):
            return False
        if wanted is None or not wanted.is_finite() or wanted < LOTS[instrument_id]:
            return False
        if intent.reduce_only and self._takes_anothers(strategy_id, instrument_id, intent.side):
            return False
        quantity = wanted // LOTS[instrument_id] * LOTS[instrument_id]
        prices = intent.price, intent.trigger_price
        order = VenueOrder(
            "", strategy_id, instrument_id, intent.side, intent.kind, quantity, *prices,
            intent.reduce_only, "",
        )  # fmt: skip
        return self._is_exit(order)

    def _against(self, strategy_id: str, instrument_id: str, side: Side) -> list[str]:
        """Return who else holds what an order of a side would take away, by what was told."""
        return [
            owner
            for (owner, where), held in self.history.held.items()
            if owner != strategy_id
            and where == instrument_id
            and held
            and (held < 0) == (side == "BUY")
        ]

    def _takes_anothers(self, strategy_id: str, instrument_id: str, side: Side) -> bool:
        own = self.history.held[strategy_id, instrument_id]
        reduces = bool(own) and (own < 0) == (side == "BUY")
        return not reduces and bool(self._against(strategy_id, instrument_id, side))

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
        # The log stays where it is when the journal is moved away.
        for seq, _, kind, *_, id_, body, _ in ahead_of(self._read, self.folder / "journal.sqlite"):
            if kind == Sent.kind and seq > self._last_seq:
                self._last_seq = seq
                self._journalled.add((id_, msgspec.json.decode(body)["action"]))
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
                self.move(instrument_id)
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
        self.move(INSTRUMENTS[self.pick(3)])

    def move(self, instrument_id: str) -> None:
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
        intent = wishes.draw_exit(self, id_) if id_ == THRESHOLD else wishes.draw_intent(self, id_)
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
            intent = wishes.draw_order(self, RANDOM)
            orders.append(wishes.built(id_, intent))
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
        elif said.word in ENDS:
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

    def crash(self) -> None:
        """Kill the node, now or at its next command."""
        self.crash_at = ("now", "before", "after", "in the log")[self.pick(4)]
        if self.crash_at == "now":
            self.tally["killed out of the blue"] += 1
            self.node.kill()

    # What strategies think of

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


def _says_as_much(one: Halt, other: Halt) -> bool:
    """Return whether a halt by command makes another one superfluous."""
    return (
        (one.scope, one.cause) == (other.scope, other.cause)
        and (one.level == "halted" or other.level == "reducing")
        and (one.flatten or not other.flatten)
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
    "settle": at_rest.settle,
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
