"""A period as a row of places, one a bar: which the catalog holds, and which are missing."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.times import iso
from catalog.store import BarStore

__all__ = ["Gap", "places_held", "runs"]


class Gap(msgspec.Struct, frozen=True):
    """Bars that are not there.

    Parameters
    ----------
    first_ns, last_ns
        Close times of the first and the last missing bar, ns UTC.
    bars
        How many are missing.
    """

    first_ns: int
    last_ns: int
    bars: int

    def __str__(self) -> str:
        bars = "1 bar" if self.bars == 1 else f"{self.bars:,} bars"
        return f"{iso(self.first_ns)} to {iso(self.last_ns)} ({bars})"


def places_held(
    store: BarStore, bar_type: str, first_ns: int, last_ns: int, step_ns: int
) -> NDArray[np.bool_]:
    """Return which bars of a period the catalog holds.

    Parameters
    ----------
    first_ns, last_ns
        Close times of the first and the last bar of the period, on the grid, ns UTC.
    step_ns
        Length of a bar.

    Returns
    -------
    (n,) bool
        Entry i belongs to the close time ``first_ns + i * step_ns``.
    """
    held = np.zeros((last_ns - first_ns) // step_ns + 1, np.bool_)
    if any(series.bar_type == bar_type for series in store.list()):
        closes = store.read(bar_type, first_ns, last_ns).ts_close
        held[(closes - first_ns) // step_ns] = True
    return held


def runs(mask: NDArray[np.bool_], first_ns: int, step_ns: int) -> list[Gap]:
    """Return the stretches where `mask` is true.

    Parameters
    ----------
    mask
        (n,) bool; entry i belongs to the close time ``first_ns + i * step_ns``.
    """
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [
        Gap(first_ns + int(a) * step_ns, first_ns + (int(b) - 1) * step_ns, int(b - a))
        for a, b in edges.reshape(-1, 2)
    ]
