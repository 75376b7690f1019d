"""Look, restrict, and carry out what a person answered.

A node makes one `Firewall`, and lets it check when it starts, after `recovery`, and whenever a
connection came back, at a moment at which nothing is on its way. Anything unexplained puts the
trader into reducing: exits pass, nothing opens, until a person has answered each row (`aitb
firewall`) and resumed. Each row and each answer is a record of the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import to_builtins

from aitb_nautilus.messages import Fill, Side
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.firewall import Explained, Unexplained, spell_rows, unexplained
from aitb_nautilus.risk.firewall_file import Answer, FirewallFile, Settled, Table
from aitb_nautilus.risk.journal_recovery import Unresolved
from aitb_nautilus.risk.missed_fills import needs_trades
from aitb_nautilus.risk.recovery import Finding, Recovery, Unknown, follow
from aitb_nautilus.risk.recovery_questions import Question
from aitb_nautilus.risk.silence import silence
from aitb_nautilus.risk.taking_over import adopt, begin_with_equity, bind
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder

__all__ = ["Firewall", "VenueHands"]

_SETTLED_KEPT = 1_000
_FEES_UNTOLD = (
    "what it has bought cannot be counted: fees were taken from that, and only its trades say how "
    "much; the node asks the venue for those of its own orders by itself, another one can only be "
    "cancelled or ignored"
)
_OUT_OF_REACH = (
    "this node cannot change or cancel the order, since it came while it ran: cancel it at the "
    "venue, or start the node again and answer then"
)


class VenueHands(Protocol):
    """What a node can do at a venue about things that no strategy owns."""

    def knows(self, order: VenueOrder) -> bool:
        """Return whether it can change or cancel an order; not one that came while it ran."""
        ...

    def cancel(self, order: VenueOrder) -> None:
        """Cancel an order, whoever sent it."""
        ...

    def close(self, instrument_id: str, side: Side, quantity: Decimal) -> None:
        """Send a reduce-only order at the market that belongs to no strategy."""
        ...

    def answering(self) -> Mapping[str, Answers]:
        """Return who answers facts, by strategy id."""
        ...


class Firewall:
    """Keep the trader in reducing while there is anything that the journal cannot explain.

    Parameters
    ----------
    context
        What the node's components share.
    strategies
        Ids of the node's strategies.
    file
        Where table and answers are.
    hands
        Cancels and closes what a person wants gone.
    """

    def __init__(
        self, context: Context, strategies: Sequence[str], file: FirewallFile, hands: VenueHands
    ) -> None:
        self._context = context
        self._strategies = strategies
        self._file = file
        self._hands = hands
        before = file.table()
        self._rows: tuple[Unexplained, ...] = ()
        self._settled = () if before is None else before.settled

    def check(self, facts: VenueFacts, explained: Explained, now: int) -> tuple[Unexplained, ...]:
        """Compare, carry out new answers, and return the rows that are still open.

        Parameters
        ----------
        facts
            What the venues say now.
        explained
            What explains it beside the ledger.
        now
            ns UTC.

        Raises
        ------
        RunError
            If the table cannot be written. The trader is in reducing all the same.
        DataError
            If table or answers are damaged.
        """
        ledger = self._context.ledger
        rows = unexplained(facts, ledger, explained)
        answers = {(a.key, a.at_venue): a for a in self._file.answers()}
        done = {s.answer for s in self._settled}
        for row in rows:
            answer = answers.get((row.key, row.at_venue))
            sends = answer is not None and answer.choice in ("cancel", "close")
            if sends and silence(self._context.guard):
                continue  # It stands until a node may send it.
            if answer is not None and answer not in done:
                self._settle(row, answer, facts, now)
        ignored = {pair for pair, answer in answers.items() if answer.choice == "ignore"}
        rows = unexplained(facts, ledger, explained)
        left = tuple(row for row in rows if (row.key, row.at_venue) not in ignored)
        self._restrict(left, now)
        self._rows = left
        self._file.put_table(Table(now, left, self._settled))
        return left

    def _restrict(self, rows: Sequence[Unexplained], now: int) -> None:
        new = [row for row in rows if row not in self._rows]
        for row in new:
            self._context.tape.heard("row", "", now, to_builtins(row))
            self._context.chronicle.found(row, now)
        if rows and (new or self._context.guard.state == "active"):
            why = spell_rows(rows)
            bind(self._context, Halt(now, why, cause="check", level="reducing", who="firewall"))

    def _settle(self, row: Unexplained, answer: Answer, facts: VenueFacts, now: int) -> None:
        """Carry out an answer, once; write down what became of it."""
        said = ""
        if answer.choice not in row.choices:
            said = f"{answer.choice} does not fit; choose one of {', '.join(row.choices)}"
        elif answer.choice == "cancel":
            said = self._cancel(_order_of(row, facts))
        elif answer.choice == "close":
            held, ours = Decimal(row.at_venue), Decimal(row.in_journal)
            quantity = min(abs(held - ours), abs(held))
            self._hands.close(row.instrument_id, "SELL" if held > 0 else "BUY", quantity)
        elif answer.choice == "adopt":
            said = self._adopt(row, answer, facts, now)
        self._settled = (*self._settled, Settled(answer, now, said))[-_SETTLED_KEPT:]
        answered = (to_builtins(row), to_builtins(answer), said)
        self._context.tape.heard("settled", "", now, *answered)
        self._context.chronicle.settled(row, answer, said, now)

    def _cancel(self, order: VenueOrder) -> str:
        if not self._hands.knows(order):
            return _OUT_OF_REACH
        self._hands.cancel(order)
        return ""

    def _adopt(self, row: Unexplained, answer: Answer, facts: VenueFacts, now: int) -> str:
        """Let the ledger follow the venue; return why that cannot be, or nothing."""
        owner = self._owner(answer.strategy)
        if row.needs_strategy and not owner:
            have = ", ".join(self._strategies)
            return f"there is no strategy {answer.strategy!r} that it could belong to, only {have}"
        match row.what:
            case "order gone":
                self._end(row, f"taken as ended by {answer.who}: {answer.reason}", now)
            case "changed order":
                order = _order_of(row, facts)
                known = self._context.ledger.orders[order.client_order_id].filled
                if order.filled > known and (why := self._untold(order)):
                    return why
                self._bring_up(order, now)
            case "foreign order":
                return self._take_order(_order_of(row, facts), owner, now)
            case "position":
                return self._take_position(row, owner, facts, now)
            case "balance":
                off = Decimal(row.at_venue) - Decimal(row.in_journal)
                ledger = self._context.ledger
                begin_with_equity(self._context, ledger.starting_equity + float(off))
                why = f"adopted by {answer.who}: {answer.reason}"
                self._context.chronicle.account(ledger.starting_equity, why, now)
        return ""

    def _end(self, row: Unexplained, reason: str, now: int) -> None:
        ours = self._context.ledger.orders[row.key.partition(":")[2]]
        question = Question(
            ours.client_order_id, ours.strategy_id, ours.instrument_id, (), True, row.line
        )
        finding = Finding((Unknown(question, now, reason),))
        follow(finding, self._context, self._hands.answering(), now)

    def _bring_up(self, order: VenueOrder, now: int) -> None:
        """Take fills and terms of an order of ours as the venue has them."""
        name, ledger = order.client_order_id, self._context.ledger
        ours = ledger.orders[name]
        command = Unresolved(
            name, ours.strategy_id, ours.instrument_id, "submit", "resting", 0, now
        )
        finding = Recovery([command], ledger, now, 0).answer(name, order, [], now)
        follow(finding, self._context, {}, now)

    def _untold(self, order: VenueOrder) -> str:
        """Return why what an order was filled cannot be adopted; empty if it can."""
        is_untold = needs_trades(self._context.ledger, order.side, order.instrument_id)
        return _FEES_UNTOLD if is_untold else ""

    def _take_order(self, order: VenueOrder, owner: str, now: int) -> str:
        """Make an order that nobody here sent one of a strategy's."""
        if not self._hands.knows(order):
            return _OUT_OF_REACH
        if order.filled and (why := self._untold(order)):
            return why
        why = adopt(self._context, order, owner, now)
        if why:
            return why
        self._bring_up(order, now)
        return ""

    def _take_position(self, row: Unexplained, owner: str, facts: VenueFacts, now: int) -> str:
        """Give a strategy what is held beyond what we know, as if it had just been filled."""
        where, ledger = row.instrument_id, self._context.ledger
        price = facts.entry_prices.get(where) or ledger.marks.get(where)
        if not price:
            return f"no price of {where} was seen yet; answer again once the node has heard a bar"
        off = Decimal(row.at_venue) - Decimal(row.in_journal)
        fill = Fill(
            owner,
            where,
            f"adopted-{now}",
            f"adopted-{now}-{where}",
            now,
            "BUY" if off > 0 else "SELL",
            price,
            abs(off),
            0.0,
            "",
        )
        follow(Finding((fill,)), self._context, {}, now)
        return ""

    def _owner(self, strategy: str) -> str:
        """Return the id of the strategy that an answer names, with or without its tag."""
        named = (one for one in self._strategies if strategy in (one, one.rpartition("-")[0]))
        return next(named, "") if strategy else ""


def _order_of(row: Unexplained, facts: VenueFacts) -> VenueOrder:
    name = row.key.partition(":")[2]
    return next(o for o in facts.orders if name == (o.client_order_id or o.venue_order_id))
