"""The top of a run's page: what it is, the verdict, the key figures, all figures."""

from __future__ import annotations

from aitb_nautilus.observe import figures, formats
from aitb_nautilus.observe.left_words import left_sentences, left_title
from aitb_nautilus.observe.report_html import Html, el
from aitb_nautilus.observe.report_parts import card, luck_bar, tile, tone
from aitb_nautilus.observe.run_record import RunRecord
from aitb_nautilus.observe.stats import Stats
from aitb_nautilus.observe.verdict import MODES, market_sentence, period_sentence, verdict_of

__all__ = ["all_figures", "hero", "tiles", "verdict_card"]


def chips(record: RunRecord) -> Html:
    """Return mode, status and warnings as small labels."""
    status = {"complete": "good", "failed": "bad", "interrupted": "warn"}[record.status]
    seen = any(model.sample == "in" for model in record.models)
    return el(
        "div",
        el("span", MODES[record.mode], class_="chip"),
        el("span", record.status.capitalize(), class_=f"chip {status}"),
        el("span", "Simulated data", class_="chip warn") if record.simulated else None,
        el("span", "Model in sample", class_="chip warn") if seen else None,
        el("span", "Halted by risk limits", class_="chip bad") if record.halts else None,
        class_="eyebrow",
    )


def hero(record: RunRecord) -> Html:
    """Return the head of the page."""
    stats = record.stats
    facts = period_sentence(record)
    title = el(
        "div",
        chips(record),
        el("h1", record.name),
        el("ul", [el("li", fact) for fact in facts], class_="facts"),
    )
    if stats is None:
        return el("header", title, class_="hero")
    decimals = formats.money_decimals(record.starting_equity)
    value = el(
        "div",
        formats.percent(stats.total_return, signed=True),
        class_=f"value {tone(stats.total_return) or ''}",
    )
    under = el(
        "div",
        f"{formats.money(record.starting_equity, decimals)} to "
        f"{formats.money(record.final_equity, decimals)} {record.currency}, net of all costs",
        class_="under",
    )
    market = el("div", "Market ", formats.percent(stats.market_return, signed=True), class_="under")
    headline = el("div", value, under, market, class_="headline")
    return el("header", title, headline, class_="hero")


def verdict_card(record: RunRecord) -> Html:
    """Return the verdict, or how the run ended."""
    verdict = verdict_of(record)
    stats = record.stats
    lines = [el("p", verdict.sentence, class_="lead")]
    if stats is not None:
        lines.append(el("p", market_sentence(stats), class_="more"))
    if verdict.detail:
        lines.append(el("p", verdict.detail, class_="more"))
    if stats is not None:
        lines += [el("p", note, class_="more") for note in stats.notes]
    if record.left is not None and (left := left_sentences(record.left, record.mode)):
        lines.append(el("p", f"{left_title(record.left)}:", class_="more"))
        lines += [el("p", sentence, class_="more") for sentence in left]
    shown = None
    if stats is not None and stats.bootstrap and verdict.kind in {"positive", "luck", "loss"}:
        shown = el(
            "div",
            luck_bar(stats.bootstrap),
            el("p", "Mean daily net return between its 95% bounds", class_="muted small"),
        )
    class_ = f"card verdict is-{verdict.kind}"
    return el("section", el("div", lines), shown, class_=class_, aria_label="Verdict")


def tiles(record: RunRecord, stats: Stats) -> Html:
    """Return the key figures."""
    decimals = formats.money_decimals(record.starting_equity)
    text = {figure.key: figures.text(figure, stats, decimals) for figure in figures.FIGURES}
    costs = stats.fees + stats.slippage + stats.funding
    net = stats.total_return * record.starting_equity
    if stats.max_drawdown == 0:
        fell = "Equity never fell below its peak"
    elif stats.max_drawdown_recovery is None:
        fell = f"Lowest {formats.day(stats.max_drawdown_trough)}, not recovered"
    else:
        fell = (
            f"{formats.day(stats.max_drawdown_start)} to {formats.day(stats.max_drawdown_recovery)}"
        )
    shown = [
        tile(
            "Net result",
            formats.money(net, decimals, signed=True),
            f"{record.currency}, after all costs",
            tone(net),
        ),
        tile("Max drawdown", text["max_drawdown"], fell + _by_ladder(record)),
        tile("Sharpe", text["sharpe"], f"Sortino {text['sortino']}, Calmar {text['calmar']}"),
        tile("Annual return", text["annual_return"], f"Volatility {text['annual_volatility']}"),
        tile("Trades", text["trades"], f"{text['win_rate']} won, {text['open_trades']} still open"),
        tile("Profit factor", text["profit_factor"], f"Mean trade {text['expectancy']}"),
        tile("Costs", formats.money(costs, decimals), f"{record.currency}, fees {text['fees']}"),
        tile("Time in market", text["exposure_share"], f"Turnover {text['turnover']} the equity"),
    ]
    return el("dl", shown, class_="tiles", aria_label="Key figures")


def _by_ladder(record: RunRecord) -> str:
    """Return the drawdown that the ladder limits, where it is another one."""
    risk = record.risk
    if risk is None or risk.ladder_deepest is None or risk.ladder_days is None:
        return ""
    deepest = formats.percent(risk.ladder_deepest.value)
    return f"; {deepest} within {risk.ladder_days:g} days, which the ladder limits"


def all_figures(record: RunRecord, stats: Stats) -> Html:
    """Return every figure, by group."""
    decimals = formats.money_decimals(record.starting_equity)
    groups = []
    for group in figures.GROUPS:
        rows = [
            [
                el("dt", figure.label, title=figure.meaning),
                el("dd", figures.text(figure, stats, decimals)),
            ]
            for figure in figures.FIGURES
            if figure.group == group
        ]
        groups.append(el("div", el("h3", group), el("dl", rows)))
    return card(
        "figures",
        "All figures",
        el("div", groups, class_="figures"),
        about=f"Money in {record.currency}. Ratios and volatility are of daily UTC returns, 365 "
        "days a year, risk-free rate zero. A dash: not defined.",
    )
