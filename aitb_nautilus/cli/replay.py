"""``aitb replay``: decide a recorded run once more, or ask why two runs earned other amounts."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.economic_words import print_economics
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.replay_words import print_replay
from aitb_nautilus.errors import UsageError
from aitb_nautilus.run.economic import economic, economic_against
from aitb_nautilus.run.replay import replay

__all__ = ["command"]


@click.command("replay")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--economic",
    "is_economic",
    is_flag=True,
    help="Run its config through the back-test engine on its bars, and price the difference.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Price the difference from another run of the same desk, such as a back-test.",
)
@click.option(
    "--first",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="List the N trades that differ most in price.",
)
@json_option
def command(
    *, run: Path, is_economic: bool, against: Path | None, first: int, as_json: bool
) -> None:
    """Take everything that a recorded run decided once more.

    RUN is the folder of a run on paper or live, or of a back-test with --record. What came in is
    told to the same features, models, strategies and limits, without an engine. All that they say
    must be equal, bit for bit; the first difference is named, and the exit code is 1 then.

    With --economic or --against it is not decisions that are compared but results: data,
    predictions, decisions, sizes, exits, fills, fees and funding each get their part of the
    difference, and the parts add up to it.
    """
    if is_economic and against is not None:
        raise UsageError(
            "aitb replay", "--economic and --against were given", "must be one of them"
        )
    if is_economic or against is not None:
        told = economic(run) if against is None else economic_against(run, against)
        other = run / "economic" / told.against_id if against is None else against
        emit(
            msgspec.to_builtins(told),
            as_json,
            lambda: print_economics(told, other, console(), first),
        )
        return
    record = replay(run)
    emit(msgspec.to_builtins(record), as_json, lambda: print_replay(record, console()))
    if record.divergence is not None:
        sys.exit(1)
