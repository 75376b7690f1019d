"""``aitb rehearse CONFIG``: a local exchange that speaks Binance's protocol, for one desk."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from aitb_nautilus.cli.plumbing import console, emit, json_option, progress_console
from aitb_nautilus.cli.rehearse_report import print_beginning, print_end
from aitb_nautilus.errors import RunError, UsageError
from aitb_nautilus.market.times import parse_time
from aitb_nautilus.rehearsal import PlannedFault, Rehearsal, read_fault_plan, status
from aitb_nautilus.run.load import load_config
from aitb_nautilus.run.rehearse import RehearsalPlan, plan_rehearsal
from aitb_nautilus.run.time_scale import Change, scale_desk

__all__ = ["command"]

_PORT = 8600


@click.command("rehearse")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="Where it listens; 0 takes a free one.",
)
@click.option(
    "--start",
    metavar="TIME",
    help="Where in the recorded past the market begins, UTC; by default backtest.start.",
)
@click.option(
    "--speed",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Seconds of the market in one second. Above 1 for load and faults only.",
)
@click.option(
    "--recording",
    "recordings",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Recorded messages in place of the catalog's bars, one file an instrument.",
)
@click.option(
    "--bnb-price",
    type=click.FloatRange(min=0, min_open=True),
    help="Of BNB in quote currency: on spot, fees are paid with it. The account begins with 100.",
)
@click.option("--faults", type=click.Path(path_type=Path), help="A TOML file of what goes wrong.")
@json_option
def command(
    config: Path,
    *,
    port: int,
    start: str | None,
    speed: int,
    recordings: Sequence[Path],
    bnb_price: float | None,
    faults: Path | None,
    as_json: bool,
) -> None:
    """Serve a local exchange for the desk of one config file.

    It speaks Binance's protocol over real sockets, plays the catalog's bars as if they happened
    now, and fills orders from a modelled book. Without an account, without money. Ctrl-C stops it.
    """
    desk = load_config(config)
    planned = () if faults is None else read_fault_plan(faults)
    plan = plan_rehearsal(
        desk,
        port=port,
        speed=speed,
        start_ns=_start_ns(start),
        recordings=recordings,
        bnb_price=bnb_price,
    )
    changes: Sequence[Change] = ()
    if speed > 1:
        scaled = Path(f"{desk.name}-x{speed}.toml")
        desk, changes = scale_desk(desk, speed, scaled)

    def begun(address: Mapping[str, Any]) -> None:
        answer = {
            "config": desk.path,
            **address,
            "symbols": msgspec.to_builtins(plan.symbols),
            "faults": len(planned),
            "changes": msgspec.to_builtins(list(changes)),
        }
        emit(
            answer,
            as_json,
            lambda: print_beginning(
                desk, plan, address, faults=planned, changes=changes, out=console()
            ),
        )

    status = asyncio.run(_serve(plan, planned, begun))
    if not as_json:
        print_end(status, console())


def _start_ns(text: str | None) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as e:
        raise UsageError("aitb rehearse --start", f"was {e}") from e


async def _serve(
    plan: RehearsalPlan,
    planned: Sequence[PlannedFault],
    begun: Callable[[Mapping[str, Any]], None],
) -> Mapping[str, Any]:
    """Serve until a signal comes; return how it stands then."""
    rehearsal = Rehearsal(plan.settings, plan.sources)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, rehearsal.end)
    try:
        await rehearsal.start()
    except OSError as e:
        if e.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise RunError(
            f"aitb rehearse --port {plan.settings.port}",
            "the port is taken" if e.errno == errno.EADDRINUSE else "the port is not allowed",
            "must be free",
            "Choose another with --port, or --port 0 for any that is free",
        ) from e
    try:
        rehearsal.plan(planned)
        begun(rehearsal.address())
        told = loop.create_task(_tell_when_played(rehearsal))
        await rehearsal.wait()
        told.cancel()
        return status(rehearsal)
    finally:
        await rehearsal.stop()


async def _tell_when_played(rehearsal: Rehearsal) -> None:
    await rehearsal.played()
    progress_console().print(
        "Everything has been played: the market stands still, orders are still taken. Ctrl-C "
        "stops it."
    )
