"""How long everything took, for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_latency import latency_note
from aitb_nautilus.observe.run_record import RunRecord

__all__ = ["print_latency"]


def print_latency(record: RunRecord, console: Console) -> None:
    """Print the figures of each stage that was measured; nothing if none was."""
    if not record.latency:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column("Stage", no_wrap=True)
    for name in ("Count", "p50", "p90", "p99", "Max"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in record.latency:
        times = (one.p50_ns, one.p90_ns, one.p99_ns, one.max_ns)
        stage = f"{one.stage} (simulated)" if one.clock == "simulated" else one.stage
        table.add_row(Text(stage), formats.count(one.count), *map(formats.span, times))
    console.print()
    console.print(Text("How long everything took", style="bold"))
    console.print(table)
    note = latency_note(record.latency)
    if note:
        console.print(Text(f"  {note}", style="dim"))
