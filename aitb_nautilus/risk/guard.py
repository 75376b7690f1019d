"""The guard: every order passes it, and each one that the engine makes is checked.

The guard decides on an intent before an order exists (`judge`), and its `permits` remember what it
allowed. When the engine then reports a new order, it is compared with the permits: an order without
one came around the guard, and halts trading at that order.

Exits that reduce risk always pass, in every trading state, and if the guard itself fails: nothing
else passes then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from aitb_nautilus.messages import BarClosed, Fill, ModifyIntent, OrderIntent
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.capture import Failure
from aitb_nautilus.risk.decision import Decision, LotRules
from aitb_nautilus.risk.hearing import Hearing
from aitb_nautilus.risk.holdings import Looks, dearest
from aitb_nautilus.risk.journal_records import TradingLevel
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_memory import MEMORY, LimitMemory
from aitb_nautilus.risk.limit_rule import PASS, Limit, Proposal, Verdict
from aitb_nautilus.risk.permits import Permits
from aitb_nautilus.risk.spot_cash import SpotCash
from aitb_nautilus.risk.trading_states import TRADER, Halt, Resume, TradingStates
from aitb_nautilus.risk.warming import WARM_UP
from aitb_nautilus.risk.wishes import (
    as_if_new,
    floor_to_lot,
    malformed,
    priceless,
    reduces,
    unopenable,
)

__all__ = ["Decision", "Guard", "Halt", "LotRules"]

type _Check = Callable[[Proposal, Ledger], Verdict]
type _Asked = tuple[dict[_Check, Limit | SpotCash], list[Limit]]

_REFUSALS_KEPT = 10_000
"""A strategy that is refused at every bar of a long run must not fill the memory."""


class Guard:
    """Decide on wishes, keep permits, and halt when an order comes around them.

    Parameters
    ----------
    ledger
        The trader's ledger; the guard only reads it.
    limits
        Limits of opening orders, in the order in which they are asked.
    lots
        Rounding rules by instrument id.

    Attributes
    ----------
    states
        What may be sent by whom, and what holds that up.
    halts
        What was put in force in this run, the first one first, lifted or not.
    refused
        Wishes that were refused.
    refused_by, shrunk_by
        How many wishes each limit refused and shrank, by its name.
    refusals
        The first decisions that refused or shrank a wish.
    permits
        What may be sent.
    memory
        What the limits remember, and where it is kept.
    hearing
        Tells the limits of quotes, references and predictions; bars and fills come through here.
    clock
        The node's clock, ns UTC, which tells how old a fact is that is answered; None: a fact is
        answered at its own time.
    withheld
        Why nothing may be opened for a while, by the name that a refusal gets. Not a halt: it ends
        by itself.
    tell_halt, tell_resume
        Are told of each halt, and of each resume that lifted something.
    tell_error
        Is told of an error inside the guard.
    """

    def __init__(
        self, ledger: Ledger, limits: Sequence[Limit], lots: Mapping[str, LotRules]
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self.lots = lots
        self.states = TradingStates()
        self.halts: list[Halt] = []
        self.refused = 0
        self.refused_by: Counter[str] = Counter()
        self.shrunk_by: Counter[str] = Counter()
        self.refusals: list[Decision] = []
        self.permits = Permits(ledger)
        self.clock: Callable[[], int] | None = None
        self._looks = Looks(ledger)
        self.hearing = Hearing(limits, ledger, self._looks)
        self.withheld: dict[str, str] = {}
        self.memory = LimitMemory(limits, self._looks, self.withheld)
        self._asked: dict[tuple[str, str], _Asked] = {}
        self.tell_halt: Callable[[Halt], None] | None = None
        self._weighing = False
        self.tell_resume: Callable[[Resume], None] | None = None
        self.tell_error: Callable[[Failure], None] | None = None

    @property
    def state(self) -> TradingLevel:
        """Return the state of the trader as a whole; a strategy or instrument may be stricter."""
        return self.states.of_scope(TRADER)

    def judge(self, intent: OrderIntent, strategy_id: str, ts: int) -> Decision:
        """Decide on one order.

        Parameters
        ----------
        intent
            The wish; its quantity must be set (sizing comes before the guard).
        strategy_id
            Who wishes it.
        ts
            Now, ns UTC.
        """
        try:
            decision = self._judge(intent, strategy_id, ts)
        except Exception as e:
            decision = self._failed(e, intent, strategy_id, ts)
        if decision.line or not decision.quantity:
            self.note(decision)
        return decision

    def judge_whole(self, intent: OrderIntent, strategy_id: str, ts: int) -> Decision:
        """Decide on one order that cannot be shrunk: it passes as it is, or not at all."""
        try:
            decision = self._judge(intent, strategy_id, ts, whole=True)
        except Exception as e:
            decision = self._failed(e, intent, strategy_id, ts)
        decision = replace(decision, whole=True)
        if not decision.allowed:
            self.note(decision)
        return decision

    def refuse(
        self, instrument_id: str, strategy_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        """Refuse a wish for a reason that lies outside the limits, and record it."""
        refusal = self._refuse(strategy_id, instrument_id, ts, limit, line)
        decision = replace(refusal, outside=True)
        self.note(decision)
        return decision

    def judge_modify(self, intent: ModifyIntent, order: Order, ts: int) -> Decision:
        """Decide on a change of a resting order.

        A change that makes the order larger, or moves its price, is judged as the changed order
        would be if it were new; the order as it is does not count against the limits meanwhile.
        Changes before it that nobody answered count as made where they are worth more. It passes
        whole or not at all, and a quantity is put onto whole lots, downwards.
        """
        try:
            decision = self._judge_modify(intent, order, ts)
        except Exception as e:
            wanted = order.quantity if intent.quantity is None else intent.quantity
            same = OrderIntent(instrument_id=order.instrument_id, side=order.side, quantity=wanted)
            decision = self._failed(e, same, order.strategy_id, ts)
        if not decision.allowed:
            self.note(decision)
        return decision

    def standing_objection(self, strategy_id: str, instrument_id: str) -> tuple[str, str]:
        """Return what forbids every opening order now, and why; empty if nothing does.

        Asked when an order is judged, and once more when one leaves that had to wait.
        """
        if self.withheld:
            return next(iter(self.withheld.items()))
        states = self.states
        if (states.in_force or states.unwritten) and (
            line := states.objection(strategy_id, instrument_id)
        ):
            return "state", line
        if self.permits.is_exiting(strategy_id):
            return "exit", "the engine is closing all that is held; wait until it has"
        return "", ""

    @contextmanager
    def weighing(self) -> Iterator[None]:
        """Decide without consequences: within it no limit counts an order, nothing is recorded."""
        self._weighing = True
        try:
            yield
        finally:
            self._weighing = False

    def halt(self, reason: str, ts: int, strategy_id: str = "", client_order_id: str = "") -> Halt:
        """Stop all opening orders after an error. The first reason stays on top."""
        return self.restrict(Halt(ts, reason, strategy_id, client_order_id))

    def restrict(self, halt: Halt) -> Halt:
        """Let less be sent, for one scope, until a person resumes it.

        What holds for the scope already stays on top. It is written before this returns; what could
        not be written stands in ``states.unwritten``, and holds all the same.
        """
        if self.states.restrict(halt) or halt.cause in ("check", "error"):
            self.halts.append(halt)
            if self.tell_halt is not None:
                self.tell_halt(halt)
        return halt

    def resume(self, resume: Resume) -> list[Halt]:
        """Lift what holds for one scope, and return it; see `begin_anew`.

        Raises
        ------
        StateError
            If it cannot be written; nothing is lifted then.
        """
        lifted = self.states.lift(resume)
        if lifted and resume.scope == TRADER and resume.level == "active":
            self.begin_anew(resume.ts)
        if lifted and self.tell_resume is not None:
            self.tell_resume(resume)
        return lifted

    def begin_anew(self, ts: int) -> None:
        """Let limits that halt begin anew, after a resume of the trader.

        The drawdown counts from the equity of this moment, else its ladder would halt again at the
        next bar.
        """
        equity = self.ledger.equity()
        for limit in self.limits:
            limit.hear_resume(ts, equity)
        self.memory.write(ts, self.memory.everything)

    def hear_bar(self, bar: BarClosed, *, past: bool = False) -> None:
        """Let limits take note of a bar that the ledger holds already; halt if one asks for it."""
        if not (self.hearing.wants_bars or self.memory.keeper):
            return
        why = self.hearing.bar(bar, past=past)
        if why:
            self.restrict(Halt(bar.ts, why, cause="limit", flatten=True))
        if self.hearing.is_close:
            self.memory.write(bar.ts, self.memory.at_close)

    def hear_fill(self, fill: Fill) -> None:
        """Let limits take note of a fill that the ledger holds already."""
        if self.hearing.wants_fills or self.memory.keeper:
            self.hearing.fill(fill)
            self.memory.write(fill.ts, self.memory.at_fill)

    def _failed(self, error: Exception, intent: OrderIntent, strategy_id: str, ts: int) -> Decision:
        """Halt after an error in the guard itself; only what closes passes."""
        failure = Failure.of(strategy_id, "guard", ts, error)
        self.halt(failure.reason, ts, strategy_id)
        if self.tell_error is not None:
            self.tell_error(failure)
        instrument_id, wanted = intent.instrument_id, intent.quantity or ZERO
        held = self.ledger.position(strategy_id, instrument_id).quantity
        closes = held != 0 and (held > 0) != (intent.side == "BUY")
        if closes and wanted > 0 and (intent.reduce_only or wanted <= abs(held)):
            return Decision(ts, strategy_id, instrument_id, wanted, reducing=True)
        refusal = self._refuse(strategy_id, instrument_id, ts, "guard", failure.reason)
        return replace(refusal, outside=True)

    def _judge_modify(self, intent: ModifyIntent, order: Order, ts: int) -> Decision:
        strategy_id, instrument_id = order.strategy_id, order.instrument_id
        wanted = order.quantity if intent.quantity is None else intent.quantity
        problem = malformed(self.lots, instrument_id, wanted, intent.price, intent.trigger_price)
        if problem or (problem := priceless(intent, order)):
            return self._refuse(strategy_id, instrument_id, ts, "order", problem)
        quantity = floor_to_lot(wanted, self.lots[instrument_id].lot)
        moved = intent.price is not None or intent.trigger_price is not None
        if quantity > 0 and (order.reduce_only or not (moved or quantity > order.quantity)):
            return Decision(ts, strategy_id, instrument_id, quantity, order.reduce_only)
        changed = as_if_new(self.ledger, intent, order, quantity)
        decision = self._judge(changed, strategy_id, ts, whole=True, replaces=order)
        return replace(decision, quantity=quantity) if decision.allowed else decision

    def _judge(
        self,
        intent: OrderIntent,
        strategy_id: str,
        ts: int,
        *,
        whole: bool = False,
        replaces: Order | None = None,
    ) -> Decision:
        instrument_id, wanted = intent.instrument_id, intent.quantity
        price, trigger_price, ledger = intent.price, intent.trigger_price, self.ledger
        problem = malformed(self.lots, instrument_id, wanted, price, trigger_price)
        if wanted is None or problem:
            return self._refuse(strategy_id, instrument_id, ts, "order", problem)
        rules = self.lots[instrument_id]
        quantity = floor_to_lot(wanted, rules.lot)
        if not quantity or (whole and quantity != wanted):
            line = f"{wanted} is no whole number of lots of {rules.lot}"
            return self._refuse(strategy_id, instrument_id, ts, "lot", line)
        if reduces(ledger, intent, quantity, strategy_id, replaces):
            return Decision(ts, strategy_id, instrument_id, quantity, reducing=True)
        limit, line = self.standing_objection(strategy_id, instrument_id)
        if not line:
            limit, line = unopenable(ledger, rules, intent, strategy_id)
        if line:
            refusal = self._refuse(strategy_id, instrument_id, ts, limit, line)
            return replace(refusal, outside=limit in self.withheld)
        mark = ledger.marks[instrument_id]
        quoted = price if trigger_price is None else trigger_price
        if price is not None and trigger_price is not None:
            quoted = max(price, trigger_price, key=lambda p: abs(p - mark))
        proposal = Proposal(
            strategy_id,
            instrument_id,
            intent.side,
            quantity,
            dearest(intent.side, price, trigger_price, mark),
            quoted,
            mark,
            ts,
            replaces,
            self._looks,
            -1 if self.clock is None else self.clock(),
            self.hearing.quotes.get(instrument_id),
        )
        return self._through_limits(proposal, whole=whole)

    def _through_limits(self, proposal: Proposal, *, whole: bool) -> Decision:
        """Ask every limit; each sees what the ones before have left."""
        who, where, ledger = proposal.strategy_id, proposal.instrument_id, self.ledger
        rules, limit, line = self.lots[where], "", ""
        checks, counting = self._asked.get((who, where)) or self._limits_of(who, where)
        for check in checks:
            verdict = check(proposal, ledger)
            if verdict is PASS or verdict.allowed >= proposal.quantity:
                continue
            limit, line = checks[check].name, verdict.line
            allowed = ZERO if whole else max(floor_to_lot(verdict.allowed, rules.lot), ZERO)
            proposal = replace(proposal, quantity=allowed)
            if not allowed:
                break
        ts, quantity = proposal.ts, proposal.quantity
        if quantity and (why := rules.too_small(quantity, proposal.price)):
            line = f"{why} ({line})" if line else why
            limit, quantity = limit or "lot", ZERO
        if quantity and not self._weighing:
            for rule in counting:
                rule.sent(proposal)
            # Before the order is journalled: what is not counted would be allowed again.
            if why := self.memory.write(ts, self.memory.at_order):
                limit, line, quantity = MEMORY, why, ZERO
        return Decision(ts, who, where, quantity, False, limit, line, False, limit == MEMORY)

    def _limits_of(self, strategy_id: str, instrument_id: str) -> _Asked:
        """Return the limits whose scope an order lies in, and which of them count orders."""
        key = (strategy_id, instrument_id)
        limits = [one for one in self.limits if one.scope.covers(*key)]
        counting = [one for one in limits if one.counts]
        every: list[Limit | SpotCash] = [*limits]
        if self.lots[instrument_id].long_only:
            every.append(SpotCash(self.lots))
        asked = self._asked[key] = {one.check: one for one in every}, counting
        return asked

    def note(self, decision: Decision) -> None:
        """Count what was not wished in the past or for a try; keep the first ones, to be read."""
        if decision.limit == WARM_UP or self._weighing:
            return
        acted = self.shrunk_by if decision.allowed else self.refused_by
        acted[decision.limit] += 1
        self.refused += not decision.allowed
        if len(self.refusals) < _REFUSALS_KEPT:
            self.refusals.append(decision)

    def _refuse(
        self, strategy_id: str, instrument_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        return Decision(ts, strategy_id, instrument_id, ZERO, False, limit, line)
