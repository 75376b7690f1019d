"""Figures of an equity curve: returns by day and month, ratios, drawdown.

Conventions of every function here: equity is in account currency and net of all costs; times are
int64 ns UTC at bar close, ascending; a return is a fraction (0.01 is one percent). Days are UTC
calendar days and a year has 365 of them, since crypto trades every day. The risk-free rate is zero.
A figure that is not defined (too few days, no variance) is None, never NaN or infinity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aitb_nautilus.errors import DataError

__all__ = [
    "DAYS_PER_YEAR",
    "DAY_NS",
    "MIN_DAYS",
    "DailyEquity",
    "Drawdown",
    "annual_return",
    "annual_volatility",
    "calmar",
    "daily_equity",
    "kurtosis",
    "max_drawdown",
    "monthly_returns",
    "running_peak",
    "sharpe",
    "skew",
    "sortino",
    "total_return",
]

DAY_NS = 86_400_000_000_000
DAYS_PER_YEAR = 365

MIN_DAYS = 30
"""Of a run shorter than this nothing is said of a year, nor of luck."""

# Daily returns that differ by less than this are one and the same return and rounding.
_NO_VARIANCE = 1e-12

# An account that holds less than this share of what it began with is ruined: a return on nothing
# means nothing.
_RUIN = 1e-9

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DailyEquity:
    """Equity at the end of each UTC day.

    Attributes
    ----------
    day
        Days since 1970-01-01, (n_days,) int64, consecutive.
    equity
        (n_days,) float64: the last value of that day; a day without a bar repeats the day before.
    returns
        (n_days,) float64: change against the day before, the first one against the starting
        equity. Zero on a day that begins with nothing left, or less: a ruined account earns
        nothing.
    start
        Equity before the first day.
    ruined
        True if nothing was left, or less, at the end of any day.
    """

    day: Ints
    equity: Floats
    returns: Floats
    start: float
    ruined: bool


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of equity from its highest value so far.

    Attributes
    ----------
    fraction
        >= 0; 0.25 means that a quarter of the peak was lost. Above 1 if equity went below zero.
    start_ns, trough_ns
        Time of the peak and of the lowest point; None if equity never fell.
    recovery_ns
        First time at which the peak was reached again; None if it never was.
    """

    fraction: float
    start_ns: int | None
    trough_ns: int | None
    recovery_ns: int | None


def daily_equity(ts: Ints, equity: Floats, starting_equity: float) -> DailyEquity:
    """Return equity at the end of each UTC day.

    A bar that closes at midnight belongs to the day that ends there. The first and the last day may
    be shorter than 24 hours; they count as days.

    Raises
    ------
    DataError
        If there is no row, the lengths differ, times do not ascend, or a number is not finite.
    """
    _check(ts, equity, starting_equity)
    day_of = (ts - 1) // DAY_NS
    last = np.append(np.nonzero(np.diff(day_of))[0], len(ts) - 1)
    day = np.arange(day_of[0], day_of[-1] + 1, dtype=np.int64)
    at_end = equity[last[np.searchsorted(day_of[last], day, side="right") - 1]]
    before = np.concatenate(([starting_equity], at_end[:-1]))
    ruin = _RUIN * starting_equity
    alive = before > ruin
    returns = np.zeros(len(day))
    returns[alive] = at_end[alive] / before[alive] - 1.0
    return DailyEquity(day, at_end, returns, starting_equity, bool((at_end <= ruin).any()))


def total_return(equity: Floats, starting_equity: float) -> float:
    """Return ``equity[-1] / starting_equity - 1``, a fraction; below -1 if equity is negative."""
    return float(equity[-1] / starting_equity - 1.0)


def annual_return(total: float, days: float) -> float | None:
    """Return the compound growth a year, ``(1 + total) ** (365 / days) - 1``.

    None below `MIN_DAYS`, since a good hour compounded for a year says nothing, and if it is too
    large to be a number. A total loss is -1, however soon it came.
    """
    if total <= -1.0:
        return -1.0
    if days < MIN_DAYS:
        return None
    log = math.log1p(total) * DAYS_PER_YEAR / days
    return math.expm1(log) if log < 700 else None


def annual_volatility(returns: Floats) -> float | None:
    """Return the standard deviation (n - 1) of daily returns times ``sqrt(365)``.

    None below 2 days.
    """
    if len(returns) < 2:
        return None
    return float(np.std(returns, ddof=1) * math.sqrt(DAYS_PER_YEAR))


def sharpe(returns: Floats) -> float | None:
    """Return ``mean / std * sqrt(365)`` of daily returns, std with n - 1, risk-free rate zero.

    References
    ----------
    Sharpe (1994), The Sharpe Ratio, Journal of Portfolio Management 21(1).
    """
    if len(returns) < 2:
        return None
    deviation = float(np.std(returns, ddof=1))
    if deviation <= _NO_VARIANCE:
        return None
    return float(np.mean(returns) / deviation * math.sqrt(DAYS_PER_YEAR))


def sortino(returns: Floats) -> float | None:
    """Return ``mean / sqrt(mean(min(r, 0) ** 2)) * sqrt(365)`` of daily returns; target zero.

    None below 2 days, and where no day lost.

    References
    ----------
    Sortino and Price (1994), Performance Measurement in a Downside Risk Framework, Journal of
    Investing 3(3).
    """
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    if downside <= _NO_VARIANCE:
        return None
    return float(np.mean(returns) / downside * math.sqrt(DAYS_PER_YEAR))


def calmar(annual: float | None, drawdown_frac: float) -> float | None:
    """Return the annual return over the maximal drawdown; None without a drawdown.

    References
    ----------
    Young (1991), Calmar Ratio: A Smoother Tool, Futures 20(1).
    """
    if annual is None or drawdown_frac <= _NO_VARIANCE:
        return None
    return annual / drawdown_frac


def skew(returns: Floats) -> float | None:
    """Return the moment skewness ``g1 = m3 / m2 ** 1.5`` of daily returns; None below 3 days.

    References
    ----------
    Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47.
    """
    return _standard_moment(returns, 3)


def kurtosis(returns: Floats) -> float | None:
    """Return the excess kurtosis ``g2 = m4 / m2 ** 2 - 3`` of daily returns; None below 4 days.

    References
    ----------
    Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47.
    """
    moment = _standard_moment(returns, 4)
    return None if moment is None else moment - 3.0


def running_peak(equity: Floats, starting_equity: float) -> Floats:
    """Return the highest equity up to each row, starting equity included, (n,) float64."""
    return np.maximum(np.maximum.accumulate(equity), starting_equity)


def max_drawdown(ts: Ints, equity: Floats, starting_equity: float, start_ns: int) -> Drawdown:
    """Return the deepest fall ``1 - equity / running peak``, the starting equity being a peak too.

    Parameters
    ----------
    ts, equity
        (n,) at bar closes.
    starting_equity
        Equity before the first bar, > 0.
    start_ns
        Time of the starting equity: the first bar's open.

    Raises
    ------
    DataError
        As `daily_equity`.
    """
    _check(ts, equity, starting_equity)
    peak = running_peak(equity, starting_equity)
    fall = 1.0 - equity / peak
    trough = int(np.argmax(fall))
    fraction = float(fall[trough])
    if fraction <= 0.0:
        return Drawdown(0.0, None, None, None)
    top = peak[trough]
    reached = np.nonzero(equity[: trough + 1] == top)[0]
    start = int(ts[reached[-1]]) if len(reached) else start_ns
    back = np.nonzero(equity[trough:] >= top)[0]
    recovery = int(ts[trough + back[0]]) if len(back) else None
    return Drawdown(fraction, start, int(ts[trough]), recovery)


def monthly_returns(daily: DailyEquity) -> dict[str, float]:
    """Return the compound return of each UTC month, by month ``"2023-01"``, in order.

    The months multiply to the total return. The first and the last may be parts of months.
    """
    months = daily.day.astype("datetime64[D]").astype("datetime64[M]")
    names, first = np.unique(months, return_index=True)
    at_end = daily.equity[np.append(first[1:], len(months)) - 1]
    before = np.concatenate(([daily.start], at_end[:-1]))
    alive = before > _RUIN * daily.start
    change = np.zeros(len(names))
    change[alive] = at_end[alive] / before[alive] - 1.0
    return {str(name): float(value) for name, value in zip(names, change, strict=True)}


def _standard_moment(returns: Floats, order: int) -> float | None:
    if len(returns) < order:
        return None
    centred = returns - np.mean(returns)
    variance = float(np.mean(centred**2))
    if math.sqrt(variance) <= _NO_VARIANCE:
        return None
    return float(np.mean(centred**order) / variance ** (order / 2))


def _check(ts: Ints, equity: Floats, starting_equity: float) -> None:
    if len(ts) == 0 or len(ts) != len(equity):
        raise DataError(
            "equity curve",
            f"has {len(ts)} times and {len(equity)} values",
            "must be equal and not 0",
        )
    if (np.diff(ts) <= 0).any():
        raise DataError(
            "equity curve", "times do not ascend", "each must be later than the one before"
        )
    if not np.isfinite(equity).all():
        raise DataError("equity curve", "holds NaN or infinity", "every value must be finite")
    if not (math.isfinite(starting_equity) and starting_equity > 0):
        raise DataError("starting equity", f"was {starting_equity}", "must be above 0")
