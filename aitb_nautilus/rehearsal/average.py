"""The average price of the last minutes, by which a spot market judges orders at the market."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

__all__ = ["AVERAGE_MINS", "AveragePrice"]

AVERAGE_MINS = 5
"""``avgPriceMins`` of Binance's filters."""
_MS = 60_000


class AveragePrice:
    """Weigh prices by their volume over the last minutes.

    References
    ----------
    Binance, Spot, Filters, NOTIONAL: the volume weighted average price over the last
    ``avgPriceMins`` minutes.
    """

    def __init__(self) -> None:
        self._trades: deque[tuple[int, int, int]] = deque()
        self._value = self._quantity = 0

    def add(self, ts_ms: int, price: int, quantity: int) -> None:
        """Count a trade, in price and quantity units."""
        self._trades.append((ts_ms, price * quantity, quantity))
        self._value += price * quantity
        self._quantity += quantity
        self._forget(ts_ms)

    def at(self, now_ms: int) -> Decimal | None:
        """Return the average in price units; None if nothing was traded."""
        self._forget(now_ms)
        return Decimal(self._value) / self._quantity if self._quantity else None

    def _forget(self, now_ms: int) -> None:
        while self._trades and self._trades[0][0] <= now_ms - AVERAGE_MINS * _MS:
            _, value, quantity = self._trades.popleft()
            self._value -= value
            self._quantity -= quantity
