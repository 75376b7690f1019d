"""Print what other limits had made of a run, in one screen."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aitb_nautilus.observe import formats
from aitb_nautilus.run.what_if import AffectedOrder, WhatIfRecord

__all__ = ["print_what_if"]


def print_what_if(record: WhatIfRecord, console: Console, first: int) -> None:
    """Print a what-if.

    Parameters
    ----------
    first
        How many orders are listed.
    """
    console.print()
    title = Text(record.run_id, style="bold")
    console.print(title.append(f"  what if  {record.mode}", style="dim"))
    again = _count(record.decisions, "decision")
    console.print(
        Text(f"{again} taken again with the run's own limits: all as they were.", style="green")
    )
    if record.not_asked:
        lost = _count(record.not_asked, "decision")
        console.print(
            Text(f"{lost} not: the run was killed before its last bars were kept.", style="yellow")
        )
    if not record.changes:
        console.print(
            "No limit was changed. Try: aitb risk RUN --set risk.max_order_notional=1000",
            style="dim",
        )
        return
    console.print()
    console.print(Text("Other limits", style="bold"))
    for change in record.changes:
        line = Text(f"  {change.key}  ").append(_value(change.was), style="dim")
        console.print(line.append(" -> ").append(_value(change.now), style="bold"))
    for key in record.not_applied:
        console.print(Text(f"  {key} needs quotes, and the run had none: left out", "yellow"))
    if not record.orders and not record.closed_early:
        console.print()
        console.print("They decide on every order as the run's own did.")
        return
    console.print()
    console.print(_limits(record))
    if any(one.order.outcome in ("passes", "larger") for one in record.orders):
        console.print(
            Text(
                "  passes, larger: the run refused or shrank it. What it would have led to is not "
                "known, so nothing is claimed for it.",
                style="dim",
            )
        )
    console.print()
    console.print(_courses(record))
    _print_orders(record, console, first)
    console.print()
    console.print(
        Text(
            "What the strategies wished and the prices of all fills stay as they were; what is "
            "refused does not fill, and exits shrink with what there is to close.",
            style="dim",
        )
    )


def _limits(record: WhatIfRecord) -> Table:
    table = _table("limit", "refused", "shrunk", "passes", "larger", "kept out", "PnL effect")
    for one in record.limits:
        counts = (one.refused, one.shrunk, one.passes, one.larger)
        table.add_row(
            Text("state (halted)" if one.limit == "state" else one.limit),
            *(formats.count(n) if n else formats.DASH for n in counts),
            formats.money(one.value, 0),
            _signed(one.pnl_effect),
        )
    if record.closed_early or abs(record.rest) >= 0.005:
        name = "whole lots"
        if record.closed_early:
            name = f"{_count(record.closed_early, 'position')} closed early"
        table.add_row(Text(name), "", "", "", "", "", _signed(record.rest))
    if len(record.limits) > 1:
        sums = [
            sum(getattr(one, name) for one in record.limits)
            for name in ("refused", "shrunk", "passes", "larger")
        ]
        table.add_section()
        table.add_row(
            Text("all", style="bold"),
            *(formats.count(n) if n else formats.DASH for n in sums),
            formats.money(sum(one.value for one in record.limits), 0),
            _signed(record.other.net_pnl - record.recorded.net_pnl),
        )
    return table


def _courses(record: WhatIfRecord) -> Table:
    was, would = record.recorded, record.other
    table = _table(record.currency, "recorded", "what if", "+/-")
    for name, key in (
        ("Net result", "net_pnl"),
        ("Fees paid", "fees"),
        ("Funding paid", "funding"),
        ("Value traded", "traded"),
    ):
        a, b = getattr(was, key), getattr(would, key)
        change = formats.money(b - a, signed=True)
        signed = key == "net_pnl"
        table.add_row(
            name,
            formats.money(a, signed=signed),
            formats.money(b, signed=signed),
            _signed(b - a) if signed else change,
        )
    table.add_row("Fills", formats.count(was.fills), formats.count(would.fills), "")
    table.add_row(
        "Drawdown, hourly",
        formats.percent(was.drawdown_frac),
        formats.percent(would.drawdown_frac),
        formats.percent(would.drawdown_frac - was.drawdown_frac, signed=True),
    )
    if was.halts or would.halts:
        table.add_section()
        halted = (Text(c.halts[0][:16].replace("T", " ") if c.halts else "") for c in (was, would))
        table.add_row(Text("Halted (UTC)", style="bold red"), *halted, "")
    return table


def _print_orders(record: WhatIfRecord, console: Console, first: int) -> None:
    shown = record.orders[:first]
    if not shown:
        return
    console.print()
    title = f"The first {formats.count(len(shown))} of {formats.count(len(record.orders))} orders"
    all_ = len(shown) == len(record.orders)
    console.print(Text("Orders" if all_ else title, style="bold"))
    for one in shown:
        order = one.order
        line = Text(f"  {one.time[:19].replace('T', ' ')}  ")
        line.append(f"{order.side or ''} {order.instrument_id}", style="bold")
        line.append(" change" if order.action == "modify" else "")
        line.append(f"  {_quantity(order.was)} -> ")
        line.append(_quantity(order.would), style=_style(one))
        if one.pnl_effect is not None:
            line.append("  ").append_text(_signed(one.pnl_effect))
        console.print(line)
        why = f"{order.strategy_id}, {order.limit}: {order.line}"
        console.print(Padding(Text(why, style="dim"), (0, 0, 0, 4)))
    if not all_:
        console.print(Text("  --first N lists more, --json all.", style="dim"))


def _style(one: AffectedOrder) -> str:
    return {"refused": "red", "shrunk": "yellow"}.get(one.order.outcome, "cyan")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _signed(amount: float) -> Text:
    text = formats.money(amount, signed=True)
    return Text(text, style="green" if amount > 0 else "red" if amount < 0 else "")


def _quantity(quantity: Any) -> str:
    return f"{quantity.normalize():f}" if quantity else "0"


def _value(value: Any) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _count(count: int, what: str) -> str:
    return f"{formats.count(count)} {what}{'' if count == 1 else 's'}"
