"""Bars that were told, kept as plain numbers: six for each, however long a node runs."""

from __future__ import annotations

import numpy as np

from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame
from aitb_nautilus.messages import BarClosed

__all__ = ["ToldBars"]

_FIRST = 1_024
"""Bars of one instrument for which there is room at first."""


class ToldBars:
    """Collect bars, and give them back as arrays.

    Examples
    --------
    >>> told = ToldBars()
    >>> told.add(BarClosed("A", 60, 1.0, 2.0, 0.5, 1.5, 10.0))
    >>> len(told), told.frames()["A"].close
    (1, array([1.5]))
    """

    def __init__(self) -> None:
        self._columns: dict[str, _Columns] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, bar: BarClosed) -> None:
        """Take a bar; those of one instrument come in order."""
        columns = self._columns.get(bar.instrument_id)
        if columns is None:
            columns = self._columns[bar.instrument_id] = _Columns()
        columns.add(bar)
        self._count += 1

    def frames(self) -> dict[str, BarFrame]:
        """Return them by instrument id, in the order in which each was heard first.

        Nothing is copied, so that a node does not wait for it: the arrays are read-only, and what
        is added later stands behind their end.
        """
        return {name: columns.frame() for name, columns in self._columns.items()}


class _Columns:
    """The bars of one instrument, in arrays that are replaced by larger ones when they are full."""

    __slots__ = ("_count", "_times", "_values")

    def __init__(self) -> None:
        self._count = 0
        self._times = np.empty(_FIRST, np.int64)
        self._values = np.empty((len(VALUE_COLUMNS), _FIRST), np.float64)

    def add(self, bar: BarClosed) -> None:
        place = self._count
        if place == len(self._times):
            self._grow()
        self._times[place] = bar.ts
        self._values[:, place] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._count = place + 1

    def frame(self) -> BarFrame:
        times, values = self._times[: self._count], self._values[:, : self._count]
        for column in (times, values):
            column.flags.writeable = False
        return BarFrame(times, *values)

    def _grow(self) -> None:
        # What was given away keeps the old ones.
        size = 2 * len(self._times)
        times, values = self._times, self._values
        self._times = np.empty(size, np.int64)
        self._values = np.empty((len(VALUE_COLUMNS), size), np.float64)
        self._times[: self._count] = times
        self._values[:, : self._count] = values
