"""What would have happened under other limits: the recorded run beside another course of it.

Two courses hear the same bars, fills and answers. One has the run's own limits, and must decide as
the run did. The other has other limits: what its guard refuses or shrinks does not fill, or fills
in part, and all that follows sees what is then held. Exits shrink with what there is to close.

What the strategies wished stays as it was, and so do the prices of all fills. So it tells what the
orders that were sent would have come to; not what else would have been wished, nor how a smaller
order had moved the market. An order that the run refused has no fills to go by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    Fill,
    FundingRate,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Prediction,
)
from aitb_nautilus.risk.again import Difference, decide_again, was_judged_first
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.branch import Branch
from aitb_nautilus.risk.decision import Decision, LotRules
from aitb_nautilus.risk.journal_records import Decided
from aitb_nautilus.risk.limit_rule import MINUTE_NS
from aitb_nautilus.risk.recorded import Change, Step, Wish
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.trips import Affected, Trips
from aitb_nautilus.risk.wishes import closable, floor_to_lot

__all__ = ["WhatIf"]

_HOUR_NS = 60 * MINUTE_NS


class WhatIf:
    """Follow a recorded run with its own limits, and beside it with others.

    Parameters
    ----------
    own, other
        The two courses, both at their beginning.
    lots
        Rounding rules by instrument id.
    close_cost
        Of closing at the market: slippage and fee by instrument id, as fractions of the price.

    Attributes
    ----------
    decisions, openings
        Decisions that were taken again, and those of them that were on opening orders.
    differences
        What the own limits decided otherwise than the run; must be empty.
    affected
        On what the other limits decide otherwise.
    closed_early
        Positions that the other limits' ladder closed, at the close of a bar.
    trips
        What it cost or saved.
    """

    def __init__(
        self,
        own: Branch,
        other: Branch,
        lots: Mapping[str, LotRules],
        close_cost: Callable[[str], tuple[float, float]],
    ) -> None:
        self.own = own
        self.other = other
        self._lots = lots
        self._close_cost = close_cost
        self.decisions = self.openings = 0
        self.differences: list[Difference] = []
        self.affected: list[Affected] = []
        self.closed_early = 0
        self.trips = Trips(own, other)
        self._shares: dict[str, tuple[Decimal, Decimal]] = {}
        self._filled: dict[str, tuple[Decimal, Decimal]] = {}
        self._hour = 0

    # Facts of the market

    def hear_bar(self, bar: BarClosed, *, past: bool = False) -> None:
        """Take a bar, perhaps of the past that warmed the run up."""
        own, other = self.own, self.other
        if bar.ts // _HOUR_NS != self._hour and not past:
            self._hour = bar.ts // _HOUR_NS
            own.look_back()
            other.look_back()
        halts = len(other.guard.halts)
        own.hear_bar(bar, past=past)
        other.hear_bar(bar, past=past)
        if len(other.guard.halts) > halts and not self._is_closed(own):
            self._close_all(bar.ts)

    def hear_rate(self, rate: FundingRate) -> None:
        """Take a funding rate that will be settled."""
        self.own.hear_rate(rate)
        self.other.hear_rate(rate)

    def hear_prediction(self, prediction: Prediction) -> None:
        """Take a prediction."""
        self.own.hear_prediction(prediction)
        self.other.hear_prediction(prediction)

    def expect_predictions(self, strategy_id: str, listens: Sequence[tuple[str, str]]) -> None:
        """Take what a strategy listens to."""
        self.own.guard.hearing.expect(strategy_id, listens)
        self.other.guard.hearing.expect(strategy_id, listens)

    # Facts of the journal

    def take(self, step: Step) -> None:
        """Take a step of the run."""
        match step:
            case Wish():
                self._wish(step)
            case Fill():
                self._fill(step)
            case OrderUpdate():
                quantity = step.quantity and self._scaled(step.client_order_id, step.quantity)
                self.own.update(step, step.quantity)
                self.other.update(step, quantity)
            case Change():
                quantity = step.quantity and self._scaled(step.client_order_id, step.quantity)
                self.own.change(step, step.quantity)
                self.other.change(step, quantity)
            case Halt():
                self._halt(step)
            case _:
                for branch in (self.own, self.other):
                    branch.take(step)

    def end(self) -> None:
        """Share out what is still held."""
        self.trips.end_all()
        self.own.look_back()
        self.other.look_back()

    def _halt(self, halt: Halt) -> None:
        """Halt both courses, unless it was the own limits that halted the run."""
        if any((h.ts, h.reason) == (halt.ts, halt.reason) for h in self.own.guard.halts):
            return
        self.own.guard.restrict(halt)
        self.other.guard.restrict(halt)

    def _is_closed(self, branch: Branch) -> bool:
        """Return whether a limit has closed all that the trader holds."""
        return any(h.by_limit and h.flatten for h in branch.guard.states.in_force)

    # Wishes

    def _wish(self, wish: Wish) -> None:
        self.decisions += 1
        recorded = wish.decided
        self.openings += not recorded.reducing
        difference = decide_again(self.own, wish)
        if difference is not None:
            self.differences.append(difference)
        if isinstance(wish.intent, ModifyIntent):
            self._change_in_other(wish, wish.intent)
            return
        if recorded.reducing:
            self._exit_in_other(wish, wish.intent)
        elif was_judged_first(wish):
            self.other.judge(wish, wish.intent)
        elif not recorded.outside:
            self._entry_in_other(wish, wish.intent)
        if recorded.outcome != "refused" and wish.client_order_id:
            sent = recorded.quantity if wish.sent is None else wish.sent.quantity
            self.own.send(wish, wish.intent, sent or ZERO, is_exit=recorded.reducing)

    def _entry_in_other(self, wish: Wish, intent: OrderIntent) -> None:
        """Let the other limits decide on an opening order, as far as the run sent it."""
        recorded, wanted = wish.decided, intent.quantity or ZERO
        here, there = self._held(wish)
        ledger, key = self.own.ledger, (wish.strategy_id, wish.instrument_id)
        recorded_part = closable(ledger, *key, intent.side)

        def smaller(quantity: Decimal) -> tuple[Decimal, Decimal]:
            """Return a quantity with less to close, and what of it closes."""
            closes = min(quantity, recorded_part)
            if here == there:
                return quantity, closes
            closing = closes * there / here if here else ZERO
            return self._floor(wish.instrument_id, quantity - closes + closing), closing

        intent = replace(intent, quantity=smaller(wanted)[0])
        if recorded.outcome == "refused":
            with self.other.guard.weighing():
                decision = self.other.judge(wish, intent)
            if decision.allowed:
                self._note(wish, intent, "passes", decision)
            return
        decision = self.other.judge(wish, intent)
        was, closes = smaller(recorded.quantity)
        would = min(decision.quantity, was)
        if would < was:
            self._note(wish, intent, "shrunk" if would else "refused", decision, would)
        elif decision.quantity > was and recorded.outcome == "shrunk":
            self._note(wish, intent, "larger", decision)
        if not wish.client_order_id:
            return
        if would < was:
            sent = recorded.quantity
            opens = sent - min(sent, recorded_part)
            self._shares[wish.client_order_id] = max(would - closes, ZERO), opens
        if would:
            self.other.send(wish, intent, would, is_exit=decision.reducing)

    def _exit_in_other(self, wish: Wish, intent: OrderIntent) -> None:
        """Send an exit as large as what is held there is to what was held."""
        if not wish.client_order_id:
            return
        here, there = self._held(wish)
        quantity = wish.decided.quantity
        if here != there:
            quantity = self._floor(wish.instrument_id, quantity * there / here) if here else ZERO
        elif not here and self._is_opening(self.own, wish) > self._is_opening(self.other, wish):
            return  # It was to close what an order opens that does not exist there.
        if quantity:
            self.other.send(wish, intent, quantity, is_exit=True)

    def _change_in_other(self, wish: Wish, intent: ModifyIntent) -> None:
        """Let the other limits decide on a change; a refused one ends the order there."""
        recorded, other = wish.decided, self.other
        order = other.ledger.orders.get(wish.client_order_id)
        if order is None or not order.is_open:
            return
        if intent.quantity is not None:
            intent = replace(intent, quantity=self._scaled(wish.client_order_id, intent.quantity))
        if recorded.outcome == "refused" and not recorded.outside:
            with other.guard.weighing():
                decision = other.judge(wish, intent)
            if decision.allowed:
                self._note(wish, intent, "passes", decision)
            return
        decision = other.judge(wish, intent)
        if not (decision.allowed or recorded.outside):
            self._note(wish, intent, "refused", decision, ZERO)
            self._drop(wish.client_order_id, wish.ts)

    def _note(
        self,
        wish: Wish,
        intent: OrderIntent | ModifyIntent,
        outcome: Literal["refused", "shrunk", "passes", "larger"],
        decision: Decision,
        would: Decimal | None = None,
    ) -> None:
        recorded = wish.decided
        more = outcome in ("passes", "larger")
        said: Decided | Decision = recorded if more else decision
        quantity = decision.quantity if would is None else would
        order = self.own.ledger.orders.get(wish.client_order_id)
        side = intent.side if isinstance(intent, OrderIntent) else order.side if order else None
        mark = self.own.ledger.marks.get(wish.instrument_id, 0.0)
        self.affected.append(
            Affected(
                wish.seq,
                wish.ts,
                wish.strategy_id,
                wish.instrument_id,
                wish.client_order_id,
                "modify" if isinstance(intent, ModifyIntent) else "submit",
                side,
                outcome,
                recorded.quantity,
                quantity,
                said.limit,
                said.line,
                float(abs(recorded.quantity - quantity)) * mark,
            )
        )

    # Fills

    def _fill(self, fill: Fill) -> None:
        own, other, id_ = self.own, self.other, fill.client_order_id
        key = fill.strategy_id, fill.instrument_id
        here, there = own.held(*key), other.held(*key)
        against = here != 0 and (here > 0) != (fill.side == "BUY")
        closes = min(fill.quantity, abs(here)) if against else ZERO
        opens = fill.quantity - closes
        opened = self._opened(fill, opens)
        own.hear_fill(fill)
        if here == there:
            quantity = closes + opened
        else:
            left = abs(there) * (abs(here) - closes) / abs(here) if here else ZERO
            quantity = abs(there) - self._floor(fill.instrument_id, left) + opened
        if quantity == fill.quantity:
            other.hear_fill(fill)
        elif quantity:
            fee = fill.fee * float(quantity / fill.quantity)
            kept = fill.base_fee * quantity / fill.quantity
            other.hear_fill(replace(fill, quantity=quantity, fee=fee, base_fee=kept))
        order = own.ledger.orders.get(id_)
        if order is not None and not order.is_open:
            other.end(id_, fill.ts)
        if closes and closes == abs(here):
            self.trips.end(key, fill.fee * float((opens - opened) / fill.quantity))
        if opened < opens:
            self.trips.keep_out(key, id_, float(opens - opened) * fill.price)

    def _opened(self, fill: Fill, opens: Decimal) -> Decimal:
        """Return what a fill opens in the other course: the order's share, in whole lots."""
        id_ = fill.client_order_id
        if id_ not in self._shares or not opens:
            return opens
        kept, of = self._shares[id_]
        here, there = self._filled.get(id_, (ZERO, ZERO))
        here += opens
        after = self._floor(fill.instrument_id, here * kept / of) if of else ZERO
        self._filled[id_] = here, after
        return after - there

    def _drop(self, client_order_id: str, ts: int) -> None:
        """End an order in the other course; nothing more of it fills there."""
        self._shares[client_order_id] = ZERO, ZERO
        self._filled[client_order_id] = ZERO, ZERO
        self.other.end(client_order_id, ts)

    def _close_all(self, ts: int) -> None:
        """Close everything in the other course, at the last price less what that costs."""
        ledger = self.other.ledger
        for instrument_id in list(ledger.marks):
            for order in list(ledger.open_orders(instrument_id)):
                if not order.is_exit:
                    self._drop(order.client_order_id, ts)
        for (strategy_id, instrument_id), position in list(ledger.positions.items()):
            if not position.quantity:
                continue
            self.closed_early += 1
            is_long = position.quantity > 0
            slippage, fee = self._close_cost(instrument_id)
            price = ledger.marks[instrument_id] * (1 - slippage if is_long else 1 + slippage)
            quantity = abs(position.quantity)
            self.other.hear_fill(
                Fill(
                    strategy_id,
                    instrument_id,
                    "",
                    f"ladder-{self.closed_early}",
                    ts,
                    "SELL" if is_long else "BUY",
                    price,
                    quantity,
                    fee * price * float(quantity),
                    "TAKER",
                )
            )

    # What both courses hold

    def _held(self, wish: Wish) -> tuple[Decimal, Decimal]:
        key = wish.strategy_id, wish.instrument_id
        return self.own.held(*key), self.other.held(*key)

    def _is_opening(self, branch: Branch, wish: Wish) -> bool:
        """Return whether an order that opens is on its way, or rests, in a course."""
        return any(
            order.strategy_id == wish.strategy_id and not order.is_exit
            for order in branch.ledger.open_orders(wish.instrument_id)
        )

    def _scaled(self, client_order_id: str, quantity: Decimal) -> Decimal:
        """Return an order's new quantity as large as the order is there to what it was."""
        here = self.own.ledger.orders.get(client_order_id)
        there = self.other.ledger.orders.get(client_order_id)
        if here is None or there is None or here.quantity == there.quantity:
            return quantity
        part = quantity * there.quantity / here.quantity
        return self._floor(there.instrument_id, part)

    def _floor(self, instrument_id: str, quantity: Decimal) -> Decimal:
        return floor_to_lot(quantity, self._lots[instrument_id].lot)
