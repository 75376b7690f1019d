"""How losses of a run were foretold, and whether the forecasts held."""

from __future__ import annotations

import numpy as np

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.report_html import Child, Html, el, table
from aitb_nautilus.observe.report_parts import card, legend
from aitb_nautilus.observe.report_strips import Curve, strip
from aitb_nautilus.observe.risk_record import HorizonRisk, RiskRecord
from aitb_nautilus.observe.run_folder import Run, floats, times
from aitb_nautilus.observe.value_at_risk import TailFigures

__all__ = ["tails_card", "tails_chart"]

_DOUBT = 0.05
_FEW = 5.0
_MOST_SHOWN = 400
_METHODS = {"historical": "Historical", "ewma": "EWMA, normal"}


def tails_chart(run: Run, risk: RiskRecord) -> Html:
    """Return the card of returns beside what was foretold of them."""
    shown = run.tails
    if shown.num_rows == 0:
        days = risk.horizons[-1]
        said = (
            f"Something was held in {formats.count(days.steps)} "
            f"{'step' if days.steps == 1 else 'steps'} of {days.step}, and a forecast needs "
            f"{days.needed}."
        )
        return card(None, "Losses and their forecast", el("p", said, class_="empty"))
    rows = slice(-_MOST_SHOWN, None)
    ends, returns = times(shown, "ts")[rows], floats(shown, "return_frac")[rows]
    historical, ewma = floats(shown, "historical_95")[rows], floats(shown, "ewma_95")[rows]
    beyond = np.where(returns < -historical, returns, np.nan)
    within = np.where(returns < -historical, np.nan, returns)
    tips = [
        f"{formats.moment(end)}\nReturn {formats.percent(a, signed=True)}\nForecast "
        f"{formats.percent(b)} historical, {formats.percent(c)} EWMA"
        for end, a, b, c in zip(
            ends.tolist(), returns.tolist(), historical.tolist(), ewma.tolist(), strict=True
        )
    ]
    curves = [
        Curve(within, "market", is_dots=True),
        Curve(-historical, "strategy"),
        Curve(-ewma, "gain"),
        Curve(beyond, "loss", is_dots=True),
    ]
    step = next(h.step for h in risk.horizons if h.tails)
    last = "steps" if shown.num_rows <= _MOST_SHOWN else f"the last {_MOST_SHOWN} steps"
    return card(
        None,
        "Losses and their forecast",
        legend(
            [
                ("95% historical", "--strategy", ""),
                ("95% EWMA", "--gain", ""),
                ("Lost more than historical", "--loss", ""),
            ]
        ),
        strip(ends, curves, tips, "Returns and value at risk"),
        about=f"Returns over {last} of {step} in which something was held.",
    )


def tails_card(risk: RiskRecord) -> Html:
    """Return the card of forecasts and of how they held."""
    rows: list[list[Child]] = []
    short = []
    for horizon in risk.horizons:
        if not horizon.tails:
            short.append(
                f"{horizon.step}: something was held in {formats.count(horizon.steps)} "
                f"{'step' if horizon.steps == 1 else 'steps'}, and a forecast needs "
                f"{horizon.needed}."
            )
        rows += [_tail_row(horizon, one) for one in horizon.tails]
    head = [
        "Step",
        "Forecast",
        "Value at risk",
        "Expected shortfall",
        "Lost more",
        "Kupiec p",
        "Independence p",
        "Both p",
        "Verdict",
    ]
    shown = table(head, rows, numeric=range(2, 8), label="Forecasts of losses") if rows else None
    notes = [el("p", text, class_="muted small") for text in short]
    return card(
        "tails",
        "Did the forecasts of losses hold?",
        el("div", shown, notes, class_="stack"),
        el(
            "footer",
            "Value at risk: a loss that should be exceeded in 5% or 1% of steps; expected "
            "shortfall: the mean beyond. Each forecast knows only what came before it: historical "
            "from the last "
            f"{' or '.join(sorted({str(h.window) for h in risk.horizons}, reverse=True))} steps, "
            "EWMA with decay 0.94 and a normal "
            "distribution. Tests of Kupiec (1995) and Christoffersen (1998): p is the chance of "
            "counts at least as odd if the forecast holds.",
        ),
        about="Fractions of equity; steps in which nothing was held are left out.",
    )


def _tail_row(horizon: HorizonRisk, one: TailFigures) -> list[Child]:
    odd = one.frequency.p_value < _DOUBT
    clustered = one.independence is not None and one.independence.p_value < _DOUBT
    if odd:
        verdict = "too often" if one.exceeded > one.expected else "too rarely"
    elif clustered:
        verdict = "in clusters"
    else:
        verdict = "holds"
    if one.expected < _FEW and not odd:
        verdict = "too few to say"
    class_ = "loss" if odd and one.exceeded > one.expected else None
    return [
        horizon.step,
        el("span", f"{_METHODS[one.method]}, {one.level:.0%}", class_="whole"),
        formats.percent(one.value_at_risk, digits=3),
        formats.percent(one.expected_shortfall, digits=3),
        f"{formats.count(one.exceeded)} of {formats.count(one.forecasts)} "
        f"({formats.ratio(one.expected, digits=1)} expected)",
        formats.ratio(one.frequency.p_value, digits=3),
        formats.ratio(None if one.independence is None else one.independence.p_value, digits=3),
        formats.ratio(None if one.coverage is None else one.coverage.p_value, digits=3),
        el("span", verdict, class_=class_),
    ]
