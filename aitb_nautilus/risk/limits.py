"""Limits that an opening order must pass, one small class each.

This file makes them from the config. Each answers in one line that says what it saw, what it
allows, and what would lift it. Orders that only reduce risk are never shown to a limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from aitb_nautilus.risk.covariance import EwmaCovariance
from aitb_nautilus.risk.drawdown import DrawdownLadder
from aitb_nautilus.risk.holdings import Scope
from aitb_nautilus.risk.limit_blocks import CorrelationSettings
from aitb_nautilus.risk.limit_rule import Limit, Proposal, Verdict
from aitb_nautilus.risk.limit_settings import RiskSettings, RuleSettings, refuse_unknown_scopes
from aitb_nautilus.risk.limits_book import (
    BookBand,
    Divergence,
    MaxSpread,
    MinBookNotional,
    StaleQuote,
)
from aitb_nautilus.risk.limits_correlation import MaxCluster, MaxRiskShare, MaxVolatility
from aitb_nautilus.risk.limits_data import ClockSkew, Liquidity, StaleData
from aitb_nautilus.risk.limits_days import DailyLoss, DailyLossAmount
from aitb_nautilus.risk.limits_exposure import (
    MaxConcentration,
    MaxGrossNotional,
    MaxLeverage,
    MaxNetNotional,
    MaxPositionNotional,
)
from aitb_nautilus.risk.limits_losses import (
    Cooldown,
    LossCooldown,
    LossStreak,
    LowProfit,
    StopGuard,
)
from aitb_nautilus.risk.limits_orders import (
    MaxOpenOrders,
    MaxOrderNotional,
    MaxOrderRate,
    MaxOrdersPerDay,
    MaxTurnover,
    PriceBand,
)
from aitb_nautilus.risk.limits_sources import MissingPrediction, Reference
from aitb_nautilus.risk.portfolio_risk import PortfolioRisk

__all__ = [
    "Limit",
    "MaxOpenOrders",
    "MaxOrderNotional",
    "MaxOrderRate",
    "MaxPositionNotional",
    "PriceBand",
    "Proposal",
    "RiskSettings",
    "Verdict",
    "build_limits",
    "refuse_unknown_scopes",
    "without_quotes",
]

_PLAIN = {
    "max_open_orders": MaxOpenOrders,
    "max_orders_per_minute": MaxOrderRate,
    "max_orders_per_day": MaxOrdersPerDay,
    "price_band_frac": PriceBand,
    "max_stale_bars": StaleData,
    "max_clock_skew_ms": ClockSkew,
    "max_prediction_age_minutes": MissingPrediction,
    "max_daily_loss": DailyLossAmount,
    "cooldown_minutes": Cooldown,
    "loss_cooldown_minutes": LossCooldown,
    "max_order_notional": MaxOrderNotional,
    "max_position_notional": MaxPositionNotional,
    "max_gross_notional": MaxGrossNotional,
    "max_net_notional": MaxNetNotional,
    "max_turnover_per_day": MaxTurnover,
    "max_leverage": MaxLeverage,
}
"""Limits that one number describes, and that may stand in a rule."""

_BOOK = {
    "max_quote_age_ms": StaleQuote,
    "max_spread_frac": MaxSpread,
    "min_book_notional": MinBookNotional,
    "book_band_frac": BookBand,
    "max_divergence_frac": Divergence,
}
"""Limits of a ``book`` block."""


def build_limits(settings: RiskSettings) -> list[Limit]:
    """Return the limits of a ``[risk]`` section; refusing ones first, shrinking ones last."""
    limits = _any_scope(settings)
    if settings.max_concentration_frac is not None:
        limits.append(MaxConcentration(settings.max_concentration_frac))
    if settings.max_daily_loss_frac is not None:
        limits.append(DailyLoss(settings.max_daily_loss_frac))
    if settings.correlation is not None:
        limits += _correlated(settings.correlation)
    for i, rule in enumerate(settings.rules):
        scope = Scope(
            rule.scope.venue or "", rule.scope.strategy or "", rule.scope.instrument or ""
        )
        limits_of_rule = _any_scope(rule)
        if (other := rule.reference) is not None:
            limits_of_rule.append(
                Reference(
                    other.instrument, other.max_divergence_frac, other.max_age_minutes, other.scale
                )
            )
        for limit in limits_of_rule:
            limit.scope, limit.place = scope, f"risk.rules[{i}]"
            limits.append(limit)
    ladder = settings.drawdown
    if ladder is not None:
        steps = ladder.shrink_frac, ladder.shrink_factor, ladder.reduce_frac, ladder.halt_frac
        # First: the others see what the step has left of the order.
        limits.insert(0, DrawdownLadder(*steps, ladder.window_days))
    return sorted(limits, key=lambda limit: limit.shrinks)


def without_quotes(limits: Sequence[Limit]) -> tuple[list[Limit], list[str]]:
    """Return the limits that can be asked without quotes, and the keys of those that cannot."""
    kept = [one for one in limits if not one.needs_quotes]
    return kept, [one.key for one in limits if one.needs_quotes]


def _any_scope(settings: RiskSettings | RuleSettings) -> list[Limit]:
    """Return the limits that stand in ``[risk]`` as well as in a rule."""
    limits: list[Limit] = []
    for name, make in _PLAIN.items():
        value = getattr(settings, name)
        if value is not None:
            limits.append(make(value))
    if (book := settings.book) is not None:
        for name, make_book in _BOOK.items():
            bound = getattr(book, name)
            if bound is not None:
                limits.append(make_book(bound))
    if (liquidity := settings.liquidity) is not None:
        limits.append(Liquidity(liquidity.max_volume_frac, liquidity.min_bar_value, liquidity.bars))
    if (streak := settings.loss_streak) is not None:
        limits.append(LossStreak(streak.losses, streak.pause_minutes))
    if (low := settings.low_profit) is not None:
        limits.append(LowProfit(low.trades, low.min_pnl, low.window_minutes, low.pause_minutes))
    if (stops := settings.stop_guard) is not None:
        limits.append(StopGuard(stops.stops, stops.window_minutes, stops.pause_minutes))
    return limits


def _correlated(settings: CorrelationSettings) -> list[Limit]:
    """Return the limits that look at one covariance together."""
    portfolio = PortfolioRisk(
        EwmaCovariance(settings.half_life_bars, settings.shrinkage), settings.min_bars
    )
    budget, cluster = settings.max_volatility_frac, settings.max_cluster_notional
    limits: list[Limit] = []
    if cluster is not None:
        limits.append(MaxCluster(cluster, settings.cluster_correlation, portfolio))
    if budget is not None:
        limits.append(MaxVolatility(budget, portfolio))
        if settings.max_risk_share_frac is not None:
            limits.append(MaxRiskShare(settings.max_risk_share_frac, budget, portfolio))
    return limits
