"""Limits below what a venue takes: such orders could never pass.

A venue refuses an order that is worth less than the instrument's ``min_notional``. Where a limit
allows less than that, nothing can open: refused before the run if it is so for all that the limit
is for, and said if it is so for some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.risk.holdings import EVERYTHING, Scope
from aitb_nautilus.risk.limit_contradictions import value_at
from aitb_nautilus.risk.limit_settings import RiskSettings

__all__ = ["least_order_remarks"]

_VALUES = (
    "max_order_notional",
    "max_position_notional",
    "max_gross_notional",
    "max_turnover_per_day",
)
"""Of which an order's own value is a part. A net exposure is none: an order may make it smaller."""


def least_order_remarks(
    risk: RiskSettings,
    path: str,
    traded: Sequence[tuple[str, str]],
    specs: Mapping[str, InstrumentSettings],
) -> list[str]:
    """Return a line for each limit below the smallest order of some instruments in its scope.

    Parameters
    ----------
    path
        What an error names first: the file.
    traded
        Pairs of a strategy's id and the id of an instrument that it listens to.
    specs
        Instruments by id.

    Raises
    ------
    ConfigError
        If a limit is below that of all of them, so that no order could ever pass.
    """
    remarks: list[str] = []
    places: list[tuple[str, Any, Scope]] = [("risk", risk, EVERYTHING)]
    for i, rule in enumerate(risk.rules):
        of = rule.scope
        scope = Scope(of.venue or "", of.strategy or "", of.instrument or "")
        places.append((f"risk.rules[{i}]", rule, scope))
    cluster = value_at(risk, "correlation.max_cluster_notional")
    for place, settings, scope in places:
        ids = dict.fromkeys(i for strategy, i in traded if scope.covers(strategy, i))
        least = {i: float(specs[i].min_notional or 0) for i in ids}
        caps = [(f"{place}.{name}", getattr(settings, name)) for name in _VALUES]
        if scope is EVERYTHING:
            caps.append(("risk.correlation.max_cluster_notional", cluster))
        for key, cap in caps:
            if cap is not None:
                remarks += _remarks(key, cap, least, path)
    return remarks


def _remarks(key: str, cap: float, least: Mapping[str, float], path: str) -> list[str]:
    small = [i for i, value in least.items() if value > cap]
    if small and len(small) == len(least):
        first = min(small, key=lambda i: least[i])
        raise ConfigError(
            f"{path}: {key}",
            f"was {cap:g}",
            f"must be at least {least[first]:g}, which the smallest order in {first} is worth "
            f"(min_notional): no order could ever pass",
            "Raise it, or trade what takes smaller orders",
        )
    return [
        f"{key} is {cap:,.12g} and the smallest order in {i} is worth {least[i]:,.12g} "
        f"(min_notional): nothing can open there"
        for i in small
    ]
