"""Print what a replay found, in one screen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aitb_nautilus.observe import formats
from aitb_nautilus.run.replay import ReplayRecord

__all__ = ["print_replay"]

_MEANS = {
    "data": "bars, as in the run folder",
    "features": "rows that the models saw",
    "predictions": "answers of the models",
    "intents": "wishes of the strategies",
    "decisions": "what the guard made of them",
    "orders": "commands to the venue",
    "events": "fills, answers of the venue, halts",
}


def print_replay(record: ReplayRecord, console: Console) -> None:
    """Print a replay."""
    console.print()
    title = Text(record.run_id, style="bold")
    console.print(title.append(f"  replay  {record.mode}", style="dim"))
    one = record.divergence
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("layer")
    table.add_column("equal", justify="right")
    table.add_column("")
    for layer, count in record.equal.items():
        differs = one is not None and one.layer == layer
        mark = Text("differs", style="bold red") if differs else Text(_MEANS[layer], style="dim")
        number = formats.count(count) if count or differs else formats.DASH
        table.add_row(Text(layer, style="red" if differs else ""), number, mark)
    console.print(table)
    console.print()
    if one is None:
        console.print(Text("0 differences", style="bold green"))
    else:
        where = " ".join(filter(None, (one.who, one.about)))
        head = Text("First difference: ", style="bold red").append(f"{one.layer} at {record.at}")
        console.print(head)
        console.print(Text(f"  {where}: {one.what}" if where else f"  {one.what}"))
        console.print(Text("  recorded  ", style="dim").append(one.recorded or "nothing"))
        console.print(Text("  replayed  ", style="dim").append(one.replayed or "nothing"))
    for line in record.remarks:
        console.print(Text(line, style="yellow"))
