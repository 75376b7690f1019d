"""Bars as plain arrays, and numbers that leave the engine exactly.

Prices leave the engine by `exact_float`, which divides the raw integer and gives the double nearest
to the decimal; the engine's own `as_double()` is one unit off in a quarter of the closes. The time
of a bar is its canonical close, see `aitb_nautilus.market.intervals`; its names are here as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.intervals import (
    Interval,
    TimeArray,
    canonical_close_ns,
    close_of_open_ns,
)

__all__ = [
    "RAW_SCALE",
    "VALUE_COLUMNS",
    "BarFrame",
    "FloatArray",
    "HasRaw",
    "Interval",
    "TimeArray",
    "canonical_close_ns",
    "close_of_open_ns",
    "exact_float",
    "exact_floats",
    "join_frames",
]

type FloatArray = NDArray[np.float64]

RAW_SCALE = 10**16
"""What one whole unit is in the `.raw` of an engine Price, Quantity or Money in this build."""

VALUE_COLUMNS = ("open", "high", "low", "close", "volume")
"""The columns of a `BarFrame` beside the time."""


class HasRaw(Protocol):
    """An engine value with its exact integer: Price, Quantity, Money."""

    @property
    def raw(self) -> int:
        """The value times `RAW_SCALE`."""


@dataclass(frozen=True, slots=True)
class BarFrame:
    """Bars of one instrument and one interval, one array a column, all of the same length n.

    Parameters
    ----------
    ts_close
        Canonical close time, (n,) int64, ns UTC.
    open, high, low, close
        In quote currency, (n,) float64.
    volume
        In base currency, (n,) float64, >= 0.

    Raises
    ------
    ValueError
        If the columns differ in length or type.
    """

    ts_close: TimeArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __post_init__(self) -> None:
        if self.ts_close.dtype != np.int64:
            raise ValueError(f"ts_close was {self.ts_close.dtype}, must be int64")
        for name in VALUE_COLUMNS:
            column = getattr(self, name)
            if column.dtype != np.float64 or column.shape != self.ts_close.shape:
                raise ValueError(
                    f"{name} was {column.dtype} {column.shape}, "
                    f"must be float64 {self.ts_close.shape}"
                )

    def __len__(self) -> int:
        return len(self.ts_close)

    @classmethod
    def empty(cls) -> BarFrame:
        """Return a frame without bars."""
        return cls(np.empty(0, np.int64), *(np.empty(0) for _ in VALUE_COLUMNS))

    def take(self, rows: NDArray[Any] | slice) -> BarFrame:
        """Return the bars at these positions, or where this mask is true, or of this slice."""
        return BarFrame(self.ts_close[rows], *(getattr(self, name)[rows] for name in VALUE_COLUMNS))

    def between(self, start_ns: int | None, end_ns: int | None) -> BarFrame:
        """Return the bars that close from `start_ns` to `end_ns`, both included.

        The bars must be in order. None is no bound.
        """
        first = 0 if start_ns is None else int(np.searchsorted(self.ts_close, start_ns, "left"))
        last = len(self) if end_ns is None else int(np.searchsorted(self.ts_close, end_ns, "right"))
        return self.take(slice(first, last))

    def same_values(self, other: BarFrame) -> NDArray[np.bool_]:
        """Return where open, high, low, close and volume equal those of another frame, (n,)."""
        same = np.ones(len(self), np.bool_)
        for name in VALUE_COLUMNS:
            same &= getattr(self, name) == getattr(other, name)
        return same


def join_frames(frames: Sequence[BarFrame]) -> BarFrame:
    """Return the bars of several frames, one after the other, in the order given."""
    if not frames:
        return BarFrame.empty()
    return BarFrame(
        np.concatenate([frame.ts_close for frame in frames]),
        *(np.concatenate([getattr(frame, name) for frame in frames]) for name in VALUE_COLUMNS),
    )


def exact_float(value: HasRaw) -> float:
    """Return the double nearest to an engine Price, Quantity or Money.

    This is the double that the same decimal gives in a Parquet or CSV file.
    """
    return value.raw / RAW_SCALE


def exact_floats(values: Sequence[HasRaw]) -> FloatArray:
    """Return the doubles nearest to a sequence of engine values, (n,) float64."""
    return np.array([value.raw / RAW_SCALE for value in values], np.float64)
