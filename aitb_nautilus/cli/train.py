"""``aitb train CONFIG``: teach a model, judge it beside baselines, publish it signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.cli.train_report import print_training, print_walk_forward
from aitb_nautilus.run.training import load_training, run_training, run_walk_forward

__all__ = ["command"]


@click.command("train")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--walk-forward",
    "on_schedule",
    is_flag=True,
    help="Train anew on the schedule of [model.walk_forward] and write one out-of-sample stream "
    "of predictions, instead of publishing a model.",
)
@json_option
def command(config: Path, on_schedule: bool, as_json: bool) -> None:
    """Train the model of one config file on recorded bars.

    The model is judged on folds in time order, purged and embargoed, beside answers that need no
    model. Then it is fitted on the whole span, exported to ONNX, compared with the library that
    trained it, and published as a signed bundle.
    """
    desk = load_training(config)
    if on_schedule:
        with _progress_bar() as progress:
            stream = run_walk_forward(desk, progress)
        emit(msgspec.to_builtins(stream), as_json, lambda: print_walk_forward(stream, console()))
        return
    with _progress_bar() as progress:
        report = run_training(desk, progress)
    emit(msgspec.to_builtins(report), as_json, lambda: print_training(report, console()))


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr while the block runs; nothing where stderr is no terminal."""
    screen = progress_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("training", total=None)

        def update(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield update
