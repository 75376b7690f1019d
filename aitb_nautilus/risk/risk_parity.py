"""Equal risk contribution: how the desk's risk is shared out between its strategies and markets.

A leg is one strategy in one instrument. With weights `w` and covariance `C`, leg `i` contributes
``w[i] * (C w)[i] / sqrt(w' C w)`` to the desk's volatility, and all contributions add up to it
(Maillard, Roncalli and Teiletche 2010, The Properties of Equally Weighted Risk Contribution
Portfolios, Journal of Portfolio Management 36(4)). Here each leg contributes the same.

Legs in one instrument share what the instrument is due, in equal parts: between returns that are
the same, equal contributions are equal weights. All weights are those of long positions. Where some
are short, or not all are held, the desk's volatility is another one: a limit of the guard
(``risk.correlation.max_volatility_frac``) looks at what is really held.
"""

from __future__ import annotations

import math
from collections import Counter

import msgspec
import numpy as np

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.covariance import CovarianceState, EwmaCovariance
from aitb_nautilus.risk.sizing_settings import RiskParitySizing

__all__ = ["RiskParity", "RiskParityState", "risk_budget_weights"]

_CYCLES = 500
_TOLERANCE = 1e-10
_NOTHING = 1e-8
"""What is left of a variance after diversification is no risk below this part of it."""


def risk_budget_weights(covariance: FloatArray, budgets: FloatArray) -> FloatArray:
    """Return the long-only weights whose contributions to risk stand in given proportions.

    Minimises ``y' C y / 2 - sum(b * log(y))`` one coordinate after the other: with all others held,
    ``y[i] = (sqrt(x**2 + 4 * C[i, i] * b[i]) - x) / (2 * C[i, i])`` where
    ``x = sum(C[i, j] * y[j], j != i)``.

    Parameters
    ----------
    covariance
        Shape (n, n), float64, with a diagonal > 0.
    budgets
        Shape (n,), float64, > 0.

    Returns
    -------
    FloatArray
        Shape (n,), float64, > 0, sums to 1. Should the cycles not settle, as where two markets
        cancel each other out exactly, weights by inverse volatility.

    References
    ----------
    Griveau-Billion, Richard and Roncalli (2013), A Fast Algorithm for Computing High-dimensional
    Risk Parity Portfolios.

    Examples
    --------
    Of two markets alike in risk, each gets half; of two that move apart, the calm one more:

    >>> risk_budget_weights(np.array([[0.04, 0.01], [0.01, 0.04]]), np.ones(2)).round(6).tolist()
    [0.5, 0.5]
    >>> risk_budget_weights(np.array([[0.04, 0.0], [0.0, 0.16]]), np.ones(2)).round(6).tolist()
    [0.666667, 0.333333]
    """
    variances = np.diag(covariance)
    # The same problem in units of each one's own volatility: its scale then says nothing.
    deviations = np.sqrt(variances)
    correlation = covariance / np.outer(deviations, deviations)
    budgets = budgets / budgets.sum()
    y = np.sqrt(budgets)
    risks = correlation @ y
    for _ in range(_CYCLES):
        for i, budget in enumerate(budgets.tolist()):
            others = float(risks[i] - y[i])
            root = (others * others + 4 * budget) ** 0.5
            # The two forms of the root are equal; each loses no digits on its own side.
            new = 2 * budget / (others + root) if others > 0 else (root - others) / 2
            risks += correlation[:, i] * (new - y[i])
            y[i] = new
        if np.abs(y * (correlation @ y) - budgets).max() < _TOLERANCE:
            break
    else:
        y = np.sqrt(budgets)
    weights: FloatArray = y / deviations
    return weights / weights.sum()


class RiskParityState(msgspec.Struct):
    """What a `RiskParity` remembers.

    Attributes
    ----------
    covariance
        Of all times before `now`; None before the first bar.
    now
        The time that is being decided on, ns UTC.
    waiting
        Bars of that time.
    """

    covariance: CovarianceState | None
    now: int
    waiting: list[BarClosed]


class RiskParity:
    """Share out the risk of one desk.

    Decisions of one time see the covariance of all times before it: whoever asks first, and
    whichever bar comes first, the answer is the same.
    """

    def __init__(self) -> None:
        self._settings: RiskParitySizing | None = None
        self._interval_ns = 0
        self._first = ""
        self._legs: Counter[str] = Counter()
        self._covariance = EwmaCovariance(2, 0.0)
        self._now = 0
        self._waiting: dict[str, BarClosed] = {}
        self._shares: dict[str, float] = {}
        self._version = -1

    def save(self) -> RiskParityState:
        """Return what a restart must bring back; legs come from the config."""
        covariance = self._covariance.save() if self._covariance.index else None
        return RiskParityState(covariance, self._now, list(self._waiting.values()))

    def restore(self, state: RiskParityState) -> None:
        """Go on from what was saved."""
        if state.covariance is not None:
            self._covariance.restore(state.covariance)
        self._now = state.now
        self._waiting = {bar.instrument_id: bar for bar in state.waiting}
        self._version = -1

    def join(
        self,
        component_id: str,
        instruments: tuple[str, ...],
        settings: RiskParitySizing,
        interval_ns: int,
    ) -> None:
        """Add a strategy's legs.

        Raises
        ------
        ConfigError
            If it asks for another target, covariance or interval than the strategies before it.
        """
        if self._settings is None:
            self._settings, self._interval_ns, self._first = settings, interval_ns, component_id
            self._covariance = EwmaCovariance(settings.half_life_bars, settings.shrinkage)
        known = self._settings
        for key, mine, theirs in (
            (
                "sizing.annual_volatility_frac",
                settings.annual_volatility_frac,
                known.annual_volatility_frac,
            ),
            ("sizing.half_life_bars", settings.half_life_bars, known.half_life_bars),
            ("sizing.shrinkage", settings.shrinkage, known.shrinkage),
            ("interval, in seconds,", interval_ns / 1e9, self._interval_ns / 1e9),
        ):
            if mine != theirs:
                raise ConfigError(
                    f"{component_id}: {key}",
                    f"was {mine:g}, but {theirs:g} in {self._first}",
                    "must be the same in all strategies with risk_parity: they share one desk",
                )
        self._legs.update(instruments)

    def hear_bar(self, bar: BarClosed) -> None:
        """Take in a closed bar; whoever brings it, it counts once, from the next time on."""
        if bar.ts > self._now:
            for name in sorted(self._waiting):
                self._covariance.hear_bar(self._waiting[name])
            self._waiting.clear()
            self._now = bar.ts
        if bar.ts == self._now:
            self._waiting[bar.instrument_id] = bar

    def knows(self, instrument_id: str) -> bool:
        """Return whether enough is known of an instrument to give it a share."""
        return self.share(instrument_id) > 0

    def share(self, instrument_id: str) -> float:
        """Return the value of one leg in an instrument, for a desk with a volatility of 1.

        Of `n` legs, those whose instrument is not known yet keep their part of the risk free:
        ``known / n * w[i] / sqrt(w' C w)``, in the equity of the desk; 0 if it is not known.
        """
        self._covariance.seen(instrument_id)  # Folds in what is whole.
        if self._version != self._covariance.version:
            self._version = self._covariance.version
            self._shares = self._shared_out()
        return self._shares.get(instrument_id, 0.0)

    def _shared_out(self) -> dict[str, float]:
        if self._settings is None:
            return {}
        matrix, index = self._covariance.matrix(), self._covariance.index
        names = [
            name
            for name in sorted(self._legs)
            if self._covariance.seen(name) >= self._settings.half_life_bars
            and matrix[index[name], index[name]] > 0
        ]
        if not names:
            return {}
        places = [index[name] for name in names]
        covariance = matrix[np.ix_(places, places)]
        legs = np.array([self._legs[name] for name in names], np.float64)
        weights = risk_budget_weights(covariance, legs)
        variance = float(weights @ covariance @ weights)
        alone = float((weights * np.sqrt(np.diag(covariance))).sum())
        if variance <= _NOTHING * alone**2:
            return {}  # They cancel each other out: no size of them has the wanted volatility.
        deviation = math.sqrt(variance)
        values = weights / legs * (legs.sum() / self._legs.total() / deviation)
        return dict(zip(names, values.tolist(), strict=True))
