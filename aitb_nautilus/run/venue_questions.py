"""Ask the venues for orders, beside the loop, and follow the answers on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.engine_venue import find_order
from aitb_nautilus.risk.journal_recovery import Unresolved
from aitb_nautilus.risk.recovery import Recovery, follow
from aitb_nautilus.risk.venue_facts import VenueOrder
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.venue_look import Asker, Found

__all__ = ["VenueQuestions", "is_older"]

_AGAIN_NS = 500_000_000
_SURE = 2
"""So often a venue must say that it knows no order which had not left, as far as is known."""


class VenueQuestions:
    """Ask for each order again and again until it is answered or the time is up.

    Parameters
    ----------
    context
        What the node's components share; its ledger holds what was taken over.
    askers
        By venue name; of other venues the engine's cache is read.
    pool
        On which they are asked.
    note
        For the log of the run.
    """

    def __init__(
        self,
        context: Context,
        askers: Mapping[str, Asker],
        pool: ThreadPoolExecutor,
        note: Callable[[str, str], None],
    ) -> None:
        self._context = context
        self._askers = askers
        self._pool = pool
        self._note = note
        self._recovery: Recovery | None = None
        self._asked: dict[str, tuple[Future[Found] | None, int]] = {}
        self._answers: dict[str, Found] = {}
        self._unknown: Counter[str] = Counter()
        self._complaints: set[str] = set()

    def begin(self, commands: Sequence[Unresolved], now: int, timeout_ns: int) -> None:
        """Begin to ask; see `Recovery`."""
        self._recovery = Recovery(commands, self._context.ledger, now, timeout_ns)

    def go_on(self, cache: Any, answering: Mapping[str, Answers], now: int) -> bool:
        """Ask, and follow the answers once each order was asked for; return whether all is known.

        Those that ended come first: else the fill of a stop would be answered by cancelling a
        target that is gone as well.

        Parameters
        ----------
        cache
            The engine's.
        answering
            As in `follow`.
        now
            ns UTC.
        """
        recovery = self._recovery
        if recovery is None:
            return False
        for question in recovery.questions:
            name = question.client_order_id
            future, again = self._asked.get(name, (None, 0))
            if future is not None and future.done():
                self._asked[name] = (None, now + _AGAIN_NS)
                self._answers[name] = self._answer(name, future)
            elif future is None and now >= again and self._answers.get(name) is None:
                self._asked[name] = (self._ask(name, question.instrument_id, cache), 0)
            if self._has_ended(name):
                recovery.forget(name)
            elif self._unknown[name] >= _SURE:
                follow(recovery.never_left(name, now), self._context, answering, now)
        if all(q.client_order_id in self._answers for q in recovery.questions):
            self._follow_answers(recovery, answering, now)
        silent = {q.client_order_id for q in recovery.questions} - self._unknown.keys()
        given_up = recovery.wait(now, silent)
        if given_up.remark:
            self._note("WARNING", given_up.remark)
        follow(given_up, self._context, answering, now)
        return recovery.done

    def _ask(self, client_order_id: str, instrument_id: str, cache: Any) -> Future[Found]:
        asker = self._askers.get(venue_name(instrument_id))
        if asker is not None:
            return self._pool.submit(asker.find, client_order_id, instrument_id)
        known: Future[Found] = Future()
        known.set_result(find_order(cache, client_order_id, self._context))
        return known

    def _answer(self, name: str, future: Future[Found]) -> Found:
        try:
            found = future.result()
        except AskError as e:
            if str(e) not in self._complaints:
                self._complaints.add(str(e))
                self._note("WARNING", f"asked the venue for order {name}: {e}; asking again")
            return None
        if found is None:
            self._unknown[name] += 1
        return found

    def _has_ended(self, name: str) -> bool:
        """Return whether an order has ended by itself since: refused, or without the venue."""
        known = self._context.ledger.orders.get(name)
        if known is None or known.is_open:
            return False
        return known.status in ("REJECTED", "DENIED") or name in self._unknown

    def _follow_answers(
        self, recovery: Recovery, answering: Mapping[str, Answers], now: int
    ) -> None:
        orders = self._context.ledger.orders
        found = [(name, one) for name, one in self._answers.items() if one is not None]
        for name, (order, fills) in sorted(found, key=lambda one: one[1][0].filled > 0):
            del self._answers[name]
            known = orders.get(name)
            if known is None or not is_older(order, known):
                finding = recovery.answer(name, order, fills, now)
                follow(finding, self._context, answering, now)


def is_older(order: VenueOrder, known: Order) -> bool:
    """Return whether an answer is from before what the stream has told."""
    return order.filled < known.filled or (order.is_open and not known.is_open)
