"""The desk of the conditional orders: takes them, watches the price, and places what wakes."""

from __future__ import annotations

from collections.abc import Mapping

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.conditional import (
    Conditional,
    algo_update,
    read_conditional,
    trigger_price,
)
from aitb_nautilus.rehearsal.entry import Request
from aitb_nautilus.rehearsal.feed import BarClose, BarOpen, Event
from aitb_nautilus.rehearsal.futures_venue import FuturesVenue
from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.symbols import MAX_ALGO_ORDERS

__all__ = ["Triggers"]

_WAITING = "NEW"


class Triggers:
    """All conditional orders of the account.

    Parameters
    ----------
    venue
        The exchange on which they are placed when they wake.
    """

    def __init__(self, venue: FuturesVenue) -> None:
        self._venue = venue
        self.all: dict[int, Conditional] = {}
        self._waiting: dict[int, Conditional] = {}
        self._placed: dict[int, Conditional] = {}
        venue.on_event = self._on_event
        venue.on_order_end = self._on_order_end

    def place(self, params: Mapping[str, str]) -> Conditional:
        """Take a new conditional order.

        Raises
        ------
        VenueError
            If it is refused; then nothing has happened.
        """
        market = self._venue.market(params.get("symbol"))
        made = read_conditional(params, market, self._venue.next_id(), self._venue.now_ms())
        if any(other.client_id == made.client_id for other in self._waiting.values()):
            raise VenueError.of(-4116)
        if len(self.waiting(made.symbol)) >= MAX_ALGO_ORDERS:
            raise VenueError.of(-4045)
        self.all[made.algo_id] = self._waiting[made.algo_id] = made
        self._tell(made, _WAITING)
        return made

    def waiting(self, symbol: str | None = None) -> list[Conditional]:
        """Return the orders that have not woken, oldest first."""
        return [made for made in self._waiting.values() if symbol in (None, made.symbol)]

    def find(self, params: Mapping[str, str]) -> Conditional:
        """Return the order that a request names, or refuse with -2013."""
        number, client_id = params.get("algoId"), params.get("clientAlgoId")
        if number is None and client_id is None:
            raise VenueError.malformed("algoId")
        for made in reversed(self.all.values()):
            if str(made.algo_id) == number or (number is None and made.client_id == client_id):
                return made
        raise VenueError.of(-2013)

    def cancel(self, params: Mapping[str, str]) -> Conditional:
        """Cancel an order that has not woken, or refuse with -2011."""
        try:
            made = self.find(params)
        except VenueError as e:
            raise (VenueError.of(-2011) if e.code == -2013 else e) from e
        if made.status != _WAITING:
            raise VenueError.of(-2011)
        self._tell(made, "CANCELED")
        return made

    def cancel_all(self, symbol: str | None) -> int:
        """Cancel the waiting orders of a symbol; return how many there were."""
        mine = self.waiting(self._venue.market(symbol).rules.symbol)
        for made in mine:
            self._tell(made, "CANCELED")
        return len(mine)

    def _on_event(self, event: Event) -> None:
        if not self._waiting or isinstance(event, BarOpen | BarClose):
            return
        market = self._venue.markets[event.symbol]
        now = self._venue.now_ms()
        for made in self.waiting(event.symbol):
            price = trigger_price(made, market)
            if 0 < made.expires_ms <= now:
                self._tell(made, "EXPIRED")
            elif price is not None and made.reached(price):
                self._wake(made)

    def _wake(self, made: Conditional) -> None:
        made.triggered_ms = self._venue.now_ms()
        self._tell(made, "TRIGGERING")
        quantity = made.quantity
        if made.close_position:
            quantity = abs(self._venue.account.position(made.symbol).amount)
            if quantity == 0:
                self._tell(made, "EXPIRED", "No position to close")
                return
        limit = made.price if made.kind in ("STOP", "TAKE_PROFIT") else None
        request = Request(
            symbol=made.symbol,
            side=made.side,
            kind="MARKET" if limit is None else "LIMIT",
            quantity=quantity,
            price=limit,
            time_in_force="GTC" if limit is None else made.time_in_force,
            reduce_only=made.reduce_only or made.close_position,
            client_id=made.client_id,
            origin=made.kind,
            stop_price=made.trigger,
            close_position=made.close_position,
        )
        number = self._venue.next_id()
        self._placed[number] = made
        try:
            self._venue.submit(request, number, lambda order: self._triggered(made, order))
        except VenueError as e:
            del self._placed[number]
            self._tell(made, "REJECTED", e.words)

    def _triggered(self, made: Conditional, order: Order) -> None:
        made.order = order
        self._tell(made, "TRIGGERED")

    def _on_order_end(self, order: Order) -> None:
        made = self._placed.pop(order.order_id, None)
        if made is not None:
            self._tell(made, "FINISHED")

    def _tell(self, made: Conditional, status: str, reason: str = "") -> None:
        if status != _WAITING:
            self._waiting.pop(made.algo_id, None)
        made.status = status
        made.reason = reason
        made.updated_ms = self._venue.now_ms()
        rules = self._venue.markets[made.symbol].rules
        self._venue.on_user_event(algo_update(rules, made, self._venue.now_ms()))
