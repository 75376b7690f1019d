"""``aitb quickstart``: from nothing to a report in one go."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

import aitb_nautilus
from aitb_nautilus.cli.backtest import progress_bar
from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.errors import ConfigError
from aitb_nautilus.files import whole_file
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

__all__ = ["command"]

_FOLDER = "quickstart"
_MARKET = SimulationSettings(
    instruments=("BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE"),
    interval="15m",
    start="2024-01-01",
    days=366,
    seed=7,
    alpha="momentum",
    alpha_strength=0.02,
    alpha_halflife_bars=48,
)


@click.command("quickstart")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Where everything goes.",
)
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Simulate a market, back-test on it and point to the report.

    Everything goes into one folder of its own: the config, the simulated bars and the run. Running
    it again leaves the bars and a config that you changed as they are, and adds a run.
    """
    began = time.perf_counter()
    steps = progress_console()
    steps.print(f"1/3  config     {_write_config(folder)}")
    config = folder / "quickstart.toml"
    desk = load_config(config)
    market = simulate_into(BarStore(Path(desk.config.catalog.path)), _MARKET)
    bars = sum(len(series.bars) for series, _ in market.values())
    steps.print(
        f"2/3  simulated  {bars:,} bars of {len(market)} perpetuals over a year, "
        f"with a planted momentum"
    )
    with progress_bar("3/3  back-test") as progress:
        record = backtest(desk, progress)
    steps.print(f"3/3  back-test  {record.bars:,} bars, {record.fills:,} fills")

    def human() -> None:
        screen = console()
        print_summary(Run(Path(record.run_dir)), screen)
        screen.print()
        screen.print(f"Done in {time.perf_counter() - began:.0f} s. What to try next:")
        screen.print(f"  open  {Path(record.run_dir) / 'report.html'}", soft_wrap=True)
        screen.print(f"  edit  {config}, then  aitb backtest {config}", soft_wrap=True)
        screen.print("  compare runs       aitb report RUN RUN")
        screen.print("  your own data      aitb data import --help")

    emit(msgspec.to_builtins(record), as_json, human)


def _write_config(folder: Path) -> str:
    """Write the shipped config into the folder unless there is one; say what was done."""
    target = folder / "quickstart.toml"
    if target.exists():
        return f"{target} is there and stays as it is"
    text = _shipped().read_text().replace(f'"{_FOLDER}/', f'"{folder.as_posix()}/')
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary:
        temporary.write_text(text)
    return f"written to {target}"


def _shipped() -> Path:
    """Return the example config: beside the package in a checkout, inside it in a wheel."""
    package = Path(aitb_nautilus.__file__).parent
    for place in (package.parent / "configs", package / "configs"):
        if (place / "quickstart.toml").is_file():
            return place / "quickstart.toml"
    raise ConfigError(
        "aitb quickstart",
        "the shipped configs/quickstart.toml is missing",
        "must be part of the installation",
        "Install aitb-nautilus again",
    )
