from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from aitb_nautilus.observe import figures
from aitb_nautilus.observe.model_words import model_line
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.summary import print_comparison, print_summary
from tests.observe.run_builder import write_record


def console(width: int, *, colour: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        highlight=False,
    )


def printed(run: Run, width: int = 80, *, colour: bool = False) -> str:
    screen = console(width, colour=colour)
    print_summary(run, screen)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    "name", ["plain", "several", "idle", "short", "failed", "modelled", "seen"]
)
def test_summary_keeps_within_its_width(runs: dict[str, Path], name: str, width: int) -> None:
    assert max(len(line) for line in printed(Run(runs[name]), width).splitlines()) <= width


@pytest.mark.parametrize("name", ["plain", "several", "idle", "losing"])
def test_summary_has_the_figures_of_the_page(runs: dict[str, Path], name: str) -> None:
    run = Run(runs[name])
    assert run.record.stats is not None
    lines = [re.split(r"\s{2,}", line.strip()) for line in printed(run, 120).splitlines()]
    for figure in figures.FIGURES:
        wanted = figures.text(figure, run.record.stats, 2)
        found = [
            cells[i + 1]
            for cells in lines
            for i, cell in enumerate(cells[:-1])
            if cell == figure.label
        ]
        assert found == [wanted], figure.key


def test_summary_has_costs_honesty_ambiguous_exits_and_halts(runs: dict[str, Path]) -> None:
    shown = " ".join(printed(Run(runs["several"])).split())
    record = Run(runs["several"]).record
    for text in (
        *record.honesty,
        "3 exits in bars that touched both stop and target",
        f"Halted 2023-01-31 01:00: {record.halts[0].reason}",
        "14 orders refused.",
        "Limit Refused Shrunk state 12 0 max_gross_notional 2 8",
        "Gross ",
        "still open at the last bar",
    ):
        assert text in shown


def test_summary_has_a_line_for_each_model(runs: dict[str, Path]) -> None:
    run = Run(runs["modelled"])
    shown = " ".join(printed(run).split())
    for model in run.record.models:
        assert f"- {model_line(model)}" in shown
    assert "btc_up@3, out of sample: log loss 0." in shown
    assert "blend (btc_up@3+calm@1), walk-forward: log loss 0." in shown
    assert "Model" not in printed(Run(runs["plain"]))


def test_simulated_run_is_labelled(runs: dict[str, Path]) -> None:
    assert "simulated data" in printed(Run(runs["simulated"]))
    assert "imulated" not in printed(Run(runs["plain"]))


def test_summary_speaks_of_an_edge_only_above_the_bound(runs: dict[str, Path]) -> None:
    spoken = {name: bool(re.search(r"\bedge\b", printed(Run(path)))) for name, path in runs.items()}
    assert spoken.pop("skilled")
    positive = {name for name, said in spoken.items() if said}
    assert positive <= {"simulated"}


def test_failed_run_says_why(runs: dict[str, Path]) -> None:
    shown = printed(Run(runs["failed"]))
    assert "The run failed: there are no figures." in shown
    assert "ZeroDivisionError" in shown
    assert "Sharpe" not in shown


def test_colour_only_repeats_what_the_text_says(runs: dict[str, Path]) -> None:
    plain, coloured = printed(Run(runs["plain"])), printed(Run(runs["plain"]), colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_markup_in_names_is_printed_and_not_obeyed(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    record = Run(folder).record
    write_record(
        folder,
        msgspec.structs.replace(record, name="[bold]x[/nope]", honesty=["[/] [link=a]b[/link]"]),
    )
    shown = printed(Run(folder))
    assert "[bold]x[/nope]" in shown
    assert "[/] [link=a]b[/link]" in shown


def test_summary_names_the_page_on_one_line(runs: dict[str, Path], tmp_path: Path) -> None:
    long = tmp_path / ("deep" * 30)
    folder = shutil.copytree(runs["plain"], long / "run")
    assert "Report" not in printed(Run(folder))
    page = write_report(folder)
    assert f"Report  {page}" in printed(Run(folder))


@pytest.mark.parametrize("width", [80, 120])
def test_comparison_keeps_within_its_width(runs: dict[str, Path], width: int) -> None:
    screen = console(width)
    names = ("plain", "other", "losing", "idle", "several")
    print_comparison([Run(runs[name]) for name in names], screen)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line) for line in shown.splitlines()) <= width
    assert "What differs in the config" in shown
    for name in names:
        assert Run(runs[name]).record.name in shown


def test_comparison_of_equal_configs_says_so(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "twin")
    write_record(folder, msgspec.structs.replace(Run(folder).record, run_id="twin"))
    screen = console(80)
    print_comparison([Run(runs["plain"]), Run(folder)], screen)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "All runs have the same config." in shown
    assert "same fingerprint" in shown
