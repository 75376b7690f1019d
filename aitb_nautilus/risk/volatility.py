"""How far one market moves in a year: an exponentially weighted volatility of bar returns."""

from __future__ import annotations

import math

import msgspec

__all__ = ["YEAR_NS", "EwmaVolatility", "VolatilityState"]

YEAR_NS = 365 * 86_400 * 10**9


class VolatilityState(msgspec.Struct):
    """What an `EwmaVolatility` remembers.

    Attributes
    ----------
    close
        The last close, quote currency; 0 before the first.
    seen
        Returns that were taken in.
    variance
        Of one bar's log return.
    """

    close: float = 0.0
    seen: int = 0
    variance: float = 0.0


class EwmaVolatility:
    """Yearly volatility from an exponentially weighted mean of squared log returns.

    ``v = d * v + (1 - d) * r**2`` with ``d = 2 ** (-1 / half_life_bars)``, begun with the first
    squared return; the mean return counts as zero.

    Parameters
    ----------
    half_life_bars
        Bars after which a squared return counts half.
    interval_ns
        Length of a bar, ns.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., ch. 5.

    Examples
    --------
    >>> volatility = EwmaVolatility(2, interval_ns=YEAR_NS)
    >>> for close in (100.0, 110.0, 100.0, 110.0):
    ...     volatility.update(close)
    >>> round(volatility.yearly_variance or 0.0, 6) == round(math.log(1.1) ** 2, 6)
    True
    """

    __slots__ = ("_bars_a_year", "_decay", "_half_life", "state")

    def __init__(self, half_life_bars: int, interval_ns: int) -> None:
        self._half_life = half_life_bars
        self._decay = math.exp(-math.log(2) / half_life_bars)
        self._bars_a_year = YEAR_NS / interval_ns
        self.state = VolatilityState()

    def update(self, close: float) -> None:
        """Take in the close of a bar, > 0."""
        state = self.state
        if state.close:
            squared = math.log(close / state.close) ** 2
            weight = self._decay if state.seen else 0.0
            state.variance = weight * state.variance + (1 - weight) * squared
            state.seen += 1
        state.close = close

    @property
    def yearly_variance(self) -> float | None:
        """Return the variance of a yearly return, > 0; None while too little is known."""
        if self.state.seen < self._half_life or self.state.variance <= 0:
            return None
        return self.state.variance * self._bars_a_year
