"""Section ``[risk]`` of a desk's config: which limits there are, and what they are set to.

A limit that stands in ``[risk]`` looks at all orders of the trader. A block ``[[risk.rules]]``
sets further ones for a venue, a strategy, an instrument, or what belongs to all that it names; they
count only that. The tightest holds: no rule lifts a limit of ``[risk]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.instruments import likely_instrument, venue_name
from aitb_nautilus.risk.limit_blocks import (
    BookSettings,
    CorrelationSettings,
    DrawdownSettings,
    Fraction,
    LiquiditySettings,
    LossStreakSettings,
    LowProfitSettings,
    Minutes,
    Notional,
    ReferenceSettings,
    StopGuardSettings,
)
from aitb_nautilus.risk.limit_contradictions import (
    refuse_contradictions,
    refuse_late_daily_loss,
    refuse_loose_rule,
    value_at,
)
from aitb_nautilus.settings import ContradictionError, Settings, nearest

__all__ = ["RiskSettings", "RuleSettings", "ScopeSettings", "refuse_unknown_scopes"]

PositiveInt = Annotated[int, msgspec.Meta(gt=0, le=10**9)]


class _AnyScope(Settings, frozen=True):
    """Limits that may be set for the trader and in a rule. Absent means no such limit."""

    max_order_notional: Notional | None = None
    max_position_notional: Notional | None = None
    max_gross_notional: Notional | None = None
    max_leverage: Annotated[float, msgspec.Meta(gt=0, le=150)] | None = None
    max_net_notional: Notional | None = None
    max_open_orders: PositiveInt | None = None
    max_orders_per_minute: PositiveInt | None = None
    max_orders_per_day: PositiveInt | None = None
    max_turnover_per_day: Notional | None = None
    price_band_frac: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_stale_bars: Annotated[float, msgspec.Meta(gt=0, le=10_000)] | None = None
    max_clock_skew_ms: Annotated[float, msgspec.Meta(ge=0, le=600_000)] | None = None
    max_prediction_age_minutes: Minutes | None = None
    max_daily_loss: Notional | None = None
    book: BookSettings | None = None
    liquidity: LiquiditySettings | None = None
    cooldown_minutes: Minutes | None = None
    loss_streak: LossStreakSettings | None = None
    loss_cooldown_minutes: Minutes | None = None
    low_profit: LowProfitSettings | None = None
    stop_guard: StopGuardSettings | None = None


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
        """Refuse a scope without bounds, and one that nothing can lie in."""
        if not (self.venue or self.strategy or self.instrument):
            raise ValueError("must name a venue, a strategy or an instrument; [risk] is for all")
        if self.venue and self.instrument and venue_name(self.instrument) != self.venue:
            raise ContradictionError(
                "venue",
                f"was {self.venue!r}",
                f"must be that of the scope's instrument, {self.instrument}: no order lies in both",
                "Leave the venue out",
            )


class RuleSettings(_AnyScope, frozen=True, kw_only=True):
    """Block ``[[risk.rules]]``: limits for a part of the trader, as ``[risk]`` has them for all.

    Attributes
    ----------
    scope
        Such as ``{ strategy = "ema", venue = "BINANCE" }``.
    reference
        See `ReferenceSettings`; for a scope with one instrument.
    """

    scope: ScopeSettings
    reference: ReferenceSettings | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that limits nothing, or compares what is not one instrument."""
        if self.reference is not None:
            own, other = self.scope.instrument, self.reference.instrument
            if own is None:
                raise ValueError("reference needs scope.instrument: one price is compared with it")
            if own == other:
                raise ValueError(f"reference.instrument was {other!r}, must be another instrument")
        names = [n for n in self.__struct_fields__ if n != "scope"]
        if all(getattr(self, name) is None for name in names):
            raise ValueError(f"sets no limit; it may set {', '.join(names)}")
        refuse_contradictions(self)


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
        Largest value of all positions and open orders, as a multiple of the trader's equity.
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
        Farthest that an instrument's last bar or quote may lie ahead of the node's clock.
    max_prediction_age_minutes
        For strategies that listen to models: oldest that the bar may be which the last valid
        prediction answers. Without one nothing opens.
    max_daily_loss
        Largest loss of a day (UTC) of what is in scope, open positions included. Once reached,
        nothing opens there until the next day.
    cooldown_minutes
        How long nothing opens in an instrument after a trade in it was closed, won or lost.
    book, liquidity, loss_streak, low_profit, stop_guard, correlation, drawdown
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
    max_concentration_frac: Fraction | None = None
    max_daily_loss_frac: Fraction | None = None
    correlation: CorrelationSettings | None = None
    drawdown: DrawdownSettings | None = None
    rules: tuple[RuleSettings, ...] = ()

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other, and rules that could never act."""
        refuse_contradictions(self)
        refuse_late_daily_loss(self)
        scopes = [rule.scope for rule in self.rules]
        for i, rule in enumerate(self.rules):
            if rule.scope in scopes[:i]:
                raise ContradictionError(
                    f"rules[{i}].scope",
                    f"is that of rules[{scopes.index(rule.scope)}]",
                    "must be another one",
                    "Put the limits of both into one rule",
                )
            refuse_loose_rule(self, rule, f"rules[{i}]")


def refuse_unknown_scopes(
    risk: RiskSettings,
    where: str,
    *,
    venues: Iterable[str],
    strategies: Iterable[str],
    instruments: Iterable[str] | None,
    likely: Sequence[Sequence[str]] = (),
) -> None:
    """Refuse rules for what the desk does not have: they would never act.

    Parameters
    ----------
    where
        What an error names first: the file.
    strategies
        Ids as the config names them.
    instruments
        All that the desk could trade; None: not known yet, and not looked at.
    likely
        Those of them that a misspelt one may mean, as of `likely_instrument`; absent: all.

    Raises
    ------
    ConfigError
        Names the rule, and the nearest known name.
    """
    known = {
        "scope.venue": list(venues),
        "scope.strategy": list(strategies),
    }
    if instruments is not None:
        known["scope.instrument"] = known["reference.instrument"] = list(instruments)
    for i, rule in enumerate(risk.rules):
        for key, choices in known.items():
            name = value_at(rule, key)
            if name is None or name in choices:
                continue
            close, named = nearest(name, choices), choices
            if key.endswith(".instrument"):
                groups = likely or (choices,)
                close, named = likely_instrument(name, *groups), list(groups[0])
            raise ConfigError(
                f"{where}: risk.rules[{i}].{key}",
                f"was {name!r}",
                f"did you mean {close!r}?" if close else f"must be one of {', '.join(named)}",
            )
