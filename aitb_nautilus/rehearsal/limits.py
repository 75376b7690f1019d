"""How much one client may ask: request weight by the minute, orders by ten seconds and longer.

References
----------
Binance, USDⓈ-M futures, General Info, LIMITS; Spot, REST API, Rate limits: headers
``X-MBX-USED-WEIGHT-1M`` and ``X-MBX-ORDER-COUNT-10S``; status 429 when a limit is passed, 418 while
an address is banned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError

__all__ = ["SPOT_LIMITS", "USD_M_LIMITS", "LimitNumbers", "RateLimits"]

_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class LimitNumbers:
    """What a product allows one client.

    Parameters
    ----------
    weight
        Request weight in a minute.
    orders_short
        New orders in ten seconds.
    orders_long, long_interval, long_ms
        New orders in a longer time, its name and its length.
    """

    weight: int
    orders_short: int
    orders_long: int
    long_interval: str
    long_ms: int

    def listing(self) -> list[dict[str, Any]]:
        """Return the limits as ``exchangeInfo`` lists them."""
        rows = (
            ("REQUEST_WEIGHT", "MINUTE", 1, self.weight),
            ("ORDERS", "SECOND", 10, self.orders_short),
            ("ORDERS", self.long_interval, 1, self.orders_long),
        )
        names = ("rateLimitType", "interval", "intervalNum", "limit")
        return [dict(zip(names, row, strict=True)) for row in rows]


USD_M_LIMITS = LimitNumbers(2_400, 300, 1_200, "MINUTE", _MINUTE_MS)
SPOT_LIMITS = LimitNumbers(6_000, 100, 200_000, "DAY", _DAY_MS)


class _Window:
    """A count that begins anew with each interval of the clock."""

    def __init__(self, length_ms: int) -> None:
        self._length = length_ms
        self._number = -1
        self.used = 0

    def add(self, count: int, now_ms: int) -> int:
        if now_ms // self._length != self._number:
            self._number, self.used = now_ms // self._length, 0
        self.used += count
        return self.used

    def rest_s(self, now_ms: int) -> int:
        return (self._length - now_ms % self._length) // 1_000 + 1


class RateLimits:
    """The counts of the one client that a rehearsal has.

    Parameters
    ----------
    numbers
        What the product allows.
    """

    def __init__(self, numbers: LimitNumbers) -> None:
        self.numbers = numbers
        self._weight = _Window(_MINUTE_MS)
        self._short = _Window(_TEN_SECONDS_MS)
        self._long = _Window(numbers.long_ms)

    def headers(self) -> dict[str, str]:
        """Return what an answer says of the counts."""
        long = f"X-MBX-ORDER-COUNT-1{self.numbers.long_interval[0]}"
        return {
            "X-MBX-USED-WEIGHT-1M": str(self._weight.used),
            "X-MBX-ORDER-COUNT-10S": str(self._short.used),
            long: str(self._long.used),
        }

    def counts(self) -> list[dict[str, Any]]:
        """Return the counts as the WebSocket interface lists them."""
        used = (self._weight.used, self._short.used, self._long.used)
        rows = zip(self.numbers.listing(), used, strict=True)
        return [{**limit, "count": count} for limit, count in rows]

    def add_request(self, weight: int, now_ms: int) -> None:
        """Count a request, or refuse it with -1003 and status 429."""
        if self._weight.add(weight, now_ms) > self.numbers.weight:
            error = VenueError.of(-1003, self.numbers.weight)
            error.retry_after = self._weight.rest_s(now_ms)
            raise error

    def add_orders(self, count: int, now_ms: int) -> None:
        """Count new orders, or refuse them with -1015 and status 429."""
        if self._short.add(count, now_ms) > self.numbers.orders_short:
            raise VenueError.of(-1015, self.numbers.orders_short, "10 SECOND")
        if self._long.add(count, now_ms) > self.numbers.orders_long:
            raise VenueError.of(-1015, self.numbers.orders_long, self.numbers.long_interval)
