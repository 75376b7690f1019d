"""``aitb show-config``: a config as the program understands it, its JSON schema, or two modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.columns import Columns
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.observe.formats import span
from aitb_nautilus.observe.run_record import Mode, PaidRecord
from aitb_nautilus.run.load import Desk, load_config
from aitb_nautilus.run.modes import Difference, mode_differences, of_one_mode
from aitb_nautilus.run.paid_latency import paid_latencies
from aitb_nautilus.run.schema import desk_schema

__all__ = ["command"]

_MODES = click.Choice(["backtest", "paper", "live"])


@click.command("show-config")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--schema", "show_schema", is_flag=True, help="Print the JSON schema for editors.")
@click.option(
    "--diff",
    "modes",
    nargs=2,
    type=_MODES,
    metavar="MODE MODE",
    help="Print what differs between two modes: backtest, paper, live.",
)
@json_option
def command(
    config: Path | None, show_schema: bool, modes: tuple[str, str] | None, as_json: bool
) -> None:
    """Print a config as the program understands it.

    Every default is written out; secrets stay references. Comments at the end name limits that
    never act, since another one is met first, and say what was measured by a run that a venue's
    latency names. With --schema: the JSON schema that lets an editor complete and check a config,
    with the settings of all shipped components, and of those that CONFIG names. With --diff
    backtest live: what is not the same when the desk runs live: data, execution, clock, and the
    sections that only a live node has.
    """
    if show_schema:
        whole = desk_schema(None if config is None else load_config(config))
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
        return
    if config is None:
        raise UsageError("aitb show-config", "no config was given", "must be a TOML file")
    desk = load_config(config)
    if modes is not None:
        _show_difference(desk, cast("tuple[Mode, Mode]", modes), as_json)
        return
    plain, remarks = desk.plain(), desk.remarks()
    paid = {name: one.record for name, one in paid_latencies(desk).items()}
    # Comments, so that what is printed remains a config.
    told = "".join(f"\n# {line}\n" for line in remarks)
    told += "".join(f"\n# venues {name}: {_latency(one)}\n" for name, one in paid.items())

    def human() -> None:
        screen, text = console(), desk.toml() + told
        if screen.is_terminal:
            screen.print(Syntax(text, "toml", background_color="default", word_wrap=True))
        else:
            click.echo(text, nl=False)

    answer = {"path": str(desk.path), "sha256": desk.sha256(), "remarks": remarks, "config": plain}
    emit(answer | {"paid_latency": msgspec.to_builtins(paid)}, as_json, human)


def _latency(paid: PaidRecord) -> str:
    return (
        f"a back-test pays the latency of {paid.orders:,} orders of {paid.run_id} ({paid.mode}): "
        f"p50 {span(paid.p50_ns)}, p99 {span(paid.p99_ns)}, longest {span(paid.max_ns)}"
    )


def _show_difference(desk: Desk, modes: tuple[Mode, Mode], as_json: bool) -> None:
    differences, same = mode_differences(desk, *modes)
    alone = of_one_mode(differences)

    def human() -> None:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("what differs", no_wrap=True)
        for mode in modes:
            table.add_column(mode, overflow="fold")
        for one in differences:
            if one.key.partition(".")[0] not in alone:
                table.add_row(one.key, _spelled(one.left), _spelled(one.right))
        screen = console()
        if differences:
            screen.print(table)
        for section, rows in alone.items():
            mode = modes[1 if rows[0].left is None else 0]
            screen.print(f"\nOnly in {mode}: \\[{section}]")
            told = (f"{_key(row)} = {_value(row)}" for row in rows)
            screen.print(Padding(Columns(told, padding=(0, 3)), (0, 0, 0, 2)))
        screen.print(f"\nThe same in both: {', '.join(same)}", soft_wrap=True)

    told = msgspec.to_builtins(differences)
    emit({"left": modes[0], "right": modes[1], "differences": told, "same": same}, as_json, human)


def _key(row: Difference) -> str:
    return row.key.partition(".")[2]


def _value(row: Difference) -> str:
    return _spelled(row.right if row.left is None else row.left)


def _spelled(value: Any) -> str:
    return "-" if value is None else str(value)
