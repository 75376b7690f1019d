"""How much one client may ask: request weight by the minute, orders by ten seconds and minute.

References
----------
Binance, USDⓈ-M futures, General Info, LIMITS: headers ``X-MBX-USED-WEIGHT-1M`` and
``X-MBX-ORDER-COUNT-10S``; status 429 when a limit is passed, 418 while an address is banned.
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.answers import VenueError

__all__ = ["RATE_LIMITS", "RateLimits"]

_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
WEIGHT_PER_MINUTE = 2_400
ORDERS_PER_MINUTE = 1_200
ORDERS_PER_TEN_SECONDS = 300

RATE_LIMITS: list[dict[str, Any]] = [
    {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": WEIGHT_PER_MINUTE,
    },
    {
        "rateLimitType": "ORDERS",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": ORDERS_PER_MINUTE,
    },
    {
        "rateLimitType": "ORDERS",
        "interval": "SECOND",
        "intervalNum": 10,
        "limit": ORDERS_PER_TEN_SECONDS,
    },
]
"""The limits as ``exchangeInfo`` lists them."""


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
    """The counts of the one client that a rehearsal has."""

    def __init__(self) -> None:
        self._weight = _Window(_MINUTE_MS)
        self._orders_minute = _Window(_MINUTE_MS)
        self._orders_short = _Window(_TEN_SECONDS_MS)

    def headers(self) -> dict[str, str]:
        """Return what an answer says of the counts."""
        return {
            "X-MBX-USED-WEIGHT-1M": str(self._weight.used),
            "X-MBX-ORDER-COUNT-10S": str(self._orders_short.used),
            "X-MBX-ORDER-COUNT-1M": str(self._orders_minute.used),
        }

    def counts(self) -> list[dict[str, Any]]:
        """Return the counts as the WebSocket interface lists them."""
        used = (self._weight.used, self._orders_minute.used, self._orders_short.used)
        return [{**limit, "count": count} for limit, count in zip(RATE_LIMITS, used, strict=True)]

    def add_request(self, weight: int, now_ms: int) -> None:
        """Count a request, or refuse it with -1003 and status 429."""
        if self._weight.add(weight, now_ms) > WEIGHT_PER_MINUTE:
            error = VenueError.of(-1003, WEIGHT_PER_MINUTE)
            error.retry_after = self._weight.rest_s(now_ms)
            raise error

    def add_orders(self, count: int, now_ms: int) -> None:
        """Count new orders, or refuse them with -1015 and status 429."""
        if self._orders_short.add(count, now_ms) > ORDERS_PER_TEN_SECONDS:
            raise VenueError.of(-1015, ORDERS_PER_TEN_SECONDS, "10 SECOND")
        if self._orders_minute.add(count, now_ms) > ORDERS_PER_MINUTE:
            raise VenueError.of(-1015, ORDERS_PER_MINUTE, "MINUTE")
