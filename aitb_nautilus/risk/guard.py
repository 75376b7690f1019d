"""The guard: every order passes it, and each one that the engine makes is checked.

The guard decides on an intent before an order exists (`judge`), and its `permits` remember what it
allowed. When the engine then reports a new order, it is compared with the permits: an order without
one came around the guard, and halts trading at that order.

Exits that reduce risk always pass, in every trading state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, Decimal

from msgspec.structs import replace

from aitb_nautilus.messages import BarClosed, Fill, ModifyIntent, OrderIntent
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.decision import Decision, Halt, LotRules, TradingState
from aitb_nautilus.risk.hearing import Hearing
from aitb_nautilus.risk.holdings import Looks, dearest
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import PASS, Limit, Proposal, Verdict
from aitb_nautilus.risk.permits import Permits
from aitb_nautilus.risk.warming import WARM_UP

__all__ = ["Decision", "Guard", "Halt", "LotRules", "TradingState"]

type _Asked = tuple[list[tuple[Limit, Callable[[Proposal, Ledger], Verdict]]], list[Limit]]

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
    state
        ``active``: all may be sent; else only what reduces risk.
    halts
        Why trading stopped, the first reason first.
    refused
        Wishes that were refused.
    refusals
        The first decisions that refused or shrank a wish.
    permits
        What may be sent.
    hearing
        Tells the limits of quotes, references and predictions; bars and fills come through here.
    flattening
        Whether every strategy must close what it holds.
    tell_halt
        Is told of each halt.
    clock
        The node's clock, ns UTC, which tells how old a fact is that is answered; None: a fact is
        answered at its own time.
    withheld
        Why nothing may be opened for a while, by the name that a refusal gets. Not a halt: it ends
        by itself.
    """

    def __init__(
        self, ledger: Ledger, limits: Sequence[Limit], lots: Mapping[str, LotRules]
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self.lots = lots
        self.state: TradingState = "active"
        self.halts: list[Halt] = []
        self.refused = 0
        self.refusals: list[Decision] = []
        self.permits = Permits(ledger)
        self.flattening = False
        self._looks = Looks(ledger)
        self.hearing = Hearing(limits, ledger, self._looks)
        self._asked: dict[tuple[str, str], _Asked] = {}
        self.tell_halt: Callable[[Halt], None] | None = None
        self.clock: Callable[[], int] | None = None
        self.withheld: dict[str, str] = {}

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
        decision = self._judge(intent, strategy_id, ts)
        if not decision.allowed or decision.line:
            self._record(decision)
        return decision

    def judge_whole(self, intent: OrderIntent, strategy_id: str, ts: int) -> Decision:
        """Decide on one order that cannot be shrunk: it passes as it is, or not at all."""
        decision = replace(self._judge(intent, strategy_id, ts, whole=True), whole=True)
        if not decision.allowed:
            self._record(decision)
        return decision

    def refuse(
        self, instrument_id: str, strategy_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        """Refuse a wish for a reason that lies outside the limits, and record it."""
        refusal = self._refuse(strategy_id, instrument_id, ts, limit, line)
        decision = replace(refusal, outside=True)
        self._record(decision)
        return decision

    def judge_modify(self, intent: ModifyIntent, order: Order, ts: int) -> Decision:
        """Decide on a change of a resting order.

        A change that makes the order larger, or moves its price, is judged as the changed order
        would be if it were new; the order as it is does not count against the limits meanwhile. It
        passes whole or not at all, and a quantity is put onto whole lots, downwards.
        """
        decision = self._judge_modify(intent, order, ts)
        if not decision.allowed:
            self._record(decision)
        return decision

    def halt(self, reason: str, ts: int, strategy_id: str = "", client_order_id: str = "") -> Halt:
        """Stop all opening orders until a person lifts it. The first reason stays on top."""
        return self._halt(Halt(ts, reason, strategy_id, client_order_id))

    def hear_bar(self, bar: BarClosed) -> None:
        """Let limits take note of a bar that the ledger holds already; halt if one asks for it."""
        if not self.hearing.wants_bars:
            return
        why = self.hearing.bar(bar)
        if why and not self.flattening:
            self.flattening = True
            self._halt(Halt(bar.ts, why, by_limit=True))

    def hear_fill(self, fill: Fill) -> None:
        """Let limits take note of a fill that the ledger holds already."""
        if self.hearing.wants_fills:
            self.hearing.fill(fill)

    def _halt(self, halt: Halt) -> Halt:
        self.state = "halted"
        self.halts.append(halt)
        if self.tell_halt is not None:
            self.tell_halt(halt)
        return halt

    def _judge_modify(self, intent: ModifyIntent, order: Order, ts: int) -> Decision:
        strategy_id, instrument_id = order.strategy_id, order.instrument_id
        wanted = order.quantity if intent.quantity is None else intent.quantity
        problem = self._malformed(instrument_id, wanted, intent.price, intent.trigger_price)
        if problem:
            return self._refuse(strategy_id, instrument_id, ts, "order", problem)
        quantity = _floor(wanted, self.lots[instrument_id].lot)
        moved = intent.price is not None or intent.trigger_price is not None
        enlarged = quantity > order.quantity
        if quantity > 0 and (order.reduce_only or not (moved or enlarged)):
            return Decision(ts, strategy_id, instrument_id, quantity, order.reduce_only)
        price = order.price if intent.price is None else intent.price
        trigger = order.trigger_price if intent.trigger_price is None else intent.trigger_price
        changed = OrderIntent(
            instrument_id=instrument_id,
            side=order.side,
            kind=order.kind,
            quantity=quantity - order.filled,
            price=price,
            trigger_price=trigger,
            purpose=order.purpose,
        )
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
        problem = self._malformed(instrument_id, wanted, intent.price, intent.trigger_price)
        if wanted is None or problem:
            return self._refuse(strategy_id, instrument_id, ts, "order", problem)
        lot = self.lots[instrument_id].lot
        quantity = _floor(wanted, lot)
        if quantity <= 0 or (whole and quantity != wanted):
            line = f"{wanted} is no whole number of lots of {lot}"
            return self._refuse(strategy_id, instrument_id, ts, "lot", line)
        if self._is_reducing(intent, quantity, strategy_id, replaces):
            return Decision(ts, strategy_id, instrument_id, quantity, reducing=True)
        limit, line = self._objection(intent, strategy_id)
        if line:
            return self._refuse(strategy_id, instrument_id, ts, limit, line)
        mark = self.ledger.marks[instrument_id]
        quotes = [p for p in (intent.price, intent.trigger_price) if p is not None]
        proposal = Proposal(
            strategy_id,
            instrument_id,
            intent.side,
            quantity,
            dearest(intent.side, intent.price, intent.trigger_price, mark),
            max(quotes, key=lambda p: abs(p - mark), default=None),
            mark,
            ts,
            replaces,
            self._looks,
            None if self.clock is None else self.clock(),
            self.hearing.quotes.get(instrument_id),
        )
        return self._through_limits(proposal, whole=whole)

    def _objection(self, intent: OrderIntent, strategy_id: str) -> tuple[str, str]:
        """Return what forbids any opening order of this kind now, and why; empty if nothing."""
        if self.state != "active":
            why = self.halts[0].reason if self.halts else "set by a command"
            return "state", f"trading is {self.state}: {why}"
        for name, line in self.withheld.items():
            return name, line
        if self.lots[intent.instrument_id].long_only and intent.side == "SELL":
            held = self.ledger.position(strategy_id, intent.instrument_id).quantity
            return "spot", f"{held} is held, and a spot market has no short sale; trade a perpetual"
        if intent.instrument_id not in self.ledger.marks:
            return "price", "no price was seen yet; wait for a bar"
        return "", ""

    def _through_limits(self, proposal: Proposal, *, whole: bool) -> Decision:
        """Ask every limit; each sees what the ones before have left."""
        rules = self.lots[proposal.instrument_id]
        limit, line = "", ""
        checks, counting = self._limits_of(proposal.strategy_id, proposal.instrument_id)
        ledger = self.ledger
        for rule, check in checks:
            verdict = check(proposal, ledger)
            if verdict is PASS or verdict.allowed >= proposal.quantity:
                continue
            limit, line = rule.name, verdict.line
            allowed = ZERO if whole else _floor(verdict.allowed, rules.lot)
            proposal = replace(proposal, quantity=allowed)
            if allowed <= 0:
                break
        quantity = proposal.quantity
        value = float(quantity) * proposal.price
        if quantity > 0 and (quantity < rules.min_quantity or value < rules.min_notional):
            smallest = f"the venue takes {rules.min_quantity} and {rules.min_notional:g} in value"
            shrunk = f" ({line})" if line else ""
            line = f"{quantity} at {proposal.price:g} is too small, {smallest}{shrunk}"
            limit, quantity = limit or "lot", ZERO
        if quantity > 0:
            for rule in counting:
                rule.sent(proposal)
        return Decision(
            proposal.ts, proposal.strategy_id, proposal.instrument_id, quantity, False, limit, line
        )

    def _limits_of(self, strategy_id: str, instrument_id: str) -> _Asked:
        """Return the limits whose scope an order lies in, and which of them count orders."""
        key = (strategy_id, instrument_id)
        asked = self._asked.get(key)
        if asked is None:
            limits = [one for one in self.limits if one.scope.covers(*key)]
            asked = [(one, one.check) for one in limits], [one for one in limits if one.counts]
            self._asked[key] = asked
        return asked

    def _malformed(
        self,
        instrument_id: str,
        quantity: Decimal | None,
        price: float | None,
        trigger_price: float | None,
    ) -> str:
        if instrument_id not in self.lots:
            return f"{instrument_id} is not an instrument of this run"
        if quantity is None or not quantity.is_finite() or quantity <= 0:
            return f"quantity was {quantity}, must be above zero"
        for name, value in (("price", price), ("trigger_price", trigger_price)):
            if value is not None and not (math.isfinite(value) and value > 0):
                return f"{name} was {value}, must be a finite number above zero"
        return ""

    def _is_reducing(
        self, intent: OrderIntent, quantity: Decimal, strategy_id: str, replaces: Order | None
    ) -> bool:
        """Return whether an order reduces what the strategy holds, after the orders before it.

        Resting reduce-only orders do not count: they die with the position.
        """
        if intent.reduce_only:
            return True
        held = self.ledger.position(strategy_id, intent.instrument_id).quantity
        if held == 0 or (held > 0) == (intent.side == "BUY"):
            return False
        pending = sum(
            (
                o.most_leaves
                for o in self.ledger.open_orders(intent.instrument_id)
                if o.strategy_id == strategy_id
                and o.side == intent.side
                and o is not replaces
                and (o.kind == "MARKET" or not o.reduce_only)
            ),
            ZERO,
        )
        return quantity + pending <= abs(held)

    def _record(self, decision: Decision) -> None:
        """Count a refusal; keep the first ones, refused or shrunk, to be read.

        What is wished while the past is told was never wished in earnest.
        """
        if decision.limit == WARM_UP:
            return
        self.refused += not decision.allowed
        if len(self.refusals) < _REFUSALS_KEPT:
            self.refusals.append(decision)

    def _refuse(
        self, strategy_id: str, instrument_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        return Decision(ts, strategy_id, instrument_id, ZERO, False, limit, line)


def _floor(quantity: Decimal, lot: Decimal) -> Decimal:
    """Round a quantity down to whole lots."""
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot
