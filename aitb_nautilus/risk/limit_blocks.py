"""Blocks of section ``[risk]``: limits that take more than one number.

Each refuses what would limit nothing, and what contradicts itself.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec

from aitb_nautilus.settings import ContradictionError, Settings

__all__ = [
    "BookSettings",
    "CorrelationSettings",
    "Count",
    "DrawdownSettings",
    "Fraction",
    "LiquiditySettings",
    "LossStreakSettings",
    "LowProfitSettings",
    "Minutes",
    "Notional",
    "ReferenceSettings",
    "StopGuardSettings",
]

_MAX_MINUTES = 525_600.0

Notional = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Minutes = Annotated[float, msgspec.Meta(gt=0, le=_MAX_MINUTES)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class LiquiditySettings(Settings, frozen=True):
    """``liquidity``: how much the last bars must have traded for an order. One key must be set.

    Attributes
    ----------
    max_volume_frac
        Largest part of the mean volume of a bar that one order may be. A larger order is shrunk.
    min_bar_value
        What a bar must have traded on average, quote currency.
    bars
        How many bars the means go over.
    """

    max_volume_frac: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    min_bar_value: Notional | None = None
    bars: Count = 20

    def __post_init__(self) -> None:
        """Refuse a block that limits nothing."""
        if self.max_volume_frac is None and self.min_bar_value is None:
            raise ValueError("must set max_volume_frac or min_bar_value, else it limits nothing")


class BookSettings(Settings, frozen=True):
    """``book``: what the best bid and ask must be like, and how old they may be.

    Without a quote nothing opens. Data without any quotes, such as bars alone, leave these limits
    out of a back-test, and the run says so.

    Attributes
    ----------
    max_quote_age_ms
        Oldest that the last quote may be.
    max_spread_frac
        Farthest that bid and ask may lie apart, as a fraction of their middle.
    min_book_notional
        What must stand at the best bid and at the best ask at least, quote currency.
    book_band_frac
        Farthest that a limit or trigger price may lie from the middle, as a fraction of it.
    max_divergence_frac
        Farthest that the last price may lie from the middle, as a fraction of it.
    """

    max_quote_age_ms: Annotated[float, msgspec.Meta(gt=0, le=86_400_000)]
    max_spread_frac: Fraction | None = None
    min_book_notional: Notional | None = None
    book_band_frac: Fraction | None = None
    max_divergence_frac: Fraction | None = None


class ReferenceSettings(Settings, frozen=True):
    """``reference`` of a rule: another instrument that must not say otherwise.

    Attributes
    ----------
    instrument
        Such as the spot market of a perpetual. It is looked at, not traded; its bars have the
        interval of the rule's instrument.
    max_divergence_frac
        Farthest that both last prices may lie apart, as a fraction of the reference's.
    max_age_minutes
        Oldest that the reference's last bar may be.
    scale
        Price of the instrument over that of the reference if they agree, such as 1000 for a
        contract on a thousand pieces.
    """

    instrument: str
    max_divergence_frac: Fraction
    max_age_minutes: Minutes
    scale: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 1.0


class LossStreakSettings(Settings, frozen=True):
    """``loss_streak``: after so many losing trades in a row, nothing opens for a while."""

    losses: Count
    pause_minutes: Minutes


class LowProfitSettings(Settings, frozen=True):
    """``low_profit``: an instrument whose last trades brought too little is left alone for a while.

    Attributes
    ----------
    trades
        How many of its last closed trades count; fewer are not judged.
    min_pnl
        What these must have brought together, after fees and funding, quote currency.
    window_minutes
        Trades that closed longer ago do not count.
    """

    trades: Count
    pause_minutes: Minutes
    window_minutes: Minutes = _MAX_MINUTES
    min_pnl: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)] = 0.0


class StopGuardSettings(Settings, frozen=True):
    """``stop_guard``: after so many losing stop exits in a window, nothing opens for a while."""

    stops: Count
    window_minutes: Minutes
    pause_minutes: Minutes


class CorrelationSettings(Settings, frozen=True):
    """``[risk.correlation]``: limits that know which instruments move together.

    Attributes
    ----------
    max_volatility_frac
        Largest yearly standard deviation of the portfolio's return, as a fraction of equity.
    max_risk_share_frac
        Largest part of that budget that one instrument may use up.
    max_cluster_notional
        Largest value on one side of all instruments whose correlation reaches
        `cluster_correlation`, directly or through others.
    half_life_bars
        Bars after which a return counts half.
    shrinkage
        How far correlations are drawn towards their mean: 0 not at all, 1 all the way.
    min_bars
        Returns of an instrument without which nothing is known of it.
    """

    max_volatility_frac: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    max_risk_share_frac: Fraction | None = None
    max_cluster_notional: Notional | None = None
    cluster_correlation: Fraction = 0.7
    half_life_bars: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 200
    shrinkage: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    min_bars: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 50

    def __post_init__(self) -> None:
        """Refuse a block that limits nothing, and a share of nothing."""
        if self.max_volatility_frac is None and self.max_risk_share_frac is not None:
            raise ValueError(
                "max_risk_share_frac is a part of max_volatility_frac, which must be set as well"
            )
        if self.max_volatility_frac is None and self.max_cluster_notional is None:
            raise ValueError(
                "must set max_volatility_frac or max_cluster_notional, else it limits nothing"
            )


class DrawdownSettings(Settings, frozen=True):
    """``[risk.drawdown]``: what follows when equity falls below its peak. One step must be set.

    Attributes
    ----------
    shrink_frac, shrink_factor
        From this drawdown on, as a fraction of the peak, orders are this much of what is wished.
    reduce_frac
        From this drawdown on nothing opens.
    halt_frac
        At this drawdown everything is closed, and nothing opens until a person lifts it.
    window_days
        The peak is the highest equity of so many days. Absent means of all time: then a trader that
        has closed everything never recovers by itself.
    """

    shrink_frac: Fraction | None = None
    shrink_factor: Fraction = 0.5
    reduce_frac: Fraction | None = None
    halt_frac: Fraction | None = None
    window_days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] | None = None

    def __post_init__(self) -> None:
        """Refuse steps that do not go upwards."""
        steps = ("shrink_frac", "reduce_frac", "halt_frac")
        present = [(name, getattr(self, name)) for name in steps if getattr(self, name) is not None]
        if not present:
            raise ValueError(f"must set {', '.join(steps[:2])} or {steps[2]}, else it does nothing")
        for (low, below), (high, above) in pairwise(present):
            if above <= below:
                raise ContradictionError(
                    high,
                    f"was {above:g}",
                    f"must be above {low}, which is {below:g}: steps go upwards",
                    f"Raise it, or lower {low}",
                )
