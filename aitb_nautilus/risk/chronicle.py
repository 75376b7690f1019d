"""What guard and sender tell the journal, and what follows if it cannot be told.

A node gives the chronicle its journal once the run has a folder; before that, and where nobody
keeps one, nothing is written. If a record cannot be written, what opens a position is not sent;
what reduces one is sent all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from aitb_nautilus.messages import BarClosed, Fill, Intent, OrderUpdate
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.decision import Decision
from aitb_nautilus.risk.dust import GivenUp
from aitb_nautilus.risk.firewall import Unexplained
from aitb_nautilus.risk.firewall_file import Answer
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_file import JournalError
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Action,
    Body,
    Decided,
    Dusted,
    Filled,
    Found,
    Halted,
    Intended,
    Resumed,
    Sent,
    Settled,
    Verb,
)
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.trading_states import Halt, Resume, StateScope
from aitb_nautilus.risk.warming import WARM_UP

__all__ = ["Chronicle", "Pen"]

_CANCEL_WISHED = Intended(action="cancel")
_CANCEL_SENT = Sent(action="cancel")


class Pen(Protocol):
    """What a chronicle writes with: a `Journal`, or what compares with one; parameters as there."""

    def append(
        self,
        body: Body,
        ts: int,
        strategy_id: str,
        instrument_id: str,
        client_order_id: str,
        /,
        *,
        before: Body | None = None,
        ahead: bool = False,
    ) -> object:
        """Write a record, and with it all that were noted."""
        ...

    def settle(self) -> None:
        """Do what was left for later by those that were written ahead."""
        ...

    def note(
        self,
        body: Body,
        ts: int,
        strategy_id: str,
        instrument_id: str,
        client_order_id: str,
        /,
        *,
        before: Body | None = None,
    ) -> None:
        """Let a record wait for the next one that is written."""
        ...


class Chronicle:
    """Write down a trader's decisions.

    Parameters
    ----------
    ledger, guard
        Of the trader; what the guard saw is written beside what it decided.

    Attributes
    ----------
    journal
        Where to; None: nowhere.
    failures
        Writes that failed, the first one first.
    owes
        Whether something was written ahead: who hears that it was sent calls `settle`.
    """

    def __init__(self, ledger: Ledger, guard: Guard) -> None:
        self._ledger = ledger
        self._guard = guard
        self.journal: Pen | None = None
        self.failures: list[JournalError] = []
        self.owes = False
        guard.tell_halt = self.halted
        guard.tell_resume = self.resumed

    def decided(
        self,
        intent: Intent,
        decision: Decision,
        action: Action,
        wanted: Decimal | None,
        client_order_id: str = "",
        *,
        idle: bool = False,
    ) -> None:
        """Note a wish and what the guard made of it; both are written with what follows.

        Parameters
        ----------
        wanted
            Quantity, base currency.
        client_order_id
            Of the order that it became, or that it would change.
        idle
            Whether it changes nothing, so that nothing follows.
        """
        if self.journal is None or decision.limit == WARM_UP:
            return
        ledger, instrument_id = self._ledger, decision.instrument_id
        held = ledger.positions.get((decision.strategy_id, instrument_id))
        clock, hearing = self._guard.clock, self._guard.hearing
        quote = hearing.quotes.get(instrument_id)
        outcome = "refused"
        if decision.quantity > 0:
            outcome = "shrunk" if decision.limit else "allowed"
        self._note(
            # With more names than these Python makes a dictionary, at five times the cost.
            Decided(
                outcome,  # type: ignore[arg-type]  # one of the three
                action,
                wanted,
                decision.quantity,
                decision.reducing,
                decision.limit,
                decision.line,
                self._guard.states.level(decision.strategy_id, instrument_id),
                ledger.equity(),
                ledger.marks.get(instrument_id),
                position=ZERO if held is None else held.quantity,
                open_orders=ledger.open_order_count(),
                whole=decision.whole,
                outside=decision.outside,
                idle=idle,
                late_ns=0 if clock is None else clock() - decision.ts,
                quote=(
                    None
                    if quote is None
                    else (quote.ts, quote.bid, quote.ask, quote.bid_size, quote.ask_size)
                ),
                references=_said(hearing.references) if hearing.references else (),
                foretold=hearing.foretold,
                heard=ledger.heard,
            ),
            decision.ts,
            decision.strategy_id,
            instrument_id,
            client_order_id,
            before=Intended.of(intent),
        )

    def cancelling(self, order: Order, ts: int) -> None:
        """Write that a cancel is about to leave; nothing can hold it back."""
        who = order.strategy_id, order.instrument_id, order.client_order_id
        self._append(_CANCEL_SENT, ts, *who, before=_CANCEL_WISHED)

    def sent(self, leaving: Sequence[tuple[Order, Sent]], ts: int, *, ahead: bool = False) -> str:
        """Write that commands are about to leave together: all of them, or nothing.

        Parameters
        ----------
        ahead
            Whether what need not be done before they leave may be left for `settle`.

        Returns
        -------
        str
            Why that failed, or nothing.
        """
        for order, terms in leaving[:-1]:
            who = order.strategy_id, order.instrument_id, order.client_order_id
            self._note(terms, ts, *who)
        order, terms = leaving[-1]
        who = order.strategy_id, order.instrument_id, order.client_order_id
        why = self._append(terms, ts, *who, ahead=ahead)
        self.owes = self.owes or (ahead and not why)
        return why

    def settle(self) -> None:
        """Do what was left for later, once what waited for the rest of it has left."""
        self.owes = False
        if self.journal is None:
            return
        try:
            self.journal.settle()
        except Exception as e:
            self._failed(e)

    def not_sent(self, order: Order, why: str, ts: int) -> None:
        """Note that an order was taken back before it left, so that nobody looks for it."""
        heard = self._ledger.heard
        body = Acknowledged(answer="denied", reason=f"not sent: {why}", heard=heard)
        self._note(body, ts, order.strategy_id, order.instrument_id, order.client_order_id)
        if self.owes:
            # Perhaps for this order, of which the engine will never say that it was sent.
            self.settle()

    def answered(self, order: Order, update: OrderUpdate) -> None:
        """Write what became of an order, other than a fill."""
        body = Acknowledged.of(update, heard=self._ledger.heard)
        self._append(body, update.ts, order.strategy_id, order.instrument_id, order.client_order_id)

    def unknown(
        self, strategy_id: str, instrument_id: str, client_order_id: str, reason: str, ts: int
    ) -> None:
        """Write that the venue was asked for an order, and does not know it."""
        body = Acknowledged(answer="unknown", reason=reason, heard=self._ledger.heard)
        self._append(body, ts, strategy_id, instrument_id, client_order_id)

    def found(self, row: Unexplained, ts: int) -> None:
        """Write what the firewall found."""
        body = Found(
            key=row.key,
            what=row.what,
            at_venue=row.at_venue,
            in_journal=row.in_journal,
            line=row.line,
            choices=row.choices,
        )
        self._append(body, ts, "", row.instrument_id, "")

    def settled(self, row: Unexplained, answer: Answer, failed: str, ts: int) -> None:
        """Write what a person answered, and why it could not be done if it could not."""
        body = Settled(
            key=row.key,
            at_venue=row.at_venue,
            choice=answer.choice,
            strategy=answer.strategy,
            who=answer.who,
            reason=answer.reason,
            failed=failed,
        )
        self._append(body, ts, "", row.instrument_id, "")

    def carried(self, carried: Carried, ts: int) -> str:
        """Write what was taken over from the run before; return why that failed, or nothing."""
        return self._append(carried, ts, "", "", "")

    def account(self, began_with: float, reason: str, ts: int) -> None:
        """Write with what the account began."""
        body = Account(began_with=began_with, reason=reason, heard=self._ledger.heard)
        self._append(body, ts, "", "", "")

    def filled(self, fill: Fill) -> None:
        """Write a fill; the ledger has taken it already."""
        if self.journal is None:
            return
        order = self._ledger.orders.get(fill.client_order_id)
        leaves = None if order is None else order.leaves
        body = Filled.of(fill, leaves, self._ledger.heard)
        self._append(body, fill.ts, fill.strategy_id, fill.instrument_id, fill.client_order_id)

    def gave_up(self, rest: GivenUp) -> None:
        """Write that what was held became dust; the ledger has made it so already."""
        body = Dusted(quantity=rest.quantity, why=rest.why, heard=self._ledger.heard)
        self._append(body, rest.ts, rest.strategy_id, rest.instrument_id, "")

    def commanded(self, verb: Verb, scope: StateScope, who: str, reason: str, ts: int) -> str:
        """Write that a person wishes something, before it is obeyed; return why that failed."""
        body = Intended(action=verb, because=f"{who}: {reason}" if reason else who)
        return self._append(body, ts, *_of_scope(scope), "")

    def halted(self, halt: Halt) -> None:
        """Write a halt; also one that held before the journal began."""
        strategy_id, instrument_id = _of_scope(halt.scope)
        body = Halted(
            reason=halt.reason,
            who=halt.who,
            state=halt.level,
            scope=halt.scope.kind,
            flatten=halt.flatten,
            heard=self._ledger.heard,
        )
        who = strategy_id or halt.strategy_id, instrument_id, halt.client_order_id
        self._append(body, halt.ts, *who)

    def resumed(self, resume: Resume) -> None:
        """Write a resume; also one from before the journal began."""
        body = Resumed(
            reason=resume.reason,
            who=resume.who,
            state=resume.level,
            scope=resume.scope.kind,
            heard=self._ledger.heard,
        )
        self._append(body, resume.ts, *_of_scope(resume.scope), "")

    def _append(
        self,
        body: Body,
        ts: int,
        strategy_id: str,
        instrument_id: str,
        client_order_id: str,
        *,
        before: Body | None = None,
        ahead: bool = False,
    ) -> str:
        if self.journal is None:
            return ""
        try:
            self.journal.append(
                body, ts, strategy_id, instrument_id, client_order_id, before=before, ahead=ahead
            )
        except Exception as e:
            return self._failed(e)
        return ""

    def _note(
        self,
        body: Body,
        ts: int,
        strategy_id: str,
        instrument_id: str,
        client_order_id: str,
        *,
        before: Body | None = None,
    ) -> None:
        if self.journal is None:
            return
        try:
            self.journal.note(body, ts, strategy_id, instrument_id, client_order_id, before=before)
        except Exception as e:
            self._failed(e)

    def _failed(self, error: Exception) -> str:
        """Keep why a record is missing, and say it; the run fails for it when it ends.

        A defect of the journal counts like a full disk: it must hold back no exit.
        """
        failure = error
        if not isinstance(failure, JournalError):
            found = f"{type(error).__name__}: {error}"
            failure = JournalError("the journal", found, "must be written before an order is sent")
            failure.__cause__ = error
        self.failures.append(failure)
        return failure.paragraph()


def _said(references: Mapping[str, BarClosed]) -> tuple[tuple[str, int, float], ...]:
    return tuple((bar.instrument_id, bar.ts, bar.close) for bar in references.values())


def _of_scope(scope: StateScope) -> tuple[str, str]:
    """Return the strategy and the instrument of a scope; empty where it has none."""
    return (
        scope.id if scope.kind == "strategy" else "",
        scope.id if scope.kind == "instrument" else "",
    )
