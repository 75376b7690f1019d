"""While a live node runs: compare what its venues hold with what it knows.

A user stream that was away has lost what happened meanwhile, and the engine's adapters find only
part of it again. So the venues themselves are asked now and then, and soon after a connection came
back. What they hold otherwise than the ledger, twice and while nothing is on its way, is a
difference: nothing opens from then on, every open order is asked for as after a restart, and each
that ended lately where the difference is, since part of it may have been filled before; the
strategies are told what they have missed, and the engine is made to look as well. What is left is
the firewall's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.engine_venue import let_catch_up
from aitb_nautilus.risk.firewall import Explained, Unexplained, unexplained
from aitb_nautilus.risk.recovery import about, resting
from aitb_nautilus.risk.venue_facts import VenueFacts
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.leftovers import Leftovers
from aitb_nautilus.run.reconnects import Reconnects
from aitb_nautilus.run.venue_look import VenueLook
from aitb_nautilus.run.venue_questions import VenueQuestions

__all__ = ["VENUE", "VenueCheck"]

VENUE = "venue"
"""Name of the refusal that an opening order gets while a venue holds something else."""

_WHY = "the venue holds something else than we know: it is being asked"
_AGAIN_NS = 500_000_000
_SETTLES_NS = 1_500_000_000
"""So long may a difference be news that is on its way."""
_ROUNDS = 5
"""So often orders are asked for while that explains something: an answer may be lost as well."""
_ENDED = 50
"""So many orders that have ended are asked for at most: a question has its weight."""
_ANSWERS_NS = 5_000_000_000
"""How often it is looked whether a person has answered."""


class VenueCheck:
    """Compare now and then, and act on what differs.

    Parameters
    ----------
    asking
        Whom to ask, and whom to tell; of other venues' orders the engine's cache is read.
    look
        Asks what the venues hold.
    explained
        Returns what else explains things.
    leftovers
        Cancels what ended for us, and rests there.
    firewall
        Called with facts and the time once nothing but a person can explain what differs.
    reconnects
        Notices that a connection came back.
    every_ns, timeout_ns
        How often venues are asked, and how long for an order.
    """

    def __init__(
        self,
        asking: Asking,
        *,
        look: VenueLook,
        explained: Callable[[], Explained],
        leftovers: Leftovers,
        firewall: Callable[[VenueFacts, int], None],
        reconnects: Reconnects,
        every_ns: int,
        timeout_ns: int,
    ) -> None:
        self._asking = asking
        self._context = asking.context
        self._note = asking.note
        self._look = look
        self._explained = explained
        self._leftovers = leftovers
        self._firewall = firewall
        self._reconnects = reconnects
        self._every_ns = every_ns
        self._timeout_ns = timeout_ns
        self._since = 0
        self._questions: VenueQuestions | None = None
        self._names: list[str] = []
        self._rounds = 0
        self._asked_about: list[Unexplained] = []
        self._known: list[Unexplained] = []
        self._urgent: list[Order] = []
        self._agreed = 0

    def begin(self, rows: Sequence[Unexplained], now: int) -> None:
        """Begin with the rows that the firewall has found when the node started."""
        self._known = list(rows)
        self._look.due = now + (_ANSWERS_NS if rows else self._every_ns)

    def ask(self, client_order_id: str) -> bool:
        """Ask for every open order at once: the engine has found a fill that it had missed.

        Returns
        -------
        bool
            False if nobody can be asked: then what the engine has found is all that there is.
        """
        known = self._context.ledger.orders.get(client_order_id)
        if known is None or not self._asking.may_ask(known.instrument_id):
            return False
        let_catch_up(self._context, self._asking.cache, client_order_id)
        self._urgent.append(known)
        return True

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        if self._questions is not None:
            self._follow(self._questions, now)
            return
        if self._urgent:
            first = self._urgent[0]
            line = f"order {first.client_order_id} of {first.strategy_id} has filled"
            ended = [order for order in self._urgent if not order.is_open]
            self._urgent.clear()
            self._ask_orders(line, [], ended, now)
            return
        if self._reconnects.seen():
            self._note("INFO", "a connection came back; the venue is asked what it holds")
            self._look.due = now
        facts = self._look.go_on(now)
        if facts is not None:
            self._compare(facts, now)

    # Comparing

    def _compare(self, facts: VenueFacts, now: int) -> None:
        explained = self._explained()
        self._leftovers.take(facts, explained.ended)
        rows = unexplained(facts, self._context.ledger, explained)
        if all(row in self._known for row in rows):
            if self._known:
                self._firewall(facts, now)
            self._end(rows, now)
            return
        if not self._since:
            self._since = now
        else:
            self._context.guard.withheld[VENUE] = _WHY
        if now - self._since < _SETTLES_NS:
            self._look.due = now + _AGAIN_NS
        elif rows == self._asked_about or self._rounds >= _ROUNDS:
            self._firewall(facts, now)
            self._end(unexplained(facts, self._context.ledger, self._explained()), now)
        else:
            self._ask_orders(rows[0].line, rows, self._ended_lately(rows), now)

    def _end(self, rows: Sequence[Unexplained], now: int) -> None:
        if self._rounds:
            self._note(
                "INFO",
                f"the venue was asked for every open order: {len(rows)} things are not explained",
            )
        self._known = list(rows)
        self._agreed = now
        self._since, self._rounds, self._asked_about = 0, 0, []
        self._context.guard.withheld.pop(VENUE, None)
        self._look.due = now + (_ANSWERS_NS if rows else self._every_ns)

    # Following

    def _ended_lately(self, rows: Sequence[Unexplained]) -> list[Order]:
        """Return what was cancelled since all agreed, in instruments whose position differs."""
        differ = {row.instrument_id for row in rows if row.what == "position"}
        since = self._agreed - self._every_ns  # The venue's clock and ours are apart.
        return [
            order
            for order in reversed(self._context.ledger.orders.values())
            if order.instrument_id in differ
            and order.status in ("CANCELED", "EXPIRED")
            and order.ts_terms >= since
        ][:_ENDED]

    def _ask_orders(
        self, line: str, rows: list[Unexplained], ended: Sequence[Order], now: int
    ) -> None:
        self._note(
            "WARNING",
            f"the venue holds something else than we know: {line}; nothing opens until "
            f"every open order was asked for",
        )
        self._context.guard.withheld[VENUE] = _WHY
        self._rounds += 1
        self._asked_about = rows
        ledger = self._context.ledger
        self._names = [o.client_order_id for o in (*ledger.every_open_order(), *ended)]
        self._questions = VenueQuestions(
            self._context, self._asking.askers, self._asking.pool, self._note
        )
        known = [one for one in resting(ledger, ()) if not self._context.holds(one.client_order_id)]
        self._questions.begin([*known, *map(about, ended)], now, self._timeout_ns)

    def _follow(self, questions: VenueQuestions, now: int) -> None:
        """Tell the strategies what they have missed; let the engine find it as well."""
        if not questions.go_on(self._asking.cache, self._asking.answering(), now):
            return
        self._questions = None
        self._look.due = now + _AGAIN_NS
        self._since = now
        for name in self._names:
            if name in self._context.ledger.orders:  # One that waited here may be taken back.
                self._asking.let_engine_find(name)
