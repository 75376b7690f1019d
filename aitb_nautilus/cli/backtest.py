"""``aitb backtest CONFIG``: run a desk on recorded bars."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.node_lines import node_lines
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.progress import bars_progress
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config

__all__ = ["command"]


@click.command("backtest")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--record",
    is_flag=True,
    help="Record what reaches the decisions, so that aitb replay can take them again.",
)
@json_option
def command(*, config: Path, record: bool, as_json: bool) -> None:
    """Run the desk of one config file on recorded bars.

    Orders fill at the next bar's open plus slippage; fees, latency and funding are paid. The run
    folder, with a report that opens in any browser, is named at the end.
    """
    desk = load_config(config)
    with bars_progress("back-test") as progress:
        done = backtest(desk, progress, record=record, tell=node_lines())
    emit(
        msgspec.to_builtins(done),
        as_json,
        lambda: print_summary(Run(Path(done.run_dir)), console()),
    )
