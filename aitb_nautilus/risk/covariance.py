"""How instruments move together: an exponentially weighted covariance of bar returns, shrunk."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.messages import BarClosed

__all__ = ["CovarianceState", "EwmaCovariance"]

_YEAR_NS = 365 * 86_400 * 10**9


class CovarianceState(msgspec.Struct):
    """What an `EwmaCovariance` remembers; all lists are in the order of `names`.

    Attributes
    ----------
    names
        The instruments.
    last
        Time and close of each one's last bar, ns UTC and quote currency.
    seen
        Returns of each.
    sums, weights
        The matrices ``S`` and ``W``, row by row.
    now
        Time of the bars that are being heard, ns UTC.
    heard
        How many of that time were heard.
    returns
        Their returns, by place.
    """

    names: list[str]
    last: list[tuple[int, float]]
    seen: list[int]
    sums: list[list[float]]
    weights: list[list[float]]
    now: int
    heard: int
    returns: dict[int, float]


class EwmaCovariance:
    """Covariance of yearly log returns, brought up to date once for all bars of one time.

    With ``r[i] = log(close / close before) / sqrt(years between)``, at each time
    ``S[i, j] = d * S[i, j] + (1 - d) * r[i] * r[j]`` and ``W[i, j] = d * W[i, j] + (1 - d)`` for
    all pairs that have a bar at it, with ``d = 2 ** (-1 / half_life_bars)``; ``C = S / W``. That is
    RiskMetrics' estimate (J.P. Morgan/Reuters 1996, Technical Document, 4th ed., ch. 5; the mean
    counts as zero), started without bias and free of the bars' interval.

    It is then drawn towards constant correlation (Ledoit and Wolf 2004, Honey, I Shrunk the Sample
    Covariance Matrix, Journal of Portfolio Management 30(4)), with a fixed intensity `s`:
    ``(1 - s) * C + s * F``, where ``F[i, i] = C[i, i]``, ``F[i, j] = m * sqrt(C[i, i] * C[j, j])``
    and `m` is the mean correlation of all pairs.

    Parameters
    ----------
    half_life_bars
        Bars after which a return counts half, >= 2.
    shrinkage
        The intensity, in [0, 1].

    Attributes
    ----------
    index
        Place of each instrument in the matrix.
    version
        Grows whenever the matrix changes; up to date after `settle` and after any question.
    """

    def __init__(self, half_life_bars: int, shrinkage: float) -> None:
        self.shrinkage = shrinkage
        self.index: dict[str, int] = {}
        self._decay = 2.0 ** (-1.0 / half_life_bars)
        self._last: list[tuple[int, float]] = []
        self._seen: list[int] = []
        self._sums = np.zeros((0, 0))
        self._weights = np.zeros((0, 0))
        self._now = 0
        self._returns: dict[int, float] = {}
        self._heard = 0
        self._matrix: FloatArray | None = None
        self._least = 0
        self.version = 0

    def save(self) -> CovarianceState:
        """Return what a restart must bring back."""
        return CovarianceState(
            list(self.index),
            list(self._last),
            list(self._seen),
            self._sums.tolist(),
            self._weights.tolist(),
            self._now,
            self._heard,
            dict(self._returns),
        )

    def restore(self, state: CovarianceState) -> None:
        """Go on from what was saved."""
        n = len(state.names)
        self.index = {name: i for i, name in enumerate(state.names)}
        self._last, self._seen = list(state.last), list(state.seen)
        self._sums = np.array(state.sums, np.float64).reshape(n, n)
        self._weights = np.array(state.weights, np.float64).reshape(n, n)
        self._now, self._heard = state.now, state.heard
        self._returns = dict(state.returns)
        self._least = min(self._seen, default=0)
        self._matrix = None
        self.version += 1

    def hear_bar(self, bar: BarClosed) -> None:
        """Take a bar in; one that was heard already changes nothing."""
        i = self.index.get(bar.instrument_id)
        if i is None:
            i = self._add(bar.instrument_id)
        ts, close = self._last[i]
        if bar.ts <= ts:
            return
        if bar.ts != self._now:
            self._fold()
            self._now = bar.ts
        self._heard += 1
        if ts:
            years = (bar.ts - ts) / _YEAR_NS
            self._returns[i] = math.log(bar.close / close) / math.sqrt(years)
        self._last[i] = (bar.ts, bar.close)

    def settle(self) -> int:
        """Take in the bars of the last time if all are there, and return the version."""
        if self._returns:
            self._fold_if_whole()
        return self.version

    def seen(self, instrument_id: str) -> int:
        """Return how many returns of an instrument are known."""
        self._fold_if_whole()
        i = self.index.get(instrument_id)
        return 0 if i is None else self._seen[i]

    def knows(self, instrument_ids: Iterable[str], returns: int) -> bool:
        """Return whether so many returns are known of all of these."""
        self._fold_if_whole()
        index = self.index
        if self._least >= returns:
            return all(name in index for name in instrument_ids)
        return all(self.seen(name) >= returns for name in instrument_ids)

    def matrix(self) -> FloatArray:
        """Return the shrunk covariance of yearly returns.

        The bars of the last time count once every instrument has one, or once a later bar is there.

        Returns
        -------
        FloatArray
            Shape (n_instruments, n_instruments), float64, in the order of `index`. Must not be
            changed.
        """
        self._fold_if_whole()
        if self._matrix is None:
            self._matrix = shrunk(
                self._sums / np.where(self._weights > 0, self._weights, 1.0), self.shrinkage
            )
        return self._matrix

    def correlation(self) -> FloatArray:
        """Return the correlations that `matrix` implies; shape and order are the same."""
        matrix = self.matrix()
        return _correlation(matrix, np.sqrt(np.diag(matrix)))

    def _fold_if_whole(self) -> None:
        if self._returns and self._heard == len(self.index):
            self._fold()

    def _fold(self) -> None:
        """Bring the sums up to date with the returns of one time."""
        returns, self._returns, self._heard = self._returns, {}, 0
        if not returns:
            return
        decay, n = self._decay, len(self.index)
        for i in returns:
            self._seen[i] += 1
        row = np.zeros(n)
        row[list(returns)] = list(returns.values())
        if len(returns) == n:
            self._sums = decay * self._sums + (1 - decay) * np.outer(row, row)
            self._weights = decay * self._weights + (1 - decay)
        else:
            there = np.zeros(n, bool)
            there[list(returns)] = True
            both = np.outer(there, there)
            self._sums = np.where(
                both, decay * self._sums + (1 - decay) * np.outer(row, row), self._sums
            )
            self._weights = np.where(both, decay * self._weights + (1 - decay), self._weights)
        self._least = min(self._seen)
        self._matrix = None
        self.version += 1

    def _add(self, instrument_id: str) -> int:
        i = self.index[instrument_id] = len(self.index)
        self._last.append((0, 0.0))
        self._seen.append(0)
        self._sums = np.pad(self._sums, (0, 1))
        self._weights = np.pad(self._weights, (0, 1))
        self._least = 0
        self._matrix = None
        self.version += 1
        return i


def shrunk(covariance: FloatArray, shrinkage: float) -> FloatArray:
    """Return a covariance drawn towards constant correlation, as the class above states it.

    Parameters
    ----------
    covariance
        Shape (n, n), float64.
    shrinkage
        In [0, 1].

    Returns
    -------
    FloatArray
        Shape (n, n), float64; the diagonal is that of `covariance`.
    """
    n = len(covariance)
    deviation = np.sqrt(np.diag(covariance))
    correlation = _correlation(covariance, deviation)
    mean = (correlation.sum() - n) / (n * (n - 1)) if n > 1 else 0.0
    mixed = (1 - shrinkage) * correlation + shrinkage * mean
    np.fill_diagonal(mixed, 1.0)
    covered: FloatArray = mixed * np.outer(deviation, deviation)
    return covered


def _correlation(covariance: FloatArray, deviation: FloatArray) -> FloatArray:
    """Return correlations; one with what never moved is 0."""
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(correlation, 1.0)
    clipped: FloatArray = np.clip(correlation, -1.0, 1.0)
    return clipped
