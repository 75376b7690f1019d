"""A node takes over what the one before it left, before anything is opened.

The journal of the last run is carried into that of this one before the engine connects. Once the
past is told, the ledger begins with what was carried; every order that may have changed meanwhile
is asked for at the venue; then the firewall compares what the venue holds with what the journal
explains, and the exits of every position are put back into place. Until then nothing opens.

Everything here happens on the node's thread, but the questions to the venue, which block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aitb_nautilus.errors import RunError
from aitb_nautilus.risk.firewall import Explained, Unexplained, expected_balance, unexplained
from aitb_nautilus.risk.firewall_check import Firewall
from aitb_nautilus.risk.firewall_file import FirewallFile
from aitb_nautilus.risk.firewall_settled import settle_by_node
from aitb_nautilus.risk.journal_carried import CarriedPosition
from aitb_nautilus.risk.recovery import resting
from aitb_nautilus.risk.silence import REOPENING
from aitb_nautilus.risk.taking_over import (
    begin_day,
    bind,
    hold,
    know_sent,
    settle_on,
)
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.venue_facts import VenueFacts
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.bar_gate import BarGate
from aitb_nautilus.run.carried_orders import CarriedOrders
from aitb_nautilus.run.exit_memory import ExitMemory
from aitb_nautilus.run.held_exits import HeldExits
from aitb_nautilus.run.last_orders import follow_to_the_end
from aitb_nautilus.run.last_run import History, LastRun, LastRunFile
from aitb_nautilus.run.preparation import Preparation
from aitb_nautilus.run.sandbox_recovery import Reopening, end_orders
from aitb_nautilus.run.stale_orders import StaleOrders
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.run.venue_hands import EngineHands
from aitb_nautilus.run.venue_look import VenueLook, askers_of
from aitb_nautilus.run.venue_questions import VenueQuestions
from aitb_nautilus.run.venue_watch import VenueWatch

__all__ = ["RECOVERY", "NodeRecovery"]

RECOVERY = "recovery"
"""Name of the refusal that an opening order gets until everything is known."""

_AGAIN_NS = 500_000_000
_SETTLES_NS = 3_000_000_000
"""So long may venue and ledger differ because something is on its way."""


class NodeRecovery:
    """Bring a live node back to where the last one was.

    Parameters
    ----------
    run
        The node's preparation.
    history
        What the last run left.
    file
        Names the last run; from now on this one.
    last
        This run, as the file shall name it.
    note
        For the log of the run.

    Attributes
    ----------
    is_done
        Whether everything is known.
    """

    def __init__(
        self,
        run: Preparation,
        history: History,
        file: LastRunFile,
        last: LastRun,
        note: Callable[[str, str], None],
    ) -> None:
        self._run = run
        self._context = run.context
        self._history = history
        self._note = note
        self._began = time.time_ns()
        self._pool = ThreadPoolExecutor(2, "recovery")
        last = msgspec.structs.replace(last, exits=history.exits)
        self._folder = Path(last.folder)
        self._memory = ExitMemory(file, last, run.strategies, run.context.ledger, self._pool)
        askers = askers_of(run)
        self._stale = StaleOrders(run.context, {s.component_id: s for s in run.strategies})
        self._askers = askers
        self._questions = VenueQuestions(run.context, askers, self._pool, note)
        self._has_begun = self._is_live = False
        self._complained: set[CarriedPosition | None] = set()
        self._past_is_told = False
        self._exits = HeldExits(run.context, run.strategies, note, self._began)
        self._differs_since = 0
        self._has_rows = False
        place = StatePlace.of(run.desk.path, run.desk.config.trader)
        self._firewall_file = FirewallFile(place.folder, place.trader_id)
        self._firewall: Firewall | None = None
        self._cache: Any = None
        self._gate: BarGate
        self._resting: CarriedOrders | None = None
        self._look: VenueLook | None = None
        self._watch: VenueWatch | None = None
        self._reopening: Reopening | None = None
        self._deadline = 0
        self.is_done = False
        self._context.guard.withheld[RECOVERY] = (
            "what the run before left is not known yet: the venue is being asked"
        )

    def begin(self) -> None:
        """Write what is carried over; the journal is open, and nothing is connected.

        Raises
        ------
        RunError
            If journal or file cannot be written.
        """
        context, carried, now = self._context, self._history.carried, time.time_ns()
        why = context.chronicle.carried(carried, now)
        if why:
            raise RunError("the journal", f"cannot be written: {why}", "must be, before trading")
        if carried.balance is None and self._run.mode == "paper":
            began_with = context.ledger.starting_equity
            context.chronicle.account(began_with, "the simulated account", now)
        self._memory.begin()
        know_sent(context, carried.sent)
        msgspec.structs.force_setattr(context, "deferred", [])
        if self._history.missing:
            self._note("WARNING", self._history.missing)
            why = self._history.missing
            bind(context, Halt(now, why, cause="check", level="reducing", who="recovery"))

    def settle(self, rows: Sequence[Unexplained]) -> None:
        """Write in what the engine's cache differed from the journal; it was emptied for that."""
        if not rows:
            return
        reason = "the cache was emptied: the journal is the book, and the venue is asked"
        settle_by_node(self._context, self._firewall_file, rows, reason, time.time_ns())
        more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
        self._note("WARNING", f"{rows[0].line}{more}: {reason}")

    def connect(self, cache: Any, gate: BarGate) -> None:
        """Take the engine's cache and the bars of the built node."""
        self._cache, self._gate = cache, gate
        gate.holds_back = True
        names, ledger = list(self._run.venues), self._context.ledger
        self._look = VenueLook(
            ledger,
            names,
            self._askers,
            instruments=self._context.instruments,
            cache=cache,
            holds=self._context.holds,
            pool=self._pool,
            note=self._note,
        )

        asking = Asking(
            self._context, self._run.strategies, self._askers, cache, self._pool, self._note
        )
        self._watch = VenueWatch(
            asking,
            self._run.desk.config.live,
            look=self._look,
            explained=self._explained,
            firewall=self._judge,
            folder=self._folder,
        )

    def _go_live(self) -> None:
        """Hold what was held and ask the venue, before the past is told: a stop may be missing."""
        if self._run.mode == "paper":
            return
        for name in dict.fromkeys(p.instrument_id for p in self._history.carried.positions):
            self._gate.ask_price(name)
        self._hold()
        asked = self._history.asked
        timeout = round(self._run.desk.config.live.recovery_secs * 1e9)
        questions = [*asked, *resting(self._context.ledger, asked)]
        self._resting = CarriedOrders(self._context, self._cache)
        self._questions.begin(questions, time.time_ns(), timeout)
        self._has_begun = True

    def take_over(self) -> None:
        """Go on from the past, which has just been told."""
        self._past_is_told = True
        if self._run.mode == "paper":
            self._gate.holds_back = True
            self._hold()
            self._reopen(time.time_ns())

    def _hold(self) -> None:
        """Let ledger and strategies know what was held."""
        context = self._context
        hold(context, self._run.strategies, self._history.carried, self._history.exits)
        deferred = context.deferred
        msgspec.structs.force_setattr(context, "deferred", None)
        for strategy, event in deferred or ():
            strategy.on_order_event(event)

    def tick(self, now: int) -> None:
        """Go on; called ten times a second, from the moment on at which the node is connected."""
        if not self._is_live:
            self._is_live = True
            self._go_live()
            self._gate.begin()
        if self._reopening is not None and not self.is_done:
            self._go_on_reopening(self._reopening, now)
            return
        if self._reopening is not None:
            self._memory.keep()
            return
        if not self._has_begun:
            return
        if self._watch is not None:
            self._watch.go_on(now)
        if not self._questions.go_on(self._cache, self._answering(), now):
            return
        self._exits.place(now)
        if self._watch is not None and self._past_is_told:
            self._watch.leftovers.go_on(now)
        if not self.is_done:
            if self._past_is_told:
                self._compare(now)
        else:
            if self._resting is not None:
                self._resting.follow(self._answering(), now)
            self._memory.keep()

    def close(self) -> None:
        """Take what the engine heard last, leave nothing behind, and remember the exits."""
        if self.is_done:
            follow_to_the_end(self._context, self._cache, time.time_ns())
            if self._watch is not None:
                self._watch.leftovers.end(self._history.ended, time.time_ns())
            self._memory.keep()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # On paper

    def _reopen(self, now: int) -> None:
        ended = end_orders(self._context, now)
        if ended:
            self._note("INFO", f"{ended} orders ended with the simulated exchange of the last run")
        self._deadline = now + round(self._run.desk.config.live.recovery_secs * 1e9)
        held = tuple(p for p in self._history.carried.positions if self._is_held(p))
        if held:
            self._context.guard.withheld[REOPENING] = (
                "the sandbox does not hold yet what was held, and would refuse it"
            )
        self._reopening = Reopening(
            self._context,
            {s.component_id: s for s in self._run.strategies},
            held,
            on_quotes=self._run.desk.config.paper.fills == "quotes",
        )

    def _is_held(self, one: CarriedPosition) -> bool:
        """Return whether something carried is a position, and not dust."""
        return bool(self._context.ledger.position(one.strategy_id, one.instrument_id).quantity)

    def _go_on_reopening(self, reopening: Reopening, now: int) -> None:
        if not reopening.go_on(self._cache, now):
            found = reopening.obstacles if now >= self._deadline else {}
            for what, why in found.items():
                if what not in self._complained:
                    self._note("WARNING", why)
            self._complained = set(found)
            return
        self._context.guard.withheld.pop(REOPENING, None)
        self._exits.put_back(self._gate, now)
        self._end(now, 0)
        self._gate.begin()

    def _answering(self) -> Mapping[str, Any]:
        return {s.component_id: s.answering for s in self._run.strategies}

    # Comparing

    def _compare(self, now: int) -> None:
        """Put the exits into place; let the firewall look, once nothing is on its way."""
        if not self._differs_since:
            self._differs_since = now
            self._exits.put_back(self._gate, now)
        stale = self._stale.ask(self._cache, self._history.carried.sent)
        if stale:
            many = "an order" if stale == 1 else f"{stale} orders"
            self._note("WARNING", f"the engine has {many} open that ended: asking the venue")
        if self._stale.is_waiting(self._cache) and now - self._differs_since < _SETTLES_NS:
            return
        if self._look is None:
            return
        facts = self._look.go_on(now)
        if facts is None:
            return
        if self._watch is not None and self._watch.leftovers.take(facts, self._history.ended):
            self._differs_since = now
        rows = unexplained(facts, self._context.ledger, self._explained())
        if rows and now - self._differs_since < _SETTLES_NS:
            self._look.due = now + _AGAIN_NS
            return
        self._judge(facts, now)
        self._settle_account(facts, now)
        if self._watch is not None:
            self._watch.begin(rows, now)
        self._end(now, len(rows))

    def _end(self, now: int, unexplained_things: int) -> None:
        self.is_done = True
        self._stale.let_go()
        begin_day(self._context, now)
        del self._context.guard.withheld[RECOVERY]
        ledger = self._context.ledger
        held = sum(1 for p in ledger.positions.values() if p.quantity)
        took = (now - self._began) / 1e9
        self._note(
            "INFO",
            f"recovered in {took:.1f} s: {held} positions and {ledger.open_order_count()} open "
            f"orders are known, {unexplained_things} things are not explained",
        )

    def _explained(self) -> Explained:
        ledger, currency = self._context.ledger, self._run.desk.config.trader.currency
        expected = expected_balance(ledger)
        knows = self._history.carried.balance is not None
        fraction = Decimal(repr(self._run.desk.config.live.balance_tolerance_frac))
        return Explained(
            sent=self._history.carried.sent,
            ended=self._history.ended,
            lots={name: rules.lot for name, rules in self._context.guard.lots.items()},
            balances={currency: expected} if knows else {},
            balance_tolerance=(abs(expected) * fraction).quantize(Decimal("0.01")),
        )

    def _judge(self, facts: VenueFacts, now: int) -> None:
        if self._firewall is None:
            strategies = [s.component_id for s in self._run.strategies]
            hands = EngineHands(self._context, self._run.strategies)
            self._firewall = Firewall(self._context, strategies, self._firewall_file, hands)
        rows = self._firewall.check(facts, self._explained(), now)
        if rows and not self._has_rows:
            self._note(
                "WARNING",
                f"{len(rows)} things at the venue are not explained by the journal; nothing opens "
                f"until they are answered: aitb firewall {self._run.desk.path}",
            )
        self._has_rows = bool(rows)

    def _settle_account(self, facts: VenueFacts, now: int) -> None:
        """Take the venue's balance for the account's, unless it is off by too much."""
        currency = self._run.desk.config.trader.currency
        held = facts.balances.get(currency)
        explained = self._explained()
        expected = explained.balances.get(currency)
        if held is None or (
            expected is not None and abs(held - expected) > explained.balance_tolerance
        ):
            return
        ledger = self._context.ledger
        settle_on(self._context, float(held))
        self._context.chronicle.account(ledger.starting_equity, "as the venue says", now)
