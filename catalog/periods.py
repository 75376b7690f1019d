"""Months as people write them."""

from __future__ import annotations

import datetime as dt
import re

__all__ = ["month_starts", "parse_month"]

_MONTH = re.compile(r"(\d{4})-(\d{2})")


def parse_month(text: str) -> dt.date:
    """Return the first day of a month written ``2023-01``.

    Raises
    ------
    ValueError
        If the text is no month.
    """
    match = _MONTH.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1970:
        raise ValueError(f"{text!r} is not a month; write 2023-01")
    return dt.date(int(match[1]), int(match[2]), 1)


def month_starts(first: dt.date, last: dt.date) -> list[dt.date]:
    """Return the first days of all months from `first` to `last`, both included.

    Examples
    --------
    >>> [str(m) for m in month_starts(dt.date(2023, 12, 1), dt.date(2024, 1, 1))]
    ['2023-12-01', '2024-01-01']
    """
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [dt.date(n // 12, n % 12 + 1, 1) for n in numbers]
