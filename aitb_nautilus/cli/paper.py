"""``aitb paper CONFIG``: run a desk on the market as it is, with simulated orders."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.node_lines import node_lines
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.rehearsal_option import desk_at, rehearsal_option
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.node import run_node

__all__ = ["command"]


@click.command("paper")
@click.argument("config", type=click.Path(path_type=Path))
@rehearsal_option
@json_option
def command(config: Path, rehearsal: str | None, as_json: bool) -> None:
    """Run the desk of one config file live, with simulated orders.

    The market comes from the venue as it happens; orders are filled by the engine's sandbox with
    the config's fees, latency and balances, and never leave this machine. It runs until Ctrl-C or
    SIGTERM. The run folder, the same as a back-test's, is named at the end.
    """
    record = run_node(desk_at(config, rehearsal), "paper", tell=node_lines())
    emit(
        msgspec.to_builtins(record),
        as_json,
        lambda: print_summary(Run(Path(record.run_dir)), console()),
    )
