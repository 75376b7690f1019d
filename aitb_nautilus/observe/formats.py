"""Numbers as people read them: one way for terminal, page and comparison.

None is shown as a dash. Nothing rounds to "-0".
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

__all__ = [
    "DASH",
    "count",
    "day",
    "days",
    "minute",
    "moment",
    "money",
    "money_decimals",
    "nice_step",
    "percent",
    "price",
    "ratio",
    "seconds",
    "small_percent",
    "span",
]

DASH = "\N{EN DASH}"


def percent(value: float | None, *, signed: bool = False, digits: int = 2) -> str:
    """Return a fraction as percent: 0.1234 is ``12.34%``."""
    return DASH if value is None else _number(value * 100, digits, signed) + "%"


def small_percent(value: float) -> str:
    """Return a small fraction as percent with its sign and at least one digit that is not zero."""
    digits = 3
    while value and digits < 9 and round(value * 100, digits) == 0:
        digits += 1
    return percent(value, signed=True, digits=digits)


def ratio(value: float | None, *, signed: bool = False, digits: int = 2) -> str:
    """Return a plain number with two digits."""
    return DASH if value is None else _number(value, digits, signed)


def count(value: int | None) -> str:
    """Return a whole number with thousands separated."""
    return DASH if value is None else f"{value:,}"


def money_decimals(amount: float) -> int:
    """Return how many decimals amounts of an account of this size need: 2 for 10,000, 6 for 1."""
    size = abs(amount)
    return 2 if size >= 1000 else 4 if size >= 10 else 6


def money(value: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return an amount of money without its currency."""
    return DASH if value is None else _number(value, decimals, signed)


def price(value: float) -> str:
    """Return a price with up to 8 significant digits and no trailing zeros."""
    size = abs(value)
    decimals = 2 if size >= 1000 else 4 if size >= 1 else 8
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text and size < 1000 else text


def seconds(value: float | None) -> str:
    """Return a length of time on the wall clock: ``0.84 s``, ``2 min 05 s``, ``1 h 10 min``."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.2f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def span(ns: int) -> str:
    """Return a short time with three digits: ``850 ns``, ``12.3 \N{MICRO SIGN}s``, ``1.20 ms``."""
    for unit, length in (("s", 10**9), ("ms", 10**6), ("\N{MICRO SIGN}s", 10**3)):
        if ns >= length:
            value = ns / length
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{ns} ns"


def days(value: float) -> str:
    """Return a length of time in a market: ``2.5 days``, ``5.0 hours``, ``5 minutes``.

    No unit is larger than the time itself.
    """
    minutes = round(value * 24 * 60)
    if minutes < 60:
        return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"
    if value < 1:
        return f"{value * 24:.1f} hours"
    if value < 10 and round(value, 1) % 1:
        return f"{value:.1f} days"
    whole = round(value)
    return f"{whole:,} day" if whole == 1 else f"{whole:,} days"


def day(iso: str | None) -> str:
    """Return the date of an ISO 8601 time: ``2023-03-24``."""
    return DASH if iso is None else datetime.fromisoformat(iso).strftime("%Y-%m-%d")


def minute(iso: str | None) -> str:
    """Return date and minute of an ISO 8601 time: ``2023-03-24 12:40``."""
    return DASH if iso is None else datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M")


def moment(ns: int) -> str:
    """Return date and minute of a time, ns UTC."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M")


def nice_step(least: float) -> float:
    """Return the least step from `least` > 0 on that is 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= least)


def _number(value: float, digits: int, signed: bool) -> str:
    rounded = round(value, digits) + 0.0  # adding zero turns -0.0 into 0.0
    return f"{rounded:+,.{digits}f}" if signed and rounded != 0 else f"{rounded:,.{digits}f}"
