"""Features of bars, in batch over an array or one bar after the other, with the same bits.

>>> from aitb_nautilus.features.feature_set import parse_features
>>> features = parse_features(["candle_body", "log_return(1)"], interval="1m")
>>> engine = FeatureEngine(features)
>>> engine.update(60_000_000_000, 100.0, 102.0, 98.0, 101.0, 5.0) is None  # one bar is no return
True
>>> engine.update(120_000_000_000, 101.0, 103.0, 101.0, 103.0, 7.0)
array([1.        , 0.01960847], dtype=float32)
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.errors import DataError, RunError
from aitb_nautilus.features import snapshots
from aitb_nautilus.features.compiled import compiled_driver, kernel_address
from aitb_nautilus.features.feature_set import FeatureSet
from aitb_nautilus.features.layout import (
    BAR_REFUSED,
    HELD,
    LAST,
    NOT_FINITE,
    NOT_YET,
    OFF_GRID,
    OUT_OF_ORDER,
    STARTED,
    STATE,
    lay_out,
)
from aitb_nautilus.features.timeline import timeline_of
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.intervals import TimeArray

__all__ = ["OWN", "FeatureEngine", "FeatureRows", "Row"]

type Row = NDArray[np.float32]
type Bar = Sequence[float]
"""Open, high, low, close, volume."""

OWN = "own"
"""How the own instrument is called where its id does not matter."""

_FLOAT32 = np.dtype(np.float32)
_put_bar = struct.Struct("=q5d").pack_into


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """Rows of features, one for each bar of the own instrument.

    Parameters
    ----------
    ts_close
        (n,) int64, ns UTC.
    values
        (n, features) float32, or float64 where that was asked for. A row that is not valid is NaN.
    valid
        (n,) bool: warmed up since the first bar and since the last long gap.
    """

    ts_close: TimeArray
    values: NDArray[Any]
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts_close)


class FeatureEngine:
    """The features of one instrument, and their state.

    Parameters
    ----------
    features
        What to compute.
    instrument
        Id of the own instrument; needed only if the set names other instruments.

    Notes
    -----
    Every answer is a pure function of the last `FeatureSet.warmup` bars: an engine that began
    later, one that was restored from a snapshot and one that ran in batch give the same bits.

    Bars must come in order, at most one a time. Missing ones are filled: up to
    `FeatureSet.longest_gap_bars` in a row count as bars without a trade, at the last close. After
    more, or when another instrument is missing for longer, everything is forgotten and warms up
    anew.

    An engine belongs to one thread at a time; a second one meanwhile is refused.
    """

    def __init__(self, features: FeatureSet, instrument: str = OWN) -> None:
        self.features = features
        self.instrument = instrument
        self.instruments = (instrument, *(i for i in features.others if i != instrument))
        self._drive = compiled_driver(_FLOAT32)
        self._layout = lay_out(features, self.instruments, kernel_address)
        self._plan = self._layout.plan
        self._state = self._layout.state
        self._lock = threading.Lock()
        # One row of input, for bars that come one by one.
        self._input = bytearray(8 * (1 + 5 * len(self.instruments)))
        self._time = np.frombuffer(self._input, np.int64, 1)
        self._bar = np.frombuffer(self._input, np.float64, offset=8).reshape(1, -1, 5)
        self._shape = (1, len(features.features))
        self._rehearsal: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None

    @property
    def last_ns(self) -> int | None:
        """Close time of the last bar seen, or None."""
        if self._state[STARTED] == 0.0:
            return None
        return (int(self._state[LAST]) + 1) * self.features.interval.ns

    def update(  # noqa: PLR0917 - a bar is spelled in one order everywhere
        self, ts_close: int, open_: float, high: float, low: float, close: float, volume: float
    ) -> Row | None:
        """Take the next closed bar of a set without other instruments.

        Parameters
        ----------
        ts_close
            Canonical close, ns UTC.
        open_, high, low, close
            Above zero, in quote currency.
        volume
            In base currency, >= 0.

        Returns
        -------
        Row or None
            (features,) float32, the caller's own copy; None during warm-up.

        Raises
        ------
        DataError
            If the bar is not sound, not on the grid of the base bar size or not after the last one:
            it has then changed nothing. Or if an answer is not a finite float32 after the warm-up.
        RunError
            If another thread uses the engine at the same time.
        """
        if len(self.instruments) > 1:
            raise ValueError(f"the set needs bars of {', '.join(self.instruments)}: use update_all")
        if not self._lock.acquire(blocking=False):
            raise _two_threads()
        try:
            _put_bar(self._input, 0, ts_close, open_, high, low, close, volume)
            return self._one()
        finally:
            self._lock.release()

    def update_all(self, ts_close: int, bars: Mapping[str, Bar]) -> Row | None:
        """Take the bars of all instruments that closed at one time.

        Parameters
        ----------
        ts_close
            Canonical close, ns UTC.
        bars
            Of each instrument that has a bar at this time: open, high, low, close, volume. All that
            will ever come for this time must be there: none can be added later.

        Returns
        -------
        Row or None
            (features,) float32, the caller's own copy; None during warm-up, and where the own
            instrument has no bar.

        Raises
        ------
        DataError, RunError
            As `update`; also for an instrument that the set does not use.
        """
        with self._alone():
            if unknown := bars.keys() - set(self.instruments):
                raise DataError(
                    "feature engine",
                    f"was given bars of {', '.join(sorted(unknown))}",
                    f"knows {', '.join(self.instruments)}",
                )
            for i, instrument in enumerate(self.instruments):
                bar = bars.get(instrument)
                if bar is None:
                    self._bar[0, i] = np.nan
                else:
                    self._bar[0, i] = bar
                    if np.isnan(self._bar[0, i, 0]):
                        raise self._bad_bar(ts_close, instrument, self._bar[0, i])
            if not bars:
                raise DataError("feature engine", "was given no bar", "must be at least one")
            self._time[0] = ts_close
            return self._one()

    def batch(
        self, bars: BarFrame | Mapping[str, BarFrame], *, dtype: type[np.floating[Any]] = np.float32
    ) -> FeatureRows:
        """Take many bars at once, after those already seen.

        Parameters
        ----------
        bars
            Of the own instrument, or of all by id.
        dtype
            float32, what models see, or float64, what it was rounded from.

        Returns
        -------
        FeatureRows
            One row for each bar of the own instrument.

        Raises
        ------
        DataError, RunError
            As `update`. The bars before a refused one have been taken.
        """
        drive = compiled_driver(np.dtype(dtype))
        line = timeline_of(bars, self.instruments)
        rows = np.empty((len(line.ts_close), len(self.features.features)), dtype)
        with self._alone():
            answer = drive(self._plan, self._state, line.ts_close, line.bars, rows)
            if answer > NOT_YET:
                raise self._explain(answer, line.ts_close, line.bars)
            self._check_guards()
        if not line.own.all():
            rows = rows[line.own]
        return FeatureRows(line.ts_close[line.own], rows, ~np.isnan(rows[:, 0]))

    def rehearse(self) -> Row | None:
        """Compute the row that a bar like the last one would have if it came next; stay as it was.

        What is computed is in the processor's caches afterwards, and nowhere else.

        Returns
        -------
        Row or None
            (features,) float32; None where no bar came one by one, during warm-up, and where that
            bar would be refused.

        Raises
        ------
        RunError
            If another thread uses the engine at the same time.
        """
        with self._alone():
            if self._rehearsal is None:
                # The plan holds the address of its state: another state wants another plan.
                self._rehearsal = self._plan.copy(), self._state.copy()
                self._rehearsal[0][STATE] = self._rehearsal[1].ctypes.data
            plan, state = self._rehearsal
            state[:] = self._state
            times, row = self._time + self.features.interval.ns, np.empty(self._shape, _FLOAT32)
            answer = self._drive(plan, state, times, self._bar, row)
            return row[0] if answer < NOT_YET else None

    def snapshot(self) -> bytes:
        """Return the state, to go on with later or in another process.

        Raises
        ------
        RunError
            If another thread uses the engine at the same time.
        """
        with self._alone():
            self._check_guards()
            return snapshots.pack(self._key(), self._state[: self._layout.kept])

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot of an engine with the same features and instruments.

        Raises
        ------
        DataError
            If the snapshot is of other features or instruments, or damaged. Nothing is changed
            then.
        """
        with self._alone():
            state = snapshots.unpack(self._key(), self._layout.kept, snapshot)
            self._state[: self._layout.kept] = state

    def reset(self) -> None:
        """Forget every bar."""
        with self._alone():
            self._state[: self._layout.kept] = 0.0

    def _one(self) -> Row | None:
        row: Row = np.empty(self._shape, _FLOAT32)
        answer = self._drive(self._plan, self._state, self._time, self._bar, row)
        if answer > NOT_YET:
            raise self._explain(answer, self._time, self._bar)
        return None if answer == NOT_YET else row[0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise _two_threads()
        try:
            yield
        finally:
            self._lock.release()

    def _key(self) -> str:
        return f"{self.features.fingerprint} {','.join(self.instruments)}"

    def _check_guards(self) -> None:
        """Find a kernel that wrote outside its cells."""
        for column in np.flatnonzero(self._state[self._layout.guards].any(axis=1)):
            raise RunError(
                f"feature {self.features.names[column]}",
                "wrote outside its cells",
                todo="This is a defect of the kernel: its `cells` are too few",
            )

    def _explain(self, answer: int, times: TimeArray, bars: NDArray[np.float64]) -> DataError:
        """Say what the driver refused, unless a kernel that wrote elsewhere is to blame."""
        row, place = (int(cell) for cell in self._state[-2:])
        ts = int(times[row])
        when = f"{np.datetime64(ts, 'ns')}Z"
        interval = self.features.interval
        if answer == OFF_GRID:
            return DataError(
                f"bar {when}", f"closes beside the grid of {interval}", "must be a canonical close"
            )
        if answer == OUT_OF_ORDER:
            last = np.datetime64(self.last_ns or 0, "ns")
            return DataError(f"bar {when}", f"came after the bar {last}Z", "must come in order")
        if answer == BAR_REFUSED:
            return self._bad_bar(ts, self.instruments[place], bars[row, place])
        if answer != NOT_FINITE:
            raise AssertionError(f"the driver answered {answer}")
        self._check_guards()
        value = self._state[self._plan[HELD] + place]
        return DataError(
            f"feature {self.features.names[place]}, bar {when}",
            f"is {value}",
            "must be a finite float32 after the warm-up",
            "This is a defect of the kernel, or a bar that no market made: look at the bars before",
        )

    def _bad_bar(self, ts: int, instrument: str, bar: NDArray[np.float64]) -> DataError:
        names = ("open", "high", "low", "close", "volume")
        listed = ", ".join(f"{n} {v:g}" for n, v in zip(names, bar, strict=True))
        whose = "" if instrument == OWN else f" of {instrument}"
        return DataError(
            f"bar {np.datetime64(ts, 'ns')}Z{whose}",
            f"was {listed}",
            "prices must be finite, above zero and within low and high, volume at least zero",
            "See: aitb data check",
        )


def _two_threads() -> RunError:
    return RunError(
        "feature engine",
        "was used by two threads at the same time",
        "must belong to one thread",
        "Give each thread its own engine",
    )
