"""A simulated market: fat tails, regimes, a daily rhythm and, if asked for, a planted alpha.

It exists to try things out and to test them: same settings and seed, same bars, in any process of
one machine and NumPy (another may differ in a last digit). It says nothing about any real market,
and whatever is made from it is labelled as simulated.

One bar's log return is ``r = drift - sigma^2 / 2 + sigma * z``. Its parts:

====== =============================================================================================
sigma  base volatility x market-wide regime (Markov chain, 3 states) x time of day (U shape) x the
       pair's own log-AR(1) (half-life 4 hours, deviation 0.35); mean square 1 in the long run
z      standardised return: ``eps`` tilted by the planted alpha (`catalog.simulation_model.Alpha`)
eps    multivariate Student-t with `tail_dof` degrees of freedom: one chi-square a bar for all pairs
       (crashes are shared) over ``sqrt(c) * market + sqrt(1 - c) * own`` Gaussian factors
open   the close before; high and low from a random walk of 12 steps inside the bar
volume ``sqrt(variance of this bar / base variance)`` x lognormal AR(1) noise (Clark 1973)
====== =============================================================================================

Prices stand on the instrument's tick, volumes on its lot (at least one lot a bar). Spot and
perpetual of one pair follow one path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings, find_instrument
from aitb_nautilus.market.intervals import Interval, TimeArray
from aitb_nautilus.market.times import parse_time
from catalog.batch import WriteResult
from catalog.simulation_market import SimulatedMarket, SimulatedSeries
from catalog.simulation_settings import SimulationSettings
from catalog.store import BarStore

__all__ = [
    "SimulatedSeries",
    "SimulationSettings",
    "simulate",
    "simulate_into",
    "simulate_market",
]

_DAY_NS = 86_400_000_000_000


def simulate(
    spec: SimulationSettings, extra: Sequence[InstrumentSettings] = ()
) -> dict[str, BarFrame]:
    """Return the simulated bars of each instrument; see `simulate_market`."""
    return {id_: series.bars for id_, series in simulate_market(spec, extra).items()}


def simulate_market(
    spec: SimulationSettings, extra: Sequence[InstrumentSettings] = ()
) -> dict[str, SimulatedSeries]:
    """Simulate the instruments of `spec` over one period.

    Parameters
    ----------
    spec
        What to simulate.
    extra
        Instruments that the package's table lacks, or that override it.

    Returns
    -------
    dict
        Instrument id to its series, in the order of `spec`.

    Raises
    ------
    ConfigError
        For an unknown or repeated instrument, a bar size that is none, or a start that is no time
        on the grid of the bars.
    """
    if len(set(spec.instruments)) != len(spec.instruments):
        raise ConfigError("simulation: instruments", "one id stands twice", "each may stand once")
    if unknown := set(spec.start_prices) - set(spec.instruments):
        raise ConfigError(
            f"simulation: start_prices.{sorted(unknown)[0]}",
            "is not among the instruments",
            "must be one of " + ", ".join(spec.instruments),
        )
    instruments = [find_instrument(id_, extra) for id_ in spec.instruments]
    opens, interval_ns = _grid(spec)
    market = SimulatedMarket(spec, opens, interval_ns)
    return {i.id: market.series(i) for i in instruments}


def simulate_into(
    store: BarStore,
    spec: SimulationSettings,
    extra: Sequence[InstrumentSettings] = (),
    *,
    replace: bool = False,
) -> dict[str, tuple[SimulatedSeries, WriteResult]]:
    """Simulate and store bars and funding rates, labelled as simulated; all of them or none.

    Parameters
    ----------
    store
        Where to.
    spec, extra
        As in `simulate_market`.
    replace
        Let these bars win over simulated bars of the same time that are there.

    Returns
    -------
    dict
        Instrument id to what was simulated and what the store did with its bars.

    Raises
    ------
    ConfigError
        As `simulate_market` does.
    DataError
        If the catalog holds recorded bars of an instrument, or other simulated ones, or cannot be
        written.
    """
    market = simulate_market(spec, extra)
    interval = Interval.parse(spec.interval)
    source = f"simulated, seed {spec.seed}, alpha {spec.alpha}"
    if spec.alpha != "none":
        source += f" {spec.alpha_strength:g} over {spec.alpha_halflife_bars:g} bars"
    done = {}
    with store.batch() as batch:
        for id_, series in market.items():
            result = batch.write(
                series.instrument,
                interval,
                series.bars,
                source=source,
                simulated=True,
                replace=replace,
            )
            if len(series.funding_ts_ns):
                batch.write_funding(
                    id_,
                    series.funding_ts_ns,
                    series.funding_rate,
                    source,
                    simulated=True,
                    replace=replace,
                )
            done[id_] = (series, result)
    return done


def _grid(spec: SimulationSettings) -> tuple[TimeArray, int]:
    """Return the open times of all bars, and the bar size in ns."""
    try:
        interval_ns = Interval.parse(spec.interval).ns
        start = parse_time(spec.start)
    except ValueError as e:
        raise ConfigError("simulation", str(e)) from e
    if start % interval_ns:
        raise ConfigError(
            "simulation: start",
            f"was {spec.start!r}",
            f"must be a whole number of {spec.interval} bars after midnight UTC",
        )
    count = spec.days * (_DAY_NS // interval_ns)
    return start + interval_ns * np.arange(count, dtype=np.int64), interval_ns
