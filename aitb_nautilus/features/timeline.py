"""Bars of several instruments, put side by side on one line of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import VALUE_COLUMNS, BarFrame
from aitb_nautilus.market.intervals import TimeArray

__all__ = ["Timeline", "timeline_of"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Every time at which some instrument has a bar.

    Parameters
    ----------
    ts_close
        (n,) int64, ns UTC, in order.
    bars
        (n, instruments, 5) float64; NaN where an instrument has no bar.
    own
        (n,) bool: where the first instrument has one.
    """

    ts_close: TimeArray
    bars: NDArray[np.float64]
    own: NDArray[np.bool_]


def timeline_of(bars: BarFrame | Mapping[str, BarFrame], instruments: Sequence[str]) -> Timeline:
    """Return bars side by side.

    Parameters
    ----------
    bars
        Of the first instrument if it is the only one, or of all by id.
    instruments
        Ids, the own instrument first.

    Raises
    ------
    DataError
        If an instrument is missing or not asked for, a series is not in order, or a bar has a NaN.
    """
    if isinstance(bars, BarFrame):
        bars = {instruments[0]: bars}
    if bars.keys() != set(instruments):
        raise DataError(
            "bars for the features",
            f"were of {', '.join(sorted(bars)) or 'no instrument'}",
            f"must be of {', '.join(instruments)}",
        )
    frames = [bars[instrument] for instrument in instruments]
    for instrument, frame in zip(instruments, frames, strict=True):
        _refuse_disorder(instrument, frame)
    if len(frames) == 1:
        own = frames[0]
        columns = [getattr(own, name) for name in VALUE_COLUMNS]
        alone = np.stack(columns, axis=1).reshape(-1, 1, len(columns))
        # Compiled code wants times that lie side by side and may be written, and columns of files
        # often are neither.
        times = np.require(own.ts_close, requirements=["C", "W"])
        return Timeline(times, alone, np.ones(len(own), np.bool_))
    times = np.unique(np.concatenate([frame.ts_close for frame in frames]))
    side = np.full((len(times), len(frames), len(VALUE_COLUMNS)), np.nan)
    for i, (instrument, frame) in enumerate(zip(instruments, frames, strict=True)):
        _refuse_nan(instrument, frame)
        rows = np.searchsorted(times, frame.ts_close)
        for c, name in enumerate(VALUE_COLUMNS):
            side[rows, i, c] = getattr(frame, name)
    return Timeline(times, side, np.isin(times, frames[0].ts_close, assume_unique=True))


def _refuse_disorder(instrument: str, frame: BarFrame) -> None:
    wrong = np.flatnonzero(np.diff(frame.ts_close) <= 0)
    if len(wrong):
        ts = np.datetime64(int(frame.ts_close[wrong[0] + 1]), "ns")
        raise DataError(f"bars of {instrument}: {ts}Z", "is not after the bar before", "must be")


def _refuse_nan(instrument: str, frame: BarFrame) -> None:
    """Refuse what the driver would take for a missing bar."""
    nans = np.flatnonzero(np.isnan(frame.open))
    if len(nans):
        ts = np.datetime64(int(frame.ts_close[nans[0]]), "ns")
        where = f"bars of {instrument}: {ts}Z"
        raise DataError(where, "open is NaN", "must be a number", "See: aitb data check")
