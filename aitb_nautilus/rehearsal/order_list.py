"""All orders of the account: those that are open, and those that were."""

from __future__ import annotations

from collections.abc import Iterator

from aitb_nautilus.rehearsal.orders import Order

__all__ = ["OrderList"]


class OrderList:
    """Orders by their number and by the client's id, oldest first."""

    def __init__(self) -> None:
        self._all: dict[int, Order] = {}
        self._open: dict[int, Order] = {}
        self._by_client: dict[str, Order] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Order]:
        return iter(self._all.values())

    def add(self, order: Order) -> None:
        """Take a new order."""
        self._all[order.order_id] = self._open[order.order_id] = order
        self._by_client[order.client_id] = order

    def close(self, order: Order) -> None:
        """Note that an order can no longer fill."""
        self._open.pop(order.order_id, None)

    def open(self, symbol: str | None = None) -> list[Order]:
        """Return the open orders of one or of all symbols."""
        return [order for order in self._open.values() if symbol in (None, order.symbol)]

    def by_number(self, number: str) -> Order | None:
        """Return the order of an exchange's number, or None."""
        return self._all.get(int(number)) if number.isdecimal() else None

    def by_client(self, client_id: str) -> Order | None:
        """Return the latest order of a client's id, or None."""
        return self._by_client.get(client_id)
