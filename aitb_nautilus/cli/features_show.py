"""``aitb features show NAME``: one feature, with a few values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from aitb_nautilus.cli.features_list import plain_kernel
from aitb_nautilus.cli.plumbing import console, emit, json_option
from aitb_nautilus.errors import UsageError
from aitb_nautilus.features.engine import FeatureEngine
from aitb_nautilus.features.feature_set import parse_features
from aitb_nautilus.features.kernel import Kernel
from aitb_nautilus.features.kernels import KERNELS
from aitb_nautilus.features.reference_page import range_text, sentence, warmup_text
from aitb_nautilus.market.times import iso
from aitb_nautilus.settings import nearest
from catalog.simulate import SimulationSettings, simulate

__all__ = ["command"]

_OWN = "BTCUSDT.BINANCE"
_COUNT = 5
_LAWS = {
    0: "does not change it",
    1: "multiplies it by c",
    -1: "divides it by c",
    None: "changes it otherwise",
}


@click.command("show")
@click.argument("name")
@json_option
def command(name: str, as_json: bool) -> None:
    """Show one feature: formula, source, arguments, values.

    The values are those of the last bars of a simulated market.
    """
    kernel = KERNELS.get(name)
    if kernel is None:
        close = nearest(name, list(KERNELS))
        raise UsageError(
            f"aitb features show {name}",
            "there is no such feature",
            f"did you mean {close}?" if close else "",
            "See: aitb features list",
        )
    values = _values(kernel)
    answer = plain_kernel(kernel) | {
        "values": [{"ts": ts, "value": value} for ts, value in values],
        "values_of": "the last bars of a simulated market of BTCUSDT.BINANCE",
        "simulated": True,
    }
    emit(answer, as_json, lambda: _show(kernel, answer, values))


def _values(kernel: Kernel) -> list[tuple[str, float]]:
    """Return the answers at the last bars of a simulated market."""
    features = parse_features([kernel.example()], interval="1m")
    ids = (_OWN, *features.others)
    frames = simulate(SimulationSettings(instruments=ids, days=1 + features.warmup // 1440))
    rows = FeatureEngine(features, _OWN).batch(frames)
    last = slice(-_COUNT, None)
    return [
        (iso(int(ts)), float(value[0]))
        for ts, value in zip(rows.ts_close[last], rows.values[last], strict=True)
    ]


def _show(kernel: Kernel, answer: dict[str, Any], values: Sequence[tuple[str, float]]) -> None:
    out = console()
    arguments = tuple(parameter.example for parameter in kernel.parameters)
    out.print(Text.assemble((kernel.example(), "bold"), f"  {kernel.family}"))
    out.print(sentence(kernel), markup=False)
    out.print()
    for title in ("formula", "source"):
        out.print(f"[bold]{title}[/]")
        out.print(Padding(Text(" ".join(str(answer[title]).split())), (0, 0, 1, 2)))
    if kernel.parameters:
        out.print("[bold]arguments[/]")
        for p in kernel.parameters:
            out.print(Padding(Text(f"{p.name}: {p.text}; {p.range_text()}"), (0, 0, 0, 2)))
        out.print()
    facts = (
        ("unit", kernel.unit),
        ("range", range_text(kernel, arguments)),
        ("warm-up", warmup_text(kernel, arguments)),
        ("all prices times c", _LAWS[kernel.price_power]),
        ("all volumes times c", _LAWS[kernel.volume_power]),
    )
    for what, fact in facts:
        out.print(f"[bold]{what}[/]: {escape(fact)}")
    out.print()
    out.print("[bold]values[/] at the last bars of a [magenta]simulated[/] market of BTCUSDT")
    for ts, value in values:
        out.print(f"  {ts}  {value:.6g}")
