"""``aitb backtest CONFIG``: run a desk on recorded bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.backtest import backtest
from aitb_nautilus.run.load import load_config

__all__ = ["command", "progress_bar"]


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on stderr while the block runs; nothing where stderr is no terminal."""
    screen = progress_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("bars, {task.fields[reached]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(label, total=None, reached="")

        def update(done: int, total: int, reached: str) -> None:
            bar.update(task, completed=done, total=total, reached=reached)

        yield update


@click.command("backtest")
@click.argument("config", type=click.Path(path_type=Path))
@json_option
def command(config: Path, as_json: bool) -> None:
    """Run the desk of one config file on recorded bars.

    Orders fill at the next bar's open plus slippage; fees, latency and funding are paid. The run
    folder, with a report that opens in any browser, is named at the end.
    """
    desk = load_config(config)
    with progress_bar("back-test") as progress:
        record = backtest(desk, progress)
    emit(
        msgspec.to_builtins(record),
        as_json,
        lambda: print_summary(Run(Path(record.run_dir)), console()),
    )
