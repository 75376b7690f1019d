"""``aitb train CONFIG``: teach a model, judge it beside baselines, publish it signed."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.progress import stages_progress
from aitb_nautilus.cli.train_report import print_training, print_walk_forward
from aitb_nautilus.run.training import load_training, run_walk_forward, train

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
        with stages_progress("training") as progress:
            stream = run_walk_forward(desk, progress)
        emit(msgspec.to_builtins(stream), as_json, lambda: print_walk_forward(stream, console()))
        return
    with stages_progress("training") as progress:
        report = train(desk, progress)
    emit(msgspec.to_builtins(report), as_json, lambda: print_training(report, console()))
