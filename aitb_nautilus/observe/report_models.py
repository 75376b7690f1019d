"""The models of a run's page: what was found, the charts that show it, and which model it was."""

from __future__ import annotations

from aitb_nautilus.observe import formats
from aitb_nautilus.observe.model_words import (
    SAMPLES,
    finding_of,
    label_sentence,
    loss_texts,
    sample_sentence,
    with_error,
)
from aitb_nautilus.observe.report_html import Child, Html, el
from aitb_nautilus.observe.report_parts import Step, card, legend, pairs, steps
from aitb_nautilus.observe.report_plots import calibration_plot, ic_plot, probability_plot
from aitb_nautilus.observe.run_record import (
    LabelRecord,
    ModelRecord,
    PredictionFigures,
    RunRecord,
)

__all__ = ["model_cards"]

MOST_FEATURES = 15


def model_cards(record: RunRecord) -> Html | None:
    """Return the cards of every model; None without models."""
    if not record.models:
        return None
    groups: list[Child] = []
    for i, model in enumerate(record.models, start=1):
        groups += [_head(model, "model" if i == 1 else f"model-{i}"), _charts(model), _facts(model)]
    return el("div", groups, class_="stack")


def _head(model: ModelRecord, id_: str) -> Html:
    finding = finding_of(model)
    seen = model.sample == "in"
    chips = el(
        "div",
        el("span", SAMPLES[model.sample].capitalize(), class_=f"chip {'warn' if seen else 'good'}"),
        el("span", "Trained on simulated bars", class_="chip warn") if model.simulated else None,
        class_="chips",
    )
    label = None if model.label is None else label_sentence(model.label, model.interval)
    kind = "is-seen" if seen else f"is-{finding.kind}"
    words = el(
        "div",
        el("p", finding.sentence, class_="lead"),
        el("p", sample_sentence(model), class_="warning" if seen else "more"),
        class_=f"finding {kind}",
    )
    figures = None if model.figures is None else _figures(model.figures)
    title = f"Model {model.id}, version {model.version}"
    return card(id_, title, words, figures, about=label, tools=chips)


def _figures(figures: PredictionFigures) -> Html:
    loss, prior = loss_texts(figures)
    share = figures.up_share
    larger = None if share is None else max(share, 1 - share)
    late = "1 came late" if figures.late == 1 else f"{formats.count(figures.late)} came late"
    shown = [
        ("Log loss", loss, f"{prior} for always saying {formats.percent(share, digits=1)}"),
        (
            "IC",
            with_error(figures.ic, figures.ic_error),
            "\N{PLUS-MINUS SIGN} one standard error; 0 is guessing",
        ),
        ("Rank IC", formats.ratio(figures.rank_ic, digits=3), "outliers weigh less"),
        ("AUC", formats.ratio(figures.auc, digits=3), "0.5 is guessing"),
        (
            "Hit rate",
            formats.percent(figures.hit_rate, digits=1),
            f"{formats.percent(larger, digits=1)} for the commoner side always",
        ),
        (
            "Predictions",
            formats.count(figures.rows),
            f"{formats.count(figures.resolved)} with known outcome, {late}",
        ),
    ]
    return el(
        "dl",
        [
            el("div", el("dt", name), el("dd", value, class_="value"), el("dd", under))
            for name, value, under in shown
        ],
        class_="measures",
    )


def _charts(model: ModelRecord) -> Html | None:
    figures = model.figures
    cards: list[Child] = []
    if figures is not None:
        cards = [_probabilities(figures), _calibration(figures), _periods(figures)]
    if model.importance:
        cards.append(_importance(model))
    shown = [one for one in cards if one]
    return el("div", shown, class_="two charts") if shown else None


def _probabilities(figures: PredictionFigures) -> Html | None:
    if figures.histogram is None:
        return None
    mean = formats.percent(figures.mean_probability)
    share = formats.percent(figures.up_share)
    label = (
        f"Histogram of {formats.count(figures.rows)} probabilities; mean {mean}, {share} went up"
    )
    return card(
        None,
        "Probabilities given",
        legend([("Share of predictions", "--strategy", ""), ("What went up", "--ink", "4 3")]),
        probability_plot(figures.histogram, figures.up_share, label),
        el("footer", f"Mean {mean}; {share} went up."),
        about="The outermost bars hold all beyond.",
    )


def _calibration(figures: PredictionFigures) -> Html | None:
    if not figures.calibration:
        return None
    apart = sum(not one.low <= one.probability <= one.high for one in figures.calibration)
    count = len(figures.calibration)
    groups = f"{count} {'group' if count == 1 else 'groups'}"
    said = (
        f"In {apart} of {groups} what was foretold lies outside the bounds of what happened."
        if apart
        else "In every group what was foretold lies within the bounds of what happened."
    )
    return card(
        None,
        "Foretold against happened",
        legend([("Happened, 95% bounds", "--strategy", ""), ("As foretold", "--ink", "4 3")]),
        calibration_plot(figures.calibration, f"Calibration of {count} groups. {said}"),
        el("footer", said),
        about="Predictions in groups of equal size. Those that share a horizon count once.",
    )


def _periods(figures: PredictionFigures) -> Html | None:
    values = [period.ic for period in figures.periods if period.ic is not None]
    if not values:
        return None
    mean = sum(values) / len(values)
    above = sum(value > 0 for value in values)
    units = figures.unit if len(values) == 1 else f"{figures.unit}s"
    said = f"Above zero in {above} of {len(values)} {units}; mean {formats.ratio(mean, digits=3)}."
    return card(
        None,
        f"IC by {figures.unit}",
        legend([("IC", "--gain", ""), ("Mean", "--ink", "4 3")]),
        ic_plot(figures.periods, figures.unit, mean, f"IC by {figures.unit}. {said}"),
        el("footer", said),
        about="Correlation of probability and return over the horizon.",
    )


def _importance(model: ModelRecord) -> Html:
    shown = model.importance[:MOST_FEATURES]
    rows = [
        Step(
            one.feature,
            0.0,
            one.log_loss_rise,
            formats.ratio(one.log_loss_rise, digits=5),
            "time" if one.log_loss_rise >= 0 else "down",
        )
        for one in shown
    ]
    more = "" if len(shown) == len(model.importance) else f"The {len(shown)} largest. "
    return card(
        None,
        "What the model relies on",
        el("div", steps(rows, "Importance of features"), class_="named"),
        about=f"{more}Rise of the log loss in the training's tests when a feature is shuffled.",
    )


def _facts(model: ModelRecord) -> Html:
    rows: list[tuple[str, Child]] = [("Version", model.version)]
    label = model.label
    for name, text in (
        ("Alias", model.alias),
        ("Kind", model.algorithm),
        ("Members", ", ".join(model.members)),
        ("Instruments", ", ".join(model.instruments)),
        ("Label", None if label is None else _label_text(label, model.interval)),
        ("Trained on", _span(model)),
        ("Expires", None if model.expires is None else f"{formats.minute(model.expires)} UTC"),
    ):
        if text:
            rows.append((name, text))
    tried = "model was" if model.trials == 1 else "models were"
    rows.append(("Trials", f"{formats.count(model.trials)} {tried} tried, this one chosen"))
    if model.figures is not None and model.figures.first is not None:
        first, last = formats.minute(model.figures.first), formats.minute(model.figures.last)
        rows.append(("Answered", f"{first} to {last} UTC"))
    if model.figures is not None and model.figures.brier is not None:
        rows.append(("Brier", formats.ratio(model.figures.brier, digits=4)))
    rows.append(("Model sha256", el("span", model.sha256, class_="mono")))
    if model.manifest_sha256:
        rows.append(("Manifest sha256", el("span", model.manifest_sha256, class_="mono")))
    return card(None, f"Which model {model.id} was", pairs(rows))


def _label_text(label: LabelRecord, interval: str) -> str:
    kind = label.kind.replace("_", " ").capitalize()
    bars = "bar" if label.horizon_bars == 1 else "bars"
    ahead = f"{formats.count(label.horizon_bars)} {bars} of {interval} ahead"
    return f"{kind}, {ahead}, costs {label.cost_bps:g} bps"


def _span(model: ModelRecord) -> str | None:
    if model.trained_first is None or model.trained_last is None:
        return None
    return f"{formats.minute(model.trained_first)} to {formats.minute(model.trained_last)} UTC"
