"""The launcher scripts do what they say, on the quickstart's market."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("examples")
    call(place, "-m", "aitb_nautilus", "quickstart", "--json")
    return place


def call(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
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


def test_compare_averages_writes_one_page_of_three_runs(folder: Path) -> None:
    lines = call(folder, str(CHECKOUT / "examples" / "compare_averages.py")).splitlines()
    page = (folder / lines[-1]).read_text()
    for name in ("ema-12-48", "ema-24-96", "ema-48-192"):
        assert name in page
