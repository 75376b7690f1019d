from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.compare import DASHES, write_comparison
from aitb_nautilus.observe.differences import MAX_RUNS
from aitb_nautilus.observe.report_html import ASSETS
from tests.observe.run_builder import Recipe, build_run
from tests.observe.test_report import visible


def test_comparison_shows_figures_verdicts_and_config(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    path = write_comparison(
        [runs["plain"], runs["other"], runs["losing"]], tmp_path / "comparison.html"
    )
    shown = visible(path.read_text())
    for text in (
        "EMA cross",
        "Other",
        "Losing",
        "Differences are against EMA cross",
        "The runs cover different times",
        "The run lost money after costs",
        "strategies[0].params.slow",
        "absent",
        " pp",
    ):
        assert text in shown
    assert not re.search(r"(?i)\bedge\b", shown)


def test_comparison_lies_in_the_first_run_and_is_the_same_each_time(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    first = shutil.copytree(runs["plain"], tmp_path / "plain")
    path = write_comparison([first, runs["other"]])
    before = path.read_bytes()
    assert path.parent == first
    assert write_comparison([first, runs["other"]]) == path
    assert path.read_bytes() == before


def test_eight_runs_are_the_most_and_each_has_a_colour(tmp_path: Path) -> None:
    folders = [
        build_run(tmp_path / f"r{i}", Recipe(name=f"R{i}", days=35, hold_bars=9 + i))
        for i in range(MAX_RUNS)
    ]
    shown = write_comparison(folders, tmp_path / "c.html").read_text()
    sheets = (ASSETS / "page.css").read_text(), (ASSETS / "dark.css").read_text()
    for i in range(1, MAX_RUNS + 1):
        assert f"var(--run-{i})" in shown
        assert all(f"--run-{i}:" in sheet for sheet in sheets)
    assert len(DASHES) == MAX_RUNS


def test_hostile_names_are_never_markup(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    folders = [
        build_run(tmp_path / name, Recipe(name=f"{hostile}{name}", days=35)) for name in "ab"
    ]
    assert "<img" not in write_comparison(folders, tmp_path / "c.html").read_text()


def test_failed_run_cannot_be_compared(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only runs with figures"):
        write_comparison([runs["plain"], runs["failed"]], tmp_path / "c.html")
    assert list(tmp_path.iterdir()) == []
