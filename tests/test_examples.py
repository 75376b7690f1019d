"""The launcher scripts do what they say, on the quickstart's market."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
CONFIG = Path("quickstart/quickstart.toml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where the quickstart ran, with a config whose back-test is short."""
    place = tmp_path_factory.mktemp("examples")
    text = (CHECKOUT / "configs" / "quickstart.toml").read_text()
    start = 'start = "2024-09-01"'
    assert start in text
    (place / CONFIG).parent.mkdir()
    (place / CONFIG).write_text(text.replace(start, 'start = "2024-12-17"'))
    call(place, "-m", "aitb_nautilus", "quickstart", "--json")
    return place


def call(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "AITB_HOME": str(folder / "keys")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_backtest_desk_prints_result_and_report(folder: Path) -> None:
    lines = call(folder, str(CHECKOUT / "examples" / "backtest_desk.py")).splitlines()
    assert "status complete" in lines[0]
    assert "simulated market" in lines[1]
    assert (folder / lines[2]).is_file()


def test_compare_levels_writes_one_page_of_three_runs(folder: Path) -> None:
    lines = call(folder, str(CHECKOUT / "examples" / "compare_levels.py")).splitlines()
    page = (folder / lines[-1]).read_text()
    for name in ("enter-0.54", "enter-0.56", "enter-0.58"):
        assert name in page


def test_train_model_tells_its_verdict_and_runs(folder: Path) -> None:
    lines = call(folder, str(CHECKOUT / "examples" / "train_model.py")).splitlines()
    assert lines[0].startswith("momentum@1: ")
    assert "better than what needs no model" in lines[0]
    assert (folder / lines[1]).is_file()
