"""The middle of a run's page: curves, trades on the price, months, the distribution of trades."""

from __future__ import annotations

from typing import Any

import numpy as np

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Child, Html, el, join, table
from aitb_nautilus.observe.report_parts import card, chart_tools, histogram, legend, months, tone
from aitb_nautilus.observe.run_folder import Run, floats
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.stats import Stats
from aitb_nautilus.observe.trades import Group, group_trades

__all__ = [
    "CHART_HINT",
    "breakdown_card",
    "distribution_cards",
    "equity_card",
    "months_card",
    "price_card",
    "trade_table_card",
]

CHART_HINT = (
    "Drag to zoom, Shift and drag to pan, double-click to reset. With the keyboard: arrows, + and "
    "\N{MINUS SIGN}, Home."
)

_CHART_FALLBACK = "The chart needs JavaScript. The figures below stand without it."


def equity_card(curve: dict[str, Any]) -> Html:
    """Return the card of the equity chart; `curve` is the payload's."""
    log = el("button", "Log scale", type="button", data_switch="log", aria_pressed="false")
    thinned = (
        f"The curves keep {formats.count(curve['rows'])} of {formats.count(curve['of'])} bars: the "
        "highest and lowest of every stretch, exact where kept."
        if curve["rows"] < curve["of"]
        else f"{formats.count(curve['of'])} bars."
    )
    return card(
        "equity",
        "Equity against holding the market",
        legend([("Strategy, net of costs", "--strategy", ""), ("Market, held", "--market", "")]),
        el("div", el("p", _CHART_FALLBACK, class_="empty"), id="equity-chart"),
        el("footer", el("span", CHART_HINT, class_="hint"), " ", thinned),
        tools=chart_tools(log),
    )


def price_card(payload: dict[str, Any]) -> Html | None:
    """Return the card of the price chart; None without bars."""
    drawn = payload["instruments"]
    if not drawn:
        return None
    choices = [el("option", bars["id"], value=str(i)) for i, bars in enumerate(drawn)]
    select = join(
        el("label", "Instrument", for_="instrument", class_="unseen"),
        el("select", choices, id="instrument", autocomplete="off"),
    )
    candles = el("button", "Candles", type="button", data_switch="candles", aria_pressed="true")
    return card(
        "prices",
        "Trades on the price",
        el("div", el("p", _CHART_FALLBACK, class_="empty"), id="price-chart"),
        el(
            "footer",
            "Triangles are entries (up: long, down: short), crosses are exits; teal won, orange "
            "lost. ",
            el("span", id="candle-length"),
            ". Where trades lie close they are points: zoom in.",
        ),
        tools=chart_tools(select, candles),
    )


def trade_table_card(payload: dict[str, Any]) -> Html:
    """Return the card of the list of trades, filled by the page itself."""
    trades = payload["trades"]
    if trades["rows"] == 0:
        return card(None, "Trades", el("p", "The run made no trade.", class_="empty"))
    columns = (
        ("Opened, UTC", "opened", None),
        ("Instrument", "instrument", None),
        ("Side", "side", None),
        ("Entry", None, "num"),
        ("Exit", None, "num"),
        ("Bars", "held", "num"),
        ("Reason", "reason", None),
        ("Return", "return", "num"),
        (f"Net, {payload['currency']}", "pnl", "num"),
    )
    head = [
        el(
            "th",
            el("button", name, type="button") if key else name,
            scope="col",
            class_=kind,
            data_key=key,
            aria_sort="ascending" if key == "opened" else None,
        )
        for name, key, kind in columns
    ]
    last = el("th", el("span", "Show on the chart", class_="unseen"), class_="head-show")
    whole = el(
        "table", el("thead", el("tr", head, last)), el("tbody", id="trade-rows"), id="trade-table"
    )
    pager = el(
        "div",
        el("span", id="trade-page", aria_live="polite"),
        el("button", "Back", type="button", id="trade-back"),
        el("button", "Next", type="button", id="trade-next"),
        class_="pager",
    )
    about = (
        f"The {formats.count(trades['rows'])} with the largest results of "
        f"{formats.count(trades['of'])}; the others are in positions.parquet."
        if trades["rows"] < trades["of"]
        else "Round trips, net of fees and funding. Sort by a column's name."
    )
    return card(
        None,
        "Trades",
        el("div", whole, class_="scroll", tabindex=0, role="region", aria_label="Trades"),
        pager,
        about=about,
    )


def months_card(stats: Stats) -> Html:
    """Return the card of monthly returns."""
    return card(
        "months",
        "Monthly returns",
        months(stats.monthly_returns),
        about="Net, UTC months; the first and the last may be parts of months.",
    )


def distribution_cards(run: Run) -> Html:
    """Return the histogram of trades beside the reasons for which they ended."""
    ended = run.closed_positions
    if ended.num_rows == 0:
        empty = el("p", "No trade has ended.", class_="empty")
        return card("trades", "Distribution of trades", empty)
    values = floats(ended, "return_frac")
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    facts = el(
        "dl",
        [
            el("div", el("dt", name), el("dd", formats.percent(value, signed=True)))
            for name, value in (
                ("Worst 5% below", float(low)),
                ("Median", float(middle)),
                ("Mean", float(values.mean())),
                ("Best 5% above", float(high)),
            )
        ],
        class_="quantiles",
    )
    chart = card(
        "trades",
        "Distribution of trades",
        histogram(values, f"Histogram of the returns of {formats.count(len(values))} trades"),
        facts,
        about="Return of each round trip on its notional, net. The outermost bars hold all beyond.",
    )
    groups = group_trades(ended, "exit_purpose")
    reasons = card(
        None,
        "Why trades ended",
        _group_table("Exit", [(_reason(group.key), group) for group in groups], run.record),
        about="A trade that ended in several steps counts under its last one, with all it earned.",
    )
    return el("div", chart, reasons, class_="two")


def breakdown_card(run: Run) -> Html | None:
    """Return figures by instrument and by strategy; None if no trade has ended."""
    ended = run.closed_positions
    if ended.num_rows == 0:
        return None
    tables: list[Child] = []
    for name, column in (
        ("Instrument", "instrument_id"),
        ("Strategy", "strategy_id"),
        ("Side", "side"),
    ):
        groups = [(group.key, group) for group in group_trades(ended, column)]
        tables.append(_group_table(name, groups, run.record, costs=True))
    return card(
        "breakdown",
        "By instrument, strategy and side",
        el("div", tables, class_="stack even"),
        about=f"Round trips that ended; money in {run.record.currency}.",
    )


def _group_table(
    name: str, groups: list[tuple[str, Group]], record: RunRecord, *, costs: bool = False
) -> Html:
    decimals = formats.money_decimals(record.starting_equity)
    head = [name, "Trades", "Won", "Mean return", "Bars", "Net"]
    if costs:
        head += ["Fees", "Slippage", "Funding"]
    rows = []
    for label, group in groups:
        row: list[Child] = [
            label,
            formats.count(group.trades),
            formats.percent(group.win_rate, digits=1),
            formats.percent(group.average_return, signed=True),
            formats.ratio(group.average_bars_held, digits=1),
            el("span", formats.money(group.pnl, decimals, signed=True), class_=tone(group.pnl)),
        ]
        if costs:
            row += [
                formats.money(amount, decimals)
                for amount in (group.fees, group.slippage, group.funding)
            ]
        rows.append(row)
    return table(head, rows, numeric=range(1, len(head)), label=f"Trades by {name.lower()}")


def _reason(purpose: str) -> str:
    return purpose.removeprefix("exit:").replace("_", " ").capitalize() or formats.DASH
