"""Times and months as people write them, turned into ns UTC."""

from __future__ import annotations

import datetime as dt
import re

__all__ = ["iso", "month_starts", "parse_month", "parse_time"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_MONTH = re.compile(r"(\d{4})-(\d{2})")


def parse_time(text: str) -> int:
    """Return a time in ns UTC.

    Parameters
    ----------
    text
        ``2024-01``, ``2024-01-31``, ``2024-01-31T12:30``, with or without an offset; without one it
        is UTC, never the clock of this machine.

    Raises
    ------
    ValueError
        If the text is no time, with the accepted forms.

    Examples
    --------
    >>> parse_time("1970-01-02")
    86400000000000
    """
    whole = f"{text}-01" if _MONTH.fullmatch(text) else text
    try:
        moment = dt.datetime.fromisoformat(whole)
    except ValueError as e:
        raise ValueError(
            f"{text!r} is not a time; write 2024-01-31, 2024-01-31T12:30 or 2024-01 (all UTC)"
        ) from e
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1_000


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


def iso(ts_ns: int) -> str:
    """Return a time as ISO text in UTC, to the second: ``2024-01-31T12:30:00Z``."""
    moment = _EPOCH + dt.timedelta(microseconds=ts_ns // 1_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
