"""A trader's ledger and guard, rebuilt from recorded facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    Fill,
    FundingRate,
    ModifyIntent,
    OrderIntent,
    OrderUpdate,
    Prediction,
    Quote,
)
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.decision import Decision, LotRules
from aitb_nautilus.risk.dust import GivenUp
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal_carried import Account, Carried, begin_with
from aitb_nautilus.risk.journal_rebuild import unknown_update
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.limit_rule import Limit
from aitb_nautilus.risk.recorded import Adopted, Change, Lost, Wish, Withdrawal
from aitb_nautilus.risk.trading_states import Resume

__all__ = ["Branch"]


class Branch:
    """One course of events: what is held, what was sent, and a guard with its limits.

    Parameters
    ----------
    starting_equity
        In the trader's currency.
    limits, lots
        As `Guard` takes them.

    Attributes
    ----------
    ledger, guard
        Of this course.
    drawdown
        The deepest fall of equity below its peak, when `look_back` was called, as a fraction.
    """

    def __init__(
        self, starting_equity: float, limits: Sequence[Limit], lots: Mapping[str, LotRules]
    ) -> None:
        self.ledger = Ledger(starting_equity, lots)
        self.guard = Guard(self.ledger, limits, lots)
        self.drawdown = 0.0
        self._peak = starting_equity
        self._clock = 0
        self.guard.clock = lambda: self._clock

    def go_on(self, account: str, remembered: Sequence[tuple[str, str, str, str]]) -> None:
        """Let limits begin with what they remembered when the run began; see `Opened`."""
        memory = self.guard.memory
        memory.account = account
        memory.bring_back([MemoryRow(*one, 0) for one in remembered])
        memory.begin()

    def take(
        self, step: Carried | Account | Adopted | Lost | Withdrawal | GivenUp | Resume
    ) -> None:
        """Take a step that is the same in every course."""
        match step:
            case Carried() | Account():
                begin_with(step, self.ledger)
            case Adopted():
                self._adopt(step)
            case Lost():
                self._lose(step)
            case Withdrawal(client_order_id=name):
                if name in self.ledger.orders:
                    self.ledger.withdraw_order(name)
            case GivenUp():
                self.ledger.give_up(step.strategy_id, step.instrument_id, step.ts, step.why)
            case Resume():
                self.guard.resume(step)

    def _adopt(self, adopted: Adopted) -> None:
        sent = adopted.sent
        self.ledger.apply_order(
            Order(
                client_order_id=adopted.client_order_id,
                strategy_id=adopted.strategy_id,
                instrument_id=adopted.instrument_id,
                side=sent.side or "BUY",
                kind=sent.order_kind or "MARKET",
                quantity=sent.quantity or ZERO,
                price=sent.price,
                trigger_price=sent.trigger_price,
                reduce_only=sent.reduce_only,
                purpose=sent.purpose,
                ts_sent=adopted.ts,
                is_exit=sent.reduce_only,
            )
        )

    def _lose(self, lost: Lost) -> None:
        order = self.ledger.orders.get(lost.client_order_id)
        if order is not None:
            self.ledger.apply_update(unknown_update(order, lost.ts, lost.reason))

    def hear_bar(self, bar: BarClosed, *, past: bool = False) -> None:
        """Take a bar, perhaps of the past that warmed the run up."""
        if past:
            self.ledger.hide()
        try:
            self.ledger.apply_bar(bar)
            self.guard.hear_bar(bar, past=past)
        finally:
            self.ledger.show()

    def hear_rate(self, rate: FundingRate) -> None:
        """Take a funding rate that will be settled."""
        self.ledger.apply_funding_rate(rate)

    def hear_prediction(self, prediction: Prediction) -> None:
        """Take a prediction."""
        self.guard.hearing.prediction(prediction)

    def hear_fill(self, fill: Fill) -> None:
        """Take a fill."""
        self.ledger.apply_fill(fill)
        self.guard.hear_fill(fill)

    def judge(self, wish: Wish, intent: OrderIntent | ModifyIntent) -> Decision:
        """Decide on a wish, in these words."""
        self._clock = wish.ts + wish.decided.late_ns
        if wish.decided.quote is not None:
            ts, *sides = wish.decided.quote
            self.guard.hearing.quote(Quote(wish.instrument_id, ts, *map(_number, sides)))
        for id_, ts, price in wish.decided.references:
            close = _number(price)
            self.guard.hearing.reference(BarClosed(id_, ts, close, close, close, close, 0.0))
        if isinstance(intent, ModifyIntent):
            order = self.ledger.orders[intent.client_order_id]
            return self.guard.judge_modify(intent, order, wish.ts)
        judge = self.guard.judge_whole if wish.decided.whole else self.guard.judge
        return judge(intent, wish.strategy_id, wish.ts)

    def send(self, wish: Wish, intent: OrderIntent, quantity: Decimal, *, is_exit: bool) -> None:
        """Note an order that leaves, with its recorded terms and a quantity."""
        terms = wish.sent
        self.ledger.apply_order(
            Order(
                client_order_id=wish.client_order_id,
                strategy_id=wish.strategy_id,
                instrument_id=wish.instrument_id,
                side=intent.side,
                kind=intent.kind,
                quantity=quantity,
                price=intent.price if terms is None else terms.price,
                trigger_price=intent.trigger_price if terms is None else terms.trigger_price,
                reduce_only=intent.reduce_only if terms is None else terms.reduce_only,
                purpose=intent.purpose,
                ts_sent=wish.ts,
                is_exit=is_exit,
            )
        )

    def change(self, change: Change, quantity: Decimal | None) -> None:
        """Note a change that leaves, with a quantity."""
        order = self.ledger.orders.get(change.client_order_id)
        if order is not None:
            terms = change.price, change.trigger_price, change.purpose
            self.ledger.ask_change(order, quantity, *terms)

    def update(self, update: OrderUpdate, quantity: Decimal | None) -> None:
        """Take what became of an order, with a quantity."""
        if quantity != update.quantity:
            update = replace(update, quantity=quantity)
        self.ledger.apply_update(update)

    def end(self, client_order_id: str, ts: int) -> None:
        """Take out an order that is open and will not be filled any more."""
        order = self.ledger.orders.get(client_order_id)
        if order is not None and order.is_open:
            self.ledger.apply_update(
                OrderUpdate(client_order_id, order.instrument_id, ts, "CANCELED")
            )

    def look_back(self) -> None:
        """Compare equity with its peak."""
        equity = self.ledger.equity()
        self._peak = max(self._peak, equity)
        if self._peak > 0:
            self.drawdown = max(self.drawdown, 1 - equity / self._peak)

    def held(self, strategy_id: str, instrument_id: str) -> Decimal:
        """Return what a strategy holds, signed, base currency."""
        position = self.ledger.positions.get((strategy_id, instrument_id))
        return ZERO if position is None else position.quantity

    def earned(self, strategy_id: str, instrument_id: str, *, with_open: bool) -> float:
        """Return what a strategy has earned in an instrument, net of costs.

        Parameters
        ----------
        with_open
            Whether what is held counts, at the last mark.
        """
        position = self.ledger.positions.get((strategy_id, instrument_id))
        if position is None:
            return 0.0
        total = position.closed
        if with_open and position.average_price:
            total += position.unrealized(self.ledger.marks[instrument_id])
        return total


def _number(written: float | None) -> float:
    """Return a number of the journal, which says none for what is not finite."""
    return math.nan if written is None else written
