"""Write report.html of a run: one file that opens without network.

The page holds its style, its script and its data. Charts are drawn on canvas by the script beside
(`assets/`); everything else is markup that also reads, prints and speaks without it. The same run
gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

from aitb_nautilus.observe import (
    report_details as details,
    report_latency as latency,
    report_limits as limits,
    report_models as models,
    report_overview as overview,
    report_risk as risk,
    report_trades as trades,
)
from aitb_nautilus.observe.report_html import Child, Html, el, page, write_page
from aitb_nautilus.observe.report_payload import run_payload
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.verdict import MODES

__all__ = ["frame", "write_report"]

_MARK = Html(
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" '
    'stroke-linecap="round" aria-hidden="true"><path d="M12.6 12.4a1.6 1.6 0 1 1-2-2.2 3.6 3.6 0 0 '
    "1 4.9 1.6 4.7 4.7 0 0 1-2.6 6.3 6.6 6.6 0 0 1-8.3-4.2A8.3 8.3 0 0 1 9.9 3.5a9.6 9.6 0 0 1 "
    '11.5 7.5"/></svg>'
)
_THEME = Html(
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
    'aria-hidden="true"><circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" '
    'fill="currentColor"/></svg>'
)


def write_report(run_dir: Path, output: Path | None = None) -> Path:
    """Write the page of a run and return where it lies.

    Parameters
    ----------
    run_dir
        A run folder of schema 1 whose run has ended, well or not.
    output
        Where to write; ``report.html`` in the run folder if absent.

    Raises
    ------
    DataError
        If the folder cannot be read.
    AitbError
        If the page cannot be written.
    """
    run = Run(run_dir)
    path = output or run.path / "report.html"
    write_page(path, _report(run))
    return path


def frame(links: list[tuple[str, str]], *sections: Child) -> Html:
    """Return the body of a page: the bar on top with links to sections, the sections, the end."""
    theme = el(
        "button",
        _THEME,
        type="button",
        id="theme",
        class_="icon",
        aria_label="Change between light and dark",
        title="Light or dark",
    )
    bar = el(
        "div",
        el(
            "div",
            el("div", _MARK, el("span", "AITB Nautilus"), class_="brand"),
            el(
                "nav", [el("a", name, href=f"#{id_}") for id_, name in links], aria_label="Sections"
            ),
            theme,
        ),
        class_="bar",
    )
    end = el("p", "Past results say nothing certain about future ones.", class_="end")
    return el("div", bar, el("main", sections, end, id="main"))


def _report(run: Run) -> str:
    record, stats = run.record, run.record.stats
    payload = run_payload(run)
    sections: list[tuple[str, str, Child]] = [
        ("", "", overview.hero(record)),
        ("", "", overview.verdict_card(record)),
    ]
    if stats is not None:
        sections.append(("", "", overview.tiles(record, stats)))
    if payload["curve"]["rows"]:
        sections.append(("equity", "Equity", trades.equity_card(payload["curve"])))
    sections.append(("prices", "Price", trades.price_card(payload)))
    sections.append(("", "", trades.trade_table_card(payload)))
    sections.append(
        ("model", "Models" if len(record.models) > 1 else "Model", models.model_cards(record))
    )
    if stats is not None:
        sections.append(("months", "Months", trades.months_card(stats)))
    sections += [
        ("trades", "Trades", trades.distribution_cards(run)),
        ("breakdown", "Breakdown", trades.breakdown_card(run)),
        ("hours", "", limits.attribution_cards(run)),
        ("risk", "Risk", risk.risk_cards(run)),
        ("limits", "Limits", limits.limits_cards(run)),
        ("money", "Costs", details.money_and_time(record)),
        ("latency", "Latency", latency.latency_card(record)),
    ]
    if stats is not None:
        sections.append(("figures", "Figures", overview.all_figures(record, stats)))
    sections += [
        ("halts", "Halts", details.halts_card(record)),
        ("ambiguous", "", details.ambiguous_card(record)),
        ("honesty", "Honesty", details.honesty_card(record)),
        ("data", "Data", details.data_card(record)),
        ("config", "Config", details.config_card(run)),
        ("identity", "Hashes", details.identity_card(record)),
    ]
    shown = [(id_, name, part) for id_, name, part in sections if part]
    links = [(id_, name) for id_, name, part in shown if name and f'id="{id_}"' in str(part)]
    title = f"{record.name} \N{MIDDLE DOT} {MODES[record.mode]}"
    return page(title, frame(links, [part for _, _, part in shown]), payload)
