"""Price-time-priority matching of one symbol: the account's orders against the fed market.

The market is not simulated, it is fed: as quantities at prices, and as trades that pass. The
account's orders stand in the same queues. They fill

* when they walk the other side of the book on entry,
* when a passing trade reaches them, after all that stands before them at their price,
* when the market's quantity arrives on the other side of their price.

What the account takes from the market stays taken until the market is fed anew at that price.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from aitb_nautilus.rehearsal.book import BookSide, Entry
from aitb_nautilus.rehearsal.orders import BUY, Order

__all__ = ["Desk", "Matcher"]


class Desk(Protocol):
    """Who books what the matcher decides."""

    def allowance(self, order: Order) -> int:
        """Return the quantity units that a reduce-only order may still trade."""

    def on_fill(self, order: Order, price: int, quantity: int, *, maker: bool) -> None:
        """Book a trade; called before the matcher goes on."""

    def on_end(self, order: Order, status: str) -> None:
        """Book that an order ended without trading all of it."""


class Matcher:
    """The order book of one symbol, and the rules by which it trades.

    Parameters
    ----------
    desk
        Is told of each fill and each end, in order.
    """

    def __init__(self, desk: Desk) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self._desk = desk
        self._resting: dict[int, Order] = {}

    def resting(self) -> list[Order]:
        """Return the account's resting orders, oldest first."""
        return list(self._resting.values())

    def own_side(self, order: Order) -> BookSide:
        """Return the side on which an order rests."""
        return self.bids if order.side == BUY else self.asks

    def other_side(self, order: Order) -> BookSide:
        """Return the side that an order trades with on entry."""
        return self.asks if order.side == BUY else self.bids

    def would_take(self, order: Order) -> bool:
        """Return whether an order would trade on entry."""
        return self.other_side(order).crosses(order.price)

    def available(self, order: Order) -> int:
        """Return what the market offers within an order's limit, up to its quantity."""
        book = self.other_side(order)
        found = 0
        for price in book.prices():
            if order.price is not None and book.sign * price < book.sign * order.price:
                break
            found += book.market_quantity(price)
            if found >= order.remaining:
                break
        return min(found, order.remaining)

    def enter(self, order: Order) -> None:
        """Match a new order, then let the rest stand, or end it, as its type says."""
        self._walk(order)
        if order.remaining == 0:
            return
        immediate = order.kind == "MARKET" or order.time_in_force in ("IOC", "FOK")
        if immediate or (order.reduce_only and self._desk.allowance(order) == 0):
            self._desk.on_end(order, "EXPIRED")
        else:
            self.own_side(order).rest(order)
            self._resting[order.order_id] = order

    def withdraw(self, order: Order) -> None:
        """Take a resting order out of the book."""
        self.own_side(order).remove(order)
        del self._resting[order.order_id]

    def amend(self, order: Order, price: int, quantity: int) -> None:
        """Change a resting order.

        A smaller quantity at the same price keeps its place in the queue; any other change stands
        at the end, or trades at once.
        """
        if price == order.price and quantity < order.quantity:
            order.quantity = quantity
            self.own_side(order).shrink(order, order.remaining)
            return
        self.withdraw(order)
        order.price, order.quantity = price, quantity
        self.enter(order)

    def pass_trade(self, price: int, quantity: int, *, buyer_is_maker: bool) -> None:
        """Let a trade of the market reach the orders that it would have met.

        The account's orders at better prices come first, then the queue at the trade's price. The
        market's own quantity at better prices is taken to have gone.
        """
        book = self.bids if buyer_is_maker else self.asks
        left = quantity
        better = {
            order.price
            for order in self._resting.values()
            if self.own_side(order) is book
            and order.price is not None
            and book.sign * order.price > book.sign * price
        }
        for level in sorted(better, key=lambda p: -book.sign * p):
            for entry in [e for e in book.queue(level) if e.order is not None]:
                left -= self._give(book, level, entry, left)
        for entry in list(book.queue(price)):
            if left == 0:
                return
            if entry.order is None:
                taken = min(entry.quantity, left)
                book.take(price, entry, taken)
                left -= taken
            else:
                left -= self._give(book, price, entry, left)

    def set_levels(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """Make the market's quantity at each of these prices equal to what is given; 0 is none."""
        bids, asks = list(bids), list(asks)
        for book, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                if quantity < book.market_quantity(price):
                    book.set_market(price, quantity)
        for book, other, levels in (
            (self.bids, self.asks, bids),
            (self.asks, self.bids, asks),
        ):
            for price, quantity in sorted(levels, key=lambda level: -book.sign * level[0]):
                self._arrive(book, other, price, quantity)

    def replace_market(
        self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
    ) -> None:
        """Make the market equal to these levels, and have nothing at any other price."""
        changes = []
        for book, levels in ((self.bids, dict(bids)), (self.asks, dict(asks))):
            have = {price: book.market_quantity(price) for price in book.prices()}
            gone = ((price, 0) for price, quantity in have.items() if quantity > 0)
            wanted = dict(gone) | levels
            changes.append([(p, q) for p, q in wanted.items() if q != have.get(p, 0)])
        self.set_levels(*changes)

    def set_best(self, bid: tuple[int, int], ask: tuple[int, int]) -> None:
        """Make the market's best prices and their quantities equal to these."""
        gone_bids = ((price, 0) for price in self.bids.better_than(bid[0]))
        gone_asks = ((price, 0) for price in self.asks.better_than(ask[0]))
        self.set_levels([*gone_bids, bid], [*gone_asks, ask])

    def _walk(self, order: Order) -> None:
        book = self.other_side(order)
        left = order.remaining
        if order.reduce_only:
            left = min(left, self._desk.allowance(order))
        while left > 0 and book.crosses(order.price):
            price = book.best
            if price is None:
                break
            entry = next(book.queue(price))
            if entry.order is not None:  # self-trade prevention EXPIRE_MAKER, the venue's default
                own = entry.order
                self.withdraw(own)
                self._desk.on_end(own, "EXPIRED_IN_MATCH")
                continue
            quantity = min(left, entry.quantity)
            book.take(price, entry, quantity)
            left -= quantity
            self._desk.on_fill(order, price, quantity, maker=False)

    def _arrive(self, book: BookSide, other: BookSide, price: int, quantity: int) -> None:
        have = book.market_quantity(price)
        incoming = quantity - have
        while incoming > 0 and other.crosses(price):
            level = other.best
            if level is None:
                break
            entry = next(other.queue(level))
            if entry.order is None:  # the feed has moved through it
                other.set_market(level, 0)
            else:
                incoming -= self._give(other, level, entry, incoming)
        if not other.crosses(price):
            book.set_market(price, have + incoming)

    def _give(self, book: BookSide, price: int, entry: Entry, wanted: int) -> int:
        """Trade a resting order as maker; return what it gave, and end it if it may not rest."""
        order = entry.order
        if order is None or wanted == 0:
            return 0
        quantity = min(entry.quantity, wanted)
        if order.reduce_only:
            quantity = min(quantity, self._desk.allowance(order))
        if quantity > 0:
            book.take(price, entry, quantity)
            if entry.quantity == 0:
                del self._resting[order.order_id]
            self._desk.on_fill(order, price, quantity, maker=True)
        if order.order_id in self._resting and (
            order.reduce_only and self._desk.allowance(order) == 0
        ):
            self.withdraw(order)
            self._desk.on_end(order, "EXPIRED")
        return quantity
