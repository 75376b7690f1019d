"""A histogram of times that costs a fifth of a microsecond a value and forgets no outlier.

Log-linear, as Gil Tene's HdrHistogram: each doubling is cut into 128 equal buckets, so that a
bucket is never wider than 1/128 of its values, from nanoseconds to a day. Up to 255 ns every
nanosecond has a bucket of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["LONGEST_NS", "Bucket", "Histogram"]

_BITS = 7  # 128 buckets a doubling
_LINEAR = 1 << (_BITS + 1)
_DOUBLINGS = 39
LONGEST_NS = (1 << (_BITS + 1 + _DOUBLINGS)) - 1
"""What is longer, 39 hours, is counted as this."""


class Bucket(NamedTuple):
    """How many values, `number`, lay from `low` to `high`, both included, ns."""

    low: int
    high: int
    number: int


class Histogram:
    """Count times by their length.

    Attributes
    ----------
    count
        How many values it took.
    below_zero
        How many of them were negative, where two clocks differ; they count as 0.
    longest
        The largest value, exact, ns; 0 without values.

    Examples
    --------
    >>> one = Histogram()
    >>> for ns in (100, 200, 10_000):
    ...     one.record(ns)
    >>> one.quantile(0.5), one.longest
    (200, 10000)
    """

    __slots__ = ("_counts", "below_zero", "count", "longest")

    def __init__(self) -> None:
        self._counts = [0] * ((_DOUBLINGS << _BITS) + _LINEAR)
        self.count = 0
        self.below_zero = 0
        self.longest = 0

    def record(self, ns: int) -> None:
        """Take a value."""
        if ns > self.longest:  # noqa: PLR1730 - `max` takes half as long again
            self.longest = ns
        shift = ns.bit_length() - 8
        if ns < 0:
            self.below_zero += 1
            self._counts[0] += 1
        elif shift <= 0:
            self._counts[ns] += 1
        elif shift <= _DOUBLINGS:
            self._counts[(shift << _BITS) + (ns >> shift)] += 1
        else:
            self._counts[-1] += 1
        self.count += 1

    def quantile(self, share: float) -> int:
        """Return the value that so large a share of all values does not exceed, ns.

        Parameters
        ----------
        share
            In [0, 1].

        Returns
        -------
        int
            The upper end of its bucket, at most 1/128 too high; never above `longest`.

        Raises
        ------
        ValueError
            If there are no values.
        """
        if not self.count:
            raise ValueError("a histogram without values has no quantiles")
        wanted = max(1, math.ceil(share * self.count))
        passed = 0
        for bucket in self.buckets():
            passed += bucket.number
            if passed >= wanted:
                break
        return min(bucket.high, self.longest)

    def buckets(self) -> Iterator[Bucket]:
        """Yield the buckets that hold anything, the shortest first."""
        for place, count in enumerate(self._counts):
            if count:
                low, high = _bounds(place)
                yield Bucket(low, high, count)

    @classmethod
    def of_buckets(cls, buckets: Iterable[Bucket], *, below_zero: int, longest: int) -> Histogram:
        """Return the histogram that has these buckets.

        Raises
        ------
        ValueError
            If a bucket is none of ours.
        """
        made = cls()
        for bucket in buckets:
            place = _place(bucket.low)
            if _bounds(place) != (bucket.low, bucket.high) or bucket.number < 1:
                raise ValueError(f"{bucket} is no bucket of this kind of histogram")
            made._counts[place] += bucket.number
            made.count += bucket.number
        made.below_zero, made.longest = below_zero, longest
        return made


def _place(ns: int) -> int:
    shift = ns.bit_length() - 8
    return ns if shift <= 0 else (min(shift, _DOUBLINGS) << _BITS) + (ns >> shift)


def _bounds(place: int) -> tuple[int, int]:
    """Return the first and the last value that a place of the list counts."""
    if place < _LINEAR:
        return place, place
    shift = (place >> _BITS) - 1
    first = (place - (shift << _BITS)) << shift
    return first, first + (1 << shift) - 1
