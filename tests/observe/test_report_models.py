from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.observe.compare import write_comparison
from aitb_nautilus.observe.model_words import finding_of, sample_sentence
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.report_models import model_cards
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_record import ModelRecord, RunRecord
from tests.observe.run_builder import write_record


def visible(page: str) -> str:
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    text = html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{MINUS SIGN}", "-")
    return " ".join(text.split())


def with_models(record: RunRecord, *models: ModelRecord) -> RunRecord:
    return msgspec.structs.replace(record, models=list(models))


def test_page_says_what_was_found_of_every_model(runs: dict[str, Path], tmp_path: Path) -> None:
    record = Run(runs["modelled"]).record
    page = write_report(runs["modelled"], tmp_path / "page.html").read_text(encoding="utf-8")
    shown = visible(page)
    assert '<a href="#model">Models</a>' in page
    for model in record.models:
        assert model.figures is not None
        assert model.label is not None
        for text in (
            f"Model {model.id}, version {model.version}",
            finding_of(model).sentence,
            sample_sentence(model),
            f"Which model {model.id} was",
            model.sha256,
            str(model.manifest_sha256),
            "24 models were tried, this one chosen",
            "Probabilities given",
            "Foretold against happened",
            "IC by month",
            "What the model relies on",
            "7,176 with known outcome",
        ):
            assert text in shown, text
    assert "3 came late" in shown
    assert "Members btc_up, calm" in shown
    assert "Out of sample" in shown
    assert "Walk-forward" in shown
    assert "In sample" not in shown
    assert not re.search(r"\b[Nn]a[Nn]\b|\bNone\b", shown)


def test_page_warns_of_a_model_that_saw_the_time_and_never_says_edge(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    page = write_report(runs["seen"], tmp_path / "page.html").read_text(encoding="utf-8")
    shown = visible(page)
    assert "seen_it@3 was trained on bars of this very time" in shown
    assert "Model in sample" in shown
    assert "Trained on simulated bars" in shown
    assert shown.count("says nothing about the future") == 2
    assert not re.search(r"(?i)\bedge\b", shown)
    assert "verdict is-in_sample" in page
    assert '<a href="#model">Model</a>' in page


def test_run_without_models_has_no_section(runs: dict[str, Path]) -> None:
    assert model_cards(Run(runs["plain"]).record) is None


def test_model_that_said_nothing_stands_without_charts(runs: dict[str, Path]) -> None:
    record = Run(runs["modelled"]).record
    bare = ModelRecord(id="bare", version="1", sha256="ab")
    shown = visible(str(model_cards(with_models(record, bare))))
    assert "The model gave no prediction in this run." in shown
    assert "Probabilities given" not in shown
    assert "1 model was tried, this one chosen" in shown


def test_fifteen_features_are_shown_and_the_rest_is_said_to_be_missing(
    runs: dict[str, Path],
) -> None:
    record = Run(runs["modelled"]).record
    model = record.models[0]
    assert len(model.importance) == 17
    shown = visible(str(model_cards(with_models(record, model))))
    assert "The 15 largest. Rise of the log loss" in shown
    assert model.importance[14].feature in shown
    assert model.importance[15].feature not in shown
    few = msgspec.structs.replace(model, importance=model.importance[:3])
    assert "largest" not in visible(str(model_cards(with_models(record, few))))


@pytest.mark.parametrize("apart", [0, 1])
def test_calibration_says_how_many_groups_are_off(runs: dict[str, Path], apart: int) -> None:
    record = Run(runs["modelled"]).record
    model = record.models[0]
    figures = model.figures
    assert figures is not None
    middle = [
        msgspec.structs.replace(one, low=one.probability - 0.01, high=one.probability + 0.01)
        for one in figures.calibration
    ]
    if apart:
        middle[3] = msgspec.structs.replace(middle[3], low=0.9, high=0.95)
    figures = msgspec.structs.replace(figures, calibration=middle)
    changed = msgspec.structs.replace(model, figures=figures)
    shown = visible(str(model_cards(with_models(record, changed))))
    wanted = "In 1 of 10 groups what was foretold lies outside" if apart else "In every group"
    assert wanted in shown


def test_hostile_names_are_text(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["seen"], tmp_path / "run")
    record = Run(folder).record
    hostile = '"><img src=x onerror=alert(1)>'
    feature = msgspec.structs.replace(record.models[0].importance[0], feature=hostile)
    bad = msgspec.structs.replace(record.models[0], id=hostile, importance=[feature], alias=hostile)
    write_record(folder, with_models(record, bad))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<img" not in page
    assert visible(page).count(hostile) >= 4


def test_comparison_names_the_models(runs: dict[str, Path], tmp_path: Path) -> None:
    path = write_comparison([runs["modelled"], runs["plain"]], tmp_path / "c.html")
    shown = visible(path.read_text(encoding="utf-8"))
    assert "btc_up@3, blend (btc_up@3+calm@1)" in shown
    assert "Models" in shown
    other = write_comparison([runs["plain"], runs["other"]], tmp_path / "d.html")
    assert "Models" not in visible(other.read_text(encoding="utf-8"))
