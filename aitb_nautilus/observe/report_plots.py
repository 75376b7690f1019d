"""Small charts of a model as plain markup: they need no script, scale with the page and print."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Child, Html, el
from aitb_nautilus.observe.report_parts import MONTH_NAMES
from aitb_nautilus.observe.run_record import CalibrationBin, Histogram, PeriodFigures

__all__ = ["calibration_plot", "ic_plot", "period_name", "probability_plot"]

type Mark = tuple[float, str]

_MOST_MARKS = 5
_SCALED = 0.25  # periods with fewer rows than this share of the fullest do not set the scale


def probability_plot(histogram: Histogram, up_share: float | None, label: str) -> Html:
    """Return how often each probability was given, with the share that went up as a line."""
    low, high = histogram.edges[0], histogram.edges[-1]
    total = sum(histogram.counts)
    top = max(histogram.counts) / total
    step = formats.nice_step((high - low) / _MOST_MARKS)
    digits = _digits((histogram.edges[1] - low) * 100)
    bars: list[Child] = []
    for i, count in enumerate(histogram.counts):
        start, end = histogram.edges[i], histogram.edges[i + 1]
        text = (
            f"{formats.percent(start, digits=digits)} to {formats.percent(end, digits=digits)}\n"
            f"{formats.count(count)} {'prediction' if count == 1 else 'predictions'}"
        )
        width = (end - start) / (high - low)
        place = ((start - low) / (high - low), width, 0.0, count / total / top)
        bars.append(_bar(place, "up", text))
    line = None
    if up_share is not None and low <= up_share <= high:
        line = el("div", class_="line", style=f"left:{(up_share - low) / (high - low):.3%}")
    heights = _marks(0.0, top, 4)
    return _plot(
        [*_rules(heights, 0.0, top), *bars, line],
        _placed(_marks(low, high, _MOST_MARKS, step), low, high),
        _placed(heights, 0.0, top),
        label,
        "even",
    )


def calibration_plot(bins: Sequence[CalibrationBin], label: str) -> Html:
    """Return what happened against what was foretold, with bounds, and where both are equal."""
    left, right = _padded([one.probability for one in bins], 0.06)
    bottom, top = _padded([one.low for one in bins] + [one.high for one in bins], 0.03)

    def x(value: float) -> float:
        return (value - left) / (right - left)

    def y(value: float) -> float:
        return (value - bottom) / (top - bottom)

    ideal = el(
        "line",
        x1="0",
        y1=f"{100 * (1 - y(left)):.3f}",
        x2="100",
        y2=f"{100 * (1 - y(right)):.3f}",
        vector_effect="non-scaling-stroke",
    )
    shown: list[Child] = [
        el("svg", ideal, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
    ]
    for one in bins:
        text = (
            f"Foretold {formats.percent(one.probability)}\n"
            f"Happened {formats.percent(one.up_share)}, 95% bounds {formats.percent(one.low)} to "
            f"{formats.percent(one.high)}\n{formats.count(one.rows)} predictions"
        )
        place = f"left:{x(one.probability):.3%};bottom:{y(one.low):.3%}"
        reach = y(one.high) - y(one.low)
        shown.append(el("div", class_="reach", style=f"{place};height:{reach:.3%}", data_tip=text))
        place = f"left:{x(one.probability):.3%};bottom:{y(one.up_share):.3%}"
        shown.append(el("div", class_="dot", style=place, data_tip=text))
    heights = _marks(bottom, top, _MOST_MARKS)
    return _plot(
        [*_rules(heights, bottom, top), *shown],
        _placed(_marks(left, right, _MOST_MARKS), left, right),
        _placed(heights, bottom, top),
        label,
    )


def ic_plot(periods: Sequence[PeriodFigures], unit: str, mean: float, label: str) -> Html:
    """Return the IC of each period as a bar from zero, with their mean as a line.

    A period with few rows is pale, and ends at the edge of the chart if it is beyond the others.
    """
    fullest = max(period.rows for period in periods)
    scale = [
        period.ic
        for period in periods
        if period.ic is not None and period.rows >= _SCALED * fullest
    ]
    bottom, top = min(0.0, mean, *scale), max(0.0, mean, *scale)
    room = 0.08 * (top - bottom) or 0.01
    bottom, top = bottom - room * (bottom < 0), top + room
    size = top - bottom

    def y(value: float) -> float:
        return min(1.0, max(0.0, (value - bottom) / size))

    width = 1 / len(periods)
    bars: list[Child] = []
    for i, period in enumerate(periods):
        if period.ic is None:
            continue
        text = (
            f"{period_name(period.start, unit)}\nIC {formats.ratio(period.ic, digits=3)}, "
            f"rank IC {formats.ratio(period.rank_ic, digits=3)}\n"
            f"Log loss {formats.ratio(period.log_loss, digits=4)}, "
            f"hit rate {formats.percent(period.hit_rate, digits=1)}\n"
            f"{formats.count(period.rows)} predictions"
        )
        kind = "up" if period.ic >= 0 else "down"
        if period.rows < _SCALED * fullest:
            kind += " few"
        start, end = sorted((y(0.0), y(period.ic)))
        bars.append(_bar((i * width, width, start, end), kind, text))
    lines = [
        el("div", class_="zero", style=f"bottom:{y(0.0):.3%}"),
        el("div", class_="mean", style=f"bottom:{y(mean):.3%}"),
    ]
    every = math.ceil(len(periods) / _MOST_MARKS)
    under = [
        ((i + 0.5) * width, period_name(period.start, unit, short=True))
        for i, period in enumerate(periods)
        if i % every == 0
    ]
    heights = _marks(bottom, top, _MOST_MARKS, percent=False)
    return _plot(
        [*_rules(heights, bottom, top), *bars, *lines],
        under,
        _placed(heights, bottom, top),
        label,
        "tall",
    )


def period_name(start: str, unit: str, *, short: bool = False) -> str:
    """Return how a period is called: ``Jan 2023``, ``Week of 2 Jan 2023``, short ``2 Jan``."""
    year, month, day = start.split("-")
    name = MONTH_NAMES[int(month) - 1]
    if unit == "month":
        return f"{name} {year}"
    if short:
        return f"{int(day)} {name}"
    return f"{'Week of ' if unit == 'week' else ''}{int(day)} {name} {year}"


def _plot(
    inside: Sequence[Child],
    under: Sequence[Mark],
    side: Sequence[Mark],
    label: str,
    kind: str = "",
) -> Html:
    """Return an area with marks at its left and below; places are shares of it."""
    return el(
        "div",
        el("div", [el("span", text, style=f"bottom:{at:.3%}") for at, text in side], class_="side"),
        el("div", inside, class_="area"),
        el("div", [el("span", text, style=f"left:{at:.3%}") for at, text in under], class_="below"),
        class_=f"plot {kind}".strip(),
        role="img",
        aria_label=label,
    )


def _bar(place: tuple[float, float, float, float], kind: str, text: str) -> Html:
    left, width, start, end = place
    style = f"left:{left:.3%};width:{width:.3%};bottom:{start:.3%};height:{end - start:.3%}"
    return el("i", class_=kind, style=style, data_tip=text)


def _rules(marks: Sequence[Mark], low: float, high: float) -> list[Html]:
    return [
        el("div", class_="rule", style=f"bottom:{at:.3%}") for at, _ in _placed(marks, low, high)
    ]


def _marks(
    low: float, high: float, most: int, step: float | None = None, *, percent: bool = True
) -> list[Mark]:
    """Return round values from low to high, at most `most` and one, with their texts."""
    step = step or formats.nice_step((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = _digits(step * 100 if percent else step)
    values = [i * step for i in range(first, last + 1)]
    if percent:
        return [(value, formats.percent(value, digits=digits)) for value in values]
    return [(value, formats.ratio(value, digits=digits)) for value in values]


def _placed(marks: Sequence[Mark], low: float, high: float) -> list[Mark]:
    return [((value - low) / (high - low), text) for value, text in marks]


def _digits(step: float) -> int:
    """Return how many decimals show a round step exactly."""
    digits = 0
    while digits < 8 and not math.isclose(round(step, digits), step, rel_tol=1e-6):
        digits += 1
    return digits


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    """Return the range of values with some room on both sides, but no probability beyond 0 or 1."""
    low, high = min(values), max(values)
    room = (high - low) * share or 0.01
    return low - room, high + room
