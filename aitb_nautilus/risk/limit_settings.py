"""Section ``[risk]`` of a desk's config: which limits there are, and what they are set to.

A limit that stands in ``[risk]`` looks at all orders of the trader. A block ``[[risk.rules]]``
sets further ones for a venue, a strategy, an instrument, or what belongs to all that it names; they
count only that. The tightest holds: no rule lifts a limit of ``[risk]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.settings import Settings, nearest

__all__ = [
    "CorrelationSettings",
    "DrawdownSettings",
    "LiquiditySettings",
    "LossStreakSettings",
    "LowProfitSettings",
    "RiskSettings",
    "RuleSettings",
    "ScopeSettings",
    "StopGuardSettings",
    "refuse_unknown_scopes",
]

_MAX_MINUTES = 525_600.0

Notional = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
PositiveInt = Annotated[int, msgspec.Meta(gt=0, le=10**9)]
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
    """

    shrink_frac: Fraction | None = None
    shrink_factor: Fraction = 0.5
    reduce_frac: Fraction | None = None
    halt_frac: Fraction | None = None

    def __post_init__(self) -> None:
        """Refuse steps that do not go upwards."""
        steps = ("shrink_frac", "reduce_frac", "halt_frac")
        present = [(name, getattr(self, name)) for name in steps if getattr(self, name) is not None]
        if not present:
            raise ValueError(f"must set {', '.join(steps[:2])} or {steps[2]}, else it does nothing")
        for (low, below), (high, above) in pairwise(present):
            if above <= below:
                raise ValueError(f"{high} was {above:g}, must be above {low}, which is {below:g}")


class _AnyScope(Settings, frozen=True):
    """Limits that may be set for the trader and in a rule. Absent means no such limit."""

    max_order_notional: Notional | None = None
    max_position_notional: Notional | None = None
    max_gross_notional: Notional | None = None
    max_net_notional: Notional | None = None
    max_open_orders: PositiveInt | None = None
    max_orders_per_minute: PositiveInt | None = None
    max_orders_per_day: PositiveInt | None = None
    max_turnover_per_day: Notional | None = None
    price_band_frac: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_stale_bars: Annotated[float, msgspec.Meta(gt=0, le=10_000)] | None = None
    max_clock_skew_ms: Annotated[float, msgspec.Meta(ge=0, le=600_000)] | None = None
    liquidity: LiquiditySettings | None = None
    loss_streak: LossStreakSettings | None = None
    loss_cooldown_minutes: Minutes | None = None
    low_profit: LowProfitSettings | None = None
    stop_guard: StopGuardSettings | None = None

    def refuse_useless_net(self) -> None:
        """Refuse a net limit that could never act."""
        net, gross = self.max_net_notional, self.max_gross_notional
        if net is not None and gross is not None and net > gross:
            raise ValueError(
                f"max_net_notional was {net:g}, must be at most max_gross_notional, which is "
                f"{gross:g}: net exposure is never above gross"
            )


_CAPS = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_notional",
    "max_open_orders",
    "max_orders_per_minute",
    "max_orders_per_day",
    "max_turnover_per_day",
    "price_band_frac",
    "max_stale_bars",
    "max_clock_skew_ms",
)
"""Limits of which a rule's is useless above the trader's: what it counts is part of the whole.

A net exposure is no such part: that of one strategy may be larger than the trader's.
"""


class ScopeSettings(Settings, frozen=True):
    """What a rule is for; what belongs to all that is named here.

    Attributes
    ----------
    venue, strategy, instrument
        As the config names them. Absent means any.
    """

    venue: str | None = None
    strategy: str | None = None
    instrument: str | None = None

    def __post_init__(self) -> None:
        """Refuse a scope without bounds."""
        if not (self.venue or self.strategy or self.instrument):
            raise ValueError("must name a venue, a strategy or an instrument; [risk] is for all")


class RuleSettings(_AnyScope, frozen=True, kw_only=True):
    """Block ``[[risk.rules]]``: limits for a part of the trader, as ``[risk]`` has them for all.

    Attributes
    ----------
    scope
        Such as ``{ strategy = "ema", venue = "BINANCE" }``.
    """

    scope: ScopeSettings

    def __post_init__(self) -> None:
        """Refuse a rule that limits nothing."""
        names = [n for n in self.__struct_fields__ if n != "scope"]
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"sets no limit; it may set {', '.join(names)}")
        self.refuse_useless_net()


class RiskSettings(_AnyScope, frozen=True):
    """Section ``[risk]``: limits that every opening order of every strategy must pass.

    Amounts are in the trader's currency. A limit that is absent does not exist.

    Attributes
    ----------
    max_order_notional
        Largest value of one order. A larger order is shrunk.
    max_position_notional
        Largest value, on one side of one instrument, of all strategies' positions and open orders
        together. An order that would pass it is shrunk to what is left. Nothing is set off: an exit
        may close at any time what stands against it, so a position is turned around by closing it
        and opening the other side.
    max_gross_notional
        Largest value of all positions and open orders of both sides together.
    max_net_notional
        Largest value of all longs minus all shorts, or the other way round, once all open orders of
        the order's side are filled. What an exit of the other side does to it is not foreseen.
    max_leverage
        Largest value of all positions and open orders, as a multiple of equity.
    max_concentration_frac
        Largest part that one instrument may have in all positions and open orders; as long as these
        are worth less than the equity, in the equity.
    max_open_orders
        Open orders in all instruments together; exits count, but are never refused.
    max_orders_per_minute, max_orders_per_day
        Opening orders, and changes of such, in any 60 seconds, and in a day (UTC).
    max_turnover_per_day
        Largest value of all fills of a day (UTC), exits among them, and of open orders.
    price_band_frac
        Farthest that a limit or trigger price may lie from the last price, as a fraction of it.
    max_stale_bars
        Oldest that an instrument's last bar may be, in intervals of its bars.
    max_clock_skew_ms
        Farthest that an instrument's last bar may lie ahead of the node's clock.
    liquidity, loss_streak, low_profit, stop_guard, correlation, drawdown
        See `LiquiditySettings` and its sisters.
    loss_cooldown_minutes
        How long nothing opens in an instrument after a trade in it was closed at a loss.
    max_daily_loss_frac
        Largest loss of a day (UTC), open positions included, as a fraction of the day's first
        equity. Once reached, nothing opens until the next day.
    rules
        See `RuleSettings`.
    """

    max_order_notional: Notional
    max_position_notional: Notional
    max_open_orders: PositiveInt = 100
    max_orders_per_minute: PositiveInt = 120
    price_band_frac: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    max_leverage: Annotated[float, msgspec.Meta(gt=0, le=150)] | None = None
    max_concentration_frac: Fraction | None = None
    max_daily_loss_frac: Fraction | None = None
    correlation: CorrelationSettings | None = None
    drawdown: DrawdownSettings | None = None
    rules: tuple[RuleSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other, and rules that could never act."""
        self.refuse_useless_net()
        self._refuse_useless_daily_loss()
        scopes = [rule.scope for rule in self.rules]
        for i, rule in enumerate(self.rules):
            if rule.scope in scopes[:i]:
                raise ValueError(f"rules[{i}].scope is that of rules[{scopes.index(rule.scope)}]")
            for name in _CAPS:
                own, whole = getattr(rule, name), getattr(self, name)
                if own is not None and whole is not None and own > whole:
                    raise ValueError(
                        f"rules[{i}].{name} was {own:g}, must be at most risk.{name}, which is "
                        f"{whole:g} and holds for all: a rule only tightens"
                    )

    def _refuse_useless_daily_loss(self) -> None:
        """Refuse a daily loss that is reached only where the drawdown forbids all openings."""
        daily, ladder = self.max_daily_loss_frac, self.drawdown
        if daily is None or ladder is None:
            return
        for name in ("reduce_frac", "halt_frac"):
            step = getattr(ladder, name)
            if step is not None and daily >= step:
                raise ValueError(
                    f"max_daily_loss_frac was {daily:g}, must be below drawdown.{name}, which is "
                    f"{step:g} and acts first: a day's loss is a drawdown"
                )


def refuse_unknown_scopes(
    risk: RiskSettings,
    where: str,
    *,
    venues: Iterable[str],
    strategies: Iterable[str],
    instruments: Iterable[str],
) -> None:
    """Refuse rules for what the desk does not have: they would never act.

    Parameters
    ----------
    where
        What an error names first: the file.
    strategies
        Ids as the config names them.

    Raises
    ------
    ConfigError
        Names the rule, and the nearest known name.
    """
    known = {"venue": venues, "strategy": strategies, "instrument": instruments}
    for i, rule in enumerate(risk.rules):
        for key, names in known.items():
            name, choices = getattr(rule.scope, key), list(names)
            if name is None or name in choices:
                continue
            close = nearest(name, choices)
            raise ConfigError(
                f"{where}: risk.rules[{i}].scope.{key}",
                f"was {name!r}",
                f"did you mean {close!r}?" if close else f"must be one of {', '.join(choices)}",
            )
