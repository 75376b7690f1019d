"""``aitb features list``: every feature in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.features.kernel import Kernel
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.reference_page import FAMILIES, range_text, reference_page

__all__ = ["command", "plain_kernel"]

_WIDE = 100


@click.command("list")
@click.option("--family", type=click.Choice(FAMILIES), help="Only this family.")
@click.option("--markdown", is_flag=True, help="Print the page docs/features.md instead.")
@json_option
def command(family: str | None, markdown: bool, as_json: bool) -> None:
    """Show every feature: arguments, warm-up, range.

    Warm-up (in bars) and range are those of the usual arguments, which are shown. A narrow terminal
    leaves the range out.
    """
    if markdown and not as_json:
        click.echo(reference_page(KERNELS), nl=False)
        return
    chosen = [kernel for kernel in KERNELS.values() if family in (None, kernel.family)]
    answer = {"features": [plain_kernel(kernel) for kernel in chosen]}
    emit(answer, as_json, lambda: _show(chosen))


def plain_kernel(kernel: Kernel) -> dict[str, Any]:
    """Return what a kernel declares as plain data; infinite bounds are null."""
    arguments = tuple(parameter.example for parameter in kernel.parameters)
    low, high = kernel.range_of(arguments)
    return {
        "name": kernel.name,
        "family": kernel.family,
        "example": kernel.example(),
        "summary": kernel.summary,
        "formula": kernel.section("Formula"),
        "source": kernel.section("References"),
        "unit": kernel.unit,
        "parameters": [
            {"name": p.name, "text": p.text, "example": p.example, "accepted": p.range_text()}
            for p in kernel.parameters
        ],
        "warmup_bars": kernel.warmup(*arguments),
        "range": [low, high],
        "price_power": kernel.price_power,
        "volume_power": kernel.volume_power,
    }


def _show(chosen: Sequence[Kernel]) -> None:
    out = console()
    wide = out.width >= _WIDE
    for family in FAMILIES:
        kernels = [kernel for kernel in chosen if kernel.family == family]
        if not kernels:
            continue
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        table.title = f"[bold cyan]{family}[/]"
        table.add_column("feature", no_wrap=True, min_width=_width(chosen))
        table.add_column("warm-up", justify="right", no_wrap=True)
        if wide:
            table.add_column("range", no_wrap=True, min_width=15)
        table.add_column("what it says", ratio=1)
        for kernel in kernels:
            arguments = tuple(parameter.example for parameter in kernel.parameters)
            table.add_row(
                _spelled(kernel),
                f"{kernel.warmup(*arguments):,}",
                *([range_text(kernel, arguments)] if wide else []),
                kernel.summary.removeprefix("Return ").removesuffix("."),
            )
        out.print(table)
        out.print()
    out.print(f"{len(chosen)} features. See: aitb features show NAME", markup=False)


def _spelled(kernel: Kernel) -> str:
    """Return the usual spelling, with a short name for the other instrument."""
    return kernel.example().replace("ETHUSDT.BINANCE", "eth")


def _width(chosen: Sequence[Kernel]) -> int:
    return max(len(_spelled(kernel)) for kernel in chosen)
