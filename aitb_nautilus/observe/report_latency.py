"""How long everything took, on the page of a run: a range for each stage, and the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.latency_record import StageLatency
from aitb_nautilus.observe.report_html import Child, Html, el, table
from aitb_nautilus.observe.report_parts import card
from aitb_nautilus.observe.run_record import RunRecord

__all__ = ["latency_card", "latency_note"]

_SHORTEST_NS = 1_000
"""Where the scale begins at the latest; shorter times stand at its edge."""


def latency_card(record: RunRecord) -> Html | None:
    """Return how long each stage took; None if nothing was measured."""
    if not record.latency:
        return None
    body = el("div", _ranges(record.latency), _table(record.latency), class_="stack")
    return card(
        "latency",
        "How long everything took",
        body,
        about="Bars: from the median to the 99th percentile; the line is the longest. "
        "The scale is logarithmic.",
    )


def latency_note(stages: Sequence[StageLatency]) -> str:
    """Return what must be known of clocks to read the figures; empty if nothing."""
    words = []
    if any(one.clock == "simulated" for one in stages):
        words.append("What the venue took is simulated: it answers as the config says.")
    ahead = sum(one.below_zero for one in stages if one.stage.endswith("age"))
    if ahead:
        ages = "age was" if ahead == 1 else "ages were"
        words.append(
            f"{formats.count(ahead)} {ages} below zero: the venue's clock is ahead of this "
            f"machine's, and every age is too short by as much."
        )
    return " ".join(words)


def _ranges(stages: Sequence[StageLatency]) -> Html:
    """Return a range for each stage on one logarithmic scale of whole powers of ten."""
    low = min(_SHORTEST_NS, 10 ** int(math.log10(max(1, min(one.p50_ns for one in stages)))))
    first = math.log10(low)
    last = math.ceil(math.log10(max(10 * low, *(one.max_ns for one in stages))))

    def at(ns: int) -> float:
        return max(0.0, (math.log10(max(ns, low)) - first) / (last - first))

    rows = []
    for one in stages:
        start, end, longest = at(one.p50_ns), at(one.p99_ns), at(one.max_ns)
        place = f"--from:{start:.3%};--wide:{end - start:.3%};--zero:{longest:.3%}"
        text = f"{formats.span(one.p50_ns)} to {formats.span(one.p99_ns)}"
        track = el("div", el("i", class_="time"), el("b"), class_="track", style=place)
        line = [el("span", one.stage), track, el("span", text, class_="num")]
        rows.append(el("div", line))
    marks = [
        el("span", _round(power), style=f"left:{(power - first) / (last - first):.3%}")
        for power in range(int(first), last + 1, 1 if last - first <= 9 else 2)
    ]
    scale = el("div", el("span"), el("div", marks, class_="scale"), el("span"), class_="marks")
    return el(
        "div",
        rows,
        scale,
        class_="steps ranges",
        role="group",
        aria_label="Median and 99th percentile by stage, on a logarithmic scale",
    )


def _round(power: int) -> str:
    """Return a power of ten, in ns, in a few letters."""
    unit = ("ns", "\N{MICRO SIGN}s", "ms", "s")[min(power // 3, 3)]
    return f"{10 ** (power - 3 * min(power // 3, 3))} {unit}"


def _table(stages: Sequence[StageLatency]) -> Html:
    rows: list[list[Child]] = [
        [
            one.stage,
            one.clock,
            formats.count(one.count),
            *(formats.span(ns) for ns in (one.p50_ns, one.p90_ns, one.p99_ns, one.max_ns)),
        ]
        for one in stages
    ]
    note = latency_note(stages)
    shown = table(
        ["Stage", "Clock", "Count", "p50", "p90", "p99", "Max"],
        rows,
        numeric=(2, 3, 4, 5, 6),
        label="Latency by stage",
    )
    return el("div", shown, el("p", note, class_="note") if note else None)
