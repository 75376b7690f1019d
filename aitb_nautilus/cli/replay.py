"""``aitb replay``: take everything that a recorded run decided once more, and compare."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.replay_words import print_replay
from aitb_nautilus.run.replay import replay

__all__ = ["command"]


@click.command("replay")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@json_option
def command(*, run: Path, as_json: bool) -> None:
    """Take everything that a recorded run decided once more.

    RUN is the folder of a run on paper or live, or of a back-test with --record. What came in is
    told to the same features, models, strategies and limits, without an engine. All that they say
    must be equal, bit for bit; the first difference is named, and the exit code is 1 then.
    """
    record = replay(run)
    emit(msgspec.to_builtins(record), as_json, lambda: print_replay(record, console()))
    if record.divergence is not None:
        sys.exit(1)
