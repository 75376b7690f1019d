"""Print what a run came to in a terminal: the figures of the page, in one screen.

Colour only repeats what a sign says, so that nothing is lost without it. User-supplied texts are
never read as markup.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aitb_nautilus.observe import figures, formats
from aitb_nautilus.observe.differences import (
    FigureRow,
    compare_configs,
    compare_figures,
    remarks,
    run_names,
)
from aitb_nautilus.observe.ladder_words import ladder_sentence
from aitb_nautilus.observe.latency_words import print_latency
from aitb_nautilus.observe.left_words import left_sentences, left_title
from aitb_nautilus.observe.model_words import model_line
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import Costs, RunRecord
from aitb_nautilus.observe.stats import Stats
from aitb_nautilus.observe.verdict import (
    MODES,
    ambiguous_sentence,
    market_sentence,
    period_sentence,
    verdict_of,
)

__all__ = ["print_comparison", "print_summary"]

_COLUMNS = (("Return", "Risk"), ("Trades", "Costs"))
_BASE_WIDTH, _RUN_WIDTH = 36, 22  # columns of a comparison: names with the first run, each other
_VERDICT_STYLES = {
    "positive": "bold green",
    "loss": "bold red",
    "broken": "bold red",
    "in_sample": "bold yellow",
}


def print_summary(run: Run, console: Console, page: Path | None = None) -> None:
    """Print the summary of a run.

    Parameters
    ----------
    run
        A run folder, opened.
    console
        Where to; any width from 60 columns on, with and without colour.
    page
        Where the page lies; report.html in the run folder if absent.
    """
    record, stats = run.record, run.record.stats
    console.print()
    console.print(_title(record))
    console.print(Text(" | ".join(period_sentence(record)), style="dim"))
    console.print()
    if stats is not None:
        console.print(_headline(record, stats))
        console.print()
    _print_verdict(record, stats, console)
    _print_left(record, console)
    if stats is not None:
        decimals = formats.money_decimals(record.starting_equity)
        console.print(_figures(stats, decimals))
        console.print(Text(f"  Money in {record.currency}; ratios of daily returns.", style="dim"))
    if record.costs is not None:
        console.print()
        console.print(_money(record, record.costs))
    if record.models:
        console.print()
        console.print(Text("Models" if len(record.models) > 1 else "Model", style="bold"))
        for model in record.models:
            console.print(_bullet(model_line(model)))
    print_latency(record, console)
    _print_notes(record, console)
    page = page or run.path / "report.html"
    if page.exists():
        console.print()
        console.print(Text("Report  ").append(str(page), style="bold"), soft_wrap=True)


def print_comparison(runs: list[Run], console: Console) -> None:
    """Print the figures of several runs side by side, with differences against the first.

    Where the runs do not fit beside each other, there are several tables, each with the first run.
    """
    names = run_names(runs)
    console.print()
    for name, run in zip(names, runs, strict=True):
        console.print(Text(f"{name}: ", style="bold").append(verdict_of(run.record).sentence, ""))
    for remark in remarks(runs):
        console.print(_bullet(remark))
    compared = compare_figures(runs)
    at_once = max(1, (console.width - _BASE_WIDTH) // _RUN_WIDTH)
    for start in range(1, len(runs), at_once):
        console.print()
        console.print(_side_by_side(names, compared, range(start, min(start + at_once, len(runs)))))
    changed = compare_configs(runs)
    console.print()
    if not changed:
        console.print("All runs have the same config.")
        return
    console.print(Text("What differs in the config", style="bold"))
    keys = Table.grid(padding=(0, 2), pad_edge=False)
    keys.add_column(overflow="fold", ratio=3)
    keys.add_column(overflow="fold", ratio=2, style="dim")
    keys.add_column(overflow="fold", ratio=4)
    for path, values in changed.items():
        for i, (name, value) in enumerate(zip(names, values, strict=True)):
            keys.add_row(Text("" if i else f"  {path}"), Text(name), Text(value or "absent"))
    console.print(keys)


def _side_by_side(names: list[str], compared: list[FigureRow], others: range) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column(Text(names[0]), justify="right", overflow="fold")
    for i in others:
        table.add_column(Text(names[i]), justify="right", overflow="fold")
        table.add_column("+/-", justify="right", style="dim", no_wrap=True)
    for group in figures.GROUPS:
        table.add_row(Text(group, style="bold"))
        for row in compared:
            if row.figure.group != group:
                continue
            cells = [Text(row.texts[0])]
            for i in others:
                cells += [Text(row.texts[i]), Text(row.differences[i - 1])]
            table.add_row(Text(f"  {row.figure.label}"), *cells)
    return table


def _title(record: RunRecord) -> Text:
    title = Text(record.name, style="bold")
    title.append(f"  {MODES[record.mode].lower()}", style="dim")
    if record.simulated:
        title.append("  simulated data", style="yellow")
    style = "green" if record.status == "complete" else "bold red"
    return title.append(f"  {record.status}", style=style)


def _headline(record: RunRecord, stats: Stats) -> Text:
    decimals = formats.money_decimals(record.starting_equity)
    line = Text(formats.percent(stats.total_return, signed=True), style=_tone(stats.total_return))
    line.append(
        f"  {formats.money(record.starting_equity, decimals)} to "
        f"{formats.money(record.final_equity, decimals)} {record.currency}, net of all costs"
    )
    return line


def _print_verdict(record: RunRecord, stats: Stats | None, console: Console) -> None:
    verdict = verdict_of(record)
    console.print(Text(verdict.sentence, style=_VERDICT_STYLES.get(verdict.kind, "bold")))
    if stats is not None:
        console.print(Text(market_sentence(stats)))
    if verdict.detail:
        console.print(Text(verdict.detail, style="dim"))
    for note in stats.notes if stats is not None else ():
        console.print(_bullet(note))
    console.print()


def _print_left(record: RunRecord, console: Console) -> None:
    lines = [] if record.left is None else left_sentences(record.left, record.mode)
    if record.left is None or not lines:
        return
    console.print(Text(left_title(record.left), style="bold yellow"))
    for line in lines:
        console.print(_bullet(line))
    console.print()


def _figures(stats: Stats, decimals: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in _COLUMNS:
        table.add_column(style="dim", min_width=22)
        table.add_column(justify="right", min_width=12)
    columns = [_lines(groups, stats, decimals) for groups in _COLUMNS]
    for pair in zip_longest(*columns, fillvalue=(Text(), Text())):
        table.add_row(*(cell for line in pair for cell in line))
    return table


def _lines(groups: tuple[str, ...], stats: Stats, decimals: int) -> list[tuple[Text, Text]]:
    """Return names and values of groups, under each other."""
    lines: list[tuple[Text, Text]] = []
    for group in groups:
        if lines:
            lines.append((Text(), Text()))
        lines.append((Text(group, style="not dim bold"), Text()))
        for figure in figures.FIGURES:
            if figure.group != group:
                continue
            value = getattr(stats, figure.key)
            signed = figure.unit in {"change", "gain"} and value is not None
            shown = Text(
                figures.text(figure, stats, decimals), style=_tone(value) if signed else ""
            )
            lines.append((Text(f"  {figure.label}"), shown))
    return lines


def _money(record: RunRecord, costs: Costs) -> Text:
    decimals = formats.money_decimals(record.starting_equity)
    line = Text("Gross ", style="dim")
    line.append(formats.money(costs.gross_pnl, decimals, signed=True), style="default")
    for name, amount in (
        ("fees", costs.fees),
        ("slippage", costs.slippage),
        ("funding", costs.funding),
    ):
        line.append(f", {name} ").append(
            formats.money(-amount, decimals, signed=True), style="default"
        )
    line.append(": net ")
    net = formats.money(costs.net_pnl, decimals, signed=True)
    return line.append(net, style=f"bold {_tone(costs.net_pnl)}").append(
        f" {record.currency}", style="default"
    )


def _print_notes(record: RunRecord, console: Console) -> None:
    lines = [*record.honesty]
    ambiguous = ambiguous_sentence(record)
    if ambiguous is not None:
        lines.append(ambiguous)
    if lines:
        console.print()
        console.print(Text("What is modelled and what is not", style="bold"))
        for line in lines:
            console.print(_bullet(line))
    if record.halts or record.refused or record.limits or ladder_sentence(record):
        console.print()
        console.print(Text("Risk limits", style="bold"))
        for halt in record.halts:
            place = f" ({halt.scope})" if halt.scope else ""
            console.print(_bullet(f"Halted {formats.minute(halt.ts)}{place}: {halt.reason}"))
        both = ladder_sentence(record)
        if both:
            console.print(_bullet(both))
        if record.refused:
            orders = "order" if record.refused == 1 else "orders"
            console.print(_bullet(f"{formats.count(record.refused)} {orders} refused."))
        if record.limits:
            console.print(_limits_table(record))


def _limits_table(record: RunRecord) -> Table:
    """Return which limits acted, and how often."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column("Limit", no_wrap=True)
    table.add_column("Refused", justify="right")
    table.add_column("Shrunk", justify="right")
    for one in record.limits:
        table.add_row(Text(one.limit), formats.count(one.refused), formats.count(one.shrunk))
    return table


def _bullet(sentence: str) -> Table:
    """Return a sentence behind a hyphen, wrapped under itself."""
    line = Table.grid(padding=0)
    line.add_column(width=2)
    line.add_column()
    line.add_row("-", Text(sentence))
    return line


def _tone(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""
