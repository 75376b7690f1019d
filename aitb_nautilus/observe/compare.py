"""Write a page that compares runs: curves over each other, figures and config side by side."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aitb_nautilus.observe import figures, formats
from aitb_nautilus.observe.differences import (
    compare_configs,
    compare_figures,
    remarks,
    run_names,
)
from aitb_nautilus.observe.report import frame
from aitb_nautilus.observe.report_html import Child, Html, el, page, table, write_page
from aitb_nautilus.observe.report_parts import bullets, card, chart_tools, legend, swatch
from aitb_nautilus.observe.report_payload import comparison_payload
from aitb_nautilus.observe.report_trades import CHART_HINT
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.verdict import MODES, period_sentence, verdict_of

__all__ = ["write_comparison"]

# The dash pattern of the n-th run's curve; the same as in assets/charts.js.
DASHES = ("", "", "7 4", "7 4", "2 3", "2 3", "9 3 2 3", "9 3 2 3")


def write_comparison(run_dirs: list[Path], output: Path | None = None) -> Path:
    """Write the page that compares runs with the first of them, and return where it lies.

    Parameters
    ----------
    run_dirs
        Folders of at least two complete runs.
    output
        Where to write; if absent in the first run's folder, under a name made of the runs' ids.

    Raises
    ------
    DataError
        If a folder cannot be read or its run has no figures.
    UsageError
        If a run is given twice, or there are too many.
    AitbError
        If the page cannot be written.
    """
    runs = [Run(path) for path in run_dirs]
    names = run_names(runs)
    path = output or _default_path(runs)
    write_page(path, _comparison(runs, names))
    return path


def _default_path(runs: list[Run]) -> Path:
    ids = "\n".join(run.record.run_id for run in runs)
    digest = hashlib.sha256(ids.encode()).hexdigest()[:12]
    return runs[0].path / f"comparison-{digest}.html"


def _comparison(runs: list[Run], names: list[str]) -> str:
    title = el(
        "div",
        el("div", el("span", "Comparison", class_="chip"), class_="eyebrow"),
        el("h1", f"{len(runs)} runs"),
        el("ul", el("li", f"Differences are against {names[0]}"), class_="facts"),
    )
    found = remarks(runs)
    notes = card("remarks", "Before comparing", bullets(found)) if found else None
    keys = [(name, f"--run-{i}", DASHES[i - 1]) for i, name in enumerate(names, start=1)]
    chart = card(
        "equity",
        "Growth of 100",
        legend([*keys, ("Market, held", "--market", "")]),
        el("div", el("p", "The chart needs JavaScript.", class_="empty"), id="equity-chart"),
        el("footer", el("span", CHART_HINT, class_="hint")),
        about="Each run begins with 100. The market is that of the longest run.",
        tools=chart_tools(
            el("button", "Log scale", type="button", data_switch="log", aria_pressed="false")
        ),
    )
    sections: list[Child] = [
        el("header", title, class_="hero"),
        notes,
        chart,
        _runs_card(runs, names),
        _figures_card(runs, names),
        _config_card(runs, names),
    ]
    links = [("equity", "Growth"), ("runs", "Runs"), ("figures", "Figures"), ("config", "Config")]
    others = names[1] if len(names) == 2 else f"{len(names) - 1} runs"
    text = f"{names[0]} against {others}"
    return page(text, frame(links, sections), comparison_payload(runs, names))


def _named(names: list[str]) -> list[Html]:
    return [
        el("span", swatch(f"--run-{i}", DASHES[i - 1]), name)
        for i, name in enumerate(names, start=1)
    ]


def _runs_card(runs: list[Run], names: list[str]) -> Html:
    modelled = any(run.record.models for run in runs)
    rows: list[list[Child]] = []
    for name, run in zip(_named(names), runs, strict=True):
        record = run.record
        rows.append(
            [
                name,
                el("span", MODES[record.mode], class_="whole"),
                "simulated" if record.simulated else "recorded",
                el("span", _period_text(record), class_="whole"),
                period_sentence(record)[-2],
                *([", ".join(m.reference for m in record.models) or "none"] if modelled else []),
                verdict_of(record).sentence,
                el("span", (record.fingerprint or formats.DASH)[:12], class_="mono whole"),
            ]
        )
    models = ["Models"] if modelled else []
    head = ["Run", "Mode", "Data", "Period", "Instruments", *models, "Verdict", "Fingerprint"]
    return card("runs", "Runs", table(head, rows, label="Runs"))


def _period_text(record: RunRecord) -> str:
    if record.period is None:
        return formats.DASH
    return f"{formats.day(record.period.start)} to {formats.day(record.period.end)}"


def _figures_card(runs: list[Run], names: list[str]) -> Html:
    compared = compare_figures(runs)
    head = ["Figure", *_named(names)]
    parts: list[Child] = []
    for group in figures.GROUPS:
        rows: list[list[Child]] = []
        for row in (row for row in compared if row.figure.group == group):
            cells: list[Child] = [el("div", row.texts[0])]
            cells += [
                [el("div", text), el("div", change, class_="muted small")]
                for text, change in zip(row.texts[1:], row.differences, strict=True)
            ]
            rows.append([el("span", row.figure.label, title=row.figure.meaning), *cells])
        part = table([group, *head[1:]], rows, numeric=range(1, len(head)), label=group)
        parts.append(part)
    return card(
        "figures",
        "Figures side by side",
        el("div", parts, class_="stack even"),
        about=f"Below each figure: its difference from {names[0]}; pp are percentage points.",
    )


def _config_card(runs: list[Run], names: list[str]) -> Html:
    rows: list[list[Child]] = [
        [
            el("span", path, class_="mono"),
            *(el("span", value or "absent", class_="text") for value in values),
        ]
        for path, values in compare_configs(runs).items()
    ]
    if not rows:
        return card("config", "Config", el("p", "All runs have the same config."))
    return card(
        "config",
        "What differs in the config",
        table(["Key", *_named(names)], rows, label="Config differences"),
    )
