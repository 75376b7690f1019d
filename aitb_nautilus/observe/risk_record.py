"""What run.json says of risk: peaks, tails and how they were foretold, limits, ladder, attribution.

Times are ISO 8601 UTC texts, money is in account currency, `*_frac` are fractions.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from aitb_nautilus.observe.value_at_risk import TailFigures

__all__ = [
    "Attribution",
    "HorizonRisk",
    "LadderStep",
    "LimitUsage",
    "Peak",
    "RiskRecord",
]


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The largest value of something, and when."""

    value: float
    ts: str


class HorizonRisk(msgspec.Struct, frozen=True, kw_only=True):
    """Returns of equity over steps of one length in which something was held.

    Attributes
    ----------
    step
        Such as ``1d`` or ``1h``.
    steps, needed
        How many there are, and without how many nothing is foretold.
    window
        Steps that a historical forecast looks back on.
    deviation_frac, ewma_deviation_frac
        Standard deviation of all, and foretold for the next; None without two steps.
    worst
        The largest loss, as a fraction; None without steps.
    tails
        Forecasts by method and level; empty if there are too few steps.
    """

    step: str
    steps: int
    needed: int
    window: int
    deviation_frac: float | None
    ewma_deviation_frac: float | None
    worst: Peak | None
    tails: list[TailFigures]


class LimitUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How near a limit was: the largest usage as a fraction of it, and when.

    Attributes
    ----------
    limit
        Its key in the config.
    maximum
        What it is set to.
    """

    limit: str
    maximum: float
    largest: Peak


class LadderStep(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the drawdown was beyond a step of the ladder.

    Attributes
    ----------
    step
        ``shrink``, ``reduce`` or ``halt``.
    end
        None if it lasts to the end of the run.
    deepest_frac
        Largest drawdown meanwhile.
    """

    step: Literal["shrink", "reduce", "halt"]
    start: str
    end: str | None
    deepest_frac: float


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Round trips that ended and share a key.

    Attributes
    ----------
    by
        What they share: strategy, instrument, reason to exit, hour (UTC) or weekday of the entry.
    """

    by: Literal["strategy", "instrument", "exit", "hour", "weekday"]
    key: str
    trades: int
    won: int
    pnl: float
    fees: float
    slippage: float
    funding: float


class RiskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Risk of a run. Values over time stand in ``risk.parquet`` and its sisters.

    Attributes
    ----------
    stretch
        Length of the stretches of time of these tables, such as ``2d``.
    gross, net, leverage
        The largest; None if nothing was held. Net by size, with its sign.
    volatility_of
        Steps of which the volatilities over time are.
    horizons
        Days, and shorter steps where the bars are shorter.
    usages
        Of limits that can be measured, the nearest first.
    not_measured
        Keys of limits that are set and whose usage is not measured.
    ladder_days
        The ladder counts from the highest equity of so many days; None: of all time.
    ladder_deepest
        The deepest drawdown as the ladder counts it, at a close; None without a ladder.
    """

    stretch: str
    gross: Peak | None
    net: Peak | None
    leverage: Peak | None
    volatility_of: str
    horizons: list[HorizonRisk]
    usages: list[LimitUsage]
    not_measured: list[str]
    ladder: list[LadderStep]
    ladder_days: float | None
    attribution: list[Attribution]
    ladder_deepest: Peak | None = None
