"""One side of an order book: levels by price, and within a level a queue by time.

An entry of a queue is one of the account's orders, or quantity of the market, which has no owner.
Neighbouring quantities of the market are one entry, since nobody can tell them apart.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from aitb_nautilus.rehearsal.orders import Order

__all__ = ["BookSide", "Entry"]


@dataclass(eq=False)
class Entry:
    """Quantity at one place of a queue; `order` is None for the market's."""

    quantity: int
    order: Order | None = None


class BookSide:
    """Bids or asks of one symbol.

    Parameters
    ----------
    sign
        1 for bids, where the highest price is best; -1 for asks.
    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self._ranks: list[int] = []  # sign * price, ascending: the last one is the best
        self._queues: dict[int, deque[Entry]] = {}
        self._totals: dict[int, int] = {}
        self.changed: set[int] = set()
        """Prices whose quantity differs from what was last published."""

    def __len__(self) -> int:
        return len(self._ranks)

    @property
    def best(self) -> int | None:
        """The best price, or None if nobody is there."""
        return self.sign * self._ranks[-1] if self._ranks else None

    def crosses(self, price: int | None) -> bool:
        """Return whether the best price would trade with an opposite order at `price`.

        None is a market order.
        """
        best = self.best
        return best is not None and (price is None or self.sign * best >= self.sign * price)

    def quantity(self, price: int) -> int:
        """Return everything that rests at a price."""
        return self._totals.get(price, 0)

    def market_quantity(self, price: int) -> int:
        """Return what the market has at a price."""
        queue = self._queues.get(price)
        if queue is None:
            return 0
        if len(queue) == 1:
            return queue[0].quantity if queue[0].order is None else 0
        return sum(entry.quantity for entry in queue if entry.order is None)

    def levels(self, limit: int | None = None) -> list[tuple[int, int]]:
        """Return (price, quantity), best first."""
        count = len(self._ranks) if limit is None else min(limit, len(self._ranks))
        prices = (self.sign * self._ranks[-1 - i] for i in range(count))
        return [(price, self._totals[price]) for price in prices]

    def prices(self) -> list[int]:
        """Return the prices, best first."""
        return [self.sign * rank for rank in reversed(self._ranks)]

    def better_than(self, price: int) -> list[int]:
        """Return the prices that are better than `price`, best first."""
        rank = self.sign * price
        found = []
        for place in range(len(self._ranks) - 1, -1, -1):
            if self._ranks[place] <= rank:
                break
            found.append(self.sign * self._ranks[place])
        return found

    def queue(self, price: int) -> Iterator[Entry]:
        """Return the entries at a price, first come first."""
        return iter(self._queues.get(price, ()))

    def ahead_of(self, order: Order) -> int:
        """Return the quantity that stands before an order at its price."""
        ahead = 0
        for entry in self._queues[_price_of(order)]:
            if entry.order is order:
                return ahead
            ahead += entry.quantity
        raise KeyError(order.order_id)

    def rest(self, order: Order) -> None:
        """Put an order's remaining quantity at the end of its queue."""
        self._append(_price_of(order), Entry(order.remaining, order))

    def remove(self, order: Order) -> None:
        """Take a resting order out of its queue."""
        price = _price_of(order)
        queue = self._queues[price]
        for place, entry in enumerate(queue):
            if entry.order is order:
                del queue[place]
                self._add(price, -entry.quantity)
                return
        raise KeyError(order.order_id)

    def shrink(self, order: Order, quantity: int) -> None:
        """Reduce a resting order to `quantity` units; it keeps its place."""
        price = _price_of(order)
        for entry in self._queues[price]:
            if entry.order is order:
                self._add(price, quantity - entry.quantity)
                entry.quantity = quantity
                return
        raise KeyError(order.order_id)

    def set_market(self, price: int, quantity: int) -> None:
        """Make the market's part at a price equal to `quantity`.

        What comes stands at the end of the queue. What goes, goes from the end: whoever left is
        taken to have stood behind the account's orders until nobody else is left.
        """
        have = self.market_quantity(price)
        if quantity > have:
            self._append(price, Entry(quantity - have))
        elif quantity < have:
            self._withdraw(price, have - quantity)

    def take(self, price: int, entry: Entry, quantity: int) -> None:
        """Remove traded quantity from an entry of the queue at a price."""
        queue = self._queues[price]
        entry.quantity -= quantity
        if entry.quantity == 0:
            queue.remove(entry)
        self._add(price, -quantity)

    def _append(self, price: int, entry: Entry) -> None:
        queue = self._queues.setdefault(price, deque())
        last = queue[-1] if queue else None
        if entry.order is None and last is not None and last.order is None:
            last.quantity += entry.quantity
        else:
            queue.append(entry)
        self._add(price, entry.quantity)

    def _withdraw(self, price: int, quantity: int) -> None:
        queue = self._queues[price]
        left = quantity
        for place in range(len(queue) - 1, -1, -1):
            entry = queue[place]
            if entry.order is not None:
                continue
            gone = min(entry.quantity, left)
            entry.quantity -= gone
            left -= gone
            if entry.quantity == 0:
                del queue[place]
            if left == 0:
                break
        self._add(price, -quantity)

    def _add(self, price: int, quantity: int) -> None:
        total = self._totals.get(price, 0) + quantity
        self.changed.add(price)
        if total > 0:
            if price not in self._totals:
                insort(self._ranks, self.sign * price)
            self._totals[price] = total
            return
        if price in self._totals:
            del self._totals[price]
            del self._ranks[bisect_left(self._ranks, self.sign * price)]
        self._queues.pop(price, None)


def _price_of(order: Order) -> int:
    if order.price is None:
        raise ValueError(f"order {order.order_id} has no price and cannot rest")
    return order.price
