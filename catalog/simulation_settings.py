"""What to simulate."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aitb_nautilus.settings import Settings
from catalog.simulation_model import Alpha

__all__ = ["SimulationSettings"]


class SimulationSettings(Settings, frozen=True):
    """What to simulate.

    Parameters
    ----------
    instruments
        Ids of the package table or of the config: ``BTCUSDT.BINANCE``.
    interval
        Bar size: ``1s`` to ``1d``.
    start
        Open of the first bar, UTC.
    days
        Length.
    seed
        Same seed and settings, same bars. More days or more instruments leave the rest as it was.
    volatility_annual_frac
        Standard deviation of a year's log return.
    drift_annual_frac
        Expected return of a year.
    tail_dof
        Degrees of freedom of the Student-t returns; fewer are wilder, 30 is nearly normal.
    correlation_frac
        Correlation of the bar returns of any two pairs.
    volume_daily
        About what is traded in a day, in quote currency.
    alpha
        Planted signal: ``momentum`` continues the average of past returns, ``reversion`` undoes it.
    alpha_strength
        Correlation of the signal with the next bar's standardised return. The return that a signal
        of one standard deviation foretells over all later bars is ``strength * sigma / (1 -
        persistence)``, see `catalog.simulation_model.Alpha`.
    alpha_halflife_bars
        Half-life of the averaged past, in bars.
    funding
        Also simulate funding settlements for perpetuals, every 8 hours.
    start_prices
        Instrument id to first price in quote currency, instead of the built-in round numbers.
    """

    instruments: Annotated[tuple[str, ...], Meta(min_length=1)] = ("BTCUSDT.BINANCE",)
    interval: str = "1m"
    start: str = "2024-01-01"
    days: Annotated[int, Meta(ge=1, le=3660)] = 30
    seed: Annotated[int, Meta(ge=0)] = 1
    volatility_annual_frac: Annotated[float, Meta(gt=0, le=5)] = 0.6
    drift_annual_frac: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    tail_dof: Annotated[float, Meta(gt=2)] = 5.0
    correlation_frac: Annotated[float, Meta(ge=0, lt=1)] = 0.7
    volume_daily: Annotated[float, Meta(gt=0)] = 1e9
    alpha: Literal["none", "momentum", "reversion"] = "none"
    alpha_strength: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    alpha_halflife_bars: Annotated[float, Meta(ge=1)] = 30.0
    funding: bool = True
    start_prices: dict[str, Annotated[float, Meta(gt=0)]] = msgspec.field(default_factory=dict)

    @property
    def planted(self) -> Alpha:
        """The alpha with its sign; strength 0 for ``none``."""
        sign = {"none": 0.0, "momentum": 1.0, "reversion": -1.0}[self.alpha]
        return Alpha(sign * self.alpha_strength, self.alpha_halflife_bars)
