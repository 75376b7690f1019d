"""Limits of what bars tell of a market: how old the last one is, and how much it trades."""

from __future__ import annotations

from collections import deque

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import (
    PASS,
    ROUNDING,
    Limit,
    Proposal,
    Verdict,
    quantity_of,
)

__all__ = ["ClockSkew", "Liquidity", "StaleData"]


class StaleData(Limit):
    """Refuse orders in an instrument whose last bar is too old.

    The interval of its bars is the smallest distance between two that were seen; before the second
    bar it is not known, and no bar is called old.
    """

    name = "max_stale_bars"
    relearns = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum
        self._last: dict[str, int] = {}
        self._interval: dict[str, int] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if the last bar is older than so many intervals."""
        instrument_id = proposal.instrument_id
        interval = self._interval.get(instrument_id)
        if interval is None:
            return PASS
        age = (proposal.clock - self._last[instrument_id]) / interval
        if age <= self.maximum:
            return PASS
        return Verdict(
            ZERO,
            f"the last bar of {instrument_id} is {age:.1f} intervals of {interval / 1e9:g} s old, "
            f"and max_stale_bars is {self.maximum:g}; wait for a bar or raise {self.key}",
        )

    def hear_bar(self, bar: BarClosed) -> None:
        """Note when the bar closed, and how far it lies from the one before."""
        instrument_id, ts = bar.instrument_id, bar.ts
        last = self._last.get(instrument_id)
        if last is not None and ts > last:
            before = self._interval.get(instrument_id)
            if before is None or ts - last < before:
                self._interval[instrument_id] = ts - last
        self._last[instrument_id] = ts


class ClockSkew(Limit):
    """Refuse orders in an instrument whose last bar, or quote, lies ahead of the node's clock."""

    name = "max_clock_skew_ms"
    relearns = True

    def __init__(self, maximum_ms: float) -> None:
        self.maximum_ms = maximum_ms
        self._last: dict[str, int] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if the last bar lies too far ahead of it."""
        last, what = self._last.get(proposal.instrument_id, 0), "bar"
        if proposal.quote is not None and proposal.quote.ts > last:
            last, what = proposal.quote.ts, "quote"
        ahead = (last - proposal.clock) / 1e6
        if ahead <= self.maximum_ms:
            return PASS
        return Verdict(
            ZERO,
            f"the last {what} of {proposal.instrument_id} lies {ahead:g} ms ahead of the clock, "
            f"and max_clock_skew_ms is {self.maximum_ms:g}; set the clock right or raise "
            f"{self.key}",
        )

    def hear_bar(self, bar: BarClosed) -> None:
        """Note when the bar closed."""
        self._last[bar.instrument_id] = bar.ts


class Liquidity(Limit):
    """Cap an order by what a bar trades on average, and refuse markets that trade too little.

    Parameters
    ----------
    volume_frac
        Largest part of the mean volume, or None.
    bar_value
        Smallest mean value of a bar, quote currency, or None.
    bars
        How many bars the means go over; before as many were seen, over those that were.
    """

    name = "liquidity"
    relearns = True
    shrinks = True

    def __init__(self, volume_frac: float | None, bar_value: float | None, bars: int) -> None:
        self.volume_frac = volume_frac
        self.bar_value = bar_value
        self.bars = bars
        self._volumes: dict[str, deque[float]] = {}
        self._values: dict[str, deque[float]] = {}
        self._means: dict[str, tuple[float, float]] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse or shrink the order by the means of the last bars."""
        instrument_id = proposal.instrument_id
        volume, value = self._means.get(instrument_id, (0.0, 0.0))
        if self.bar_value is not None and value < self.bar_value * (1 - ROUNDING):
            seen = len(self._values.get(instrument_id, ()))
            return Verdict(
                ZERO,
                f"the last {seen} bars of {instrument_id} traded {value:,.2f} on "
                f"average, below min_bar_value {self.bar_value:,.2f}; wait for more trade or "
                f"lower {self.key}.min_bar_value",
            )
        if self.volume_frac is not None:
            most = self.volume_frac * volume
            quantity = proposal.amount
            if quantity > most * (1 + ROUNDING):
                return Verdict(
                    quantity_of(most, 1.0),
                    f"order of {quantity:g} is above {self.volume_frac:.2%} of what a bar of "
                    f"{instrument_id} trades, which is {most:g}; send less at a time or raise "
                    f"{self.key}.max_volume_frac",
                )
        return PASS

    def hear_bar(self, bar: BarClosed) -> None:
        """Note what a bar traded, at its close."""
        volumes = self._volumes.get(bar.instrument_id)
        if volumes is None:
            volumes = self._volumes[bar.instrument_id] = deque(maxlen=self.bars)
            self._values[bar.instrument_id] = deque(maxlen=self.bars)
        values = self._values[bar.instrument_id]
        volumes.append(bar.volume)
        values.append(bar.volume * bar.close)
        self._means[bar.instrument_id] = sum(volumes) / len(volumes), sum(values) / len(values)
