"""``aitb data simulate``: bars of a simulated market into the catalog, labelled as such."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from aitb_nautilus.cli.data_options import catalog_option, show_time
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.market.instruments import config_instruments
from aitb_nautilus.market.intervals import Interval
from aitb_nautilus.market.times import iso
from aitb_nautilus.settings import decode, encode
from catalog.batch import WriteResult
from catalog.instruments import catalog_instruments
from catalog.simulate import SimulatedSeries, SimulationSettings, simulate_into
from catalog.store import BarStore

__all__ = ["command"]

_DEFAULT = SimulationSettings()


@click.command("simulate")
@click.option(
    "--instrument",
    "instruments",
    multiple=True,
    default=_DEFAULT.instruments,
    show_default=True,
    metavar="ID",
    help="Such as BTCUSDT.BINANCE or BTCUSDT-PERP.BINANCE; may be repeated.",
)
@click.option(
    "--interval", default=_DEFAULT.interval, show_default=True, help="Length of the bars."
)
@click.option(
    "--start", default=_DEFAULT.start, show_default=True, help="Open of the first bar, UTC."
)
@click.option("--days", type=int, default=_DEFAULT.days, show_default=True, help="How long.")
@click.option(
    "--seed",
    type=int,
    default=_DEFAULT.seed,
    show_default=True,
    help="Same seed and options, same bars.",
)
@click.option(
    "--alpha",
    type=click.Choice(["none", "momentum", "reversion"]),
    default=_DEFAULT.alpha,
    show_default=True,
    help="Plant a signal: past returns go on, or are undone.",
)
@click.option(
    "--alpha-strength",
    type=float,
    default=_DEFAULT.alpha_strength,
    show_default=True,
    help="Correlation of the signal with the next bar's return.",
)
@click.option(
    "--alpha-halflife",
    type=float,
    default=_DEFAULT.alpha_halflife_bars,
    show_default=True,
    help="Half-life of the averaged past, in bars.",
)
@click.option(
    "--volatility",
    type=float,
    default=_DEFAULT.volatility_annual_frac,
    show_default=True,
    help="Standard deviation of a year's log return.",
)
@click.option(
    "--drift",
    type=float,
    default=_DEFAULT.drift_annual_frac,
    show_default=True,
    help="Expected return of a year.",
)
@click.option(
    "--tail-dof",
    type=float,
    default=_DEFAULT.tail_dof,
    show_default=True,
    help="Degrees of freedom of the Student-t returns; fewer are wilder.",
)
@click.option(
    "--correlation",
    type=float,
    default=_DEFAULT.correlation_frac,
    show_default=True,
    help="Of the returns of any two pairs.",
)
@click.option(
    "--funding/--no-funding",
    default=_DEFAULT.funding,
    show_default=True,
    help="Also simulate funding rates of perpetuals.",
)
@catalog_option
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="A config whose [[instruments]] are known as well.",
)
@click.option("--replace", is_flag=True, help="Let these bars win over simulated ones that differ.")
@json_option
def command(
    *,
    instruments: Sequence[str],
    interval: str,
    start: str,
    days: int,
    seed: int,
    alpha: str,
    alpha_strength: float,
    alpha_halflife: float,
    volatility: float,
    drift: float,
    tail_dof: float,
    correlation: float,
    funding: bool,
    catalog: Path,
    config: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make bars of a simulated market and store them, labelled as simulated.

    Returns have fat tails, volatility comes in regimes and follows the hours of the day, volume
    rises with it, pairs are correlated. With --alpha a signal is planted that can be learnt. It
    says nothing about any real market.
    """
    began = time.perf_counter()
    spec = decode(
        {
            "instruments": list(instruments),
            "interval": interval,
            "start": start,
            "days": days,
            "seed": seed,
            "alpha": alpha,
            "alpha_strength": alpha_strength,
            "alpha_halflife_bars": alpha_halflife,
            "volatility_annual_frac": volatility,
            "drift_annual_frac": drift,
            "tail_dof": tail_dof,
            "correlation_frac": correlation,
            "funding": funding,
        },
        SimulationSettings,
        "simulation",
    )
    extra = config_instruments(config) if config else ()
    done = simulate_into(
        BarStore(catalog), spec, [*catalog_instruments(catalog), *extra], replace=replace
    )
    seconds = time.perf_counter() - began
    answer = {
        "catalog": catalog,
        "simulated": True,
        "settings": encode(spec),
        "seconds": round(seconds, 3),
        "series": [_plain(spec, series, result) for series, result in done.values()],
    }
    emit(answer, as_json, lambda: _show(catalog, spec, list(done.values()), seconds))


def _plain(
    spec: SimulationSettings, series: SimulatedSeries, result: WriteResult
) -> dict[str, Any]:
    return {
        "instrument_id": series.instrument.id,
        "interval": spec.interval,
        "bar_type": Interval.parse(spec.interval).bar_type(series.instrument.id),
        "first": iso(int(series.bars.ts_close[0])),
        "last": iso(int(series.bars.ts_close[-1])),
        "rows_added": result.rows_added,
        "rows_same": result.rows_same,
        "rows_replaced": result.rows_replaced,
        "funding_settlements": len(series.funding_ts_ns),
    }


def _show(
    catalog: Path,
    spec: SimulationSettings,
    done: Sequence[tuple[SimulatedSeries, WriteResult]],
    seconds: float,
) -> None:
    step = Interval.parse(spec.interval).ns
    replaced = any(result.rows_replaced for _, result in done)
    out = console()
    # Eighty columns hold dates, not times.
    length = None if out.width >= 100 else 10
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("instrument", "every", "from (UTC)", "to"):
        table.add_column(name, no_wrap=True)
    for name in ("added", "there", *(["replaced"] if replaced else []), "funding"):
        table.add_column(name, justify="right", no_wrap=True)
    for series, result in done:
        closes = series.bars.ts_close
        table.add_row(
            series.instrument.id,
            spec.interval,
            show_time(int(closes[0]) - step)[:length],
            show_time(int(closes[-1]))[:length],
            f"{result.rows_added:,}",
            f"{result.rows_same:,}",
            *([f"{result.rows_replaced:,}"] if replaced else []),
            f"{len(series.funding_ts_ns):,}" if len(series.funding_ts_ns) else "-",
        )
    out.print(table)
    if spec.alpha == "none":
        planted = "No alpha is planted."
    else:
        planted = (
            f"Planted alpha: {spec.alpha}, correlation {spec.alpha_strength:g} with the next bar, "
            f"half-life {spec.alpha_halflife_bars:g} bars."
        )
    out.print(f"{planted} Seed {spec.seed}.")
    added = sum(result.rows_added for _, result in done)
    out.print(
        f"{added:,} [magenta]simulated[/] bars added to {catalog} in {seconds:.1f} s. They say "
        "nothing about a real market."
    )
