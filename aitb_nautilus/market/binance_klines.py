"""The fixed lengths of Binance's klines, and their names.

They stand apart from the rehearsal that serves them: a node asks for a name, and must not wait
while a whole server is imported.
"""

from __future__ import annotations

from typing import Final

__all__ = ["INTERVALS_MS", "interval_name"]

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
INTERVALS_MS: Final = {
    "1s": 1_000,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
}
"""The fixed kline intervals of Binance, ms (``1s`` is offered on spot only)."""
_SPOT_ONLY = ("1s",)


def interval_name(ms: int, *, spot: bool = False) -> str | None:
    """Return Binance's name of a kline length, or None if it has none for the product.

    Examples
    --------
    >>> interval_name(3_600_000)
    '1h'
    >>> interval_name(1_000) is None
    True
    """
    named = INTERVALS_MS.items()
    return next((n for n, length in named if length == ms and (spot or n not in _SPOT_ONLY)), None)
