"""Say whether a net result can be told from luck.

The question is put to the daily net returns with a stationary block bootstrap, which keeps their
dependence in time: blocks of random length are drawn from the series, wrapped around its end,
until the resample is as long as the run. The mean of each resample is one answer to "what if these
days had come in another order and number". If 95 of 100 answers are above zero, the run is said to
show an edge; else it is not, however good it looks.

The bound knows one run only. It cannot know how many settings were tried before.

References
----------
Politis and Romano (1994), The Stationary Bootstrap, JASA 89. Block length ``n ** (1/3)``: Hall,
Horowitz and Jing (1995), On blocking rules for the bootstrap with dependent data, Biometrika 82.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from aitb_nautilus.observe.formats import days as length, small_percent
from aitb_nautilus.observe.returns import MIN_DAYS

__all__ = ["Bootstrap", "Verdict", "block_bootstrap", "judge"]

RESAMPLES = 10_000

_CHUNK = 1_000_000  # index cells held in memory at once

type Floats = npt.NDArray[np.float64]


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True):
    """One-sided 95% bounds of the mean daily net return, all returns being fractions.

    Attributes
    ----------
    mean, lower_95, upper_95
        The mean of the run, and the 5th and 95th percentile of the resampled means.
    days, block_days, resamples, seed
        Length of the series, mean block length, number of resamples, seed of the generator.
    """

    mean: float
    lower_95: float
    upper_95: float
    days: int
    block_days: int
    resamples: int
    seed: int


@dataclass(frozen=True)
class Verdict:
    """What may honestly be said of a run.

    Attributes
    ----------
    kind
        ``positive`` (the bound is above zero), ``luck``, ``loss``, ``short`` (fewer than 30 days),
        ``in_sample`` (a model had seen the run's time), ``idle`` (no trade) or ``broken`` (the run
        did not end well).
    sentence
        The verdict in words.
    detail
        What else a reader must know; may be empty.
    """

    kind: Literal["positive", "luck", "loss", "short", "in_sample", "idle", "broken"]
    sentence: str
    detail: str


def block_bootstrap(returns: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Bootstrap | None:
    """Return the bounds of the mean daily net return; None below 30 days.

    Parameters
    ----------
    returns
        Daily net returns, (n_days,) float64, fractions, oldest first.
    seed
        Same seed, same bounds.
    resamples
        Number of resamples, > 0.

    Notes
    -----
    Block lengths are geometric with mean ``ceil(n ** (1/3))`` days (8 days in a year's run).
    """
    n = len(returns)
    if n < MIN_DAYS:
        return None
    block = math.ceil(round(n ** (1 / 3), 9))
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _CHUNK // n)
    place = np.arange(n)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        fresh = rng.random((count, n)) < 1.0 / block
        fresh[:, 0] = True
        begin = rng.integers(0, n, size=(count, n))
        since = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)
        index = (np.take_along_axis(begin, since, axis=1) + place - since) % n
        means[start : start + count] = returns[index].mean(axis=1)
    lower, upper = np.quantile(means, (0.05, 0.95))
    return Bootstrap(
        mean=float(np.mean(returns)),
        lower_95=float(lower),
        upper_95=float(upper),
        days=n,
        block_days=block,
        resamples=resamples,
        seed=seed,
    )


def judge(
    bootstrap: Bootstrap | None,
    *,
    total_return: float,
    trades: int,
    days: float,
    simulated: bool,
    seen_by: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a run; the only place that may speak of an edge.

    Parameters
    ----------
    bootstrap
        The bounds, None if the run was too short for them.
    total_return
        Net, a fraction.
    trades
        Round trips, open ones included.
    days
        Length of the run in days of 24 hours.
    simulated
        True adds that simulated data say nothing about a real market.
    seen_by
        Models that were trained on the run's time. With any, nothing is claimed.
    """
    simulation = "The data are simulated: this says nothing about a real market."
    if trades == 0:
        return Verdict("idle", "The run never traded: there is nothing to judge.", "")
    if seen_by:
        models = ", ".join(seen_by)
        was = "was" if len(seen_by) == 1 else "were"
        sentence = (
            f"{models} {was} trained on bars of this very time: the result says nothing about the "
            "future."
        )
        detail = "Test a model on bars that come after all that its training looked at."
        return Verdict("in_sample", sentence, f"{detail} {simulation}" if simulated else detail)
    if bootstrap is None:
        sentence = (
            f"The run covers {length(days)}; at least {MIN_DAYS} days are needed before a "
            "result can be told from luck."
        )
        return Verdict("short", sentence, simulation if simulated else "")
    bound = f"lower 95% bound of the mean daily net return {small_percent(bootstrap.lower_95)}"
    detail = (
        f"The mean was {small_percent(bootstrap.mean)} a day over {bootstrap.days} days. The "
        "bound is of a block bootstrap and does not know how many other settings were tried."
    )
    if simulated:
        detail = f"{detail} {simulation}"
    if total_return <= 0:
        what = "lost money" if total_return < 0 else "earned nothing"
        return Verdict("loss", f"The run {what} after costs ({bound}).", detail)
    if bootstrap.lower_95 > 0:
        return Verdict("positive", f"The net result shows an edge ({bound}).", detail)
    return Verdict("luck", f"The net result cannot be told from luck ({bound}).", detail)
