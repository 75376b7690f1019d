"""Value at risk and expected shortfall of equity returns: foretold, and looked back on.

A forecast for a step knows only the steps before it. Value at risk is the loss that is exceeded
with probability `tail`; expected shortfall is the mean loss of that worst part. Both are fractions
of equity, >= 0.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from aitb_nautilus.observe.coverage import (
    LikelihoodRatio,
    conditional_coverage,
    independence,
    kupiec,
)

__all__ = [
    "DECAY",
    "LEVELS",
    "Method",
    "TailFigures",
    "ewma_deviation",
    "foretell",
    "historical_tail",
    "normal_tail",
    "steps_needed",
    "tail_figures",
    "window_of",
]

type Floats = npt.NDArray[np.float64]
Method = Literal["historical", "ewma"]

LEVELS = (0.95, 0.99)
DECAY = 0.94
"""Of RiskMetrics, for days (J.P. Morgan/Reuters 1996, Technical Document, 4th ed., ch. 5)."""
_LONG, _SHORT = 250, 100
_LEAST_FORECASTS = 30
_ROUNDING = 1e-9


class TailFigures(msgspec.Struct, frozen=True):
    """One forecast at one level, and how it held.

    Attributes
    ----------
    level
        0.95 or 0.99.
    value_at_risk, expected_shortfall
        For the step after the last one, fractions of equity.
    forecasts, exceeded
        Steps that were foretold, and those that lost more.
    frequency, independence, coverage
        Tests of Kupiec (1995) and of Christoffersen (1998); None where nothing can be compared.
    """

    method: Method
    level: float
    value_at_risk: float
    expected_shortfall: float
    forecasts: int
    exceeded: int
    frequency: LikelihoodRatio
    independence: LikelihoodRatio | None
    coverage: LikelihoodRatio | None

    @property
    def expected(self) -> float:
        """Return how many steps should have lost more."""
        return self.forecasts * (1 - self.level)


def window_of(steps: int) -> int:
    """Return how many steps a historical forecast looks back on."""
    return _LONG if steps >= 2 * _LONG else _SHORT


def steps_needed() -> int:
    """Return how many steps there must be for a forecast that can be looked back on."""
    return _SHORT + _LEAST_FORECASTS


def historical_tail(returns: Floats, tail: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of past returns, each as likely as the others.

    With n returns sorted from the worst, value at risk is the one after the worst ``n * tail``, and
    expected shortfall the mean of these, a part of a return counting in part (Acerbi and Tasche
    2002, On the Coherence of Expected Shortfall, Journal of Banking and Finance 26(7)).

    Parameters
    ----------
    returns
        Shape (n,), n > 0; fractions.
    """
    worst = np.sort(returns)
    part = len(worst) * tail
    whole = min(math.floor(part + _ROUNDING), len(worst) - 1)
    lost = -float(worst[:whole].sum()) - (part - whole) * float(worst[whole])
    return max(-float(worst[whole]), 0.0), max(lost / part, 0.0)


def normal_tail(deviation: float, tail: float) -> tuple[float, float]:
    """Return both for a normal return with mean zero and a standard deviation."""
    normal = NormalDist()
    z = -normal.inv_cdf(tail)
    return deviation * z, deviation * normal.pdf(z) / tail


def ewma_deviation(returns: Floats, first: int) -> Floats:
    """Return the standard deviation foretold for each step and the one after, shape (n + 1,).

    ``v[t] = d * v[t - 1] + (1 - d) * r[t - 1] ** 2`` with `DECAY` d and mean zero, begun with the
    mean square of the first steps.

    Parameters
    ----------
    first
        How many steps that are.
    """
    variance = float(np.mean(returns[:first] ** 2)) if len(returns) else 0.0
    found = [variance]
    for squared in (returns**2).tolist():
        variance = DECAY * variance + (1 - DECAY) * squared
        found.append(variance)
    return np.sqrt(np.array(found))


def foretell(returns: Floats, method: Method, tail: float) -> tuple[Floats, float]:
    """Return value at risk for each step that can be foretold, and expected shortfall at the end.

    Parameters
    ----------
    returns
        Shape (n,), n > window; in the order of time.

    Returns
    -------
    tuple
        Value at risk, shape (n - window + 1,): for the steps from the window on, and the one after
        the last. Expected shortfall for that one.
    """
    window = window_of(len(returns))
    if method == "ewma":
        deviation = ewma_deviation(returns, window)[window:]
        z, shortfall = normal_tail(1.0, tail)
        return deviation * z, float(deviation[-1]) * shortfall
    whole = math.floor(window * tail + _ROUNDING)
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    values = np.maximum(-np.partition(views, whole, axis=1)[:, whole], 0.0)
    return values, historical_tail(returns[-window:], tail)[1]


def tail_figures(returns: Floats, method: Method, level: float) -> TailFigures:
    """Return a forecast at one level and how it held; at least `steps_needed` returns."""
    tail = round(1 - level, 10)
    values, shortfall = foretell(returns, method, tail)
    seen = returns[len(returns) - len(values) + 1 :]
    exceeded = seen < -values[:-1]
    count = int(exceeded.sum())
    return TailFigures(
        method,
        level,
        float(values[-1]),
        shortfall,
        len(seen),
        count,
        kupiec(count, len(seen), tail),
        independence(exceeded),
        conditional_coverage(exceeded, tail),
    )
