"""Bars that were told, kept as plain numbers: six for each, however long a node runs."""

from __future__ import annotations

from array import array

import numpy as np

from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame
from aitb_nautilus.messages import BarClosed

__all__ = ["ToldBars"]


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
        self._times: dict[str, array[int]] = {}
        self._values: dict[str, list[array[float]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, bar: BarClosed) -> None:
        """Take a bar; those of one instrument come in order."""
        name = bar.instrument_id
        times = self._times.get(name)
        if times is None:
            times = self._times[name] = array("q")
            self._values[name] = [array("d") for _ in VALUE_COLUMNS]
        times.append(bar.ts)
        for column, key in zip(self._values[name], VALUE_COLUMNS, strict=True):
            column.append(getattr(bar, key))
        self._count += 1

    def frames(self) -> dict[str, BarFrame]:
        """Return copies by instrument id, in the order in which each was heard first."""
        return {
            name: BarFrame(
                np.array(times, np.int64),
                *(np.array(column, np.float64) for column in self._values[name]),
            )
            for name, times in self._times.items()
        }
