"""What ``aitb rehearse`` tells a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.rehearsal import PlannedFault
from aitb_nautilus.run.load import Desk
from aitb_nautilus.run.rehearse import RehearsalPlan
from aitb_nautilus.run.time_scale import Change

__all__ = ["print_beginning", "print_end"]

_PRODUCTS = {"usd_m": "USDⓈ-M futures", "spot": "spot"}


def print_beginning(
    desk: Desk,
    plan: RehearsalPlan,
    address: Mapping[str, Any],
    *,
    faults: Sequence[PlannedFault],
    changes: Sequence[Change],
    out: Console,
) -> None:
    """Print what is served, and how a node is pointed at it."""
    speed = plan.settings.speed
    out.print(
        f"[bold]Rehearsal of {escape(str(desk.path))}[/]: a local exchange that speaks "
        f"Binance's protocol for {_PRODUCTS[plan.settings.product]}. Fills are modelled; there "
        "is no market and no money."
    )
    if speed > 1:
        out.print(
            f"[bold yellow]{speed}-fold speed[/]: for load and faults only. Results say nothing "
            "about trading."
        )
    out.print()
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("symbol", "bars", "begins", "history", "to play", "until", "funding"):
        right = name in ("history", "to play", "funding")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for one in plan.symbols:
        table.add_row(
            one.symbol,
            one.interval if speed == 1 else f"{one.interval} / {speed}",
            _minute(one.first),
            f"{one.history:,}",
            "recording" if one.bars is None else f"{one.bars:,}",
            "" if one.last is None else _minute(one.last),
            f"{one.funding:,}",
        )
    out.print(table)
    money = ", ".join(f"{amount} {asset}" for asset, amount in plan.settings.balances.items())
    rows = {
        "account": f"{money}, leverage {plan.settings.leverage}, fees of a fill's value: maker "
        f"{plan.settings.maker_fee}, taker {plan.settings.taker_fee}",
        "faults": f"{len(faults)} planned" if faults else "none planned",
        **{name: str(address[name]) for name in address if name.startswith("base_url")},
        "key, secret": f"{address['api_key']}, {address['api_secret']} (they open nothing else)",
    }
    width = max(map(len, rows))
    for name, text in rows.items():
        out.print(f"[dim]{name:<{width}}[/]  {escape(text)}", soft_wrap=True)
    if changes:
        out.print(f"\n{escape(str(desk.path))} is the config at {speed}-fold speed:")
        for change in changes:
            line = f"  {change.path}: {change.before} -> {change.after}"
            out.print(escape(line), soft_wrap=True)
    url = f"{address['base_url_http']}/rehearsal"
    out.print("\nA desk trades on it without any change of its config:")
    for verb, more in (("paper", ""), ("live", " --run --live-orders")):
        line = f"aitb {verb} {desk.path}{more} --rehearsal {address['base_url_http']}"
        out.print(f"  {escape(line)}", soft_wrap=True)
    out.print("\nHow it stands, and what can go wrong on demand (docs/rehearsal.md):")
    for line in (
        f"curl {url}/status",
        f'curl {url}/faults -d \'{{"kind": "disconnect", "match": "market"}}\'',
    ):
        out.print(f"  {escape(line)}", soft_wrap=True)
    out.print("\nCtrl-C stops it.")


def print_end(status: Mapping[str, Any], out: Console) -> None:
    """Print what came of it."""
    positions = [f"{symbol} {size}" for symbol, size in status["positions"].items() if float(size)]
    wallet = ", ".join(f"{amount} {asset}" for asset, amount in status["wallet"].items())
    out.print(
        f"\nStopped. {status['published']:,} public messages, {status['orders']:,} orders "
        f"({status['open_orders']:,} open), {status['fills']:,} fills; wallet {wallet}; "
        f"positions {', '.join(positions) or 'none'}."
    )
    for happened in status["faults_happened"]:
        out.print(f"  fault {happened[1]}: {escape(happened[2])}")


def _minute(iso: str) -> str:
    return iso[:16].replace("T", " ").removesuffix(" 00:00")
