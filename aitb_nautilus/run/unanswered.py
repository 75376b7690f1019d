"""An order that was sent, and to which the venue has answered nothing that settles it.

A venue that is busy or down answers a new order with an error that the engine takes for no answer
at all: it goes on waiting, and asks only once the command would be too old. Meanwhile a position
may stand without the close or the stop that was meant for it. So the venue is asked for that very
order, by its id, at once and again and again, and what it says is told to the strategy.

That the venue knows no such order is no answer by itself: the command may still be on its way. It
is one if the venue has answered that command by a refusal which means that nothing was done, or if
it has answered, whatever that was, and the command would by now be refused as too old. Nothing
proves it of a command that was never answered: the engine's own check goes on waiting for that.

References
----------
Binance, USDⓈ-M futures, General Info, HTTP Return Codes, and Error Codes: -1003 (429 and 418) and
-1008 mean that the request was not carried out; -1001, -1006 and -1007 leave open whether it was.
Timing Security: a request older than its ``recvWindow`` is refused
(https://developers.binance.com/docs/derivatives/usds-margined-futures).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

import msgspec
from nautilus_trader.model import ClientOrderId
from nautilus_trader.trading import Strategy

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.engine_venue import let_catch_up
from aitb_nautilus.risk.recovery import Finding, finding_of
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import BINANCE_WINDOW_NS, AskError
from aitb_nautilus.run.engine_log import EngineLog
from aitb_nautilus.run.venue_look import Found

__all__ = ["BUSY", "Unanswered", "refusals"]

BUSY = "venue-busy"
"""Name of the refusal that an opening order gets for a while after a venue was too busy for one."""

_NOT_DONE: Final = (-1003, -1008)
_PATIENCE_NS: Final = 1_000_000_000
_LONGEST_NS: Final = 4_000_000_000
_TOO_OLD_NS: Final = BINANCE_WINDOW_NS + 1_000_000_000
"""After an answer: no command that was sent before it is taken any more. A second for clocks."""
_PAUSE_NS: Final = 1_000_000_000
_LONGEST_PAUSE_NS: Final = 60_000_000_000
_SAYS = re.compile(
    rb"Ambiguous \S* ?submit failure for ([^ ,]+), awaiting .*?(?:code=|error )(-\d+)"
)


def refusals(lines: Sequence[bytes]) -> dict[str, int]:
    """Return to which orders a venue has answered by which error, from lines of the engine's log.

    Examples
    --------
    >>> refusals([b"Ambiguous WS submit failure for 5f, awaiting reconciliation: code=-1003: Slow"])
    {'5f': -1003}
    """
    found = (_SAYS.search(line) for line in lines)
    return {one[1].decode(): int(one[2]) for one in found if one is not None}


class _Case(msgspec.Struct):
    """What is known of one order; times in ns UTC."""

    ask_at: int
    wait_ns: int = _PATIENCE_NS // 2
    code: int = 0
    answered_at: int = 0
    asked_at: int = 0
    asking: Future[Found] | None = None

    def is_proved_lost(self) -> bool:
        """Return whether it cannot come, if the venue did not know it when it was asked last."""
        if not self.answered_at or self.asked_at < self.answered_at:
            return False
        return self.code in _NOT_DONE or self.asked_at - self.answered_at >= _TOO_OLD_NS


class Unanswered:
    """Ask for orders that the venue owes an answer, and act on what it says.

    Parameters
    ----------
    asking
        Whom to ask, and whom to tell.
    log
        Where the engine says what a venue has answered.
    """

    def __init__(self, asking: Asking, log: EngineLog) -> None:
        self._asking = asking
        self._context = asking.context
        self._note = asking.note
        self._said: dict[str, int] = {}
        log.tell(lambda lines: self._said.update(refusals(lines)))
        self._cases: dict[str, _Case] = {}
        self._pause_ns = _PAUSE_NS
        self._busy_until = 0

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        said, self._said = self._said, {}
        if any(code in _NOT_DONE for code in said.values()):
            self._leave_alone(now)
        elif self._busy_until and now >= self._busy_until:
            self._context.guard.withheld.pop(BUSY, None)
            if now >= self._busy_until + self._pause_ns:
                self._pause_ns, self._busy_until = _PAUSE_NS, 0
        waiting = {order.client_order_id: order for order in self._waiting()}
        for name in self._cases.keys() - waiting.keys():
            del self._cases[name]
        for name, order in waiting.items():
            case = self._cases.setdefault(name, _Case(now + _PATIENCE_NS))
            if name in said:
                case.code, case.answered_at, case.ask_at = said[name], now, now
                self._note("WARNING", f"{_words(order)}: answered by error {case.code}; asking")
            self._ask(order, case, now)

    def _waiting(self) -> list[Order]:
        return [
            order
            for order in self._context.ledger.every_open_order()
            if order.status == "SENT"
            and self._asking.may_ask(order.instrument_id)
            and not self._context.holds(order.client_order_id)
        ]

    def _ask(self, order: Order, case: _Case, now: int) -> None:
        if case.asking is None:
            if now >= case.ask_at:
                asker = self._asking.asker(order.instrument_id)
                case.asked_at = now
                case.asking = self._asking.pool.submit(
                    asker.find, order.client_order_id, order.instrument_id
                )
            return
        if not case.asking.done():
            return
        asking, case.asking = case.asking, None
        case.ask_at, case.wait_ns = now + case.wait_ns, min(2 * case.wait_ns, _LONGEST_NS)
        if case.answered_at and case.code not in _NOT_DONE:
            # The question that proves it is asked when it can.
            case.ask_at = min(case.ask_at, max(now, case.answered_at + _TOO_OLD_NS))
        try:
            found = asking.result()
        except AskError as e:
            self._note("WARNING", f"{_words(order)}: {e}; asking again")
            return
        if found is not None:
            self._found(order, found, now)
        elif case.is_proved_lost():
            self._lost(order, case, now)

    # What the venue says

    def _found(self, order: Order, found: tuple[VenueOrder, list[VenueFill]], now: int) -> None:
        """Tell what became of an order, and let the engine find it as well."""
        name = order.client_order_id
        self._note("INFO", f"{_words(order)}: the venue has it, {found[0].status.lower()}")
        self._asking.follow(finding_of(self._context.ledger, name, found, now), now)
        theirs = self._asking.cache.order(ClientOrderId(name))
        strategy = self._asking.strategy(order.strategy_id)
        if theirs is not None and strategy is not None:
            let_catch_up(self._context, self._asking.cache, name)
            Strategy.query_order(strategy, theirs)

    def _lost(self, order: Order, case: _Case, now: int) -> None:
        """Tell that an order was refused: it is not at the venue, and cannot come any more."""
        why = "which means that nothing was done" if case.code in _NOT_DONE else "too old by now"
        reason = f"the venue answered by error {case.code} ({why}), and knows no such order"
        update = OrderUpdate(
            order.client_order_id, order.instrument_id, now, "REJECTED", reason=reason
        )
        self._asking.follow(Finding((update,)), now)

    def _leave_alone(self, now: int) -> None:
        """Open nothing for a while, longer each time: a venue bans who goes on asking too much."""
        self._busy_until = now + self._pause_ns
        self._context.guard.withheld[BUSY] = (
            f"the venue was too busy for an order; nothing opens for {self._pause_ns / 1e9:g} s"
        )
        self._pause_ns = min(2 * self._pause_ns, _LONGEST_PAUSE_NS)


def _words(order: Order) -> str:
    return f"{order.side} {order.quantity} {order.instrument_id} ({order.purpose})"
