"""Times as people write them, turned into ns UTC and back."""

from __future__ import annotations

import datetime as dt
import re

__all__ = ["iso", "parse_time"]

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
        If the text is no time, with the accepted forms, or none that nanoseconds can tell.

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
    ns = (moment - _EPOCH) // _MICROSECOND * 1_000
    if abs(ns) >= 2**63:
        raise ValueError(f"{text!r} does not lie between the years 1678 and 2262")
    return ns


def iso(ns: int) -> str:
    """Return a time, ns UTC, as ISO text: to the second, or as exactly as it needs.

    Examples
    --------
    >>> iso(0), iso(1)
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000000001Z')
    """
    whole, rest = divmod(ns, 1_000_000_000)
    text = dt.datetime.fromtimestamp(whole, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"
