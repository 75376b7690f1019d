"""Ask the venues what they hold, at a moment at which nothing is on its way.

Where a venue is asked by a client of our own, what the engine's cache holds of it counts only for
orders that nobody else knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import msgspec

from aitb_nautilus.risk.engine_venue import venue_facts
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueFill, VenueOrder
from aitb_nautilus.run.binance_asker import BinanceAsker
from aitb_nautilus.run.binance_books import books_of
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.binance_spot import SpotAsker, positions_of
from aitb_nautilus.run.preparation import Preparation

__all__ = ["Asker", "Found", "VenueLook", "askers_of", "books"]

type Asker = BinanceAsker | SpotAsker
"""What asks a venue itself."""

type Found = tuple[VenueOrder, list[VenueFill]] | None
"""What it says of one order, with all its fills; None: it knows no such order."""

_AGAIN_NS = 500_000_000
_SILENT_NS = 5_000_000_000
"""How long a venue that did not answer is left alone."""


class VenueLook:
    """Ask beside the loop, and drop an answer that an event of an order has overtaken.

    Parameters
    ----------
    ledger
        Of the trader; only read.
    venues
        Names of all venues of the node.
    askers
        By venue name; of other venues the engine's cache is read.
    instruments
        The engine's, by id.
    cache
        The engine's.
    holds
        Returns whether an order, by its id, has not left yet: no answer to it is on its way.
    pool
        On which venues are asked.
    note
        For the log of the run.

    Attributes
    ----------
    due
        When they are asked next, ns UTC.
    """

    def __init__(
        self,
        ledger: Ledger,
        venues: Sequence[str],
        askers: Mapping[str, Asker],
        *,
        instruments: Mapping[str, Any],
        cache: Any,
        holds: Callable[[str], bool],
        pool: ThreadPoolExecutor,
        note: Callable[[str, str], None],
    ) -> None:
        self._ledger = ledger
        self._venues = venues
        self._askers = askers
        self._instruments = instruments
        self._beside: dict[str, dict[str, Decimal]] = {}
        self._cache = cache
        self._holds = holds
        self._pool = pool
        self._note = note
        self._asked: dict[str, Future[VenueFacts]] = {}
        self._stamp: object = None
        self._complaint = ""
        self.due = 0

    def go_on(self, now: int) -> VenueFacts | None:
        """Ask if it is time, and return what all venues have answered, once.

        Parameters
        ----------
        now
            ns UTC.
        """
        if self._asked:
            return self._take(now)
        if now >= self.due and self._is_quiet():
            self._stamp = self._standing()
            self._asked = {name: self._ask(name) for name in self._venues}
            return self._take(now)
        return None

    def _ask(self, venue: str) -> Future[VenueFacts]:
        asker = self._askers.get(venue)
        if asker is not None:
            return self._pool.submit(books, asker, venue)
        known: Future[VenueFacts] = Future()
        known.set_result(venue_facts(self._cache, [venue]))
        return known

    def _take(self, now: int) -> VenueFacts | None:
        if not all(future.done() for future in self._asked.values()):
            return None
        asked, self._asked = self._asked, {}
        try:
            facts = _together([self.positions(n, f.result()) for n, f in asked.items()])
        except AskError as e:
            self.due = now + _SILENT_NS
            if str(e) != self._complaint:
                self._complaint = str(e)
                self._note("WARNING", f"asked the venue what it holds: {e}; asking again")
            return None
        self._complaint = ""
        if self._standing() == self._stamp:
            return msgspec.structs.replace(facts, orders=(*facts.orders, *self._strangers(facts)))
        self.due = now + _AGAIN_NS
        return None

    def positions(self, venue: str, facts: VenueFacts) -> VenueFacts:
        """Return what a venue says, on spot with positions; say what it holds beside them."""
        if not isinstance(self._askers.get(venue), SpotAsker):
            return facts
        positions, beside = positions_of(facts, self._ledger, self._instruments)
        # What an order at the market has just done is not told yet.
        is_settled = not any(o.kind == "MARKET" for o in self._ledger.every_open_order())
        if is_settled and beside != self._beside.get(venue):
            self._beside[venue] = beside
            words = ", ".join(f"{amount:f} {coin}" for coin, amount in beside.items() if amount)
            if words:
                self._note("INFO", f"{venue} holds beside our positions: {words}; left alone")
        return msgspec.structs.replace(facts, positions=positions)

    def _strangers(self, facts: VenueFacts) -> list[VenueOrder]:
        """Return orders that the engine alone has open: neither a venue nor we know of them.

        It would act on them, such as by refusing what would close more than is held.
        """
        known = {order.client_order_id for order in facts.orders} | self._ledger.orders.keys()
        theirs = venue_facts(self._cache, [name for name in self._venues if name in self._askers])
        return [order for order in theirs.orders if order.client_order_id not in known]

    def _is_quiet(self) -> bool:
        """Return whether no command is on its way, as far as we know."""
        orders = self._ledger.every_open_order()
        return not any(
            (order.status == "SENT" and not self._holds(order.client_order_id)) or order.changes
            for order in orders
        )

    def _standing(self) -> object:
        """Return what changes with every event of an order."""
        ledger = self._ledger
        orders = [(o.client_order_id, o.filled, o.ts_terms) for o in ledger.every_open_order()]
        return len(ledger.fills), len(ledger.orders), orders


def books(asker: Asker, venue: str) -> VenueFacts:
    """Return what an account holds; it blocks, for seconds at most.

    Raises
    ------
    AskError
        If there was no answer, or one that is not understood.
    """
    return asker.books(venue) if isinstance(asker, SpotAsker) else books_of(asker, venue)


def askers_of(run: Preparation) -> dict[str, Asker]:
    """Return what asks the venues of a node themselves, by their names; on paper nothing does."""
    askers: dict[str, Asker] = {}
    for venue in run.venues.values():
        if run.mode != "live" or venue.adapter_name != "binance":
            continue
        if venue.account == "cash":
            context = run.context
            askers[venue.name] = SpotAsker(
                venue, context.instruments, context.ledger, context.coin_prices
            )
        else:
            askers[venue.name] = BinanceAsker(venue)
    return askers


def _together(facts: Sequence[VenueFacts]) -> VenueFacts:
    """Return what several venues hold as one."""
    balances: dict[str, Decimal] = {}
    for one in facts:
        for code, amount in one.balances.items():
            balances[code] = balances.get(code, Decimal(0)) + amount
    return VenueFacts(
        venues=tuple(name for one in facts for name in one.venues),
        orders=tuple(order for one in facts for order in one.orders),
        positions={name: held for one in facts for name, held in one.positions.items()},
        entry_prices={name: price for one in facts for name, price in one.entry_prices.items()},
        balances=balances,
    )
