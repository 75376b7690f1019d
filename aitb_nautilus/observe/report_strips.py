"""Charts over time as plain markup: lines and areas of at most a few hundred stretches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Child, Html, el

__all__ = ["Curve", "Level", "bars", "spark", "strip"]

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]

_MOST_MARKS = 5
_DAY_NS = 86_400 * 10**9


class Curve(msgspec.Struct, frozen=True):
    """One curve.

    Attributes
    ----------
    values
        Shape (m,); NaN where there is none.
    kind
        Its colour: ``strategy``, ``gain``, ``loss``, ``market`` or ``ink``.
    is_area
        Whether the room between it and zero is filled.
    is_dots
        Whether only its points are shown.
    """

    values: Floats
    kind: str
    is_area: bool = False
    is_dots: bool = False


class Level(msgspec.Struct, frozen=True):
    """A level that does not change, with its name."""

    value: float
    name: str


def strip(
    ends: Ints,
    curves: Sequence[Curve],
    tips: Sequence[str],
    label: str,
    *,
    levels: Sequence[Level] = (),
    percent: bool = True,
    tall: bool = False,
) -> Html:
    """Return curves over time; a tip stands over every stretch.

    Parameters
    ----------
    ends
        Ends of the stretches, shape (m,), ns UTC, m > 0.
    tips
        What is shown beside the pointer, one a stretch.
    label
        What the chart says, for those who hear it.
    levels
        Are left out where they lie far beyond the curves.
    percent
        Whether values are fractions; else they are amounts.
    """
    seen = np.concatenate([[0.0], *(c.values[np.isfinite(c.values)] for c in curves)])
    low, high = float(seen.min()), float(seen.max())
    near = [level for level in levels if low - (high - low) <= level.value <= 2 * high - low]
    low = min([low, *(level.value for level in near)])
    high = max([high, *(level.value for level in near)])
    room = 0.06 * (high - low) or 1e-6
    low, high = low - room * (low < 0), high + room * (high > 0 or low == high)
    count = len(ends)

    def y(value: float) -> float:
        return (value - low) / (high - low)

    drawn = [_path(curve, low, high, count) for curve in curves]
    canvas = el("svg", drawn, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
    step = formats.nice_step((high - low) / _MOST_MARKS)
    marks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    heights = [(float(value), _spelled(float(value), step, percent=percent)) for value in marks]
    inside: list[Child] = [
        *(el("div", class_="rule", style=f"bottom:{y(value):.3%}") for value, _ in heights),
        canvas,
    ]
    if low < 0:
        inside.append(el("div", class_="zero", style=f"bottom:{y(0.0):.3%}"))
    inside += [
        el("div", el("span", level.name), class_="level", style=f"bottom:{y(level.value):.3%}")
        for level in near
    ]
    inside.append(el("div", [el("b", data_tip=tip) for tip in tips], class_="strips"))
    side = [el("span", text, style=f"bottom:{y(value):.3%}") for value, text in heights]
    return el(
        "div",
        el("div", side, class_="side"),
        el("div", inside, class_="area"),
        el("div", _dates(ends), class_="below"),
        class_=f"plot over-time{' tall' if tall else ''}",
        role="img",
        aria_label=label,
    )


def spark(values: Floats, kind: str, *, top: float, bottom: float = 0.0) -> Html:
    """Return a small area between two bounds, without marks; a line where it is 1."""
    low, high = min(bottom, 0.0), max(top, 1e-12)
    drawn = _path(Curve(values, kind, is_area=True), low, high, len(values))
    return el(
        "svg",
        drawn,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        class_="spark",
        aria_hidden="true",
    )


def bars(rows: Sequence[tuple[str, float, str]], label: str) -> Html:
    """Return amounts as bars from zero: the name below each, its amount, its tip."""
    amounts = [amount for _, amount, _ in rows]
    low, high = min(0.0, *amounts), max(0.0, *amounts)
    room = 0.06 * (high - low) or 1e-6
    low, high = low - room * (low < 0), high + room * (high > 0 or low == high)
    size, width = high - low, 1 / len(rows)
    step = formats.nice_step(size / _MOST_MARKS)
    marks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    inside: list[Child] = [
        el("div", class_="rule", style=f"bottom:{(float(m) - low) / size:.3%}") for m in marks
    ]
    for i, (_, amount, tip) in enumerate(rows):
        start, end = sorted((-low / size, (amount - low) / size))
        place = f"left:{i * width:.3%};width:{width:.3%};bottom:{start:.3%};"
        style = f"{place}height:{end - start:.3%}"
        inside.append(el("i", class_="up" if amount >= 0 else "down", style=style, data_tip=tip))
    inside.append(el("div", class_="zero", style=f"bottom:{-low / size:.3%}"))
    every = -(-len(rows) // 12)
    under = [
        el("span", name, style=f"left:{(i + 0.5) * width:.3%}")
        for i, (name, _, _) in enumerate(rows)
        if i % every == 0
    ]
    side = [
        el(
            "span",
            _spelled(float(m), step, percent=False),
            style=f"bottom:{(float(m) - low) / size:.3%}",
        )
        for m in marks
    ]
    return el(
        "div",
        el("div", side, class_="side"),
        el("div", inside, class_="area"),
        el("div", under, class_="below"),
        class_="plot over-time",
        role="img",
        aria_label=label,
    )


def _path(curve: Curve, low: float, high: float, count: int) -> list[Html]:
    """Return the curve as SVG paths: its area, its line, or its points."""
    x = (np.arange(count) + 0.5) * 100 / count
    y = 100 - (np.clip(curve.values, low, high) - low) / (high - low) * 100
    known = np.isfinite(y)
    if curve.is_dots:
        dots = [f"M{a:.2f} {b:.2f}h0" for a, b in zip(x[known], y[known], strict=True)]
        return [_drawn("".join(dots), f"dots {curve.kind}")] if dots else []
    if not known.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    lines, areas = [], []
    base = 100 - (0.0 - low) / (high - low) * 100
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        points = [f"{a:.2f} {b:.2f}" for a, b in zip(x[first:after], y[first:after], strict=True)]
        lines.append("M" + "L".join(points))
        start, end = f"{x[first]:.2f} {base:.2f}", f"{x[after - 1]:.2f} {base:.2f}"
        areas.append(f"M{start}L{'L'.join(points)}L{end}Z")
    drawn = [_drawn("".join(lines), f"stroke {curve.kind}")]
    if curve.is_area:
        drawn.insert(0, _drawn("".join(areas), f"fill {curve.kind}"))
    return drawn


def _drawn(d: str, class_: str) -> Html:
    return el("path", d=d, class_=class_, vector_effect="non-scaling-stroke")


def _dates(ends: Ints) -> list[Html]:
    """Return dates, or times of a short run, below the stretches that they name."""
    count = len(ends)
    pattern = "%-d %b %y" if ends[-1] - ends[0] > 3 * _DAY_NS else "%-d %b %H:%M"
    places = np.unique(np.linspace(0, count - 1, _MOST_MARKS + 2).astype(np.int64)[1:-1])
    return [
        el(
            "span",
            datetime.fromtimestamp(int(ends[i]) // 10**9, UTC).strftime(pattern),
            style=f"left:{(i + 0.5) / count:.3%}",
        )
        for i in places.tolist()
    ]


def _spelled(value: float, step: float, *, percent: bool) -> str:
    """Return a mark's text with the decimals that its step needs."""
    if percent:
        return formats.percent(value, digits=_digits(step * 100))
    if step >= 1000:
        thousands = formats.ratio(value / 1000, digits=_digits(step / 1000))
        return f"{thousands}k" if value else "0"
    return formats.ratio(value, digits=_digits(step))


def _digits(step: float) -> int:
    """Return how many decimals show a round step exactly."""
    digits = 0
    while digits < 8 and not math.isclose(round(step, digits), step, rel_tol=1e-6):
        digits += 1
    return digits
