"""What a config says of sizing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aitb_nautilus.risk.exit_settings import Exits
from aitb_nautilus.settings import Settings

__all__ = [
    "Caps",
    "EquityFraction",
    "FixedNotional",
    "FractionalKelly",
    "RiskParitySizing",
    "Sizing",
    "VolatilityTarget",
    "check_sizing",
]

Positive = Annotated[float, msgspec.Meta(gt=0)]
Leverage = Annotated[float, msgspec.Meta(gt=0, le=10)]
HalfLife = Annotated[int, msgspec.Meta(ge=2, le=1_000_000)]


class Caps(Settings, frozen=True):
    """What no entry may exceed, whatever the method says.

    Attributes
    ----------
    max_fraction
        Largest value of an entry, as a fraction of equity.
    max_volume_frac
        Largest quantity of an entry, as a fraction of the mean volume of the last `volume_bars`
        bars. Nothing is sized before as many were seen.
    volume_bars
        Bars in that mean.
    """

    max_fraction: Leverage | None = None
    max_volume_frac: Positive | None = None
    volume_bars: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20


class FixedNotional(Caps, frozen=True, kw_only=True, tag_field="method", tag="fixed_notional"):
    """Spend the same amount on every entry.

    Attributes
    ----------
    notional
        Value of an entry, quote currency.
    """

    notional: Positive


class EquityFraction(Caps, frozen=True, kw_only=True, tag_field="method", tag="equity_fraction"):
    """Spend a fraction of the desk's equity on every entry.

    Attributes
    ----------
    fraction
        Of equity; above 1 needs leverage.
    """

    fraction: Leverage


class VolatilityTarget(
    Caps, frozen=True, kw_only=True, tag_field="method", tag="volatility_target"
):
    """Size an entry so that its yearly volatility is a given fraction of equity.

    The value of the entry is ``equity * annual_volatility_frac / sigma``, where ``sigma`` is the
    yearly volatility from an exponentially weighted mean of squared log returns with the decay of
    RiskMetrics (J.P. Morgan/Reuters 1996, Technical Document, 4th ed., ch. 5).

    Attributes
    ----------
    annual_volatility_frac
        Wanted standard deviation of the entry's yearly return, as a fraction of equity.
    half_life_bars
        Bars after which a squared return counts half. Nothing is sized before as many were seen.
    max_fraction
        Largest value of an entry, as a fraction of equity.
    """

    annual_volatility_frac: Leverage
    half_life_bars: HalfLife = 100
    max_fraction: Leverage = 1.0


class FractionalKelly(Caps, frozen=True, kw_only=True, tag_field="method", tag="kelly"):
    """Size an entry by its edge: a part of what makes capital grow fastest in the long run.

    The value of the entry is ``equity * multiplier * f``, never above `max_fraction`, and 0 where
    the edge is not positive. See `aitb_nautilus.risk.kelly` for ``f`` and its sources.

    Attributes
    ----------
    payoff
        Where the edge comes from. ``exits``: the prediction's probability, the distances of target
        and stop. ``trades``: mean win and mean loss of the strategy's own last trades, with the
        prediction's probability, or without a prediction the share of trades that won.
        ``expected_return``: the prediction's expected return over its horizon, and the variance of
        the market.
    multiplier
        Part of the full Kelly fraction, in (0, 1]; full Kelly bears no error in the edge.
    cost_bps
        What entering and leaving cost together, in basis points; taken from every win and added to
        every loss. Trades are measured with their fees, so they bear no further cost.
    max_fraction
        Largest value of an entry, as a fraction of equity.
    trades
        Last closed trades that are measured, with ``payoff = "trades"``.
    min_trades
        Closed trades, at least one won and one lost, before which `start_fraction` is spent.
    start_fraction
        Value of an entry until then, as a fraction of equity.
    half_life_bars
        Bars after which a squared return counts half, with ``payoff = "expected_return"``.
    """

    payoff: Literal["exits", "trades", "expected_return"]
    multiplier: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.25
    cost_bps: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 10.0
    max_fraction: Leverage = 1.0
    trades: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 100
    min_trades: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 20
    start_fraction: Leverage = 0.01
    half_life_bars: HalfLife = 100

    def __post_init__(self) -> None:
        """Refuse a beginning that never ends, or that is larger than what follows."""
        if self.min_trades > self.trades:
            raise ValueError(
                f"min_trades was {self.min_trades}, must be at most trades, which is {self.trades}"
            )
        if self.start_fraction > self.max_fraction:
            raise ValueError(
                f"start_fraction was {self.start_fraction:g}, must be at most max_fraction, which "
                f"is {self.max_fraction:g}"
            )


class RiskParitySizing(Caps, frozen=True, kw_only=True, tag_field="method", tag="risk_parity"):
    """Let every strategy and instrument of the desk contribute the same risk.

    The value of the entry is ``equity * annual_volatility_frac * w / sqrt(w' C w)``, with the
    weights of equal risk contribution; see `aitb_nautilus.risk.risk_parity`. All strategies that
    size like this share one covariance, so they must agree on all but the caps.

    Attributes
    ----------
    annual_volatility_frac
        Standard deviation of the desk's yearly return, as a fraction of equity, if all of these
        strategies are long in all of their instruments.
    half_life_bars
        Bars after which a return counts half. An instrument is sized once as many were seen.
    shrinkage
        How far correlations are drawn towards their mean: 0 not at all, 1 all the way.
    max_fraction
        Largest value of an entry, as a fraction of equity.
    """

    annual_volatility_frac: Leverage
    half_life_bars: HalfLife = 200
    shrinkage: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    max_fraction: Leverage = 1.0


type Sizing = FixedNotional | EquityFraction | VolatilityTarget | FractionalKelly | RiskParitySizing


def check_sizing(sizing: Sizing, exits: Exits, *, predicts: bool) -> None:
    """Refuse a sizing that asks for what the strategy does not have.

    Parameters
    ----------
    sizing, exits
        From the strategy's settings.
    predicts
        Whether it gives sizing a probability and an expected return.

    Raises
    ------
    ValueError
        Says what is missing.
    """
    if not isinstance(sizing, FractionalKelly):
        return
    if not predicts and sizing.payoff != "trades":
        raise ValueError(
            f"sizing.payoff was {sizing.payoff!r}, which needs predictions; this strategy has "
            f"none, so it must be 'trades'"
        )
    if sizing.payoff == "exits" and not (exits.has_stop and exits.all_targets):
        raise ValueError(
            "sizing.payoff was 'exits', which needs a stop and a target in exits to know what an "
            "entry may lose and win"
        )
