"""A run cut into stretches of equal time, few enough to be looked at, and what was held in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from aitb_nautilus.market.bars import BarFrame, FloatArray, TimeArray
from aitb_nautilus.messages import Fill
from aitb_nautilus.run.accounting import held_at, last_at

__all__ = ["Held", "Stretches", "held_in", "length_for"]

_MINUTE_NS = 60 * 10**9
_LENGTHS_NS = [
    minutes * _MINUTE_NS
    for minutes in (
        *(1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720),
        *(days * 1440 for days in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    )
]


def length_for(span_ns: int, shortest_ns: int, most: int) -> int:
    """Return the shortest usual length, ns, of which at most so many make up a span."""
    for length in _LENGTHS_NS:
        if length >= shortest_ns and span_ns / length <= most:
            return length
    return _LENGTHS_NS[-1]


class Stretches:
    """Stretches of time on their own grid; only those in which a bar closed.

    Parameters
    ----------
    ts
        Closes of bars, shape (n,), ascending, n > 0.
    length_ns
        Of a stretch.

    Attributes
    ----------
    ends
        Last close in each, shape (m,), ns UTC.
    """

    def __init__(self, ts: TimeArray, length_ns: int) -> None:
        self.length_ns = length_ns
        self._cells = (ts - 1) // length_ns
        self._first = np.flatnonzero(np.diff(self._cells, prepend=-1))
        self._last = np.append(self._first[1:], len(ts)) - 1
        self._known = self._cells[self._first]
        self.ends: TimeArray = ts[self._last]

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def name(self) -> str:
        """Return the length as text, such as ``2d``."""
        minutes = self.length_ns // _MINUTE_NS
        for size, unit in ((1440, "d"), (60, "h")):
            if minutes % size == 0:
                return f"{minutes // size}{unit}"
        return f"{minutes}m"

    def largest(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each stretch; `values` stand at the closes."""
        found: FloatArray = np.maximum.reduceat(values, self._first)
        return found

    def last(self, values: FloatArray) -> FloatArray:
        """Return the value at the end of each stretch."""
        found: FloatArray = values[self._last]
        return found

    def largest_of(self, times: TimeArray, values: FloatArray) -> FloatArray:
        """Return the largest value of each stretch, 0 without one; values stand at any times."""
        found = np.zeros(len(self))
        if len(times):
            place = np.searchsorted(self._known, (times - 1) // self.length_ns)
            np.maximum.at(found, np.minimum(place, len(self) - 1), values)
        return found


class Held(msgspec.Struct, frozen=True):
    """Value of what was held at each close, quote currency, each shape (n,).

    Attributes
    ----------
    long, short
        Of all strategies, nothing set off, >= 0.
    one_side
        Of the instrument and side with most.
    instrument
        Of the instrument with most, both sides.
    signed
        By instrument, reduced by `held_in`'s caller.
    """

    long: FloatArray
    short: FloatArray
    one_side: FloatArray
    instrument: FloatArray
    signed: Mapping[str, FloatArray]

    @property
    def gross(self) -> FloatArray:
        """Return longs plus shorts."""
        return self.long + self.short

    @property
    def net(self) -> FloatArray:
        """Return longs minus shorts."""
        return self.long - self.short


def held_in(
    fills: Sequence[Fill],
    frames: Mapping[str, BarFrame],
    ts: TimeArray,
    covers: Callable[[str, str], bool],
    reduce: Callable[[FloatArray], FloatArray],
) -> Held:
    """Return what was held at each close by those strategies in those instruments that count.

    Parameters
    ----------
    fills
        In the order of time.
    covers
        Whether a strategy's position in an instrument counts.
    reduce
        Makes the signed values of each instrument short enough to be kept.
    """
    own: dict[str, dict[str, list[Fill]]] = {}
    for fill in fills:
        if covers(fill.strategy_id, fill.instrument_id):
            own.setdefault(fill.instrument_id, {}).setdefault(fill.strategy_id, []).append(fill)
    long, short, one_side, instrument = (np.zeros(len(ts)) for _ in range(4))
    signed: dict[str, FloatArray] = {}
    for instrument_id, by_strategy in own.items():
        frame = frames[instrument_id]
        closes = last_at(frame.ts_close, frame.close, ts, frame.open[0])
        sides = np.zeros((2, len(ts)))
        for told in by_strategy.values():
            times = np.minimum(np.array([f.ts for f in told], np.int64), ts[-1])
            value = held_at(told, times, ts) * closes
            sides[0] += np.maximum(value, 0.0)
            sides[1] -= np.minimum(value, 0.0)
        long += sides[0]
        short += sides[1]
        np.maximum(one_side, sides.max(axis=0), out=one_side)
        np.maximum(instrument, sides.sum(axis=0), out=instrument)
        signed[instrument_id] = reduce(sides[0] - sides[1])
    return Held(long, short, one_side, instrument, signed)
