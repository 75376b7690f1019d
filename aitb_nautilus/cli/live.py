"""``aitb live CONFIG``: check a desk for live trading; with ``--run`` connect it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.cli.node_lines import node_lines
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.cli.rehearsal_option import desk_at, rehearsal_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_summary
from aitb_nautilus.run.live import LiveCheck, check_live
from aitb_nautilus.run.node import run_node

__all__ = ["command"]


@click.command("live")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--run", "connect", is_flag=True, help="Connect to the venue, and run until Ctrl-C.")
@click.option("--live-orders", is_flag=True, help="Send orders. Real money, at a real venue.")
@rehearsal_option
@json_option
def command(
    config: Path, connect: bool, live_orders: bool, rehearsal: str | None, as_json: bool
) -> None:
    """Trade the desk of one config file at its venue, in steps.

    Alone it builds and checks everything, says what it would do, and connects nowhere. With --run
    it connects and decides, and sends nothing: no order, exit, change or cancel. With --run
    --live-orders it trades. It runs until Ctrl-C or SIGTERM; what becomes of orders and positions
    then is on_stop in [live].
    """
    if live_orders and not connect:
        raise UsageError(
            "aitb live", "--live-orders was given without --run", "must be given together"
        )
    desk = desk_at(config, rehearsal)
    if not connect:
        check = check_live(desk)
        emit(msgspec.to_builtins(check), as_json, lambda: _print_check(check, config))
        return
    record = run_node(desk, "live", live_orders=live_orders, tell=node_lines())
    emit(
        msgspec.to_builtins(record),
        as_json,
        lambda: print_summary(Run(Path(record.run_dir)), console()),
    )


def _print_check(check: LiveCheck, config: Path) -> None:
    screen = console()
    screen.print(f"[bold]{check.name}[/bold]: built and checked; nothing was connected\n")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, place in check.data.items():
        table.add_row(f"{name} data", _spelled(place))
        table.add_row(f"{name} orders", _spelled(check.execution[name]))
    rows = {
        "trader": check.trader_id,
        "bars": ", ".join(check.bar_types),
        "actors": ", ".join(check.actors) or "none",
        "models": ", ".join(check.models) or "none",
        "strategies": ", ".join(check.strategies),
        "warm-up": f"{check.warm_up_bars:,} bars of each instrument; the catalog has "
        f"{check.in_catalog:,}, the venue is asked for the rest",
        "on stop": f"{check.on_stop}; on an error {check.on_error}",
        "run folders": check.runs,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    screen.print(table)
    for line in check.remarks:
        screen.print(f"\n[yellow]{escape(line)}[/]", soft_wrap=True)
    screen.print(f"\nConnect, without orders:  aitb live {config} --run", soft_wrap=True)
    screen.print(
        f"Trade, with real money:   aitb live {config} --run --live-orders", soft_wrap=True
    )


def _spelled(place: dict[str, Any]) -> str:
    rest = [f"{key} {value}" for key, value in place.items() if key not in ("client", "fills")]
    return "; ".join([str(place["client"]), *rest])
