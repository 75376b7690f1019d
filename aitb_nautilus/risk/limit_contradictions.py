"""What in section ``[risk]`` cannot hold together: refused when it is read.

A cap that another one always meets first contradicts nothing; see `limit_shadows`.
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.settings import ContradictionError

__all__ = [
    "CAPS",
    "FLOORS",
    "refuse_contradictions",
    "refuse_late_daily_loss",
    "refuse_loose_rule",
    "value_at",
]

CAPS = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_notional",
    "max_leverage",
    "max_open_orders",
    "max_orders_per_minute",
    "max_orders_per_day",
    "max_turnover_per_day",
    "price_band_frac",
    "max_stale_bars",
    "max_clock_skew_ms",
    "max_prediction_age_minutes",
    "book.max_quote_age_ms",
    "book.max_spread_frac",
    "book.book_band_frac",
    "book.max_divergence_frac",
    "liquidity.max_volume_frac",
)
"""Limits of which a rule's is useless above the trader's: what it counts is part of the whole.

A net exposure is no such part: that of one strategy may be larger than the trader's.
"""

FLOORS = (
    "cooldown_minutes",
    "loss_cooldown_minutes",
    "book.min_book_notional",
    "liquidity.min_bar_value",
)
"""Limits of which a rule's is useless below the trader's, which holds for the same orders."""


def value_at(settings: Any, path: str) -> Any:
    """Return what stands at a path such as ``book.max_spread_frac``, or None if nothing does."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name) if value is not None else None
    return value


def refuse_contradictions(settings: Any) -> None:
    """Refuse limits of one block, ``[risk]`` or a rule, that contradict each other.

    Raises
    ------
    ContradictionError
        Names both.
    """
    loss, each = settings.loss_cooldown_minutes, settings.cooldown_minutes
    if loss is not None and each is not None and loss <= each:
        raise ContradictionError(
            "loss_cooldown_minutes",
            f"was {loss:g}",
            f"must be above cooldown_minutes, which is {each:g} and holds after every trade",
            "Make it longer, or leave one of them out",
        )
    net, gross = settings.max_net_notional, settings.max_gross_notional
    if net is not None and gross is not None and net > gross:
        raise ContradictionError(
            "max_net_notional",
            f"was {net:g}",
            f"must be at most max_gross_notional, which is {gross:g}: net exposure is never above "
            f"gross",
            "Lower it, or raise max_gross_notional",
        )


def refuse_loose_rule(risk: Any, rule: Any, place: str) -> None:
    """Refuse a rule that would lift what holds for all: rules only tighten.

    Parameters
    ----------
    place
        Where the rule stands below ``[risk]``: ``rules[0]``.

    Raises
    ------
    ContradictionError
        Names the rule's key and the trader's.
    """
    for name in (*CAPS, *FLOORS):
        own, whole = value_at(rule, name), value_at(risk, name)
        if own is None or whole is None:
            continue
        is_cap = name in CAPS
        if own > whole if is_cap else own < whole:
            raise ContradictionError(
                f"{place}.{name}",
                f"was {own:g}",
                f"must be at {'most' if is_cap else 'least'} risk.{name}, which is {whole:g} and "
                f"holds for all: a rule only tightens",
                f"{'Lower' if is_cap else 'Raise'} it, or leave it out",
            )


def refuse_late_daily_loss(risk: Any) -> None:
    """Refuse a daily loss that is reached only where the drawdown forbids all openings.

    Raises
    ------
    ContradictionError
        Names the step that acts first.
    """
    daily, ladder = risk.max_daily_loss_frac, risk.drawdown
    if daily is None or ladder is None:
        return
    for name in ("reduce_frac", "halt_frac"):
        step = getattr(ladder, name)
        if step is not None and daily >= step:
            raise ContradictionError(
                "max_daily_loss_frac",
                f"was {daily:g}",
                f"must be below drawdown.{name}, which is {step:g} and acts first: a day's loss is "
                f"a drawdown",
                f"Lower it, or raise drawdown.{name}",
            )
