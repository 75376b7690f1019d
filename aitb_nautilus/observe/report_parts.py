"""The parts that a page is made of: cards, tiles, bars, a calendar of months, a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.luck import Bootstrap
from aitb_nautilus.observe.report_html import Child, Html, el, join

__all__ = [
    "Step",
    "bullets",
    "card",
    "chart_tools",
    "histogram",
    "legend",
    "luck_bar",
    "months",
    "pairs",
    "steps",
    "tile",
    "tone",
]

MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

type Floats = npt.NDArray[np.float64]


def card(
    id_: str | None, title: str, *children: Child, about: str | None = None, tools: Child = None
) -> Html:
    """Return a titled section with a sentence about it and tools at its right."""
    head = el("header", el("div", el("h2", title), el("p", about) if about else None), tools)
    return el("section", head, *children, id=id_, class_="card", aria_label=title)


def tone(value: float | None) -> str | None:
    """Return the class that colours a gain or a loss."""
    if value is None or value == 0:
        return None
    return "gain" if value > 0 else "loss"


def tile(label: str, value: str, under: str, class_: str | None = None) -> Html:
    """Return a key figure with its name above and what it stands beside below."""
    shown = el("dd", value, class_=f"value {class_}" if class_ else "value")
    return el("div", el("dt", label), shown, el("dd", under, class_="under"), class_="tile")


def pairs(rows: Sequence[tuple[str, Child]]) -> Html:
    """Return names and values in two columns."""
    return el("dl", [[el("dt", name), el("dd", value)] for name, value in rows], class_="pairs")


def bullets(sentences: Sequence[str]) -> Html:
    """Return sentences as a list."""
    return el("ul", [el("li", sentence) for sentence in sentences], class_="points")


def legend(entries: Sequence[tuple[str, str, str]]) -> Html:
    """Return a legend: label, colour variable and dash pattern of each line."""
    return el(
        "ul",
        [el("li", swatch(paint, dash), label) for label, paint, dash in entries],
        class_="legend",
    )


def swatch(paint: str, dash: str = "") -> Html:
    """Return a short line in a colour and dash pattern."""
    line = el(
        "line",
        x1=1,
        y1=5,
        x2=23,
        y2=5,
        stroke=f"var({paint})",
        stroke_width="2.4",
        stroke_dasharray=dash or None,
        stroke_linecap="round",
    )
    return el("svg", line, viewBox="0 0 24 10", class_="swatch", aria_hidden="true")


def chart_tools(*first: Child) -> Html:
    """Return the buttons beside a time chart, after what `first` adds."""
    zoom = [
        el("button", text, type="button", data_do=do, aria_label=label, title=label)
        for text, do, label in (
            ("+", "in", "Zoom in"),
            ("\N{MINUS SIGN}", "out", "Zoom out"),
            ("Reset", "reset", "Show everything"),
        )
    ]
    return el("div", first, zoom, class_="tools")


@dataclass(frozen=True)
class Step:
    """A bar from one value to another, with its amount as text; a sum stands apart below a line."""

    label: str
    start: float
    end: float
    text: str
    kind: str
    is_sum: bool = False


def steps(rows: Sequence[Step], label: str) -> Html:
    """Return bars on one common scale; with values below zero, zero is marked."""
    low = min(0.0, *(min(row.start, row.end) for row in rows))
    high = max(0.0, *(max(row.start, row.end) for row in rows))
    size = high - low or 1.0
    shown = []
    for row in rows:
        place = (
            f"--from:{(min(row.start, row.end) - low) / size:.4%};"
            f"--wide:{abs(row.end - row.start) / size:.4%};--zero:{-low / size:.4%}"
        )
        track = el(
            "div",
            el("i", class_=row.kind) if row.start != row.end else None,
            el("b") if low < 0 else None,
            class_="track",
            style=place,
        )
        line = [el("span", row.label), track, el("span", row.text, class_="num")]
        shown.append(el("div", line, class_="sum" if row.is_sum else None))
    return el("div", shown, class_="steps", role="group", aria_label=label)


def months(returns: dict[str, float]) -> Html:
    """Return the calendar of monthly returns, a year a row; colour grows with the return."""
    strongest = max(abs(value) for value in returns.values()) or 1.0
    years = sorted({key[:4] for key in returns})
    rows = []
    for year in years:
        growth = 1.0
        cells = []
        for month in range(1, 13):
            value = returns.get(f"{year}-{month:02d}")
            if value is None:
                cells.append(el("td", el("span", "", aria_hidden="true")))
                continue
            growth *= 1.0 + value
            strength = round(8 + 52 * min(1.0, math.sqrt(abs(value) / strongest)))
            cells.append(
                el(
                    "td",
                    el(
                        "span",
                        formats.percent(value, signed=True, digits=1),
                        class_="up" if value > 0 else "down" if value < 0 else None,
                        style=f"--v:{strength if value else 0}",
                    ),
                )
            )
        total = formats.percent(growth - 1.0, signed=True, digits=1)
        cells.append(el("td", el("span", total), class_="total"))
        rows.append(el("tr", el("th", year, scope="row"), cells))
    head = el(
        "tr", el("th", "Year"), [el("th", name, scope="col") for name in (*MONTH_NAMES, "Year")]
    )
    whole = el("table", el("thead", head), el("tbody", rows), class_="months")
    return el(
        "div", whole, class_="scroll", tabindex=0, role="region", aria_label="Returns by month"
    )


def histogram(values: Floats, label: str) -> Html:
    """Return a histogram of fractions; zero is a boundary, the ends gather what lies beyond."""
    low, high = np.quantile(values, (0.005, 0.995))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    width = formats.nice_step((high - low) / 44) if high > low else 0.001
    first, last = math.floor(low / width), math.ceil(high / width)
    last = max(last, first + 1)
    place = np.clip(np.floor(values / width).astype(np.int64), first, last - 1)
    counts = np.bincount(place - first, minlength=last - first)
    digits = max(0, 1 - math.floor(math.log10(width * 100)))
    bins = []
    for i, number in enumerate(counts.tolist()):
        start, end = (first + i) * width, (first + i + 1) * width
        text = (
            f"{formats.percent(start, signed=True, digits=digits)} to "
            f"{formats.percent(end, signed=True, digits=digits)}\n"
            f"{formats.count(number)} {'trade' if number == 1 else 'trades'}"
        )
        height = number / max(1, int(counts.max()))
        bins.append(
            el(
                "i",
                class_="up" if start >= 0 else "down",
                style=f"--h:{height:.3%}" if number else "--h:0px",
                data_tip=text,
            )
        )
    zero = -first / (last - first)
    marks = [el("span", formats.percent(first * width, digits=digits), class_="first")]
    if 0.12 < zero < 0.88:
        marks.append(el("span", "0", style=f"left:{zero:.3%}"))
    end_text = formats.percent(last * width, signed=True, digits=digits)
    marks.append(el("span", end_text, class_="last", style="left:100%"))
    return join(
        el("div", bins, class_="bins", role="img", aria_label=label),
        el("div", marks, class_="axis", aria_hidden="true"),
    )


def luck_bar(bootstrap: Bootstrap) -> Html:
    """Return the bounds of the mean daily net return on a line with zero."""
    low, high = bootstrap.lower_95, bootstrap.upper_95
    start, end = min(low, 0.0), max(high, 0.0)
    room = (end - start) * 0.12 or 1e-6
    start, end = start - room, end + room

    def at(value: float) -> float:
        return (value - start) / (end - start)

    ends = [(low, formats.small_percent(low))]
    if at(high) - at(low) > 0.2:
        ends.append((high, formats.small_percent(high)))
    if all(abs(at(value) - at(0.0)) > 0.12 for value, _ in ends):
        ends.append((0.0, "0"))
    text = (
        f"Mean daily net return {formats.small_percent(bootstrap.mean)}, "
        f"95% bounds {ends[0][1]} and {formats.small_percent(high)}."
    )
    span = f"left:{at(low):.3%};width:{at(high) - at(low):.3%}"
    track = el(
        "div",
        el("div", class_="span", style=span),
        el("div", class_="zero", style=f"left:{at(0.0):.3%}"),
        el("div", class_="mean", style=f"left:{at(bootstrap.mean):.3%}"),
        class_="track",
    )
    labels = [el("span", word, style=f"left:{at(value):.3%}") for value, word in ends]
    return el(
        "div",
        track,
        el("div", labels, class_="labels"),
        class_="luck",
        role="img",
        aria_label=text,
        data_tip=text,
    )
