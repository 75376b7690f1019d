"""How good a model's predictions in a run were, and how sure that is.

Neighbouring rows share most of their horizon, and instruments move together: rows are not
independent. Standard errors therefore rest on sums over blocks of time, each whole UTC days and at
least ten horizons long; the bounds of calibration count rows that share a horizon as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aitb_nautilus.market.bars import FloatArray
from aitb_nautilus.market.intervals import TimeArray
from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.formats import nice_step
from aitb_nautilus.observe.run_record import (
    CalibrationBin,
    Histogram,
    PeriodFigures,
    PredictionFigures,
)
from aitb_nautilus.training.metrics import calibration_table, log_losses, measure

__all__ = [
    "Predicted",
    "block_error",
    "ic_error",
    "measure_predictions",
    "wilson_interval",
]

Unit = Literal["month", "week", "day"]
type Flags = NDArray[np.bool_]

FEWEST_BLOCKS = 10
FEWEST_ROWS = 20  # of a period that is measured

_DAY_NS = 86_400_000_000_000
_HORIZONS_A_BLOCK = 10
_BINS = 40
_Z_95 = 1.959963984540054  # quantile 0.975 of the normal law


@dataclass(frozen=True, slots=True)
class Predicted:
    """n predictions and what happened.

    Attributes
    ----------
    ts
        (n,) int64: close of the bar that is answered, ns UTC.
    probability
        (n,) float64.
    known
        (n,) bool: whether the outcome is known. Where not, the last two have no meaning.
    up, forward
        (n,) bool and float64: the class, and the return over the horizon.
    """

    ts: TimeArray
    probability: FloatArray
    known: Flags
    up: Flags
    forward: FloatArray

    def take(self, rows: Flags | NDArray[np.int64]) -> Predicted:
        """Return some of the rows."""
        return Predicted(
            self.ts[rows],
            self.probability[rows],
            self.known[rows],
            self.up[rows],
            self.forward[rows],
        )


def measure_predictions(
    predicted: Predicted, *, interval_ns: int, horizon_bars: int, late: int
) -> PredictionFigures:
    """Return the figures of one model's predictions.

    Parameters
    ----------
    predicted
        In any order; of one or more instruments.
    interval_ns, horizon_bars
        Length of a bar, and how many of them the label looks ahead.
    late
        Number of answers that were dropped.
    """
    ts = predicted.ts
    first, last = (int(ts.min()), int(ts.max())) if len(ts) else (0, 0)
    unit = _unit(last - first + interval_ns)
    done = predicted.take(predicted.known)
    up_share = loss = gain = None
    measured: dict[str, float | None] = {}
    errors: tuple[float | None, float | None] = (None, None)
    if len(done.ts):
        up_share = float(done.up.mean())
        measured = measure(done.probability, done.up, done.forward)
        prior = log_losses(np.full(len(done.ts), up_share), done.up)
        loss, gain = float(prior.mean()), prior - log_losses(done.probability, done.up)
        blocks = _blocks(done.ts, horizon_bars * interval_ns)
        errors = (
            block_error(gain - gain.mean(), blocks),
            ic_error(done.probability, done.forward, measured["ic"], blocks),
        )
    return PredictionFigures(
        rows=len(ts),
        resolved=len(done.ts),
        late=late,
        first=iso(first) if len(ts) else None,
        last=iso(last) if len(ts) else None,
        mean_probability=float(done.probability.mean()) if len(done.ts) else None,
        up_share=up_share,
        auc=measured.get("auc"),
        log_loss=measured.get("log_loss"),
        log_loss_prior=loss,
        brier=measured.get("brier"),
        ic=measured.get("ic"),
        rank_ic=measured.get("rank_ic"),
        hit_rate=measured.get("hit_rate"),
        gain_error=errors[0],
        ic_error=errors[1],
        calibration=_calibration(done, horizon_bars) if len(done.ts) else [],
        histogram=_histogram(predicted.probability) if len(ts) else None,
        unit=unit,
        periods=_periods(done, unit),
    )


def block_error(deviations: FloatArray, blocks: NDArray[np.int64]) -> float | None:
    """Return the standard error of a mean over rows that depend on each other within blocks.

    ``sqrt(k / (k - 1) * sum(S_b ** 2)) / n`` for the sums S of k blocks, n rows in all. None below
    10 blocks, where it would be too small.

    Parameters
    ----------
    deviations
        Values less their mean, (n,) float64.
    blocks
        Which block a row belongs to, (n,) int64.

    References
    ----------
    Liang and Zeger (1986), Longitudinal data analysis using generalized linear models, Biometrika
    73; Cameron and Miller (2015), A Practitioner's Guide to Cluster-Robust Inference, J. Human
    Resources 50.
    """
    place = blocks - blocks.min()
    sums = np.bincount(place, deviations)[np.bincount(place) > 0]
    count = len(sums)
    if count < FEWEST_BLOCKS:
        return None
    return float(math.sqrt(count / (count - 1) * (sums * sums).sum()) / len(deviations))


def ic_error(
    probability: FloatArray, forward: FloatArray, ic: float | None, blocks: NDArray[np.int64]
) -> float | None:
    """Return the standard error of a correlation; None where it is not defined.

    By the delta method: to first order the correlation r is a mean over rows of
    ``a * b - r * (a ** 2 + b ** 2) / 2``, a and b being the two standardised series; its error is
    that of `block_error`. For independent normal rows it comes to ``(1 - r ** 2) / sqrt(n)``.

    References
    ----------
    van der Vaart (1998), Asymptotic Statistics, example 3.6.
    """
    if ic is None:
        return None
    a = (probability - probability.mean()) / probability.std()
    b = (forward - forward.mean()) / forward.std()
    return block_error(a * b - ic * (a * a + b * b) / 2, blocks)


def wilson_interval(share: float, rows: float) -> tuple[float, float]:
    """Return the 95% bounds of a share that was seen in so many independent rows.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22;
    Newcombe (1998), Two-sided confidence intervals for the single proportion, Statistics in
    Medicine 17, method 3.
    """
    squared = _Z_95 * _Z_95
    middle = share + squared / (2 * rows)
    reach = _Z_95 * math.sqrt(share * (1 - share) / rows + squared / (4 * rows * rows))
    whole = 1 + squared / rows
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


def _blocks(ts: TimeArray, horizon_ns: int) -> NDArray[np.int64]:
    """Return the block of time of each row; a bar that closes at midnight is of the day before."""
    days = math.ceil(_HORIZONS_A_BLOCK * horizon_ns / _DAY_NS)
    return (ts - 1) // (days * _DAY_NS)


def _calibration(done: Predicted, horizon_bars: int) -> list[CalibrationBin]:
    """Return bins in order of probability; those of one and the same probability are one bin."""
    merged: list[tuple[int, float, float]] = []
    for one in calibration_table(done.probability, done.up):
        rows, probability, ups = one.rows, one.probability, one.up_share * one.rows
        if merged and math.isclose(merged[-1][1], probability, rel_tol=1e-9):
            rows, ups = rows + merged[-1][0], ups + merged[-1][2]
            merged.pop()
        merged.append((rows, probability, ups))
    bins = []
    for rows, probability, ups in merged:
        low, high = wilson_interval(ups / rows, max(1.0, rows / horizon_bars))
        bins.append(
            CalibrationBin(
                rows=rows, probability=probability, up_share=ups / rows, low=low, high=high
            )
        )
    return bins


def _histogram(probability: FloatArray) -> Histogram:
    """Return about 40 bins on round edges over all but the outermost hundredth."""
    low, high = np.quantile(probability, (0.005, 0.995)).tolist()
    width = nice_step(max((high - low) / _BINS, 1e-4))
    first = math.floor(low / width)
    last = max(math.ceil(high / width), first + 1)
    place = np.clip(np.floor(probability / width).astype(np.int64) - first, 0, last - first - 1)
    return Histogram(
        edges=[round(i * width, 10) for i in range(first, last + 1)],
        counts=np.bincount(place, minlength=last - first).tolist(),
    )


def _unit(length_ns: int) -> Unit:
    """Return months from 120 days on, weeks from 28 on, else days."""
    days = length_ns / _DAY_NS
    return "month" if days >= 120 else "week" if days >= 28 else "day"


def _periods(done: Predicted, unit: Unit) -> list[PeriodFigures]:
    """Return the figures of each period that has rows, in order; weeks begin on Monday."""
    day = (done.ts - 1) // _DAY_NS
    if unit == "week":
        day = (day + 3) // 7 * 7 - 3  # the epoch was a Thursday
    elif unit == "month":
        months = day.astype("datetime64[D]").astype("datetime64[M]")
        day = months.astype("datetime64[D]").astype(np.int64)
    order = np.argsort(day, kind="stable")
    starts, begins = np.unique(day[order], return_index=True)
    found = []
    for start, rows in zip(starts.tolist(), np.split(order, begins[1:]), strict=False):
        part = done.take(rows)
        measured: dict[str, float | None] = {}
        if len(rows) >= FEWEST_ROWS:
            measured = measure(part.probability, part.up, part.forward)
        found.append(
            PeriodFigures(
                start=str(np.datetime64(start, "D")),
                rows=len(rows),
                ic=measured.get("ic"),
                rank_ic=measured.get("rank_ic"),
                log_loss=measured.get("log_loss"),
                hit_rate=measured.get("hit_rate"),
            )
        )
    return found
