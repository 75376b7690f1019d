"""The average true range, bar by bar: how far a market moves within one bar, for stops.

The kernel ``atr(n)`` that models see begins anew on each bar from ``28 n`` bars ago, so that it
depends on a known stretch of bars alone; it is silent for as long. A stop cannot wait 392 bars for
its 14. Here is the textbook's recursion, defined from bar ``n + 1`` on as in Wilder's book and in
TA-Lib; once the kernel speaks, the two agree to twelve digits.
"""

from __future__ import annotations

import msgspec

from aitb_nautilus.messages import BarClosed

__all__ = ["AverageRange", "RangeState"]


class RangeState(msgspec.Struct):
    """What an `AverageRange` remembers.

    Attributes
    ----------
    ts
        Close of the last bar, ns UTC.
    close
        Of the last bar, quote currency.
    seen
        True ranges that were taken in.
    value
        Their average so far, quote currency.
    """

    ts: int = 0
    close: float = 0.0
    seen: int = 0
    value: float = 0.0


class AverageRange:
    """Wilder's average of the true range, from closed bars.

    ``TR = max(high, close before) - min(low, close before)``. The first value is the mean of the
    first `bars` true ranges; then ``ATR += (TR - ATR) / bars``.

    Parameters
    ----------
    bars
        In the average, >= 1.
    state
        What another one remembered, to go on from there.

    References
    ----------
    Wilder (1978), New Concepts in Technical Trading Systems, ch. 3.

    Examples
    --------
    >>> atr = AverageRange(2)
    >>> for ts, high, low, close in ((1, 11, 9, 10), (2, 12, 10, 11), (3, 15, 11, 14)):
    ...     atr.update(BarClosed("X.V", ts, close, high, low, close, 1.0))
    >>> atr.value
    3.0
    """

    __slots__ = ("_bars", "state")

    def __init__(self, bars: int, state: RangeState | None = None) -> None:
        self._bars = bars
        self.state = state or RangeState()

    @property
    def value(self) -> float | None:
        """Return the average, quote currency, >= 0; None before `bars` + 1 bars."""
        return self.state.value if self.state.seen >= self._bars else None

    def update(self, bar: BarClosed) -> None:
        """Take in a closed bar; one that was taken in already changes nothing."""
        state = self.state
        if bar.ts <= state.ts:
            return
        if state.ts:
            span = max(bar.high, state.close) - min(bar.low, state.close)
            state.seen = min(state.seen + 1, self._bars + 1)
            if state.seen <= self._bars:
                state.value += (span - state.value) / state.seen
            else:
                state.value += (span - state.value) / self._bars
        state.ts, state.close = bar.ts, bar.close
