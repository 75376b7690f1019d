"""What may be said of a model in words: how good it was, and whether it had seen the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aitb_nautilus.market.intervals import spell_ns
from aitb_nautilus.observe import formats
from aitb_nautilus.observe.run_record import LabelRecord, ModelRecord, PredictionFigures

__all__ = [
    "SAMPLES",
    "Finding",
    "finding_of",
    "label_sentence",
    "loss_texts",
    "model_line",
    "sample_sentence",
    "with_error",
]

SAMPLES = {"out": "out of sample", "in": "in sample", "walk-forward": "walk-forward"}

_SLIGHT = 0.02  # a gain below this share of the prior's log loss is called slight


@dataclass(frozen=True)
class Finding:
    """How a model's probabilities stand against always giving the share that went up.

    Attributes
    ----------
    kind
        ``better`` (by more than two standard errors of the log loss), ``unsure`` (by less),
        ``useless`` (not at all) or ``nothing`` (no outcome to measure).
    sentence
        The same in words, with the figures.
    """

    kind: Literal["better", "unsure", "useless", "nothing"]
    sentence: str


def finding_of(model: ModelRecord) -> Finding:
    """Return what was found of a model's predictions."""
    figures = model.figures
    if figures is None or figures.log_loss is None or figures.log_loss_prior is None:
        rows = 0 if figures is None else figures.rows
        what = f"{formats.count(rows)} predictions" if rows else "no prediction"
        ending = ", none with a known outcome: there is nothing to measure." if rows else "."
        return Finding("nothing", f"The model gave {what} in this run{ending}")
    always = f"always saying {formats.percent(figures.up_share, digits=1)}"
    gain = figures.log_loss_prior - figures.log_loss
    kind: Literal["better", "unsure", "useless"]
    if gain <= 0:
        kind, claim = "useless", f"The model's probabilities were no better than {always}"
    elif figures.gain_error is None:
        kind = "unsure"
        claim = f"A little better than {always}, in a run too short to tell that from chance"
    elif gain <= 2 * figures.gain_error:
        kind, claim = "unsure", f"The model's probabilities cannot be told from {always}"
    else:
        slight = gain < _SLIGHT * figures.log_loss_prior
        kind, claim = "better", f"{'Slightly better' if slight else 'Better'} than {always}"
    if model.sample == "in":
        claim = f"On bars that it was trained on: {claim[0].lower()}{claim[1:]}"
    loss, prior = loss_texts(figures)
    ic, error = figures.ic, figures.ic_error
    ordered = kind != "better" and ic is not None and error is not None and ic > 2 * error
    order = "; their order foretold something," if ordered else ","
    return Finding(kind, f"{claim}: log loss {loss} against {prior}{order} IC {_ic(figures)}.")


def sample_sentence(model: ModelRecord) -> str:
    """Return whether the model had seen the time of the run."""
    if model.sample == "walk-forward":
        return "Each prediction came from a model that had seen only what was before it."
    if model.sample == "in":
        return (
            "The model was trained on bars of this very time: this result says nothing about the "
            "future."
        )
    until = formats.minute(model.trained_last)
    return f"Trained on bars until {until} UTC; every bar of this run came after that."


def label_sentence(label: LabelRecord, interval: str) -> str:
    """Return what the model foretells."""
    bars = f"{formats.count(label.horizon_bars)} {'bar' if label.horizon_bars == 1 else 'bars'}"
    ahead = f"{bars} of {interval} ({spell_ns(label.horizon_ns)})"
    costs = f" by more than {label.cost_bps:g} bps" if label.cost_bps else ""
    if label.kind == "triple_barrier":
        over = f" {label.cost_bps:g} bps higher for costs," if label.cost_bps else ""
        return (
            f"Foretells whether the price touches the upper barrier,{over} before the lower one, "
            f"within {ahead}."
        )
    return f"Foretells whether the price is higher{costs} after {ahead}."


def model_line(model: ModelRecord) -> str:
    """Return one line about a model."""
    line = f"{model.reference}, {SAMPLES[model.sample]}"
    figures = model.figures
    if figures is None or figures.log_loss is None:
        return f"{line}: {formats.count(0 if figures is None else figures.rows)} predictions"
    loss, prior = loss_texts(figures)
    always = formats.percent(figures.up_share, digits=1)
    return f"{line}: log loss {loss} against {prior} of always {always}, IC {_ic(figures)}"


def loss_texts(figures: PredictionFigures) -> tuple[str, str]:
    """Return the log loss of the model and of the prior, with as many digits as differ."""
    losses = (figures.log_loss, figures.log_loss_prior)
    digits = 4
    while True:
        loss, prior = (formats.ratio(value, digits=digits) for value in losses)
        if loss != prior or digits == 7:
            return loss, prior
        digits += 1


def with_error(value: float | None, error: float | None, digits: int = 3) -> str:
    """Return a figure and its standard error: ``0.021 \N{PLUS-MINUS SIGN} 0.006``."""
    text = formats.ratio(value, digits=digits)
    if value is None or error is None:
        return text
    return f"{text} \N{PLUS-MINUS SIGN} {formats.ratio(error, digits=digits)}"


def _ic(figures: PredictionFigures) -> str:
    if figures.ic is None:
        return "not defined"
    return with_error(figures.ic, figures.ic_error)
