"""Limits that another one always meets first: they are kept, and said.

Nothing is wrong with such a limit, and one that must be there is often set to a huge number on
purpose. But whoever believes that it holds something back should know that it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.risk.limit_contradictions import CAPS, FLOORS, value_at
from aitb_nautilus.risk.limit_settings import RiskSettings, ScopeSettings

__all__ = ["Shadow", "shadowed"]

_PARTS = {
    "max_order_notional": {
        "max_position_notional": "an order is part of its position",
        "max_gross_notional": "an order is part of gross exposure",
        "max_turnover_per_day": "an order is part of the day's turnover",
        "correlation.max_cluster_notional": "an order is part of what moves together",
    },
    "max_position_notional": {
        "max_gross_notional": "a position is part of gross exposure",
        "correlation.max_cluster_notional": "a position is part of what moves together",
    },
    "correlation.max_cluster_notional": {
        "max_gross_notional": "what moves together is part of gross exposure",
    },
    "max_net_notional": {"max_gross_notional": "net exposure is never above gross"},
    "max_orders_per_minute": {"max_orders_per_day": "a minute is part of its day"},
    "max_orders_per_day": {"max_orders_per_minute": "a day has 1,440 minutes"},
}
"""Caps that never act above another one, and why."""

_TIMES = {"max_orders_per_day": 1_440}
"""So many times that other one, where it is not once."""

_RESTS = {
    "loss_cooldown_minutes": "that holds after every trade",
    "low_profit.pause_minutes": "that holds after every trade",
}
"""Pauses of an instrument that never act unless they are longer than ``cooldown_minutes``."""

_DEFAULTS = {one.name: one.default for one in msgspec.structs.fields(RiskSettings)}


class Shadow(NamedTuple):
    """A limit that another one always meets first.

    Attributes
    ----------
    key, value
        Where in the config it stands, and what it is.
    by, by_value
        The same of the one that acts first.
    why
        Why that is so.
    """

    key: str
    value: float
    by: str
    by_value: float
    why: str

    def __str__(self) -> str:
        """Return one line that names both keys and both values."""
        own, other = (f"{value:,.12g}" for value in (self.value, self.by_value))
        return f"{self.key} is {own} and {self.by} is {other}, which acts first: {self.why}"


class _Place(NamedTuple):
    """A block of limits, and what it is for; None: everything."""

    name: str
    settings: Any
    scope: ScopeSettings | None

    def value(self, key: str) -> Any:
        """Return what a limit is set to here, or None."""
        block = key.partition(".")[0]
        return value_at(self.settings, key) if hasattr(self.settings, block) else None

    def covers(self, other: _Place) -> bool:
        """Return whether all that the other block is for lies in the scope of this one."""
        own, its = self.scope, other.scope
        if own is None:
            return True
        if its is None:
            return False
        venue = its.venue or venue_name(its.instrument or "")
        return (
            own.venue in (None, venue)
            and own.strategy in (None, its.strategy)
            and own.instrument in (None, its.instrument)
        )


def shadowed(risk: RiskSettings) -> list[Shadow]:
    """Return the limits that another one always meets first, `[risk]` first, then rule by rule.

    Where several do, the tightest is named. A limit of ``[risk]`` that has its default is not
    looked at: nobody chose it. Prices that moved may let one of these act all the same, since a
    position counts at its order's price, and what is pending at its own.
    """
    places = [_Place("risk", risk, None)]
    places += [_Place(f"risk.rules[{i}]", rule, rule.scope) for i, rule in enumerate(risk.rules)]
    return [shadow for place in places for shadow in _in_place(place, places)]


def _in_place(place: _Place, places: Sequence[_Place]) -> Iterator[Shadow]:
    around = [one for one in places if one.covers(place)]
    for key in dict.fromkeys((*_PARTS, *CAPS, *_RESTS, *FLOORS)):
        value = place.value(key)
        if value is None or (place.scope is None and value == _DEFAULTS.get(key)):
            continue
        found = list(_first(place, key, value, around))
        if found:
            tightest = max if key in FLOORS or key in _RESTS else min
            yield tightest(found, key=lambda one: one[0])[1]


def _first(
    place: _Place, key: str, value: float, around: Sequence[_Place]
) -> Iterator[tuple[float, Shadow]]:
    """Yield what acts before a limit, wherever it stands, and at which value of the limit."""
    for one in around:
        before: list[tuple[float, str, str]] = []
        for other, why in _PARTS.get(key, {}).items():
            bound, times = one.value(other), _TIMES.get(key, 1)
            if bound is not None and value > bound * times:
                before.append((bound * times, other, why))
        bound = one.value("cooldown_minutes")
        if key in _RESTS and bound is not None and value <= bound:
            before.append((bound, "cooldown_minutes", _RESTS[key]))
        bound = None if one is place else one.value(key)
        if bound is not None and (
            (key in CAPS and value > bound) or (key in FLOORS and value < bound)
        ):
            before.append((bound, key, f"its scope holds all of {place.name}"))
        for at, other, why in before:
            by = f"{one.name}.{other}"
            yield at, Shadow(f"{place.name}.{key}", value, by, one.value(other), why)
