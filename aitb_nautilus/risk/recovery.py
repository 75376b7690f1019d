"""After a crash: ask the venue for what was sent and never answered, and act on what it says.

A node that starts on the journal of one before it does this before any strategy hears anything:

    hearing = guard.hearing
    rebuild(journal, ledger, guard.hear_fill, hearing.sent_before)  # what the last node knew
    guard.permits.remember_sent(sent_ids(journal))         # no decision is sent twice
    asked = unresolved(journal)
    recovery = Recovery([*asked, *resting(ledger, asked)], ledger, now, timeout_ns)
    while not recovery.done:
        for question in recovery.questions:                # again and again until answered
            order, fills = ...ask the venue by client_order_id...
            follow(recovery.answer(question.client_order_id, order, fills, now), ...)
        follow(recovery.wait(now), ...)                    # what is unanswered at the timeout
    guard.permits.expect_again()                           # orders that rest, as the engine finds

`Recovery` is pure: it asks nobody and changes nothing. It names the questions, takes answers one
by one, and returns what follows from each as a `Finding`; `follow` carries that out. That the venue
does not know an order is no answer before the timeout, since a command may still be on its way;
then it is: the order is journalled as unknown and not sent again, and trading halts until a person
resumes it. One that the venue itself lets only reduce opens nothing, and halts nothing.

How a node asks is its own affair. Behind the engine's native clients that is its start-up
reconciliation: it puts what the venue has into the engine's cache, where an order is found by its
id: `engine_venue.find_order` reads it. A client of our own asks the venue itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import msgspec

from aitb_nautilus.messages import Fill, OrderUpdate
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.journal_rebuild import unknown_update
from aitb_nautilus.risk.journal_recovery import Unresolved
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.missed_fills import missed_fills, unknown_fee_of
from aitb_nautilus.risk.recovery_questions import Question, questions_of, sent_words
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder

__all__ = [
    "Finding",
    "Question",
    "Recovery",
    "Unknown",
    "about",
    "finding_of",
    "follow",
    "resting",
]

_DENIED = "the venue did not know it, asked until the timeout; it is not sent again"
_NEVER = "it was decided and had not left, and the venue does not know it; it is not sent again"
_SILENT = "the venue did not say what became of it until the timeout; it is not sent again"


class Unknown(msgspec.Struct, frozen=True):
    """The venue did not know an order until the timeout, or did not answer."""

    question: Question
    ts: int
    reason: str


class Finding(msgspec.Struct, frozen=True):
    """What follows from an answer, in this order.

    Attributes
    ----------
    facts
        Fills and changes that the trader has missed, and orders that are unknown.
    halt
        Why trading must halt; empty if it need not.
    remark
        What a person should know, and need do nothing about; empty if there is nothing.
    """

    facts: tuple[Fill | OrderUpdate | Unknown, ...] = ()
    halt: str = ""
    remark: str = ""


def resting(ledger: Ledger, asked: Sequence[Unresolved]) -> list[Unresolved]:
    """Return the open orders that nobody asks for yet: they may have been filled meanwhile.

    A venue that forgets its orders when it is stopped, such as a simulated one, knows none of them.
    """
    names = {command.client_order_id for command in asked}
    orders = ledger.every_open_order()
    return [about(order) for order in orders if order.client_order_id not in names]


def about(order: Order) -> Unresolved:
    """Return what a venue is asked by for an order that was answered."""
    return Unresolved(
        order.client_order_id,
        order.strategy_id,
        order.instrument_id,
        "submit",
        "resting",
        0,
        order.ts_sent,
        order.side,
        order.kind,
        order.quantity,
        order.price,
        order.trigger_price,
    )


class Recovery:
    """Ask for every unanswered order until it is answered or the time is up.

    Parameters
    ----------
    commands
        From `journal_recovery.unresolved`, and `resting`.
    ledger
        Of the trader, rebuilt from the same journal; only read.
    now
        When asking begins, ns UTC.
    timeout_ns
        How long an order is asked for.
    """

    def __init__(
        self, commands: Sequence[Unresolved], ledger: Ledger, now: int, timeout_ns: int
    ) -> None:
        self._ledger = ledger
        self._until = now + timeout_ns
        self._open = {question.client_order_id: question for question in questions_of(commands)}

    @property
    def questions(self) -> tuple[Question, ...]:
        """Return what is still to be asked, oldest first."""
        return tuple(self._open.values())

    @property
    def done(self) -> bool:
        """Return whether nothing is left to be asked."""
        return not self._open

    def forget(self, client_order_id: str) -> None:
        """Ask no more for an order that has ended meanwhile, and that the venue need not know."""
        self._open.pop(client_order_id, None)

    def answer(
        self, client_order_id: str, order: VenueOrder | None, fills: Sequence[VenueFill], now: int
    ) -> Finding:
        """Take what the venue says of an order; None: it knows none of that id.

        Parameters
        ----------
        fills
            All fills of the order that the venue tells; those that are known change nothing, and
            what it has filled beyond them is taken as one more fill, where a fee takes no part of
            it.
        now
            ns UTC.
        """
        question = self._open.get(client_order_id)
        if question is None:
            return Finding()
        if order is None:
            return self.wait(now)
        del self._open[client_order_id]
        known = self._ledger.orders.get(client_order_id)
        if known is None:
            return Finding()  # Whose it was stands nowhere: the firewall shows it to a person.
        missed = missed_fills(self._ledger, known, order, fills, now)
        filled = known.filled + sum((fill.quantity for fill in missed), ZERO)
        if filled < order.filled:
            why = (
                f"the venue says that {order.filled} of it is filled, and not by which trades: "
                f"what its fees have taken of that is not known"
            )
            return Finding(halt=f"order {client_order_id} ({question.line}): {why}")
        updates = _updates(known, order, question, filled, now)
        # What made it larger comes first: filled up to what it was, the order would be at its end.
        larger = [u for u in updates if u.quantity is not None and u.quantity > known.quantity]
        others = [u for u in updates if u not in larger]
        facts: tuple[Fill | OrderUpdate, ...] = (*larger, *missed, *others)
        if order.filled < known.filled:
            why = f"the venue says that {order.filled} of it is filled, the journal {known.filled}"
            return Finding(facts, f"order {client_order_id} ({question.line}): {why}")
        return Finding(facts, unknown_fee_of(fills, missed))

    def never_left(self, client_order_id: str, now: int) -> Finding:
        """Believe that an order never left, which the venue does not know, if it was only decided.

        It is journalled as sent before it leaves, so that nothing of it can be on its way. Of every
        other order nothing follows.

        Parameters
        ----------
        now
            ns UTC.
        """
        question = self._open.get(client_order_id)
        if question is None or question.may_be_there or "submit" not in question.actions:
            return Finding()
        del self._open[client_order_id]
        return Finding((Unknown(question, now, _NEVER),))

    def wait(self, now: int, silent: Collection[str] = ()) -> Finding:
        """Give up what is unanswered once the time is up.

        Parameters
        ----------
        silent
            Ids of orders of which the venue has said nothing at all. One that it has had is left as
            it is: silence is no word that it is gone. What the venue holds is compared next.
        """
        if now < self._until or not self._open:
            return Finding()
        left = {name for name in silent if self._had(name)}
        given_up = [question for name, question in self._open.items() if name not in left]
        self._open.clear()
        if not given_up:
            return Finding()
        facts = tuple(
            Unknown(q, now, _SILENT if q.client_order_id in silent else _DENIED) for q in given_up
        )
        lost = [question for question in given_up if question.may_be_there]
        harmless = [question for question in lost if self._only_reduces(question)]
        lost = [question for question in lost if question not in harmless]
        halt = remark = ""
        if lost:
            halt = f"{sent_words(lost, silent)}: see what is held there before you resume"
        if harmless:
            remark = f"{sent_words(harmless, silent)}: taken for ended, since it could only reduce"
        return Finding(facts, halt, remark)

    def _only_reduces(self, question: Question) -> bool:
        """Return whether the venue itself lets an order open nothing, wherever it may be."""
        known = self._ledger.orders.get(question.client_order_id)
        return (
            known is not None
            and known.reduce_only
            and not self._ledger.is_spot(known.instrument_id)
        )

    def _had(self, client_order_id: str) -> bool:
        """Return whether the venue is known to have had an order."""
        known = self._ledger.orders.get(client_order_id)
        return known is not None and known.status != "SENT"


def finding_of(
    ledger: Ledger, client_order_id: str, found: tuple[VenueOrder, Sequence[VenueFill]], now: int
) -> Finding:
    """Return what follows from what a venue says of an order that nobody is asking for.

    Parameters
    ----------
    ledger
        Of the trader; only read.
    found
        The order and all its fills.
    now
        ns UTC.
    """
    command = about(ledger.orders[client_order_id])
    return Recovery([command], ledger, now, 0).answer(client_order_id, *found, now)


def follow(finding: Finding, context: Context, answering: Mapping[str, Answers], now: int) -> None:
    """Carry a finding out: tell the strategies, write it down, halt.

    Parameters
    ----------
    context
        What the node's components share; its ledger is the rebuilt one.
    answering
        By strategy id: those that have started, and may send orders in answer. A fact of any other
        changes ledger and journal alone.
    now
        ns UTC.
    """
    ledger, chronicle = context.ledger, context.chronicle
    for fact in finding.facts:
        match fact:
            case Fill():
                strategy = _moved_on(answering, fact.strategy_id, now)
                if strategy is not None:
                    strategy.fill(fact)
                    continue
                _note(context, fact, now)
                if ledger.apply_fill(fact):
                    context.guard.hear_fill(fact)
                    chronicle.filled(fact)
            case OrderUpdate():
                order = ledger.orders[fact.client_order_id]
                strategy = _moved_on(answering, order.strategy_id, now)
                if strategy is not None:
                    strategy.update(fact)
                    continue
                _note(context, fact, now)
                ledger.apply_update(fact)
                chronicle.answered(order, fact)
            case Unknown(question=question, ts=ts, reason=reason):
                name = question.client_order_id
                if _is_told_of_end(context, answering, fact, now):
                    continue
                _note(context, fact, now)
                chronicle.unknown(question.strategy_id, question.instrument_id, name, reason, ts)
                if name in ledger.orders:
                    ledger.apply_update(unknown_update(ledger.orders[name], ts, reason))
    if finding.halt:
        context.halt_from_node(finding.halt, now)


def _is_told_of_end(
    context: Context, answering: Mapping[str, Answers], fact: Unknown, now: int
) -> bool:
    """Tell the strategy of an open order that it has ended, if it answers; return whether."""
    order = context.ledger.orders.get(fact.question.client_order_id)
    if order is None or not order.is_open:
        return False
    strategy = _moved_on(answering, order.strategy_id, now)
    if strategy is None:
        return False
    strategy.unknown(unknown_update(order, fact.ts, fact.reason))
    return True


def _note(context: Context, fact: Fill | OrderUpdate | Unknown, now: int) -> None:
    """Let a fact that no strategy is told of pass the tape."""
    context.tape.heard("untold", "", now, type(fact).__name__, msgspec.to_builtins(fact))


def _moved_on(answering: Mapping[str, Answers], strategy_id: str, now: int) -> Answers | None:
    strategy = answering.get(strategy_id)
    if strategy is not None:
        strategy.move_on(now)
    return strategy


def _updates(
    known: Order, order: VenueOrder, question: Question, filled: Decimal, now: int
) -> list[OrderUpdate]:
    """Return the changes that bring our order to what the venue has, and answer every command."""
    name, instrument_id = known.client_order_id, known.instrument_id
    ts = max(order.ts or now, known.ts_terms)
    theirs = (order.quantity, order.price, order.trigger_price)
    renewed = OrderUpdate(name, instrument_id, ts, None, *theirs, "", True)
    if not order.is_open:
        if order.status != "FILLED":
            reason = "found after a restart"
            return [OrderUpdate(name, instrument_id, ts, order.status, reason=reason)]
        # The fills say so, unless a change made it smaller.
        return [] if filled >= known.quantity else [renewed]
    updates = []
    if known.status == "SENT":
        updates.append(OrderUpdate(name, instrument_id, ts, "ACCEPTED"))
    is_changed = (known.quantity, known.price, known.trigger_price) != theirs
    if is_changed:
        updates.append(renewed)
    changing = "modify" in question.actions and not is_changed
    if changing or "cancel" in question.actions:
        reason = "the order is at the venue as it was"
        unchanged = OrderUpdate(
            name, instrument_id, ts, None, reason=reason, answers_change=changing
        )
        updates.append(unchanged)
    return updates
