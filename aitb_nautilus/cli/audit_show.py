"""``aitb audit show``: what was wished, decided, sent and answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from aitb_nautilus.cli.audit_words import spell_record
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.market.times import iso, parse_time
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_file import find_journal
from aitb_nautilus.risk.journal_reader import Wanted, count, read
from aitb_nautilus.risk.journal_records import KINDS

__all__ = ["command"]

_WIDE = 110
_COLOURS = {
    "opened": "blue",
    "closed": "blue",
    "halted": "bold red",
    "gap": "bold red",
    "resumed": "green",
    "filled": "green",
}


@click.command("show")
@click.argument("journal", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--order", default="", metavar="ID", help="Only of one order, by its full id.")
@click.option("--strategy", default="", metavar="ID", help="Only of one strategy, as ema-001.")
@click.option("--instrument", default="", metavar="ID", help="Only of one instrument.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Only records of this kind; may be given several times.",
)
@click.option("--since", metavar="TIME", help="Only from then on, as 2024-01-31T12:30 (UTC).")
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="At most the last N of these; 0 shows all.",
)
@json_option
def command(
    *,
    journal: Path,
    order: str,
    strategy: str,
    instrument: str,
    kinds: tuple[str, ...],
    since: str | None,
    last: int,
    as_json: bool,
) -> None:
    """Show what was wished, decided, sent and answered.

    RUN is a run folder or a journal file. Records stand in the order in which they were written;
    whether nobody touched them is said by: aitb audit verify RUN.
    """
    path = find_journal(journal)
    wanted = Wanted(
        kinds=kinds,
        strategy_id=strategy,
        instrument_id=instrument,
        client_order_id=order,
        since_ns=None if since is None else _time(since),
        last=last,
    )
    records = list(read(path, wanted))
    found = count(path, wanted)
    answer = {"path": path, "found": found, "records": [_plain(r) for r in records]}
    emit(answer, as_json, lambda: _show(records, found))


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as e:
        raise UsageError("aitb audit show", f"--since: {e}") from e


def _plain(record: Record) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "ts": record.ts,
        "time": iso(record.ts),
        "kind": record.kind,
        "strategy_id": record.strategy_id,
        "instrument_id": record.instrument_id,
        "client_order_id": record.client_order_id,
        "body": msgspec.to_builtins(record.body),
        "hash": record.hash,
    }


def _show(records: Sequence[Record], found: int) -> None:
    out = console()
    if not records:
        out.print("No record fits.")
        return
    wide = out.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    if wide:
        table.add_column("strategy", overflow="fold", max_width=16)
    table.add_column("what", overflow="fold", ratio=1)
    for record in records:
        what = Text(spell_record(record.body))
        ids = [record.instrument_id, record.client_order_id]
        named = " ".join(filter(None, ids if wide else [record.strategy_id, *ids]))
        if named:
            what.append(f"\n{named}", style="dim")
        kind = Text(record.kind, style=_COLOURS.get(record.kind, ""))
        cells: list[str | Text] = [str(record.seq), _moment(record.ts), kind]
        if wide:
            cells.append(Text(record.strategy_id))
        table.add_row(*cells, what)
    out.print(table)
    if found > len(records):
        out.print(f"The last {len(records):,} of {found:,}; --last 0 shows all.")


def _moment(ts_ns: int) -> str:
    """Return a time to the millisecond: ``2024-01-31 12:30:00.125``."""
    milliseconds = ts_ns // 1_000_000 % 1_000
    return f"{iso(ts_ns)[:19].replace('T', ' ')}.{milliseconds:03d}"
