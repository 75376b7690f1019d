"""The guard: every order passes it, and each one that the engine makes is checked.

The guard decides on an intent before an order exists (`judge`), and its `permits` remember what it
allowed. When the engine then reports a new order, it is compared with the permits: an order without
one came around the guard, and halts trading at that order.

Exits that reduce risk always pass, in every trading state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Literal

import msgspec
from msgspec.structs import replace

from aitb_nautilus.messages import ModifyIntent, OrderIntent
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import Limit, Proposal
from aitb_nautilus.risk.permits import Permits

__all__ = ["Decision", "Guard", "Halt", "LotRules", "TradingState"]

TradingState = Literal["active", "reducing", "halted"]


class LotRules(msgspec.Struct, frozen=True):
    """How an instrument rounds and what it accepts.

    Attributes
    ----------
    lot
        Step of quantities, base currency.
    min_quantity
        Smallest quantity of an order, base currency.
    min_notional
        Smallest value of an opening order, quote currency.
    """

    lot: Decimal
    min_quantity: Decimal = ZERO
    min_notional: float = 0.0


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the guard decided on one wish.

    Attributes
    ----------
    quantity
        Quantity that may be sent; 0 if the wish is refused.
    reducing
        Whether the order can only reduce the position.
    limit
        Name of the limit that shrank or refused it, else empty.
    line
        Why, in one line; empty if it passed untouched.
    """

    ts: int
    strategy_id: str
    instrument_id: str
    quantity: Decimal
    reducing: bool = False
    limit: str = ""
    line: str = ""

    @property
    def allowed(self) -> bool:
        """Return whether anything may be sent."""
        return self.quantity > 0


class Halt(msgspec.Struct, frozen=True):
    """A latched halt: why trading stopped, and at which order."""

    ts: int
    reason: str
    strategy_id: str = ""
    client_order_id: str = ""


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
    """

    def __init__(
        self, ledger: Ledger, limits: Sequence[Limit], lots: Mapping[str, LotRules]
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self.lots = lots
        self.state: TradingState = "active"
        self.halts: list[Halt] = []
        self.refusals: list[Decision] = []
        self.permits = Permits(ledger)

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
            self.refusals.append(decision)
        return decision

    def refuse(
        self, intent: OrderIntent, strategy_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        """Refuse an order for a reason that lies outside the limits, and record it."""
        decision = self._refuse(strategy_id, intent.instrument_id, ts, limit, line)
        self.refusals.append(decision)
        return decision

    def judge_modify(self, intent: ModifyIntent, order: Order, ts: int) -> Decision:
        """Decide on a change of a resting order.

        A change that makes the order larger, or moves its price, is judged as a new order of the
        larger quantity would be; the order itself does not count against the limits meanwhile.
        """
        quantity = intent.quantity if intent.quantity is not None else order.leaves + order.filled
        reducing = order.reduce_only
        problem = self._malformed(order.instrument_id, quantity, intent.price, intent.trigger_price)
        if problem:
            decision = self._refuse(order.strategy_id, order.instrument_id, ts, "order", problem)
        elif reducing or (
            intent.price is None and intent.trigger_price is None and quantity <= order.quantity
        ):
            decision = Decision(ts, order.strategy_id, order.instrument_id, quantity, reducing)
        else:
            proposal_intent = OrderIntent(
                instrument_id=order.instrument_id,
                side=order.side,
                kind=order.kind,
                quantity=max(quantity - order.quantity, self.lots[order.instrument_id].lot),
                price=intent.price if intent.price is not None else order.price,
                trigger_price=(
                    intent.trigger_price
                    if intent.trigger_price is not None
                    else order.trigger_price
                ),
                purpose=order.purpose,
            )
            verdict = self._judge(proposal_intent, order.strategy_id, ts)
            if not verdict.allowed or verdict.line:
                decision = self._refuse(
                    order.strategy_id, order.instrument_id, ts, verdict.limit, verdict.line
                )
            else:
                decision = Decision(ts, order.strategy_id, order.instrument_id, quantity)
        if not decision.allowed:
            self.refusals.append(decision)
        return decision

    def halt(self, reason: str, ts: int, strategy_id: str = "", client_order_id: str = "") -> Halt:
        """Stop all opening orders until a person lifts it. The first reason stays on top."""
        halt = Halt(ts, reason, strategy_id, client_order_id)
        self.state = "halted"
        self.halts.append(halt)
        return halt

    def _judge(self, intent: OrderIntent, strategy_id: str, ts: int) -> Decision:
        instrument_id, quantity = intent.instrument_id, intent.quantity
        problem = self._malformed(instrument_id, quantity, intent.price, intent.trigger_price)
        if quantity is None or problem:
            return self._refuse(strategy_id, instrument_id, ts, "order", problem)
        quantity = _floor(quantity, self.lots[instrument_id].lot)
        if quantity <= 0:
            line = f"less than one lot of {self.lots[instrument_id].lot}"
            return self._refuse(strategy_id, instrument_id, ts, "lot", line)
        if self._is_reducing(intent, quantity, strategy_id):
            return Decision(ts, strategy_id, instrument_id, quantity, reducing=True)
        if self.state != "active":
            why = self.halts[0].reason if self.halts else "set by a command"
            line = f"trading is {self.state}: {why}"
            return self._refuse(strategy_id, instrument_id, ts, "state", line)
        mark = self.ledger.marks.get(instrument_id)
        if mark is None:
            line = "no price was seen yet; wait for a bar"
            return self._refuse(strategy_id, instrument_id, ts, "price", line)
        quoted = intent.price if intent.price is not None else intent.trigger_price
        price = mark if quoted is None else quoted
        return self._through_limits(
            Proposal(strategy_id, instrument_id, intent.side, quantity, price, quoted, mark, ts)
        )

    def _through_limits(self, proposal: Proposal) -> Decision:
        """Ask every limit; each sees what the ones before have left."""
        rules = self.lots[proposal.instrument_id]
        limit, line = "", ""
        for rule in self.limits:
            verdict = rule.check(proposal, self.ledger)
            if verdict.line:
                limit, line = rule.name, verdict.line
            if verdict.allowed < proposal.quantity:
                proposal = replace(proposal, quantity=_floor(verdict.allowed, rules.lot))
            if proposal.quantity <= 0:
                break
        quantity = proposal.quantity
        value = float(quantity) * proposal.price
        if quantity > 0 and (quantity < rules.min_quantity or value < rules.min_notional):
            smallest = f"the venue takes {rules.min_quantity} and {rules.min_notional:g} in value"
            shrunk = f" ({line})" if line else ""
            line = f"{quantity} at {proposal.price:g} is too small, {smallest}{shrunk}"
            limit, quantity = limit or "lot", ZERO
        if quantity > 0:
            for rule in self.limits:
                rule.sent(proposal)
        return Decision(
            proposal.ts, proposal.strategy_id, proposal.instrument_id, quantity, False, limit, line
        )

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

    def _is_reducing(self, intent: OrderIntent, quantity: Decimal, strategy_id: str) -> bool:
        """Return whether an order cannot open or increase a position."""
        if intent.reduce_only:
            return True
        held = self.ledger.position(strategy_id, intent.instrument_id).quantity
        if held == 0 or (held > 0) == (intent.side == "BUY"):
            return False
        pending = sum(
            (
                o.leaves
                for o in self.ledger.open_orders(intent.instrument_id)
                if o.strategy_id == strategy_id and o.side == intent.side
            ),
            ZERO,
        )
        return quantity + pending <= abs(held)

    def _refuse(
        self, strategy_id: str, instrument_id: str, ts: int, limit: str, line: str
    ) -> Decision:
        return Decision(ts, strategy_id, instrument_id, ZERO, False, limit, line)


def _floor(quantity: Decimal, lot: Decimal) -> Decimal:
    """Round a quantity down to whole lots."""
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot
