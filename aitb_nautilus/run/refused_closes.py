"""Ask a venue that takes neither stop nor close of a position whether it holds it at all.

A stop may have filled a moment before, and the news of it be on its way still, or lost. The venue
then refuses whatever should close what it does not hold any more, and the strategy would be halted
for nothing. So before it is, the venue is asked. What it says of the exits is told to the strategy,
as if the stream had brought it. Where it does hold the position, or nothing explains in time what
became of it, the halt follows.

Nothing is put off by that. While the venue is asked, the position is closed once a second, as it
would be under the halt, and nothing opens. Only where another strategy has the same instrument no
close is sent before the venue has answered: a position that is gone takes none, and the close would
sell what the other one holds. It is sent once more where the venue holds what both of them have.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from decimal import Decimal
from typing import Final

import msgspec

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import CloseIntent
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.shared import is_shared
from aitb_nautilus.risk.taking_over import bind
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.venue_look import Asker, Found, VenueLook, books
from aitb_nautilus.run.venue_questions import is_older

__all__ = ["REFUSED_CLOSE", "RefusedCloses"]

REFUSED_CLOSE = "refused-close"
"""Name of the refusal that an opening order gets while a venue is asked what it has not closed."""

_PATIENCE_NS: Final = 5_000_000_000
_AGAIN_NS: Final = 1_000_000_000
"""Between two closes, as under a halt, and between two questions."""

type _Answer = tuple[VenueFacts, dict[str, Found]]


class _Case(msgspec.Struct):
    """A position that nothing closes; times in ns UTC.

    Attributes
    ----------
    is_there
        The venue has said that it holds it, beside what other strategies hold.
    is_tried
        It was closed once more since.
    """

    strategy_id: str
    instrument_id: str
    purpose: str
    halt: Halt
    until: int = 0
    close_at: int = 0
    ask_at: int = 0
    is_there: bool = False
    is_tried: bool = False
    asking: Future[_Answer] | None = None


class RefusedCloses:
    """Ask what a venue holds before a strategy is halted for what it does not close.

    Parameters
    ----------
    asking
        Whom to ask, and whom to tell; where nobody is asked, the halt comes at once.
    look
        Compares all that the venues hold; told to do so where no order explains what is gone.
    """

    def __init__(self, asking: Asking, look: VenueLook) -> None:
        self._asking = asking
        self._context = asking.context
        self._note = asking.note
        self._look = look
        self._cases: dict[tuple[str, str], _Case] = {}

    def ask(self, order: Order, halt: Halt) -> bool:
        """Ask whether there is anything left of what an order should have closed.

        Parameters
        ----------
        order
            The refused one.
        halt
            What follows if there is.

        Returns
        -------
        bool
            False if nobody can be asked: then the halt is the caller's.
        """
        key = order.strategy_id, order.instrument_id
        if not self._asking.may_ask(order.instrument_id) or self._asking.strategy(key[0]) is None:
            return False
        if key not in self._cases:
            self._cases[key] = _Case(*key, order.purpose, halt)
            self._context.guard.withheld[REFUSED_CLOSE] = (
                f"the venue has refused to close {order.instrument_id}, and is asked whether it "
                f"holds it"
            )
        return True

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        for key, case in list(self._cases.items()):
            if self._is_settled(case, now):
                del self._cases[key]
                if not self._cases:
                    self._context.guard.withheld.pop(REFUSED_CLOSE, None)

    def _is_settled(self, case: _Case, now: int) -> bool:
        """Go on with one of them; return whether it is over."""
        if not case.until:
            case.until = now + _PATIENCE_NS
            self._note(
                "WARNING",
                f"{case.strategy_id}: the venue has refused to close {case.instrument_id}; it is "
                f"asked whether it holds it",
            )
        if not self._held(case):
            self._note("INFO", f"{case.strategy_id}: {case.instrument_id} is closed")
            return True
        answer = self._answer(case, now)
        if answer is not None and self._judge(case, answer, now):
            return True
        if now >= case.until:
            self._note("WARNING", "the venue has not said in time what became of it")
            bind(self._context, case.halt)
            return True
        self._close(case, now)
        return False

    def _answer(self, case: _Case, now: int) -> _Answer | None:
        if case.asking is None:
            if now >= case.ask_at:
                asker = self._asking.asker(case.instrument_id)
                names = [one.client_order_id for one in self._exits(case)]
                case.asking = self._asking.pool.submit(_ask, asker, case.instrument_id, names)
            return None
        if not case.asking.done():
            return None
        asking, case.asking, case.ask_at = case.asking, None, now + _AGAIN_NS
        try:
            return asking.result()
        except AskError as e:
            self._note("WARNING", f"asked the venue what it holds: {e}; asking again")
            return None

    def _judge(self, case: _Case, answer: _Answer, now: int) -> bool:
        """Follow up what the exits came to, or let the halt come about; return if it is over."""
        facts, found = answer
        name, ledger = case.instrument_id, self._context.ledger
        news = [
            (o, one) for o, one in found.items() if one is not None and self._is_news(o, one[0])
        ]
        is_filled = any(one[0].filled > ledger.orders[order].filled for order, one in news)
        if not is_filled and self._is_there(case, facts):
            if self._is_shared(case) and not case.is_tried:
                case.is_there = True
                return False
            if case.is_tried and self._is_closing(case):
                return False
            bind(self._context, case.halt)
            return True
        # Those that have ended without a fill come first, as after a restart.
        for order, one in sorted(news, key=lambda row: row[1][0].filled > 0):
            if self._is_news(order, one[0]):
                self._asking.tell(order, one, now)
        if not self._held(case):
            self._note("INFO", f"the venue holds no {name} any more: an exit of ours had filled")
            return True
        # No order of ours explains it: either the venue does not know yet what it holds, or all
        # that it holds must be compared.
        self._look.due = now
        return False

    def _is_news(self, client_order_id: str, order: VenueOrder) -> bool:
        """Return whether an answer is of an order that was not taken back, nor told of since."""
        ours = self._context.ledger.orders.get(client_order_id)
        return ours is not None and not is_older(order, ours)

    def _is_there(self, case: _Case, facts: VenueFacts) -> bool:
        """Return whether the venue holds it, beside what other strategies hold in it.

        Where these hold the other side, it is there though all of them come to nothing.
        """
        name, ours = case.instrument_id, self._held(case)
        at_venue = self._look.positions(venue_name(name), facts).positions.get(name, ZERO)
        holders = self._context.ledger.holders(name)
        others = sum((p.held for who, p in holders.items() if who != case.strategy_id), ZERO)
        left = at_venue - others
        return (left if ours > 0 else -left) >= self._context.guard.lots[name].lot

    def _is_shared(self, case: _Case) -> bool:
        return is_shared(self._context.ledger, case.strategy_id, case.instrument_id)

    def _is_closing(self, case: _Case) -> bool:
        return any(o.kind == "MARKET" for o in self._exits(case))

    def _close(self, case: _Case, now: int) -> None:
        """Close once more, unless that is on its way, or would be at another one's cost."""
        if now < case.close_at or self._is_closing(case):
            return
        if self._is_shared(case):
            if case.is_tried or not case.is_there:
                return
            case.is_tried = True
        case.close_at = now + _AGAIN_NS
        answers = self._asking.answering()[case.strategy_id]
        answers.move_on(now)
        close = CloseIntent(instrument_id=case.instrument_id, purpose=case.purpose)
        answers.act_on([close], "refused close")

    def _held(self, case: _Case) -> Decimal:
        return self._context.ledger.position(case.strategy_id, case.instrument_id).quantity

    def _exits(self, case: _Case) -> list[Order]:
        """Return the exits of a position that the venue may know."""
        return [
            one
            for one in self._context.ledger.open_orders(case.instrument_id)
            if one.strategy_id == case.strategy_id
            and one.is_exit
            and not self._context.holds(one.client_order_id)
        ]


def _ask(asker: Asker, instrument_id: str, names: Sequence[str]) -> _Answer:
    """Return what a venue holds, and then what it says of some orders."""
    facts = books(asker, venue_name(instrument_id))
    return facts, {name: asker.find(name, instrument_id) for name in names}
