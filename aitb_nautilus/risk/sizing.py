"""How large an entry is.

A sizing turns equity, price and recent volatility into a quantity in base currency. It never rounds
up: the guard puts the quantity onto whole lots, downwards.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated

import msgspec

from aitb_nautilus.messages import BarClosed
from aitb_nautilus.settings import Settings

__all__ = ["EquityFraction", "FixedNotional", "Sizer", "Sizing", "VolatilityTarget"]

_HALF_LIVES = 10
_YEAR_NS = 365 * 86_400 * 10**9

Positive = Annotated[float, msgspec.Meta(gt=0)]


class FixedNotional(Settings, frozen=True, tag_field="method", tag="fixed_notional"):
    """Spend the same amount on every entry.

    Attributes
    ----------
    notional
        Value of an entry, quote currency.
    """

    notional: Positive


class EquityFraction(Settings, frozen=True, tag_field="method", tag="equity_fraction"):
    """Spend a fraction of the desk's equity on every entry.

    Attributes
    ----------
    fraction
        Of equity; above 1 needs leverage.
    """

    fraction: Annotated[float, msgspec.Meta(gt=0, le=10)]


class VolatilityTarget(Settings, frozen=True, tag_field="method", tag="volatility_target"):
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

    annual_volatility_frac: Annotated[float, msgspec.Meta(gt=0, le=10)]
    half_life_bars: Annotated[int, msgspec.Meta(ge=2)] = 100
    max_fraction: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0


type Sizing = FixedNotional | EquityFraction | VolatilityTarget


class Sizer:
    """Size the entries of one instrument.

    Parameters
    ----------
    sizing
        The method.
    interval_ns
        Length of the bars given to `update`, ns.
    """

    def __init__(self, sizing: Sizing, interval_ns: int) -> None:
        self._sizing = sizing
        self._bars_a_year = _YEAR_NS / interval_ns
        self._last_close = 0.0
        self._variance = 0.0
        self._seen = 0
        decay = 0.0
        if isinstance(sizing, VolatilityTarget):
            decay = math.exp(-math.log(2) / sizing.half_life_bars)
        self._decay = decay

    @property
    def is_ready(self) -> bool:
        """Return whether enough bars were seen to size an entry."""
        sizing = self._sizing
        return not isinstance(sizing, VolatilityTarget) or (
            self._seen >= sizing.half_life_bars and self._variance > 0
        )

    @property
    def bars_before(self) -> int:
        """Return after how many bars no earlier one counts for more than a thousandth."""
        sizing = self._sizing
        return _HALF_LIVES * sizing.half_life_bars if isinstance(sizing, VolatilityTarget) else 0

    def update(self, bar: BarClosed) -> None:
        """Take in a closed bar."""
        if not self._decay:
            return
        if self._last_close:
            squared = math.log(bar.close / self._last_close) ** 2
            weight = self._decay if self._seen else 0.0
            self._variance = weight * self._variance + (1 - weight) * squared
            self._seen += 1
        self._last_close = bar.close

    def quantity(self, equity: float, price: float) -> Decimal:
        """Return the quantity of an entry, base currency, >= 0; 0 while volatility is unknown.

        Parameters
        ----------
        equity
            Of the desk, quote currency.
        price
            What one unit costs, quote currency, > 0.
        """
        notional = self._notional(max(equity, 0.0))
        return Decimal(repr(notional / price))

    def _notional(self, equity: float) -> float:
        match self._sizing:
            case FixedNotional(notional=notional):
                return notional
            case EquityFraction(fraction=fraction):
                return equity * fraction
            case VolatilityTarget() as target:
                if not self.is_ready:
                    return 0.0
                sigma = math.sqrt(self._variance * self._bars_a_year)
                wanted = target.annual_volatility_frac / sigma
                return equity * min(wanted, target.max_fraction)
