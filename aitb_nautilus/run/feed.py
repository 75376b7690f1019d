"""Recorded bars on their way into the engine, slice by slice.

Each bar is preceded by one opening tick, a trade at its open one latency after the bar before has
closed (decision 9): so a decision of bar N fills at N+1's open, and resting stops see the gap. A
tick that would repeat the last price is left out; it changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    FundingRateUpdate,
    InstrumentId,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval, TimeArray

__all__ = ["BarSource", "Feed", "QuoteTicks", "Series", "opening_mask"]

_TRADE_ID = TradeId("OPEN")
_QUOTES_AT_ONCE = 200_000
"""Quotes in a slice, about: as the engine's objects they take some 300 bytes each."""


class BarSource(Protocol):
    """What the feed needs from the catalog."""

    def engine_bars(self, bar_type: str, start_ns: int, end_ns: int) -> list[Bar]:
        """Return the engine's bars with close times in [start, end]."""
        ...


class QuoteTicks(Protocol):
    """The quotes of one instrument, as the catalog has them."""

    def ticks(self, start_ns: int, end_ns: int) -> list[QuoteTick]:
        """Return the engine's quotes from `start_ns` to `end_ns`, both included."""
        ...


class Series:
    """One instrument's bars in a run.

    Parameters
    ----------
    bar_type
        The engine's text of the bar type.
    instrument
        The engine's instrument.
    frame
        The bars as arrays.
    latency_ns
        Of the instrument's venue, ns.
    """

    def __init__(self, bar_type: str, instrument: Any, frame: BarFrame, latency_ns: int) -> None:
        self.bar_type = bar_type
        self.instrument = instrument
        self.instrument_id: InstrumentId = instrument.id
        self.frame = frame
        self.interval_ns = Interval.of_bar_type(bar_type).ns
        self.latency_ns = latency_ns
        self.opens = opening_mask(frame, self.interval_ns)

    @property
    def tick_offset_ns(self) -> int:
        """Return the time from a bar's close back to its opening tick, ns, < 0."""
        return self.latency_ns - self.interval_ns

    def heard_at(self, now: int) -> int:
        """Return when the venue hears a command sent at `now`, ns UTC.

        At once while the market trades; where bars are missing, at the open of the next one.
        """
        closes = self.frame.ts_close
        following = int(np.searchsorted(closes, now, side="right"))
        if following == len(closes):
            return now
        return max(now, int(closes[following]) - self.interval_ns)

    def ticks(self, bars: Sequence[Bar], first: int) -> list[TradeTick]:
        """Return the opening ticks of bars that start at index `first` of the frame."""
        offset = self.tick_offset_ns
        smallest: Quantity = self.instrument.size_increment
        ticks = []
        for i in np.flatnonzero(self.opens[first : first + len(bars)]).tolist():
            bar = bars[i]
            ts = bar.ts_event + offset
            size = bar.volume
            if size.is_zero():
                size = smallest
            ticks.append(
                TradeTick(
                    self.instrument_id,
                    bar.open,
                    size,
                    AggressorSide.NO_AGGRESSOR,
                    _TRADE_ID,
                    ts,
                    ts,
                )
            )
        return ticks


def opening_mask(frame: BarFrame, interval_ns: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which bars need an opening tick, shape (n_bars,) bool.

    All but those that open at the close of the bar right before.
    """
    mask = np.ones(len(frame), dtype=np.bool_)
    adjacent = np.diff(frame.ts_close) == interval_ns
    mask[1:] = ~((frame.open[1:] == frame.close[:-1]) & adjacent)
    return mask


class Feed:
    """All bars of a run, cut into slices of time.

    Parameters
    ----------
    source
        The catalog.
    series
        The run's bars.
    funding
        Settlement times (ns) and rates by instrument id text.
    quotes
        On which orders fill; with them no bar has an opening tick.
    rows
        How many quotes there are.
    slice_bars
        Bars in a slice, about.
    """

    def __init__(
        self,
        source: BarSource,
        series: Sequence[Series],
        funding: Mapping[str, tuple[TimeArray, FloatArray]],
        slice_bars: int = 20_000,
        *,
        quotes: Sequence[QuoteTicks] = (),
        rows: int = 0,
    ) -> None:
        self._quotes = quotes
        self._source = source
        self._series = series
        self._funding = funding
        times = np.sort(np.concatenate([s.frame.ts_close for s in series]), kind="stable")
        self.total = len(times)
        if quotes:
            slice_bars = max(1, min(slice_bars, _QUOTES_AT_ONCE * self.total // max(1, rows)))
        self._begin = min(int(s.frame.ts_close[0]) - s.interval_ns for s in series)
        # Cut where bars of every interval end: no opening tick may come after its slice.
        period = math.lcm(*(s.interval_ns for s in series))
        ends = np.append(times[slice_bars - 1 :: slice_bars], times[-1])
        self._ends = np.unique(-(-ends // period) * period)

    def slices(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield (bars in the slice, lists of data to add) in the order of time."""
        readers = [_Reader(self._source, s, opens=not self._quotes) for s in self._series]
        start = 0
        for end in self._ends.tolist():
            parts: list[Any] = []
            bars = 0
            for reader in readers:
                taken = reader.take(end)
                bars += len(taken[0])
                parts += [part for part in taken if part]
            rates = self._rates(start, end)
            if rates:
                parts.append(rates)
            ticks = [one.ticks(max(start, self._begin), end) for one in self._quotes]
            parts += [part for part in ticks if part]
            start = end + 1
            yield bars, parts

    def _rates(self, start: int, end: int) -> list[FundingRateUpdate]:
        updates = []
        for instrument_id, (times, rates) in self._funding.items():
            first, last = np.searchsorted(times, [start, end + 1])
            for i in range(int(first), int(last)):
                settle = int(times[i])
                updates.append(
                    FundingRateUpdate(
                        InstrumentId.from_str(instrument_id),
                        Decimal(repr(float(rates[i]))),
                        settle - 1,
                        settle - 1,
                        None,
                        settle,
                    )
                )
        return updates


class _Reader:
    """Read one series a block at a time, and hand it out up to a time."""

    _BLOCK = 50_000

    def __init__(self, source: BarSource, series: Series, *, opens: bool) -> None:
        self._opens = opens
        self._source = source
        self._series = series
        self._given = 0
        self._block: list[Bar] = []
        self._block_start = 0

    def take(self, end: int) -> tuple[list[Bar], list[TradeTick]]:
        """Return the bars up to a close time, and their opening ticks."""
        frame = self._series.frame
        until = int(np.searchsorted(frame.ts_close, end, side="right"))
        bars: list[Bar] = []
        first = self._given
        while self._given < until:
            have = self._block_start + len(self._block)
            if self._given >= have:
                self._load(self._given)
                continue
            stop = min(until, have)
            bars += self._block[self._given - self._block_start : stop - self._block_start]
            self._given = stop
        return bars, self._series.ticks(bars, first) if self._opens else []

    def _load(self, first: int) -> None:
        closes = self._series.frame.ts_close
        last = min(first + self._BLOCK, len(closes)) - 1
        self._block = self._source.engine_bars(
            self._series.bar_type, int(closes[first]), int(closes[last])
        )
        if len(self._block) != last + 1 - first:
            raise DataError(
                f"catalog: {self._series.bar_type}",
                f"gave {len(self._block)} bars where it had {last + 1 - first}",
                "must not be changed while a run reads it",
                "Run again once nothing writes to the catalog",
            )
        self._block_start = first
