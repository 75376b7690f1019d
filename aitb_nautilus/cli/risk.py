"""``aitb risk``: take a run's decisions again, under other limits."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.risk_words import print_what_if
from aitb_nautilus.errors import RunError
from aitb_nautilus.market.times import iso
from aitb_nautilus.run.what_if import what_if

__all__ = ["command"]


@click.command("risk")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the other limits from this file's [risk] section.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one limit, as risk.max_leverage=2; none takes it away. May be given several "
    "times.",
)
@click.option(
    "--first",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="List the first N orders on which the other limits decide otherwise.",
)
@json_option
def command(
    *, run: Path, config: Path | None, changes: tuple[str, ...], first: int, as_json: bool
) -> None:
    """Take a run's decisions again, under other limits.

    RUN is the folder of a run in any mode. Its decisions are first taken again with its own limits:
    if they do not come out as they were, nothing more is said. Then with the limits of --config and
    --set: which orders they refuse or shrink, and what that costs or saves. What the strategies
    wished stays as it was.
    """
    record = what_if(run, config, changes)
    if record.differences:
        one = record.differences[0]
        raise RunError(
            f"{record.run_dir}: record {one.seq} of {iso(one.ts)}, {one.strategy_id} in "
            f"{one.instrument_id}",
            f"{one.what} was {one.recorded!r}, and is {one.again!r} when it is decided again "
            f"({len(record.differences):,} of {record.decisions:,} decisions differ)",
            "must come out as it was recorded, or what other limits had done cannot be told",
            "Use the version of the program that made the run; if it is this one, report it",
        )
    emit(msgspec.to_builtins(record), as_json, lambda: print_what_if(record, console(), first))
