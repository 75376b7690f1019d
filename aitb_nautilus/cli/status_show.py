"""How a node stands, printed for people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aitb_nautilus.market.times import iso
from aitb_nautilus.observe.left_words import left_sentences
from aitb_nautilus.run.command_client import Kept
from aitb_nautilus.run.command_messages import NodeStatus, ScopeState
from aitb_nautilus.run.last_left import LastLeft
from aitb_nautilus.run.state_place import StatePlace

__all__ = ["show_kept", "show_node"]

_COLOURS = {"active": "green", "reducing": "yellow", "halted": "bold red"}


def show_node(out: Console, node: NodeStatus) -> None:
    """Print how a node that runs stands."""
    about = "".join(f", {name.replace('_', ' ')} {value}" for name, value in node.about.items())
    out.print(
        f"[bold]{node.trader_id}[/] runs since {_second(node.started)} "
        f"(process {node.pid}{escape(about)})",
        soft_wrap=True,
    )
    if node.stopping:
        out.print(f"[bold red]is about to end[/] {escape(node.stopping)}")
    if node.unwritten:
        out.print(f"[bold red]states cannot be written[/] {escape(node.unwritten)}")
    out.print(_scopes(node.scopes))
    out.print(f"\nequity {node.equity:,.2f} {node.currency}{_journal(node)}")
    out.print(_positions(node))
    out.print(_orders(node))
    bars = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("instrument", "last bar closed"):
        bars.add_column(name)
    for instrument_id, ts in node.bars.items():
        bars.add_row(escape(instrument_id), f"{_second(ts)} ({_ago(node.now - ts)} ago)")
    out.print(bars if node.bars else "no bar was heard yet")


def show_kept(out: Console, place: StatePlace, kept: Kept, last: Sequence[LastLeft]) -> None:
    """Print what holds from the next start, and what the last runs left, where no node runs."""
    where = escape(str(place.folder))
    out.print(f"No node runs for [bold]{place.trader_id}[/] ({where}).", soft_wrap=True)
    out.print("From the next start:")
    out.print(_scopes(kept.scopes))
    for one in last:
        _show_left(out, one)
    if not kept.changes:
        return
    out.print("\nLast halts and resumes:")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("when", "scope", "state", "by", "why"):
        table.add_column(name, overflow="fold", no_wrap=name in ("when", "state"))
    for change in kept.changes:
        state = f"[{_COLOURS[change.level]}]{change.level}[/]" + (", flat" * change.flatten)
        who, why = escape(change.who), escape(change.reason)
        table.add_row(_second(change.ts), escape(change.scope.id or "the trader"), state, who, why)
    out.print(table)


def _show_left(out: Console, last: LastLeft) -> None:
    """Print what a run left, with the time of the record that says so."""
    name = f"\nThe last {last.mode} run"
    if last.left is None:
        out.print(f"{name} {escape(last.run_id)}: what it left is not known.", soft_wrap=True)
        out.print(escape(last.missing), style="yellow", soft_wrap=True)
        return
    how = "when it ended" if last.is_closed else "was killed: what came after that is not known"
    out.print(f"{name}, [bold]{escape(last.run_id)}[/], at {last.left.ts} ({how}):", soft_wrap=True)
    lines = left_sentences(last.left, last.mode) or ["Nothing was held, and no order was open."]
    for line in lines:
        out.print(f"- {escape(line)}", soft_wrap=True)


def _scopes(scopes: Sequence[ScopeState]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("scope", "state", "since", "by", "why"):
        table.add_column(name, overflow="fold", no_wrap=name in ("state", "since"))
    for one in scopes:
        name = escape(one.scope.id or "the trader")
        if not one.halts:
            table.add_row(name, f"[{_COLOURS[one.level]}]{one.level}[/]")
        for i, halt in enumerate(one.halts):
            level = f"[{_COLOURS[halt.level]}]{halt.level}[/]{', flat' * halt.flatten}"
            since, who, why = _second(halt.ts), escape(halt.who), escape(halt.reason)
            table.add_row("" if i else name, level, since, who, why)
    return table


def _positions(node: NodeStatus) -> Table | str:
    if not node.positions:
        return "nothing is held"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("strategy", "instrument"):
        table.add_column(name, overflow="fold")
    for name in ("held", "entry", "last", "open profit"):
        table.add_column(name, justify="right", no_wrap=True)
    for p in node.positions:
        pnl = "" if p.pnl is None else f"[{'green' if p.pnl >= 0 else 'red'}]{p.pnl:+,.2f}[/]"
        price, mark = _number(p.price), _number(p.mark)
        held = f"{_plain(p.quantity)}, dust {_plain(p.dust)}" if p.dust else str(p.quantity)
        table.add_row(escape(p.strategy_id), escape(p.instrument_id), held, price, mark, pnl)
    return table


def _orders(node: NodeStatus) -> Table | str:
    if not node.orders:
        return "no order is open"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("strategy", "instrument", "order", "for"):
        table.add_column(name, overflow="fold")
    for name in ("price", "trigger"):
        table.add_column(name, justify="right", no_wrap=True)
    for o in node.orders:
        terms = f"{o.side} {_plain(o.leaves)} {o.kind.lower().replace('_', ' ')}"
        price, trigger = _number(o.price), _number(o.trigger_price)
        table.add_row(
            escape(o.strategy_id), escape(o.instrument_id), terms, escape(o.purpose), price, trigger
        )
    return table


def _journal(node: NodeStatus) -> str:
    journal = node.journal
    if journal is None:
        return ", no journal"
    if journal.broken:
        return f", [bold red]journal cannot be written: {escape(journal.why)}[/]"
    return f", journal of {journal.records:,} records"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.10g}"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _second(ts: int) -> str:
    return iso(ts // 10**9 * 10**9).replace("T", " ")


def _ago(ns: int) -> str:
    seconds = max(ns // 10**9, 0)
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"
