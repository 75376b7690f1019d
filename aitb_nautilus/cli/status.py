"""``aitb status CONFIG``: how the node of a config stands, and what holds it up."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.status_show import show_kept, show_node
from aitb_nautilus.run.command_client import kept, status_of
from aitb_nautilus.run.last_left import last_left
from aitb_nautilus.run.state_place import StatePlace

__all__ = ["command"]


@click.command("status")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--timeout", default=5.0, type=click.FloatRange(0.1, 600), help="Seconds to wait for the node."
)
@json_option
def command(config: Path, timeout: float, as_json: bool) -> None:
    """Show how the node of a config stands, and what holds it up.

    Trading states, positions, orders, equity, last bars, journal. If no node runs: what holds from
    the next start, what the last run still held by its journal, and the last halts and resumes.
    """
    place = StatePlace.read(config)
    node = status_of(place, timeout)
    plain = {"trader_id": place.trader_id, "state_file": place.file, "running": node is not None}
    if node is not None:
        emit(plain | msgspec.to_builtins(node), as_json, lambda: show_node(console(), node))
        return
    found, left = kept(place), last_left(place)
    emit(
        plain | msgspec.to_builtins(found) | {"last_runs": msgspec.to_builtins(left)},
        as_json,
        lambda: show_kept(console(), place, found, left),
    )
