"""``aitb quickstart``: from nothing to a report in one go."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

import aitb_nautilus
from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.cli.progress import bars_progress, stages_progress
from aitb_nautilus.errors import ConfigError
from aitb_nautilus.files import whole_file
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.training import load_training, train
from aitb_nautilus.training.train import PublishedModel, TrainingReport
from catalog.simulate import SimulationSettings, simulate_into
from catalog.store import BarStore

__all__ = ["command"]

_FOLDER = "quickstart"
_ALIAS = "production"
_MARKET = SimulationSettings(
    instruments=("BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE"),
    interval="5m",
    start="2024-01-01",
    days=367,
    seed=7,
    alpha="momentum",
    alpha_strength=0.035,
    alpha_halflife_bars=12,
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
    """Simulate a market, train a model, back-test it, and report.

    Everything goes into one folder of its own: the config, the simulated bars, the model and the
    run. The model learns from the first eight months and trades the four after. Running it again
    leaves the bars, and a config that you changed, as they are, publishes a model only if it is
    another, and adds a run.
    """
    began = time.perf_counter()
    steps = progress_console()
    steps.print(f"1/5  config     {_write_config(folder)}")
    config = folder / "quickstart.toml"
    desk, training = load_config(config), load_training(config)
    market = simulate_into(BarStore(Path(desk.config.catalog.path)), _MARKET)
    bars = sum(len(series.bars) for series, _ in market.values())
    steps.print(
        f"2/5  simulated  {bars:,} bars of {len(market)} perpetuals over a year, "
        f"with planted momentum"
    )
    with stages_progress("3/5  train") as stage:
        trained = train(training, stage)
    steps.print(f"3/5  trained    {_spell_training(trained)}")
    steps.print(f"4/5  promoted   {_promote(trained.model, Path(training.config.model.registry))}")
    with bars_progress("5/5  back-test") as reached:
        record = backtest(desk, reached)
    steps.print(
        f"5/5  back-test  {record.bars:,} bars, {record.predictions:,} predictions, "
        f"{record.fills:,} fills"
    )

    def human() -> None:
        screen = console()
        print_summary(Run(Path(record.run_dir)), screen)
        screen.print()
        screen.print(f"Done in {time.perf_counter() - began:.0f} s. What to try next:")
        for what, how in (
            ("the report", f"{Path(record.run_dir) / 'report.html'}"),
            (
                "the model",
                f"aitb models show {trained.model.id} --models {training.config.model.registry}",
            ),
            ("other features", f"change {config}, then aitb quickstart{_folder_option(folder)}"),
            ("bar by bar", f'inference = "inline" there, then aitb backtest {config}'),
            ("compare runs", f"aitb report {desk.config.backtest.runs}/*"),
            ("your own data", "aitb data import --help"),
        ):
            screen.print(f"  {what:<15} {how}", soft_wrap=True, markup=False)

    emit(msgspec.to_builtins(record), as_json, human)


def _spell_training(report: TrainingReport) -> str:
    """Return what was trained and how it did on the folds, on lines as wide as the steps'."""
    model, judgement = report.model, report.judgement
    again = "" if model.new else " as before"
    rows = f"{report.rows:,} rows of {len(report.features)} features"
    how = "better than" if judgement.useful else "no better than"
    return (
        f"{model.id}@{model.version}{again}, {rows}\n"
        f"{'':16}on {len(judgement.folds)} folds in time order {how} what needs no model"
    )


def _promote(model: PublishedModel, registry: Path) -> str:
    """Let the alias that the config names point to a model; say what was done."""
    event = Registry(registry).promote(
        f"{model.id}@{model.version}", _ALIAS, "the newest of aitb quickstart"
    )
    already = " already" if event is None else ""
    return f"{model.id}@{_ALIAS} is version {model.version}{already}"


def _folder_option(folder: Path) -> str:
    return "" if folder.as_posix() == _FOLDER else f" --folder {folder}"


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
