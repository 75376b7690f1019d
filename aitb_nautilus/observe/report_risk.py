"""The risk of a run: exposure, leverage, drawdown and volatility over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Html, el
from aitb_nautilus.observe.report_parts import card, legend
from aitb_nautilus.observe.report_strips import Curve, Level, spark, strip
from aitb_nautilus.observe.report_tails import tails_card, tails_chart
from aitb_nautilus.observe.risk_record import RiskRecord
from aitb_nautilus.observe.run_folder import Run, floats, texts, times

__all__ = ["risk_cards"]

type Floats = npt.NDArray[np.float64]

_MOST_INSTRUMENTS = 20


def risk_cards(run: Run) -> Html | None:
    """Return the cards of a run's risk; None if it was not measured."""
    risk = run.record.risk
    if risk is None:
        return None
    if risk.gross is None or run.risk.num_rows == 0:
        said = "The run made no trade: nothing was at risk."
        return card("risk", "Risk", el("p", said, class_="empty"))
    charts = el(
        "div",
        _leverage(run),
        _drawdown(run, risk),
        _volatility(run, risk),
        tails_chart(run, risk),
        class_="two charts",
    )
    return el("div", _exposure(run, risk), charts, tails_card(risk), class_="stack")


def _exposure(run: Run, risk: RiskRecord) -> Html:
    shown, currency = run.risk, run.record.currency
    ends = times(shown, "ts")
    long, short, net = (floats(shown, name) for name in ("long", "short", "net"))
    decimals = formats.money_decimals(run.record.starting_equity)
    tips = [
        f"{formats.moment(end)}\nLong {formats.money(a, decimals)}, short "
        f"{formats.money(b, decimals)}\nNet {formats.money(c, decimals, signed=True)}, largest "
        f"gross {formats.money(d, decimals)}"
        for end, a, b, c, d in zip(
            ends.tolist(),
            long.tolist(),
            short.tolist(),
            net.tolist(),
            floats(shown, "gross").tolist(),
            strict=True,
        )
    ]
    curves = [
        Curve(long, "gain", is_area=True),
        Curve(-short, "loss", is_area=True),
        Curve(net, "ink"),
    ]
    return card(
        "risk",
        "Exposure",
        _peaks(run, risk),
        legend([("Long", "--gain", ""), ("Short", "--loss", ""), ("Net", "--ink", "")]),
        strip(ends, curves, tips, "Exposure over time", percent=False, tall=True),
        _by_instrument(run),
        about=f"What was held at the end of every {risk.stretch}, in {currency}; nothing that is "
        "pending, nothing set off between strategies.",
    )


def _peaks(run: Run, risk: RiskRecord) -> Html:
    decimals = formats.money_decimals(run.record.starting_equity)
    day = risk.horizons[0]
    found: list[tuple[str, str, str]] = []
    if risk.leverage is not None and risk.gross is not None and risk.net is not None:
        found += [
            ("Largest leverage", f"{risk.leverage.value:.2f}x", formats.minute(risk.leverage.ts)),
            (
                "Largest gross",
                formats.money(risk.gross.value, decimals),
                formats.minute(risk.gross.ts),
            ),
            (
                "Largest net",
                formats.money(risk.net.value, decimals, signed=True),
                formats.minute(risk.net.ts),
            ),
        ]
    if day.worst is not None:
        found.append(
            ("Worst day", formats.percent(-day.worst.value, signed=True), day.worst.ts[:10])
        )
    foretold = next((h for h in risk.horizons if h.tails), None)
    if foretold is not None:
        worst = foretold.tails[1]
        found += [
            (
                f"{worst.level:.0%} value at risk",
                formats.percent(worst.value_at_risk),
                f"of the next {foretold.step}, historical",
            ),
            (
                f"{worst.level:.0%} expected shortfall",
                formats.percent(worst.expected_shortfall),
                "mean of the losses beyond",
            ),
        ]
    return el(
        "dl",
        [
            el("div", el("dt", name), el("dd", value, class_="value"), el("dd", under))
            for name, value, under in found
        ],
        class_="measures first",
    )


def _by_instrument(run: Run) -> Html | None:
    parts = run.risk_parts
    owner = np.asarray(texts(parts, "kind"), dtype=object) == "instrument"
    names = np.asarray(texts(parts, "name"), dtype=object)
    values = floats(parts, "value")
    held = {name: values[owner & (names == name)] for name in sorted(set(names[owner].tolist()))}
    if len(held) < 2:
        return None
    largest = sorted(held, key=lambda name: -float(np.abs(held[name]).max()))[:_MOST_INSTRUMENTS]
    top = max(float(np.abs(held[name]).max()) for name in largest) or 1.0
    rows = []
    for name in largest:
        own = held[name]
        peak = float(own[np.argmax(np.abs(own))])
        drawn = el(
            "div",
            spark(np.maximum(own, 0.0), "gain", top=top, bottom=-top),
            spark(np.minimum(own, 0.0), "loss", top=top, bottom=-top),
            class_="sparks middle",
        )
        amount = el("span", formats.money(peak, 0, signed=True), class_="num")
        rows.append(el("div", el("span", name), drawn, amount))
    return el(
        "div",
        el("h3", "By instrument"),
        el("div", rows, class_="spark-rows"),
        class_="below-chart",
    )


def _leverage(run: Run) -> Html:
    ends, values = times(run.risk, "ts"), floats(run.risk, "leverage")
    tips = [
        f"{formats.moment(end)}\nAt most {value:.2f}x"
        for end, value in zip(ends.tolist(), values.tolist(), strict=True)
    ]
    risk = run.record.risk
    limits = [] if risk is None else risk.usages
    levels = [
        Level(u.maximum, f"max_leverage {u.maximum:g}")
        for u in limits
        if u.limit == "risk.max_leverage"
    ]
    chart = strip(
        ends,
        [Curve(values, "strategy", is_area=True)],
        tips,
        "Leverage over time",
        levels=levels,
        percent=False,
    )
    return card(None, "Leverage", chart, about="Gross exposure over equity, the largest.")


def _drawdown(run: Run, risk: RiskRecord) -> Html:
    ends, values = times(run.risk, "ts"), floats(run.risk, "drawdown_frac")
    ladder = _ladder_drawdown(run, risk)
    lines = [f"{formats.percent(value)} below the peak" for value in values.tolist()]
    curves, key = [Curve(-values, "loss", is_area=True)], None
    if ladder is not None:
        late = f"below that of {risk.ladder_days:g} days"
        lines = [
            f"{line}\n{formats.percent(value)} {late}"
            for line, value in zip(lines, ladder.tolist(), strict=True)
        ]
        curves.append(Curve(-ladder, "ink"))
        peak = f"Below the highest equity of {risk.ladder_days:g} days, as the ladder counts"
        key = legend([("Below the highest equity so far", "--loss", ""), (peak, "--ink", "")])
    tips = [f"{formats.moment(end)}\n{line}" for end, line in zip(ends, lines, strict=True)]
    prefix = "risk.drawdown."
    levels = [
        Level(-u.maximum, u.limit.removeprefix(prefix).removesuffix("_frac"))
        for u in risk.usages
        if u.limit.startswith(prefix)
    ]
    chart = strip(ends, curves, tips, "Drawdown over time", levels=levels)
    about = "Fall of equity below its peak, the deepest"
    about += ", and the ladder." if levels else "."
    return card(None, "Drawdown", key, chart, about=about)


def _ladder_drawdown(run: Run, risk: RiskRecord) -> Floats | None:
    """Return the drawdown as the ladder counts it; None if it counts as all do.

    How near each step was is kept over time, as a part of the step.
    """
    step = next((u for u in risk.usages if u.limit.startswith("risk.drawdown.")), None)
    if step is None or risk.ladder_days is None:
        return None
    parts = run.risk_parts
    own = np.asarray(texts(parts, "name"), dtype=object) == step.limit
    below: Floats = floats(parts, "value")[own] * step.maximum
    return below


def _volatility(run: Run, risk: RiskRecord) -> Html:
    ends = times(run.risk, "ts")
    realised, ewma = floats(run.risk, "volatility"), floats(run.risk, "ewma_volatility")
    if not np.isfinite(realised).any():
        said = "The run is too short: volatility is of 20 steps."
        return card(None, "Volatility", el("p", said, class_="empty"))
    tips = [
        f"{formats.moment(end)}\nLast 20 steps {formats.percent(_known(a), digits=1)}\n"
        f"EWMA {formats.percent(_known(b), digits=1)}"
        for end, a, b in zip(ends.tolist(), realised.tolist(), ewma.tolist(), strict=True)
    ]
    return card(
        None,
        "Volatility",
        legend([("Last 20 steps", "--market", ""), ("EWMA", "--strategy", "")]),
        strip(ends, [Curve(realised, "market"), Curve(ewma, "strategy")], tips, "Volatility"),
        about=f"Of equity, as a yearly figure, from returns over {risk.volatility_of}.",
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
