from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.observe.model_words import (
    finding_of,
    label_sentence,
    loss_texts,
    model_line,
    sample_sentence,
    with_error,
)
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import LabelRecord, ModelRecord


@pytest.fixture
def model(runs: dict[str, Path]) -> ModelRecord:
    """Return a model that was tested out of sample."""
    return Run(runs["modelled"]).record.models[0]


def changed(model: ModelRecord, **figures: object) -> ModelRecord:
    told = {
        "up_share": 0.493,
        "log_loss": 0.6905,
        "log_loss_prior": 0.6931,
        "gain_error": 0.0004,
        "ic": 0.021,
        "ic_error": 0.006,
    }
    new = msgspec.structs.replace(model.figures, **(told | figures))  # type: ignore[type-var]
    return msgspec.structs.replace(model, figures=new)


def test_gain_beyond_two_errors_is_called_better(model: ModelRecord) -> None:
    found = finding_of(changed(model))
    assert found.kind == "better"
    assert found.sentence == (
        "Slightly better than always saying 49.3%: log loss 0.6905 against 0.6931, IC 0.021 "
        "\N{PLUS-MINUS SIGN} 0.006."
    )
    large = finding_of(changed(model, log_loss=0.62))
    assert large.sentence.startswith("Better than always saying 49.3%: log loss 0.6200")


def test_gain_within_two_errors_is_not_called_better(model: ModelRecord) -> None:
    found = finding_of(changed(model, gain_error=0.0014, ic=0.01))
    assert found.kind == "unsure"
    assert found.sentence == (
        "The model's probabilities cannot be told from always saying 49.3%: log loss 0.6905 "
        "against 0.6931, IC 0.010 \N{PLUS-MINUS SIGN} 0.006."
    )
    short = finding_of(changed(model, gain_error=None, ic_error=None))
    assert short.kind == "unsure"
    assert "in a run too short to tell that from chance" in short.sentence


def test_loss_above_the_prior_is_no_better(model: ModelRecord) -> None:
    found = finding_of(changed(model, log_loss=0.6931))
    assert found.kind == "useless"
    assert found.sentence.startswith(
        "The model's probabilities were no better than always saying 49.3%: log loss 0.6931000 "
        "against 0.6931000; their order foretold something, IC 0.021"
    )
    silent = finding_of(changed(model, log_loss=0.7, ic=None, ic_error=None))
    assert silent.sentence.endswith("log loss 0.7000 against 0.6931, IC not defined.")


def test_gain_on_bars_of_the_training_is_said_to_be_so(model: ModelRecord) -> None:
    seen = msgspec.structs.replace(changed(model), sample="in")
    assert finding_of(seen).sentence.startswith(
        "On bars that it was trained on: slightly better than always saying 49.3%"
    )


def test_model_without_outcomes_has_nothing_to_measure(model: ModelRecord) -> None:
    none = {"log_loss": None, "log_loss_prior": None, "up_share": None}
    silent = finding_of(msgspec.structs.replace(model, figures=None))
    assert (silent.kind, silent.sentence) == (
        "nothing",
        "The model gave no prediction in this run.",
    )
    early = finding_of(changed(model, rows=12, resolved=0, **none))
    assert early.sentence == (
        "The model gave 12 predictions in this run, none with a known outcome: there is nothing to "
        "measure."
    )
    assert model_line(changed(model, rows=12, **none)) == "btc_up@3, out of sample: 12 predictions"


def test_losses_are_shown_with_as_many_digits_as_differ(model: ModelRecord) -> None:
    near = changed(model, log_loss=0.693141, log_loss_prior=0.693147)
    assert near.figures is not None
    assert loss_texts(near.figures) == ("0.69314", "0.69315")


def test_line_of_a_model_has_sample_losses_and_ic(model: ModelRecord) -> None:
    assert model_line(changed(model)) == (
        "btc_up@3, out of sample: log loss 0.6905 against 0.6931 of always 49.3%, IC 0.021 "
        "\N{PLUS-MINUS SIGN} 0.006"
    )


def test_sample_sentence_says_what_the_model_had_seen(model: ModelRecord) -> None:
    assert sample_sentence(model) == (
        "Trained on bars until 2022-12-31 12:00 UTC; every bar of this run came after that."
    )
    walked = msgspec.structs.replace(model, sample="walk-forward")
    assert "had seen only what was before it" in sample_sentence(walked)
    seen = msgspec.structs.replace(model, sample="in")
    assert "says nothing about the future" in sample_sentence(seen)


@pytest.mark.parametrize(
    ("kind", "bars", "cost", "sentence"),
    [
        ("sign", 15, 5.0, "is higher by more than 5 bps after 15 bars of 1m (15m)."),
        ("return", 1, 0.0, "is higher after 1 bar of 1m (1m)."),
        (
            "triple_barrier",
            90,
            2.5,
            "touches the upper barrier, 2.5 bps higher for costs, before the lower one, within 90 "
            "bars of 1m (1h 30m).",
        ),
    ],
)
def test_label_is_said_in_words(kind: str, bars: int, cost: float, sentence: str) -> None:
    label = LabelRecord(
        kind=kind,  # type: ignore[arg-type]
        horizon_bars=bars,
        horizon_ns=bars * 60 * 10**9,
        cost_bps=cost,
    )
    assert label_sentence(label, "1m") == f"Foretells whether the price {sentence}"


def test_figure_without_error_stands_alone() -> None:
    assert with_error(0.0214, None) == "0.021"
    assert with_error(None, 0.1) == "\N{EN DASH}"
