"""One simulated market: what its instruments share, and each of them put onto its tick and lot."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal

import numpy as np

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import BarFrame, FloatArray
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.market.intervals import TimeArray
from catalog.simulation_model import (
    ar1,
    bar_path,
    funding_rates,
    regime_multipliers,
    seasonal_multipliers,
    stream,
)
from catalog.simulation_settings import SimulationSettings

__all__ = ["SimulatedMarket", "SimulatedSeries"]

_DAY_NS = 86_400_000_000_000
_YEAR_NS = 365 * _DAY_NS
_HOUR_NS = _DAY_NS // 24
_STEPS_A_BAR = 12

_VOLATILITY_HALFLIFE_NS = 4 * _HOUR_NS
_VOLATILITY_DEVIATION = 0.35
_VOLUME_HALFLIFE_NS = _HOUR_NS
_VOLUME_DEVIATION = 0.5

# Round numbers of the right size, so that ticks and lots mean what they mean on the exchange.
_START_PRICES = {
    "BTC": 40_000.0,
    "ETH": 2_500.0,
    "BNB": 300.0,
    "SOL": 100.0,
    "LTC": 80.0,
    "XRP": 0.6,
    "ADA": 0.5,
    "DOGE": 0.1,
}
_START_PRICE_TICKS = 10_000  # everything else: one tick is one basis point


@dataclasses.dataclass(frozen=True)
class SimulatedSeries:
    """One simulated instrument, with the truth that a real market never shows.

    Parameters
    ----------
    instrument
        Its tick and lot are those of the bars.
    bars
        n bars, times are closes.
    volatility
        (n,) standard deviation of each bar's log return, fraction.
    signal
        (n,) planted signal at each bar's close, in standard deviations; it tilts the next bar. All
        0 without alpha.
    funding_ts_ns, funding_rate
        (m,) settlements in ns UTC and rates in fractions; empty for spot.
    """

    instrument: InstrumentSettings
    bars: BarFrame
    volatility: FloatArray
    signal: FloatArray
    funding_ts_ns: TimeArray
    funding_rate: FloatArray


class SimulatedMarket:
    """What all instruments share: times, regimes, the common factor and the common tails.

    Parameters
    ----------
    spec
        What to simulate.
    opens_ns
        Open times of the bars, (n,) int64, ns UTC, evenly spaced.
    interval_ns
        Length of a bar.
    """

    def __init__(self, spec: SimulationSettings, opens_ns: TimeArray, interval_ns: int) -> None:
        self.spec = spec
        self.opens_ns = opens_ns
        self.interval_ns = interval_ns
        n = len(opens_ns)
        self.base_sigma = spec.volatility_annual_frac * math.sqrt(interval_ns / _YEAR_NS)
        self.common_sigma = (
            self.base_sigma
            * regime_multipliers(stream(spec.seed, "regimes"), opens_ns)
            * seasonal_multipliers(opens_ns, interval_ns)
        )
        self.factor = stream(spec.seed, "factor").standard_normal(n)
        # sqrt((dof - 2) / chi2) times a normal is Student-t with variance 1.
        chi2 = stream(spec.seed, "tails").chisquare(spec.tail_dof, n)
        self.tail = np.sqrt((spec.tail_dof - 2.0) / chi2)

    def series(self, instrument: InstrumentSettings) -> SimulatedSeries:
        """Return one instrument; the same pair has the same path whatever else is simulated.

        Raises
        ------
        ConfigError
            If its first price is below one tick.
        """
        spec, pair = self.spec, f"{instrument.base}/{instrument.quote}"
        alpha = spec.planted
        n = len(self.opens_ns)

        own = stream(spec.seed, f"returns {pair}").standard_normal(n)
        c = spec.correlation_frac
        eps = self.tail * (math.sqrt(c) * self.factor + math.sqrt(1.0 - c) * own)
        start = float(stream(spec.seed, f"signal {pair}").standard_normal())
        z, signal = alpha.apply(eps, start)

        noise = self._noise(f"volatility {pair}", _VOLATILITY_HALFLIFE_NS, _VOLATILITY_DEVIATION)
        sigma = self.common_sigma * np.exp(noise - _VOLATILITY_DEVIATION**2)
        drift = spec.drift_annual_frac * self.interval_ns / _YEAR_NS
        returns = drift - sigma**2 / 2.0 + sigma * z
        inner = sigma * self.tail * math.sqrt(1.0 - alpha.strength**2)
        up, down = bar_path(stream(spec.seed, f"path {pair}"), returns, inner, _STEPS_A_BAR)

        log_start = math.log(self._start_price(instrument))
        log_close = log_start + np.cumsum(returns)
        log_open = np.concatenate(([log_start], log_close[:-1]))
        tick = Decimal(instrument.tick_size)
        closes_ns = self.opens_ns + self.interval_ns
        bars = BarFrame(
            ts_close=closes_ns,
            open=_on_grid(np.exp(log_open), tick),
            high=_on_grid(np.exp(log_open + up), tick),
            low=_on_grid(np.exp(log_open + down), tick),
            close=_on_grid(np.exp(log_close), tick),
            volume=self._volume(instrument, inner, np.exp(log_close)),
        )
        funding_ts, funding_rate = np.empty(0, np.int64), np.empty(0)
        if spec.funding and instrument.kind == "perpetual":
            rng = stream(spec.seed, f"funding {instrument.id}")
            funding_ts, funding_rate = funding_rates(rng, closes_ns, log_close)
        return SimulatedSeries(
            instrument=instrument,
            bars=bars,
            volatility=sigma,
            signal=signal if alpha.strength else np.zeros(n),
            funding_ts_ns=funding_ts,
            funding_rate=funding_rate,
        )

    def _noise(self, purpose: str, halflife_ns: int, deviation: float) -> FloatArray:
        """Return an AR(1) with the given half-life and standard deviation, from its long run."""
        rng = stream(self.spec.seed, purpose)
        phi = 2.0 ** (-self.interval_ns / halflife_ns)
        start = deviation * float(rng.standard_normal())
        shocks = rng.standard_normal(len(self.opens_ns))
        return ar1(deviation * math.sqrt(1.0 - phi**2) * shocks, phi, start)

    def _volume(
        self, instrument: InstrumentSettings, inner: FloatArray, prices: FloatArray
    ) -> FloatArray:
        noise = self._noise(f"volume {instrument.id}", _VOLUME_HALFLIFE_NS, _VOLUME_DEVIATION)
        activity = inner / self.base_sigma * np.exp(noise - _VOLUME_DEVIATION**2 / 2.0)
        traded = self.spec.volume_daily * self.interval_ns / _DAY_NS * activity
        return _on_grid(traded / prices, Decimal(instrument.lot_size))

    def _start_price(self, instrument: InstrumentSettings) -> float:
        tick = float(Decimal(instrument.tick_size))
        usual = _START_PRICES.get(instrument.base, _START_PRICE_TICKS * tick)
        price = self.spec.start_prices.get(instrument.id, usual)
        if price < tick:
            raise ConfigError(
                f"simulation: start_prices.{instrument.id}",
                f"was {price}",
                f"must be at least one tick, {instrument.tick_size}",
            )
        return price


def _on_grid(values: FloatArray, step: Decimal) -> FloatArray:
    """Round to multiples of `step`, at least one; each the double nearest to its decimal."""
    sign, digits, exponent = step.as_tuple()
    del sign
    whole = int("".join(map(str, digits)))
    counts = np.maximum(np.rint(values / float(step)), 1.0)
    if int(exponent) >= 0:
        return counts * float(whole * 10 ** int(exponent))
    # Integers below 2^53 divided by a power of ten: one correctly rounded operation.
    return counts * whole / 10.0 ** -int(exponent)
