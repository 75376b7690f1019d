from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe import figures, formats
from aitb_nautilus.observe.report import write_report
from aitb_nautilus.observe.report_payload import MAX_TRADES, run_payload
from aitb_nautilus.observe.run_folder import Run, texts
from tests.observe.run_builder import Recipe, build_run, write_record


def visible(page: str) -> str:
    """Return what a reader of a page sees, without its script, style and data."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{MINUS SIGN}", "-")


def written(run: Path, tmp_path: Path) -> str:
    return write_report(run, tmp_path / "page.html").read_text(encoding="utf-8")


def test_report_lies_in_the_run_folder_by_default(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    assert write_report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_report_shows_every_figure(runs: dict[str, Path], tmp_path: Path) -> None:
    shown = visible(written(runs["several"], tmp_path))
    stats = Run(runs["several"]).record.stats
    assert stats is not None
    missing = [
        figure.key
        for figure in figures.FIGURES
        if figure.label not in shown or figures.text(figure, stats, 2) not in shown
    ]
    assert missing == []


def test_report_shows_costs_honesty_data_halts_and_hashes(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    shown = visible(written(runs["several"], tmp_path))
    record = Run(runs["several"]).record
    assert record.costs is not None
    for amount in (-record.costs.fees, -record.costs.slippage, record.costs.net_pnl):
        assert formats.money(amount, signed=True) in shown
    for text in (
        *record.honesty,
        *record.instruments,
        *record.bar_types,
        *(repair for series in record.data for repair in series.repairs),
        record.halts[0].reason,
        record.config_sha256,
        str(record.fingerprint),
        "14 orders",
        "3 exits in bars that touched both stop and target: -61.30 USDT",
        "seed = 1",
        "1 (80 bars)",
    ):
        assert text in shown


def test_reasons_to_exit_are_told_in_words(runs: dict[str, Path], tmp_path: Path) -> None:
    shown = visible(written(runs["several"], tmp_path))
    for reason in ("Signal", "Stop", "Target 1", "Break even", "Time"):
        assert f" {reason} " in shown
    assert "counts under its last one" in shown


def test_money_that_does_not_add_up_is_shown_as_unexplained(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    record = Run(folder).record
    assert record.costs is not None
    assert "Unexplained" not in visible(written(folder, tmp_path))
    costs = msgspec.structs.replace(record.costs, fees=record.costs.fees + 55.5)
    write_record(folder, msgspec.structs.replace(record, costs=costs))
    shown = visible(written(folder, tmp_path))
    assert "Unexplained" in shown
    assert "+55.50" in shown


@pytest.mark.parametrize("name", ["several", "modelled"])
def test_same_run_gives_the_same_bytes_in_any_process(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    here = written(runs[name], tmp_path)
    code = (
        "import sys; from pathlib import Path; "
        "from aitb_nautilus.observe.report import write_report; "
        "write_report(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    there = tmp_path / "there.html"
    subprocess.run(
        [sys.executable, "-c", code, str(runs[name]), str(there)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        cwd=Path(__file__).parents[2],
    )
    assert there.read_text(encoding="utf-8") == here


def test_a_run_that_luck_explains_never_says_edge(runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("plain", "losing", "idle", "short", "failed", "interrupted", "several"):
        assert not re.search(r"(?i)\bedge\b", written(runs[name], tmp_path)), name


def test_a_run_above_the_bound_says_edge_once(runs: dict[str, Path], tmp_path: Path) -> None:
    shown = visible(written(runs["skilled"], tmp_path))
    assert len(re.findall(r"(?i)\bedge\b", shown)) == 1
    assert "does not know how many other settings were tried" in shown


def test_simulated_run_is_labelled(runs: dict[str, Path], tmp_path: Path) -> None:
    assert "Simulated data" in visible(written(runs["simulated"], tmp_path))
    assert "imulated" not in visible(written(runs["plain"], tmp_path))


@pytest.mark.parametrize(("name", "word"), [("failed", "failed"), ("interrupted", "interrupted")])
def test_broken_run_shows_its_error_and_no_figures(
    runs: dict[str, Path], tmp_path: Path, name: str, word: str
) -> None:
    shown = visible(written(runs[name], tmp_path))
    assert f"{word}: there are no figures." in shown
    assert "raised ZeroDivisionError" in shown
    assert "Sharpe" not in shown


def test_interrupted_run_with_figures_shows_them_and_is_not_judged(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(runs["skilled"], tmp_path / "run")
    record = Run(folder).record
    write_record(folder, msgspec.structs.replace(record, status="interrupted", error="Ctrl-C."))
    shown = visible(written(folder, tmp_path))
    assert "The run was interrupted: figures end there and are not judged." in shown
    assert "Ctrl-C." in shown
    assert "Sharpe" in shown
    assert not re.search(r"(?i)\bedge\b", shown)


def test_run_without_trades_stands_with_dashes(runs: dict[str, Path], tmp_path: Path) -> None:
    shown = visible(written(runs["idle"], tmp_path))
    assert "The run never traded" in shown
    assert "The run made no trade." in shown
    assert not re.search(r"\b[Nn]a[Nn]\b|\bNone\b", shown)


def test_hostile_texts_are_shown_and_never_markup(tmp_path: Path) -> None:
    hostile = '</script><script>window.hacked=1</script><img src=x onerror="hacked=1">'
    folder = build_run(
        tmp_path / "run", Recipe(name=hostile, days=40, honesty=(hostile,), status="failed")
    )
    record = Run(folder).record
    write_record(
        folder,
        msgspec.structs.replace(record, error=hostile, versions={hostile: hostile}),
    )
    (folder / "config.toml").write_text(f"# {hostile}")
    page = written(folder, tmp_path)
    assert "<img" not in page
    assert "<script>window" not in page
    assert visible(page).count("window.hacked=1") >= 4


def test_config_is_shown_as_it_is(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    (folder / "config.toml").write_text("low = -5\nhigh = 'a < b'\n")
    page = written(folder, tmp_path)
    assert "low = -5\nhigh = &#x27;a &lt; b&#x27;\n" in page


def test_payload_names_trades_and_bars_of_every_instrument(runs: dict[str, Path]) -> None:
    run = Run(runs["several"])
    payload = run_payload(run)
    assert [bars["id"] for bars in payload["instruments"]] == run.record.instruments
    assert payload["trades"]["rows"] == run.positions.num_rows
    assert set(payload["trades"]["texts"]["instrument_id"]) == set(
        texts(run.positions, "instrument_id")
    )


def test_many_trades_are_cut_to_the_largest_and_the_page_says_so(tmp_path: Path) -> None:
    folder = build_run(tmp_path / "run", Recipe(days=15, interval_s=60, hold_bars=1, instruments=2))
    run = Run(folder)
    assert run.positions.num_rows > MAX_TRADES
    assert run_payload(run)["trades"]["rows"] == MAX_TRADES
    wanted = f"The 10,000 with the largest results of {formats.count(run.positions.num_rows)}"
    assert wanted in visible(written(folder, tmp_path))


def test_year_of_minutes_stays_small(year: Path, tmp_path: Path) -> None:
    page = written(year, tmp_path)
    assert Run(year).equity.num_rows == 525_600
    assert len(page.encode()) < 800_000
    assert "of 525,600 bars" in visible(page)


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no run\.json"):
        write_report(tmp_path)
