"""The end of a run's page: money, time, data, honesty, config and hashes."""

from __future__ import annotations

import html

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Child, Html, el, table
from aitb_nautilus.observe.report_parts import Step, bullets, card, pairs, steps
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import Costs, RunRecord, Seconds
from aitb_nautilus.observe.verdict import ambiguous_sentence

__all__ = [
    "ambiguous_card",
    "config_card",
    "data_card",
    "halts_card",
    "honesty_card",
    "identity_card",
    "money_and_time",
]

# What is lost to rounding when amounts are added up, as a share of the starting equity.
_ROUNDING = 1e-6


def money_and_time(record: RunRecord) -> Html:
    """Return where the money went beside where the time went."""
    cards = []
    if record.costs is not None:
        cards.append(_money_card(record, record.costs))
    if record.seconds is not None:
        cards.append(_time_card(record, record.seconds))
    return el("div", cards, class_="two")


def _money_card(record: RunRecord, costs: Costs) -> Html:
    decimals = formats.money_decimals(record.starting_equity)
    rows = [_change("Gross", 0.0, costs.gross_pnl, decimals)]
    at = costs.gross_pnl
    for name, amount in (
        ("Fees", costs.fees),
        ("Slippage", costs.slippage),
        ("Funding", costs.funding),
    ):
        rows.append(_change(name, at, at - amount, decimals))
        at -= amount
    unexplained = costs.net_pnl - at
    if abs(unexplained) > _ROUNDING * record.starting_equity:
        rows.append(_change("Unexplained", at, costs.net_pnl, decimals))
    rows.append(_change("Net", 0.0, costs.net_pnl, decimals, is_sum=True))
    return card(
        "money",
        "Where the money went",
        steps(rows, "From the gross result to the net result"),
        about=f"In {record.currency}. Gross: the same fills at reference prices, without costs.",
    )


def _change(label: str, start: float, end: float, decimals: int, *, is_sum: bool = False) -> Step:
    amount = end - start
    return Step(
        label,
        start,
        end,
        formats.money(amount, decimals, signed=True),
        "up" if amount >= 0 else "down",
        is_sum,
    )


def _time_card(record: RunRecord, seconds: Seconds) -> Html:
    parts = (
        ("Load", seconds.load),
        ("Features", seconds.features),
        ("Inference", seconds.inference),
        ("Engine", seconds.engine),
        ("Report", seconds.report),
    )
    known = [(name, value) for name, value in parts if value is not None]
    rest = seconds.total - sum(value for _, value in known)
    if rest > 0.01 * seconds.total:
        known.append(("Other", rest))
    rows = [Step(name, 0.0, value, formats.seconds(value), "time") for name, value in known]
    total = Step("Total", 0.0, seconds.total, formats.seconds(seconds.total), "time", is_sum=True)
    about = None
    if seconds.engine > 0:
        rate = formats.count(round(record.bars / seconds.engine))
        about = f"The engine handled {rate} bars a second."
    return card(
        "time", "Where the time went", steps([*rows, total], "Seconds by stage"), about=about
    )


def honesty_card(record: RunRecord) -> Html:
    """Return what is modelled and what is missing, with the venues' settings."""
    venues = table(
        ["Venue", "Account", "Maker", "Taker", "Slippage", "Latency", "Leverage", "Starts with"],
        [
            [
                venue.name,
                venue.account,
                f"{venue.maker_fee_bps:g} bps",
                f"{venue.taker_fee_bps:g} bps",
                f"{venue.slippage_bps:g} bps",
                f"{venue.latency_ms:g} ms"
                if venue.paid is None
                else f"{formats.span(venue.paid.p50_ns)} (p50), as {venue.paid.run_id}",
                f"{venue.leverage:g}x",
                ", ".join(venue.starting_balances),
            ]
            for venue in record.venues
        ],
        numeric=(2, 3, 4, 5, 6),
        label="Venues",
    )
    return card(
        "honesty",
        "What is modelled and what is not",
        el("div", bullets(record.honesty), venues, class_="stack"),
    )


def ambiguous_card(record: RunRecord) -> Html | None:
    """Return exits whose order inside a bar is unknown; None if the run has no result."""
    sentence = ambiguous_sentence(record)
    if sentence is None:
        return None
    return card("ambiguous", "Exits that one bar leaves in doubt", el("p", sentence))


def halts_card(record: RunRecord) -> Html | None:
    """Return why the guard halted or refused; None if it did neither."""
    if not record.halts and not record.refused and not record.limits:
        return None
    orders = "order" if record.refused == 1 else "orders"
    refused = f"The guard refused {formats.count(record.refused)} {orders}."
    rows: list[list[Child]] = [
        [formats.minute(halt.ts), halt.scope or "run", halt.reason] for halt in record.halts
    ]
    shown = table(["Time, UTC", "Scope", "Reason"], rows, label="Halts") if rows else None
    counts: list[list[Child]] = [
        [one.limit, formats.count(one.refused), formats.count(one.shrunk)] for one in record.limits
    ]
    acted = table(["Limit", "Refused", "Shrunk"], counts, label="Limits") if counts else None
    body = el("div", el("p", refused), shown, acted, class_="stack")
    return card("halts", "Halts and refusals", body)


def data_card(record: RunRecord) -> Html:
    """Return the quality of the data that the run read."""
    rows: list[list[Child]] = []
    for series in record.data:
        gaps = formats.count(series.gaps)
        if series.missing:
            gaps += f" ({formats.count(series.missing)} bars)"
        rows.append(
            [
                series.bar_type,
                "simulated" if series.simulated else "recorded",
                formats.count(series.rows),
                el("span", formats.minute(series.first), class_="whole"),
                el("span", formats.minute(series.last), class_="whole"),
                gaps,
                el("span", "; ".join(series.sources) or formats.DASH, class_="text"),
                el("span", "; ".join(series.repairs) or "none", class_="text"),
            ]
        )
    head = ["Bars", "Kind", "Rows", "First close", "Last close", "Gaps", "Sources", "Repairs"]
    return card("data", "Data", table(head, rows, numeric=(2, 5), label="Data"))


def config_card(run: Run) -> Html | None:
    """Return the resolved config, folded; None if the run has none."""
    if not run.config_text:
        return None
    text = Html(html.escape(run.config_text))  # not through `el`, which would set minus signs
    shown = el("details", el("summary", "Show the resolved config"), el("pre", el("code", text)))
    return card("config", "Config", shown, about="Secrets are references, never values.")


def identity_card(record: RunRecord) -> Html:
    """Return hashes and versions: what proves that two runs are the same."""
    hashes = [
        ("Fingerprint", record.fingerprint),
        ("Config", record.config_sha256),
        ("Data", record.data_sha256),
        *((f"Model {model.id} {model.version}", model.sha256) for model in record.models),
    ]
    rows: list[tuple[str, Child]] = [("Run", el("span", record.run_id, class_="mono"))]
    rows += [(name, el("span", text or formats.DASH, class_="mono")) for name, text in hashes]
    rows.append(("Created", f"{formats.minute(record.created)} UTC"))
    rows.append(
        (
            "Counted",
            f"{formats.count(record.predictions)} predictions, {formats.count(record.orders)} "
            f"orders, {formats.count(record.fills)} fills",
        )
    )
    rows += [(name, str(version)) for name, version in sorted(record.versions.items())]
    return card(
        "identity",
        "Hashes and versions",
        pairs(rows),
        about="Same config, same data: the same fingerprint, on any machine.",
    )
