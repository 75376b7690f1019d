"""``aitb report``: one run, several runs, and everything that is not a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.observe.run_folder import Run
from tests.observe.run_builder import Recipe, build_run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two complete runs and a failed one."""
    root = tmp_path_factory.mktemp("built")
    build_run(root / "one", Recipe(name="One", days=40))
    build_run(root / "two", Recipe(name="Two", days=40, seed=2, simulated=True))
    build_run(root / "broken", Recipe(name="Broken", days=40, status="failed"))
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may write into."""
    return shutil.copytree(built, tmp_path / "runs")


def test_one_run_is_printed_and_its_page_is_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(root / "one")]) == 0
    shown = capsys.readouterr()
    page = root / "one" / "report.html"
    assert page.exists()
    assert "One  back-test  complete" in shown.out
    assert f"Report  {page}" in shown.out
    assert shown.err == ""


def test_one_run_as_json_is_its_record_with_verdict_and_page(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(root / "one"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    on_disk = json.loads((root / "one" / "run.json").read_text())
    assert {key: answer[key] for key in on_disk} == on_disk
    assert answer["report"] == str(root / "one" / "report.html")
    assert answer["verdict"]["kind"] in {"positive", "luck", "loss"}


def test_page_goes_where_output_says(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = root / "page.html"
    assert main(["report", str(root / "one"), "--output", str(wanted)]) == 0
    assert wanted.exists()
    assert not (root / "one" / "report.html").exists()
    assert f"Report  {wanted}" in capsys.readouterr().out


def test_several_runs_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(root / "one"), str(root / "two")]) == 0
    shown = capsys.readouterr().out
    page = next((root / "one").glob("comparison-*.html"))
    assert f"Comparison  {page}" in shown
    assert "One: " in shown
    assert "Two: " in shown
    assert "Some runs are on simulated data" in shown
    assert "backtest.seed" in shown


def test_several_runs_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(root / "one"), str(root / "two"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in answer["runs"]] == ["One", "Two"]
    stats = Run(root / "two").record.stats
    assert stats is not None
    assert answer["runs"][1]["stats"]["total_return"] == stats.total_return
    assert answer["config_differences"]["backtest.seed"] == ["1", "2"]
    assert Path(answer["report"]).exists()


def test_failed_run_can_be_shown_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(root / "broken")]) == 0
    assert "The run failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "code", "found"),
    [
        ([], 2, "missing argument"),
        (["absent"], 4, "there is no such run folder"),
        (["."], 4, "has no run.json"),
        (["one", "one"], 2, "one was given twice"),
        (["one", "broken"], 4, "only runs with figures can be compared"),
    ],
)
def test_what_cannot_be_shown_is_one_paragraph(
    root: Path, capsys: pytest.CaptureFixture[str], names: list[str], code: int, found: str
) -> None:
    assert main(["report", *(str(root / name) for name in names)]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert found in " ".join(shown.err.split())
    assert "Traceback" not in shown.err
    assert not list(root.glob("*/*.html"))


def test_error_as_json_is_the_one_object_on_stdout(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(root / "absent"), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 4
