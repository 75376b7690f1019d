"""What the limits of a run did: how near they were, what they refused, when the ladder acted."""

from __future__ import annotations

import numpy as np

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.ladder_words import ladder_peak, ladder_sentence
from aitb_nautilus.observe.report_html import Child, Html, el, table
from aitb_nautilus.observe.report_parts import card
from aitb_nautilus.observe.report_strips import bars, spark
from aitb_nautilus.observe.risk_record import Attribution, RiskRecord
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from aitb_nautilus.observe.run_record import RunRecord

__all__ = ["attribution_cards", "limits_cards"]

_MOST_LISTED = 200
_MOST_USAGES = 24
_NEAR = 0.8


def limits_cards(run: Run) -> Html | None:
    """Return the cards of limits; None if risk was not measured."""
    risk = run.record.risk
    if risk is None:
        return None
    cards: list[Child] = [_usage(run, risk), _refusals(run), _ladder(run.record, risk)]
    return el("div", cards, class_="stack")


def attribution_cards(run: Run) -> Html | None:
    """Return what trades earned by hour and weekday; None if none has ended."""
    risk = run.record.risk
    if risk is None or not risk.attribution:
        return None
    currency = run.record.currency
    decimals = formats.money_decimals(run.record.starting_equity)
    hours = {a.key: a for a in risk.attribution if a.by == "hour"}
    rows = [
        (f"{hour:02d}", one.pnl if one else 0.0, _tip(f"{hour:02d}:00 UTC", one, decimals))
        for hour in range(24)
        for one in [hours.get(f"{hour:02d}")]
    ]
    days = [a for a in risk.attribution if a.by == "weekday"]
    week = [(a.key, a.pnl, _tip(a.key, a, decimals)) for a in days]
    about = f"Net, in {currency}, by the entry of each trade, UTC."
    return el(
        "div",
        card("hours", "By hour of the day", bars(rows, "Net result by hour"), about=about),
        card(None, "By weekday", bars(week, "Net result by weekday"), about=about),
        class_="two charts",
    )


def _tip(name: str, one: Attribution | None, decimals: int) -> str:
    if one is None:
        return f"{name}\nno trade"
    trades = "trade" if one.trades == 1 else "trades"
    return (
        f"{name}\n{formats.money(one.pnl, decimals, signed=True)} in {formats.count(one.trades)} "
        f"{trades}, {formats.percent(one.won / one.trades, digits=0)} won\nFees "
        f"{formats.money(one.fees, decimals)}, slippage {formats.money(one.slippage, decimals)}"
    )


def _usage(run: Run, risk: RiskRecord) -> Html:
    parts = run.risk_parts
    owner = np.asarray(texts(parts, "kind"), dtype=object) == "limit"
    names, values = np.asarray(texts(parts, "name"), dtype=object), floats(parts, "value")
    acted = {one.limit: one for one in run.record.limits}
    rows = []
    for usage in risk.usages[:_MOST_USAGES]:
        largest = usage.largest.value
        kind = "loss" if largest >= 1 else "run-5" if largest >= _NEAR else "strategy"
        drawn = el(
            "div",
            spark(values[owner & (names == usage.limit)], kind, top=max(1.08, largest * 1.05)),
            el("i", style=f"bottom:{1 / max(1.08, largest * 1.05):.2%}"),
            class_="sparks",
            data_tip=f"{usage.limit} = {_limit(usage.maximum)}\nLargest usage "
            f"{formats.percent(largest, digits=1)} at {formats.minute(usage.largest.ts)}",
        )
        name = usage.limit.removeprefix("risk.")
        did = acted.get(name.rpartition(".")[2])
        label = el("span", name, el("small", _limit(usage.maximum)))
        amount = el(
            "span",
            formats.percent(largest, digits=0),
            el("small", _acted(did.refused, did.shrunk)) if did else None,
            class_="num",
        )
        rows.append(el("div", label, drawn, amount))
    silent = ", ".join(key.removeprefix("risk.") for key in risk.not_measured)
    notes = el("footer", f"Not measured over time: {silent}.") if silent else None
    return card(
        "limits",
        "How near the limits were",
        el("div", rows, class_="spark-rows wide"),
        notes,
        about="Largest usage in every stretch of time, as a part of the limit (dashed). Held "
        "positions only: what was pending counted as well when an order was judged, and prices "
        "that move may lead beyond.",
    )


def _acted(refused: int, shrunk: int) -> str:
    parts = [
        f"{formats.count(n)} {word}" for n, word in ((refused, "refused"), (shrunk, "shrunk")) if n
    ]
    return ", ".join(parts)


def _refusals(run: Run) -> Html:
    record = run.record
    if not record.limits:
        said = "No order was refused or shrunk."
        return card("refusals", "Refused and shrunk", el("p", said, class_="empty"))
    grouped = table(
        ["Limit", "Refused", "Shrunk", "First", "Last", "Such as"],
        _groups(run, record),
        numeric=(1, 2),
        label="Refusals by limit",
    )
    shown = run.refusals
    listed = shown.slice(0, _MOST_LISTED)
    rows: list[list[Child]] = [
        [formats.moment(ts), strategy, instrument, f"{outcome} by {limit}", _text(line)]
        for ts, strategy, instrument, outcome, limit, line in zip(
            times(listed, "ts").tolist(),
            *(
                texts(listed, name)
                for name in ("strategy_id", "instrument_id", "outcome", "limit", "line")
            ),
            strict=True,
        )
    ]
    total = sum(one.refused + one.shrunk for one in record.limits)
    of = (
        f"The first {formats.count(len(rows))} of {formats.count(total)}"
        if len(rows) < total
        else f"All {formats.count(total)}"
    )
    whole = table(["Time, UTC", "Strategy", "Instrument", "What", "Why"], rows, label="Refusals")
    more = "" if len(rows) == total else "; more in refusals.parquet, all in the journal"
    return card(
        "refusals",
        "Refused and shrunk",
        grouped,
        el("details", el("summary", f"{of}{more}"), whole, class_="below-chart"),
        about="What other limits would have done: aitb risk RUN --set risk.max_leverage=2",
    )


def _groups(run: Run, record: RunRecord) -> list[list[Child]]:
    shown = run.refusals
    limits, ts = np.asarray(texts(shown, "limit"), dtype=object), times(shown, "ts")
    lines = texts(shown, "line")
    rows: list[list[Child]] = []
    for one in record.limits:
        own = np.flatnonzero(limits == one.limit)
        first, last = (ts[own[0]], ts[own[-1]]) if len(own) else (None, None)
        rows.append(
            [
                one.limit,
                formats.count(one.refused),
                formats.count(one.shrunk),
                _whole(None if first is None else formats.moment(int(first))),
                _whole(None if last is None else formats.moment(int(last))),
                _text(lines[own[0]] if len(own) else formats.DASH),
            ]
        )
    return rows


def _ladder(record: RunRecord, risk: RiskRecord) -> Html | None:
    if not any(usage.limit.startswith("risk.drawdown.") for usage in risk.usages):
        return None
    both = ladder_sentence(record)
    note = el("footer", both) if both else None
    if not risk.ladder:
        said = "The drawdown never reached a step of the ladder."
        return card(None, "Drawdown ladder", el("p", said, class_="empty"), note)
    steps: list[list[Child]] = [
        [
            step.step,
            _whole(formats.minute(step.start)),
            _whole("to the end" if step.end is None else formats.minute(step.end)),
            formats.percent(step.deepest_frac),
        ]
        for step in risk.ladder
    ]
    shown = table(["Step", "From", "To", "Deepest"], steps, numeric=(3,), label="Ladder")
    folded: Child = shown
    if len(steps) > 12:
        folded = el("details", el("summary", f"{formats.count(len(steps))} times"), shown)
    return card(
        None,
        "Drawdown ladder",
        folded,
        note,
        about=f"When the drawdown at the bars' closes was beyond a step, {ladder_peak(risk)}.",
    )


def _limit(value: float) -> str:
    return f"{value:,.10g}"


def _whole(text: str | None) -> Html:
    return el("span", text or formats.DASH, class_="whole")


def _text(line: str) -> Html:
    return el("span", line, class_="text")
