"""The interval of a bar, and the one time that a bar has.

A bar is stamped with its **close**: open time plus interval, in int nanoseconds UTC. The bar of
12:00 to 12:01 carries 12:01:00.000000000. Files stamp bars with their open, and live streams stamp
them a millisecond (or a microsecond) early, 12:00:59.999; both are put onto the same grid here, so
that a bar has the same time in the catalog, in a history request and in a stream.
"""

from __future__ import annotations

import re
from typing import overload

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "TimeArray",
    "beside_grid",
    "canonical_close_ns",
    "close_of_open_ns",
    "nearest_close_ns",
    "spell_ns",
]

type TimeArray = NDArray[np.int64]

_SECOND_NS = 1_000_000_000
_UNITS: dict[str, tuple[str, int, int]] = {
    # letter: the engine's word, length in ns, how many of them make the next larger unit
    "s": ("SECOND", _SECOND_NS, 60),
    "m": ("MINUTE", 60 * _SECOND_NS, 60),
    "h": ("HOUR", 3600 * _SECOND_NS, 24),
    "d": ("DAY", 86400 * _SECOND_NS, 1),
}
_LETTERS = {word: letter for letter, (word, _, _) in _UNITS.items()}
_TEXT = re.compile(r"(\d+)([smhd])")
_BAR_TYPE = re.compile(
    r"(?P<id>.+\..+)-(?P<step>\d+)-(?P<unit>[A-Z]+)-(?P<price>[A-Z]+)-(?P<source>[A-Z]+)"
)
_MAX_STAMP_ERROR_NS = _SECOND_NS


class Interval(msgspec.Struct, frozen=True):
    """The length of a bar: 1s to 30s, 1m to 30m, 1h to 12h, 1d, always a whole part of a day.

    Parameters
    ----------
    text
        Number and letter in the shortest spelling: ``1m``, ``1h``, ``1d``. Use `parse` for text
        that a person wrote.

    Examples
    --------
    >>> Interval.parse("60m").text
    '1h'
    >>> Interval.parse("5m").bar_type("BTCUSDT.BINANCE")
    'BTCUSDT.BINANCE-5-MINUTE-LAST-EXTERNAL'
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        number, letter = self._parts()
        return number * _UNITS[letter][1]

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Return the interval that a person wrote.

        Raises
        ------
        ValueError
            If it is no number with one of the letters s, m, h, d, or does not divide a day evenly.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"the interval {text!r} is not known: write a number and s, m, h or d, "
                "such as 1m, 15m, 1h or 1d"
            )
        return cls.of_ns(int(match[1]) * _UNITS[match[2]][1])

    @classmethod
    def of_ns(cls, ns: int) -> Interval:
        """Return the interval of a length in nanoseconds.

        Raises
        ------
        ValueError
            If the length is not a whole part of a minute, an hour or a day.
        """
        for letter, (_, unit, limit) in _UNITS.items():
            number, rest = divmod(ns, unit)
            if rest == 0 and number > 0 and limit % number == 0 and (number < limit or limit == 1):
                return cls(f"{number}{letter}")
        raise ValueError(
            f"an interval of {spell_ns(ns)} does not divide a minute, an hour or a day evenly; "
            "such bars have no fixed place in the day"
        )

    @classmethod
    def of_bar_type(cls, bar_type: str) -> Interval:
        """Return the interval in a bar type such as ``BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL``.

        Raises
        ------
        ValueError
            If the text is no bar type, or its bars are not of a fixed time.
        """
        match = _BAR_TYPE.fullmatch(bar_type)
        if match is None or match["unit"] not in _LETTERS:
            raise ValueError(
                f"{bar_type!r} is no bar type of a fixed interval, such as "
                "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
            )
        return cls.of_ns(int(match["step"]) * _UNITS[_LETTERS[match["unit"]]][1])

    @staticmethod
    def instrument_of_bar_type(bar_type: str) -> str:
        """Return the instrument id in a bar type.

        Raises
        ------
        ValueError
            If the text is no bar type.
        """
        match = _BAR_TYPE.fullmatch(bar_type)
        if match is None:
            raise ValueError(
                f"{bar_type!r} is no bar type, such as BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
            )
        return match["id"]

    def bar_type(self, instrument_id: str) -> str:
        """Return the engine's name for bars of this interval made from last trades."""
        number, letter = self._parts()
        return f"{instrument_id}-{number}-{_UNITS[letter][0]}-LAST-EXTERNAL"

    def _parts(self) -> tuple[int, str]:
        return int(self.text[:-1]), self.text[-1]


def spell_ns(ns: int) -> str:
    """Return a length of time in its two largest units: ``1m``, ``1h 20m``, ``182d``."""
    seconds = ns / _SECOND_NS
    if seconds < 60:
        return f"{seconds:g}s"
    parts = []
    left = round(seconds)
    for length, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        number, left = divmod(left, length)
        if number:
            parts.append(f"{number:,}{letter}")
    return " ".join(parts[:2])


@overload
def canonical_close_ns(ts_ns: int, interval_ns: int) -> int: ...
@overload
def canonical_close_ns(ts_ns: TimeArray, interval_ns: int) -> TimeArray: ...
def canonical_close_ns(ts_ns: int | TimeArray, interval_ns: int) -> int | TimeArray:
    """Return the one close time of bars whose close was stamped on the grid or a little beside it.

    Parameters
    ----------
    ts_ns
        Close stamp, ns UTC: one int or an int64 array.
    interval_ns
        Length of the bars.

    Returns
    -------
    int or (n,) int64
        The nearest multiple of the interval since the epoch.

    Raises
    ------
    ValueError
        If a stamp lies farther from the grid than one second, or than a quarter of a shorter bar.
        Such a stamp is no close time of this interval.

    Examples
    --------
    >>> canonical_close_ns(59_999_000_000, 60_000_000_000)
    60000000000
    """
    if isinstance(ts_ns, int):
        # A live node asks at every bar: numpy takes longer for one number than all the rest, and
        # what is called after a minute is in no cache.
        close = (ts_ns + interval_ns // 2) // interval_ns * interval_ns
        if abs(ts_ns - close) <= min(_MAX_STAMP_ERROR_NS, interval_ns // 4):
            return close
    beside = np.flatnonzero(beside_grid(np.atleast_1d(np.asarray(ts_ns, np.int64)), interval_ns))
    if len(beside):
        first = int(np.atleast_1d(ts_ns)[beside[0]])
        raise ValueError(
            f"the stamp {np.datetime64(first, 'ns')}Z is no close time of bars of "
            f"{spell_ns(interval_ns)}"
        )
    return nearest_close_ns(ts_ns, interval_ns)


@overload
def close_of_open_ns(ts_ns: int, interval_ns: int) -> int: ...
@overload
def close_of_open_ns(ts_ns: TimeArray, interval_ns: int) -> TimeArray: ...
def close_of_open_ns(ts_ns: int | TimeArray, interval_ns: int) -> int | TimeArray:
    """Return the canonical close time of bars stamped with their open: open plus interval.

    Takes, returns and raises what `canonical_close_ns` does.
    """
    return canonical_close_ns(ts_ns + interval_ns, interval_ns)


@overload
def nearest_close_ns(ts_ns: int, interval_ns: int) -> int: ...
@overload
def nearest_close_ns(ts_ns: TimeArray, interval_ns: int) -> TimeArray: ...
def nearest_close_ns(ts_ns: int | TimeArray, interval_ns: int) -> int | TimeArray:
    """Return the nearest multiple of the interval since the epoch, however far it is."""
    return (ts_ns + interval_ns // 2) // interval_ns * interval_ns


def beside_grid(ts_ns: TimeArray, interval_ns: int) -> NDArray[np.bool_]:
    """Return where a close stamp is too far from the grid to be put onto it, (n,) bool.

    Too far is more than one second, or than a quarter of a bar shorter than four seconds.
    """
    away = np.abs(ts_ns - nearest_close_ns(ts_ns, interval_ns))
    beside: NDArray[np.bool_] = away > _allowed_ns(interval_ns)
    return beside


def _allowed_ns(interval_ns: int) -> int:
    return min(_MAX_STAMP_ERROR_NS, interval_ns // 4)
