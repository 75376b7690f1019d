"""The parts of the simulated market: each a few lines of mathematics over whole arrays.

All arrays are float64 with one value a bar. Randomness comes from generators made by `stream`, one
for each purpose and pair, so that adding an instrument or a day leaves every other number as it
was.

References ---------- Andersen and Bollerslev (1997), Intraday periodicity and volatility
persistence in financial markets. Clark (1973), A subordinated stochastic process model with finite
variance for speculative prices. Hamilton (1989), A new approach to the economic analysis of
nonstationary time series. Taylor (1986), Modelling Financial Time Series, ch. 3 (log-volatility as
an AR(1)). Wood, McInish and Ord (1985), An investigation of transactions data for NYSE stocks (the
U shape).
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.market.intervals import TimeArray

__all__ = [
    "Alpha",
    "ar1",
    "bar_path",
    "funding_rates",
    "regime_multipliers",
    "seasonal_multipliers",
    "stream",
]

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS

# Volatility multiplier, mean stay in hours, chance of coming here from the normal regime. The calm
# and the turbulent regime lead back to the normal one.
_REGIMES = ((1.0, 24.0, 0.0), (0.6, 24.0, 0.6), (2.5, 6.0, 0.4))

_PEAK_HOUR = 15.0  # UTC: Europe and the United States trade together
_SEASONAL_VARIANCE = 0.6  # swing of the variance around its mean: volatility peak = 2 x trough

_INTEREST_RATE = 0.0001  # a settlement, Binance's 0.03 % a day
_FUNDING_DAMPER = 0.0005
_FUNDING_CAP = 0.003
_FUNDING_NS = 8 * _HOUR_NS


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose; the same in every process and at every hash seed."""
    digest = hashlib.sha256(purpose.encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,))))


def ar1(shocks: FloatArray, coefficient: float, start: float = 0.0) -> FloatArray:
    """Return x with ``x[t] = coefficient * x[t-1] + shocks[t]`` and ``x[-1] = start``.

    The recursion is unrolled by doubling, ``1 / (1 - aL) = (1 + aL)(1 + a^2 L^2)(1 + a^4 L^4)
    ...``, which needs log2(n) passes over the array instead of n steps.

    Parameters
    ----------
    shocks
        (n,) float64.
    coefficient
        In (-1, 1).
    start
        The value before the first.
    """
    x = shocks.copy()
    if not len(x):
        return x
    x[0] += coefficient * start
    shift, power = 1, coefficient
    while shift < len(x) and abs(power) > 1e-20:
        x[shift:] += power * x[:-shift]
        shift, power = 2 * shift, power * power
    return x


def regime_multipliers(rng: np.random.Generator, opens_ns: TimeArray) -> FloatArray:
    """Return the volatility multiplier of each bar from a Markov chain of three regimes.

    Normal (1.0), calm (0.6) and turbulent (2.5), staying exponentially long: on average 24, 24 and
    6 hours. Scaled so that the mean of the squared multiplier is 1 in the long run.

    Parameters
    ----------
    rng
        Draws the stays; the same generator state gives the same regimes for every bar size.
    opens_ns
        (n,) int64, open times of the bars in ns UTC.
    """
    visits = np.array([1.0 if chance == 0.0 else chance for _, _, chance in _REGIMES])
    weights = visits * np.array([stay for _, stay, _ in _REGIMES])
    levels = np.array([level for level, _, _ in _REGIMES])
    levels = levels / math.sqrt(float(np.average(levels**2, weights=weights)))
    calm_chance = _REGIMES[1][2]

    first = int(opens_ns[0])
    span_hours = (int(opens_ns[-1]) - first) / _HOUR_NS
    starts, states = [0.0], [0]
    while starts[-1] <= span_hours:
        state = states[-1]
        starts.append(starts[-1] + _REGIMES[state][1] * rng.standard_exponential())
        after_normal = 1 if rng.random() < calm_chance else 2
        states.append(after_normal if state == 0 else 0)
    hours = (opens_ns - first) / _HOUR_NS
    chosen = np.array(states)[np.searchsorted(np.array(starts), hours, side="right") - 1]
    multipliers: FloatArray = levels[chosen]
    return multipliers


def seasonal_multipliers(opens_ns: TimeArray, interval_ns: int) -> FloatArray:
    """Return the intraday volatility multiplier of each bar.

    The variance is ``1 + 0.6 cos(2 pi (hour - 15) / 24)``, averaged over the bar: a U from one
    15:00 UTC to the next with its floor at 03:00, where volatility is half of its peak. Its mean
    over a day is 1, so that bars of a day or longer are not touched.

    Parameters
    ----------
    opens_ns
        (n,) int64, open times of the bars in ns UTC.
    interval_ns
        Length of a bar in ns.
    """
    middle = (opens_ns % _DAY_NS + interval_ns / 2) / _HOUR_NS
    # The mean of a cosine over a bar is the cosine at its middle times sin(w) / w.
    width = np.sinc(interval_ns / _DAY_NS)
    variance = 1.0 + _SEASONAL_VARIANCE * width * np.cos(2 * np.pi * (middle - _PEAK_HOUR) / 24.0)
    return np.sqrt(variance)


class Alpha(NamedTuple):
    """The planted signal: an exponential average of past standardised returns tilts the next one.

    With z the standardised return of a bar, ``rho`` the signed strength and s the signal::

        s[t]     = phi * s[t-1] + (1 - phi) * z[t]          phi = 2 ** (-1 / halflife_bars)
        z[t + 1] = rho * s[t] / sd(s) + sqrt(1 - rho ** 2) * eps[t + 1]

    Positive strength is momentum, negative is reversion. Since eps is independent of the past, the
    correlation of s[t] with z[t + 1] is exactly ``rho``, and s is itself an AR(1) with coefficient
    ``phi + (1 - phi) * rho / sd(s)``. From ``Var z = 1`` and ``Cov(s[t-1], z[t]) = rho * sd(s)``
    follows ``sd(s) = (phi * rho + sqrt(phi^2 * rho^2 + 1 - phi^2)) / (1 + phi)``.

    Parameters
    ----------
    strength
        rho, in (-1, 1).
    halflife_bars
        Half-life of the average in bars, > 0.
    """

    strength: float
    halflife_bars: float

    @property
    def phi(self) -> float:
        """Weight that the average keeps from bar to bar."""
        return float(2.0 ** (-1.0 / self.halflife_bars))

    @property
    def deviation(self) -> float:
        """Standard deviation of the signal, sd(s)."""
        phi, rho = self.phi, self.strength
        return (phi * rho + math.sqrt((phi * rho) ** 2 + 1.0 - phi**2)) / (1.0 + phi)

    @property
    def persistence(self) -> float:
        """AR(1) coefficient of the signal, with the feedback of the tilted returns in it."""
        return self.phi + (1.0 - self.phi) * self.strength / self.deviation

    def apply(self, eps: FloatArray, start: float) -> tuple[FloatArray, FloatArray]:
        """Tilt innovations by their own past.

        Parameters
        ----------
        eps
            (n,) float64, independent, mean 0, variance 1.
        start
            The signal before the first bar, in standard deviations.

        Returns
        -------
        z, signal
            (n,) each: standardised returns, and the signal at each bar's close, in its own standard
            deviations. ``signal[t]`` uses returns up to and including bar t.
        """
        own = math.sqrt(1.0 - self.strength**2)
        shocks = (1.0 - self.phi) * own / self.deviation * eps
        signal = ar1(shocks, self.persistence, start)
        before = np.concatenate(([start], signal[:-1]))
        return self.strength * before + own * eps, signal


def bar_path(
    rng: np.random.Generator, returns: FloatArray, scales: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Return how far each bar's log price rose and fell from its open.

    Inside a bar the log price is a random walk of `steps` Gaussian steps that is pinned to the
    bar's return (a Brownian bridge): point k is ``k/m * r + scale * (W[k] - k/m * W[m])``.

    Parameters
    ----------
    rng
        Draws the steps.
    returns
        (n,) log return of each bar.
    scales
        (n,) standard deviation of the walk over the whole bar.
    steps
        Points in the bar, m.

    Returns
    -------
    up, down
        (n,) each: highest (>= 0) and lowest (<= 0) point, ends of the bar included.
    """
    up, down = np.empty_like(returns), np.empty_like(returns)
    part = np.arange(1, steps + 1) / steps
    block = 1 << 15  # keeps the walks in a few MiB whatever the length
    for i in range(0, len(returns), block):
        rows = slice(i, i + block)
        walk = rng.standard_normal((len(returns[rows]), steps)) / math.sqrt(steps)
        np.cumsum(walk, axis=1, out=walk)
        walk -= walk[:, -1:] * part
        walk *= scales[rows, None]
        walk += returns[rows, None] * part
        up[rows] = np.maximum(walk.max(axis=1), 0.0)
        down[rows] = np.minimum(walk.min(axis=1), 0.0)
    # The last point is the close itself; rounding must not put it outside.
    return np.maximum(up, returns), np.minimum(down, returns)


def funding_rates(
    rng: np.random.Generator, closes_ns: TimeArray, log_close: FloatArray
) -> tuple[TimeArray, FloatArray]:
    """Return simulated funding of a perpetual, settled at 00:00, 08:00 and 16:00 UTC.

    Longs pay after rises: the premium is ``0.02 * (log return of the last 24 hours) + noise``, the
    noise an AR(1) with coefficient 0.8 and deviation 0.0002. The rate is Binance's ``P +
    clamp(0.0001 - P, -0.0005, 0.0005)``, capped at 0.003, rounded to 1e-8. A settlement uses bars
    closed at or before it only.

    Returns
    -------
    ts_ns, rate
        (m,) int64 ns UTC and (m,) float64, fraction of the position's value that longs pay to
        shorts.

    References
    ----------
    Binance, Introduction to Binance Futures Funding Rates.
    """
    first = -(-int(closes_ns[0]) // _FUNDING_NS) * _FUNDING_NS
    ts = np.arange(first, int(closes_ns[-1]) + 1, _FUNDING_NS, dtype=np.int64)
    now = np.searchsorted(closes_ns, ts, side="right") - 1
    day_ago = np.maximum(np.searchsorted(closes_ns, ts - _DAY_NS, side="right") - 1, 0)
    noise = ar1(0.0002 * math.sqrt(1 - 0.8**2) * rng.standard_normal(len(ts)), 0.8)
    premium = 0.02 * (log_close[now] - log_close[day_ago]) + noise
    rate = premium + np.clip(_INTEREST_RATE - premium, -_FUNDING_DAMPER, _FUNDING_DAMPER)
    return ts, np.round(np.clip(rate, -_FUNDING_CAP, _FUNDING_CAP), 8)
