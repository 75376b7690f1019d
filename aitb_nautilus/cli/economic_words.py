"""Print why two runs earned different amounts, in one screen."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aitb_nautilus.market.times import iso
from aitb_nautilus.observe import formats
from aitb_nautilus.observe.economics import Economics

__all__ = ["print_economics"]

_MEANS = {
    "data": "the bars were others",
    "predictions": "the models said something else",
    "decisions": "only one of them sent the order",
    "sizing": "another quantity was decided",
    "exits": "the trade was left otherwise",
    "time": "the market stood elsewhere at the fill",
    "slippage": "filled beside where the market stood",
    "partial": "less of it was filled",
    "fees": "paid to the venue",
    "funding": "paid to other holders",
    "rest": "no fill explains it",
}


def print_economics(told: Economics, against: Path, console: Console, first: int) -> None:
    """Print the difference of two results.

    Parameters
    ----------
    against
        Folder of the second run.
    first
        How many trades are listed.
    """
    console.print()
    title = Text(told.run_id, style="bold").append("  against  ", style="dim")
    console.print(title.append(told.against_id, style="bold"))
    console.print(
        f"{_signed(told.net_pnl)} {told.currency} against {_signed(told.against_net_pnl)}; "
        f"{told.matched:,} filled orders in both, {told.only:,} and {told.only_against:,} in one"
    )
    console.print()
    table = _table("layer", "adds", "orders", "")
    for row in told.layers:
        style = "" if abs(row.amount) >= _CENT else "dim"
        number = formats.count(row.orders) if row.orders else formats.DASH
        amount = _signed(row.amount) if row.orders or abs(row.amount) >= _CENT else formats.DASH
        cells = (row.layer, amount, number, _MEANS[row.layer])
        table.add_row(*(Text(cell, style=style) for cell in cells))
    table.add_section()
    total = (Text(text, style="bold") for text in ("difference", _signed(told.difference)))
    table.add_row(*total, "", "")
    console.print(table)
    if told.trades:
        _print_trades(told, console, first)
    console.print()
    console.print(Text("Compared with  ").append(str(against), style="bold"), soft_wrap=True)


def _print_trades(told: Economics, console: Console, first: int) -> None:
    console.print()
    shown = told.trades[:first]
    console.print(Text(f"The trades that differ most ({len(told.trades):,} differ)", style="bold"))
    table = _table("time", "strategy", "instrument", "adds", "most of it")
    for one in shown:
        layer = max(one.layers, key=lambda name: abs(one.layers[name]))
        table.add_row(
            iso(one.ts)[:19],
            one.strategy_id,
            one.instrument_id,
            _signed(one.amount),
            layer,
        )
    console.print(table)


_CENT = 0.005


def _signed(amount: float) -> str:
    return f"{amount:+,.2f}"


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in ("adds", "orders") else "left")
    return table
