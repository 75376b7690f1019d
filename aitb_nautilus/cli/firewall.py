"""``aitb firewall CONFIG``: what a venue holds that the journal cannot explain, and what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.firewall import Choice, Unexplained
from aitb_nautilus.risk.firewall_file import Answer, FirewallFile, Table
from aitb_nautilus.run.command_socket import user_at_host
from aitb_nautilus.run.state_place import StatePlace
from aitb_nautilus.settings import nearest

__all__ = ["command"]

_CHOICES: tuple[Choice, ...] = get_args(Choice)
_MEANING: dict[Choice, str] = {
    "adopt": "the venue is right; the ledger follows",
    "cancel": "cancel the order at the venue",
    "close": "close at the venue what is unexplained",
    "ignore": "leave it, as long as it stays as it is",
}


@click.command("firewall")
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("key", required=False)
@click.argument("choice", required=False, type=click.Choice(_CHOICES))
@click.option("--strategy", default="", metavar="ID", help="To which it shall belong, to adopt it.")
@click.option("--reason", default="", help="Why. Needed with an answer, and journalled.")
@json_option
def command(
    *,
    config: Path,
    key: str | None,
    choice: Choice | None,
    strategy: str,
    reason: str,
    as_json: bool,
) -> None:
    """Show and answer what a venue holds and no journal explains.

    Without KEY: the table of the last check, and which answers fit. With KEY and one of adopt,
    cancel, close and ignore: the answer, which the node carries out at its next check, or when it
    starts. Trading goes on once every row is answered and somebody resumes.
    """
    place = StatePlace.read(config)
    file = FirewallFile(place.folder, place.trader_id)
    table = file.table()
    waiting = _waiting(file, table)
    if key is None:
        plain = {
            "trader_id": place.trader_id,
            "checked": None if table is None else iso(table.ts),
            "rows": [] if table is None else msgspec.to_builtins(table.rows),
            "waiting": msgspec.to_builtins(waiting),
            "settled": [] if table is None else msgspec.to_builtins(table.settled),
        }
        emit(plain, as_json, lambda: _show(config, table, waiting))
        return
    row = _row(config, key, table)
    answer = Answer(
        key=key,
        at_venue=row.at_venue,
        choice=_checked(config, row, choice, strategy, reason),
        strategy=strategy,
        who=user_at_host(os.getuid()),
        reason=reason.strip(),
        ts=time.time_ns(),
    )
    file.add_answer(answer)
    plain = {"trader_id": place.trader_id, "answer": msgspec.to_builtins(answer)}
    emit(plain, as_json, lambda: _said(config, row, answer))


def _waiting(file: FirewallFile, table: Table | None) -> list[Answer]:
    """Return the answers that no check has dealt with, the last one of each row."""
    if table is None:
        return []
    done = {settled.answer for settled in table.settled}
    rows = {(row.key, row.at_venue) for row in table.rows}
    last = {(a.key, a.at_venue): a for a in file.answers()}
    return [a for pair, a in last.items() if pair in rows and a not in done]


def _row(config: Path, key: str, table: Table | None) -> Unexplained:
    rows = {} if table is None else {row.key: row for row in table.rows}
    if key in rows:
        return rows[key]
    close = nearest(key, list(rows))
    raise UsageError(
        f"aitb firewall {config}",
        f"got {key}, which the last check did not find",
        f"did you mean {close}?" if close else f"it found {', '.join(rows) or 'nothing'}",
        f"See: aitb firewall {config}",
    )


def _checked(
    config: Path, row: Unexplained, choice: Choice | None, strategy: str, reason: str
) -> Choice:
    """Return the answer if it fits the row, and says all that it must."""
    where = f"aitb firewall {config} {row.key}"
    if choice is None or choice not in row.choices:
        got = f"got {choice}" if choice else "got no answer"
        raise UsageError(where, got, f"must be one of {', '.join(row.choices)}")
    if choice == "adopt" and row.needs_strategy and not strategy:
        raise UsageError(
            where,
            "named no strategy",
            "what is adopted must belong to one: it manages and closes it from then on",
            "Name one: --strategy ID",
        )
    if not reason.strip():
        raise UsageError(
            where,
            "got no reason",
            "needs one: others will ask why, and the journal keeps it",
            'Say why: --reason "..."',
        )
    return choice


def _show(config: Path, table: Table | None, waiting: list[Answer]) -> None:
    out = console()
    if table is None:
        out.print("No node has checked yet: a paper or live node does when it starts.")
        return
    when = iso(table.ts // 10**9 * 10**9)
    if not table.rows:
        out.print(f"[green]explained[/] Everything at the venue, at {when}.")
    else:
        count = len(table.rows)
        things = "One thing" if count == 1 else f"{count} things"
        out.print(f"[bold red]{things}[/] that the journal does not explain, at {when}:")
        out.print(_grid(table, {answer.key: answer for answer in waiting}))
        fitting = dict.fromkeys(choice for row in table.rows for choice in row.choices)
        for choice in fitting:
            out.print(f"  [bold]{choice:7}[/] {_MEANING[choice]}")
        answer = escape(f'aitb firewall {config} KEY ANSWER --reason "..."')
        out.print(f"Answer each with: {answer}", soft_wrap=True, emoji=False)
    for settled in table.settled[-5:]:
        if settled.said:
            one = settled.answer
            said = escape(f"{one.choice} {one.key}: {settled.said}.")
            out.print(f"[yellow]not done[/] {said}", emoji=False)


def _grid(table: Table, answered: dict[str, Answer]) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("key", overflow="fold", ratio=2)
    grid.add_column("what was found", overflow="fold", ratio=4)
    grid.add_column("answers", overflow="fold", ratio=2)
    for row in table.rows:
        answer = answered.get(row.key)
        fits = Text(", ".join(row.choices))
        if answer is not None:
            fits = Text(f"{answer.choice} waits for the next check", style="green")
        elif row.needs_strategy and "adopt" in row.choices:
            fits.append("\nadopt needs --strategy", style="dim")
        grid.add_row(Text(row.key), Text(row.line), fits)
    return grid


def _said(config: Path, row: Unexplained, answer: Answer) -> None:
    out = console()
    said = escape(f"{answer.choice} {row.key}: {_MEANING[answer.choice]}.")
    out.print(f"[green]noted[/] {said}", emoji=False)
    out.print(
        "The node does it at its next check, or when it starts. Once every row is answered: "
        + escape(f'aitb resume {config} --reason "..."'),
        soft_wrap=True,
        emoji=False,
    )
