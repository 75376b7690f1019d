"""Orders that may rest at a venue although they should not: nobody believes their end unasked.

A venue that answers a cancel by an error, or not at all, may have carried it out or not. The engine
waits for some seconds, and then makes up an end. If the order rests nevertheless, a stop of a spot
market sells coins of the user one day, since nothing there makes it reduce-only, and one of a
perpetual meets a later position. So the venue itself is asked, by the order's id, for

- orders whose cancel nobody has answered for a second, or was refused;
- orders whose end the engine makes up, which is told to nobody before;
- orders that ended for us, and stand in what the venue says it holds.

What rests though it should not is cancelled there, by a client of our own, since the engine sends
no second cancel; again and again, until the venue says that it is gone. What it was filled
meanwhile is told like any fill. If that takes long, the strategy opens nothing until a person has
looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

import msgspec

from aitb_nautilus.messages import OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.recovery import Finding, finding_of, follow
from aitb_nautilus.risk.silence import silence
from aitb_nautilus.risk.taking_over import bind
from aitb_nautilus.risk.trading_states import Halt, StateScope
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from aitb_nautilus.run.asking import Asking
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.venue_look import Asker, Found, books

__all__ = ["Leftovers", "bring_to_end"]

_PATIENCE_NS: Final = 1_000_000_000
_FIRST_WAIT_NS: Final = 500_000_000
_LONGEST_WAIT_NS: Final = 4_000_000_000
_LONGEST_REST_NS: Final = 60_000_000_000
"""Between two questions for an order that nobody wants gone: its cancel was refused."""
_LATE_NS: Final = 10_000_000_000
_SURE: Final = 2
"""So often a venue must say that it knows no such order, one question after the other."""


class _Case(msgspec.Struct):
    """One order; times in ns UTC.

    Attributes
    ----------
    ended
        It has ended for us, and the venue was seen to have it open.
    made_up
        The end that the engine has made up.
    began
        Since when it is asked for and should be gone; 0: nobody wants it gone.
    """

    instrument_id: str
    ask_at: int
    ended: bool = False
    made_up: OrderUpdate | None = None
    began: int = 0
    wait_ns: int = _FIRST_WAIT_NS
    unknown: int = 0
    is_late: bool = False
    asking: Future[Found] | None = None


def bring_to_end(asker: Asker, client_order_id: str, instrument_id: str, *, cancels: bool) -> Found:
    """Return what a venue says of an order, cancelled before if it rests; it blocks.

    Raises
    ------
    AskError
        If there was no answer.
    """
    found = asker.find(client_order_id, instrument_id)
    if not cancels or found is None or not found[0].is_open:
        return found
    asker.cancel(client_order_id, instrument_id)
    return asker.find(client_order_id, instrument_id)


class Leftovers:
    """Bring orders to their end at the venue, and tell what became of them.

    Parameters
    ----------
    asking
        Whom to ask, and whom to tell; of venues that nobody asks the engine is believed.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._context = asking.context
        self._note = asking.note
        self._cases: dict[str, _Case] = {}

    def doubt(self, update: OrderUpdate) -> bool:
        """Ask the venue whether an order has ended, as the engine makes up.

        Returns
        -------
        bool
            False if nobody can be asked: then the engine is all that there is.
        """
        name = update.client_order_id
        order = self._context.ledger.orders.get(name)
        if order is None or not order.is_open or not self._asking.may_ask(update.instrument_id):
            return False
        case = self._cases.setdefault(name, _Case(update.instrument_id, 0))
        if case.made_up is None:
            case.made_up, case.ask_at = update, 0
            self._note("WARNING", f"{_words(order)}: no end was told of it; the venue is asked")
        return True

    def take(self, facts: VenueFacts, ended: Mapping[str, Any]) -> bool:
        """Bring to their end the orders that ended for us, and that a venue has open.

        Parameters
        ----------
        facts
            What the venues hold.
        ended
            What became of orders of the run before that the ledger does not hold any more, by id.

        Returns
        -------
        bool
            Whether there are new ones: the venue is to be asked again in a while.
        """
        orders, before = self._context.ledger.orders, len(self._cases)
        for order in facts.orders:
            name = order.client_order_id
            if (
                _has_ended(name, orders.get(name), ended)
                and name not in self._cases
                and self._asking.may_ask(order.instrument_id)
            ):
                self._cases[name] = _Case(order.instrument_id, 0, ended=True)
                self._note("WARNING", f"{_spelled(order)} ended for us, and rests at the venue")
        return len(self._cases) > before

    def go_on(self, now: int) -> None:
        """Go on; called ten times a second.

        Parameters
        ----------
        now
            ns UTC.
        """
        orders = self._context.ledger.orders
        for one in self._context.ledger.every_open_order():
            if one.ending and one.status == "ACCEPTED" and self._asking.may_ask(one.instrument_id):
                case = _Case(one.instrument_id, now + _PATIENCE_NS)
                self._cases.setdefault(one.client_order_id, case)
                self._wish_again(self._cases[one.client_order_id], one, now)
        for name, case in list(self._cases.items()):
            order = orders.get(name)
            if not case.ended and (order is None or not order.is_open):
                del self._cases[name]  # Its end was told meanwhile.
            elif case.asking is None:
                self._ask(name, case, order, now)
            elif case.asking.done():
                self._take(name, case, order, now)

    @staticmethod
    def _wish_again(case: _Case, order: Order, now: int) -> None:
        """Ask soon for an order that is cancelled once more, after that was refused."""
        if order.is_ending and not case.began and case.ask_at > now + _PATIENCE_NS:
            case.ask_at, case.wait_ns = now + _PATIENCE_NS, _FIRST_WAIT_NS

    def end(self, ended: Mapping[str, Any], now: int) -> None:
        """Cancel a last time what must not go on resting; say what could not be. It blocks.

        An order that was to be cancelled stays where all that it would do is to end what is held.

        Parameters
        ----------
        ended
            As of `take`.
        now
            ns UTC.
        """
        if silence(self._context.guard):
            return
        for venue, asker in self._asking.askers.items():
            try:
                orders = books(asker, venue).orders
            except AskError as e:
                self._note("WARNING", f"{venue} could not be asked what rests there: {e}")
                continue
            for order in orders:
                ours = self._context.ledger.orders.get(order.client_order_id)
                if _has_ended(order.client_order_id, ours, ended) or (
                    ours is not None and self._does_more(ours)
                ):
                    self._end(asker, order, ours, now)

    def _end(self, asker: Asker, order: VenueOrder, ours: Order | None, now: int) -> None:
        name = order.client_order_id
        try:
            found = bring_to_end(asker, name, order.instrument_id, cancels=True)
        except AskError as e:
            self._note("ERROR", f"{_spelled(order)} {_RESTS} ({e})")
            return
        if found is not None and found[0].is_open:
            self._note("ERROR", f"{_spelled(order)} {_RESTS}")
            return
        self._note("WARNING", f"{_spelled(order)} was to be gone, and is cancelled at the end")
        if ours is not None and found is not None:
            finding = finding_of(self._context.ledger, name, found, now)
            follow(finding, self._context, {}, now)

    def _does_more(self, order: Order) -> bool:
        """Return whether an order that is being cancelled would do more than end what is held."""
        held = self._context.ledger.position(order.strategy_id, order.instrument_id).quantity
        if order.side == "BUY":
            held = -held
        return bool(order.ending) and order.leaves > held

    def _ask(self, name: str, case: _Case, order: Order | None, now: int) -> None:
        if now < case.ask_at:
            return
        wanted_gone = case.ended or case.made_up is not None or (order and order.is_ending)
        # One whose cancel was refused may rest for hours: nobody wants it gone meanwhile.
        case.began = (case.began or now) if wanted_gone else 0
        case.asking = self._asking.pool.submit(
            bring_to_end,
            self._asking.asker(case.instrument_id),
            name,
            case.instrument_id,
            cancels=bool(wanted_gone) and not silence(self._context.guard),
        )

    def _take(self, name: str, case: _Case, order: Order | None, now: int) -> None:
        """Take what the venue has answered."""
        asking, case.asking = case.asking, None
        assert asking is not None  # noqa: S101 - only asked then
        longest = _LONGEST_WAIT_NS if case.began else _LONGEST_REST_NS
        case.ask_at, case.wait_ns = now + case.wait_ns, min(2 * case.wait_ns, longest)
        words = f"order {name} of {case.instrument_id}" if order is None else _words(order)
        try:
            found = asking.result()
        except AskError as e:
            self._late(name, case, order, f"{words}: {e}", now)
            return
        if found is None:
            case.unknown += 1
            if case.unknown >= _SURE:
                self._gone(name, case, order, now)
        elif found[0].is_open:
            case.unknown = 0
            if order is None or order.ending != "refused" or case.made_up is not None:
                self._late(name, case, order, f"{words} rests at the venue", now)
        else:
            self._note("INFO", f"{words}: the venue says that it is {found[0].status.lower()}")
            self._ended(name, order, found, now)

    def _ended(self, name: str, order: Order | None, found: Found, now: int) -> None:
        """Tell what became of an order, and let the engine find it as well."""
        del self._cases[name]
        if order is None or found is None:
            return
        self._asking.tell(name, found, now)

    def _gone(self, name: str, case: _Case, order: Order | None, now: int) -> None:
        """Believe that an order has ended: the venue knows none of that id."""
        del self._cases[name]
        if order is None or not order.is_open:
            return
        reason = "the venue knows no such order any more"
        update = case.made_up or OrderUpdate(
            name, case.instrument_id, now, "CANCELED", reason=reason
        )
        self._asking.follow(Finding((update,)), now)

    def _late(self, name: str, case: _Case, order: Order | None, why: str, now: int) -> None:
        """Open nothing any more once it has taken long, and say so."""
        if case.is_late or not case.began or now - case.began < _LATE_NS:
            return
        case.is_late = True
        why = f"{why}, and could not be cancelled in {_LATE_NS / 1e9:g} s; it is tried on"
        self._note("ERROR", why)
        states = self._context.guard.states
        if order is None or states.level(order.strategy_id, order.instrument_id) != "active":
            return  # Nothing opens by now, or the firewall makes a row of it.
        scope = StateScope.strategy(order.strategy_id)
        halt = Halt(
            now, why, order.strategy_id, name, "check", level="reducing", scope=scope, who="venue"
        )
        bind(self._context, halt)


def _has_ended(name: str, ours: Order | None, ended: Mapping[str, Any]) -> bool:
    """Return whether an order has ended for us, perhaps in the run before."""
    return name in ended if ours is None else not ours.is_open


_RESTS: Final = "rests at the venue, and could not be cancelled: cancel it there"


def _words(order: Order) -> str:
    return (
        f"{order.side} {order.quantity} {order.kind} of {order.instrument_id} by "
        f"{order.strategy_id} ({order.client_order_id})"
    )


def _spelled(order: VenueOrder) -> str:
    what = f"{order.side} {order.quantity} {order.kind} of {order.instrument_id}"
    return f"{what} ({order.client_order_id or order.venue_order_id})"
