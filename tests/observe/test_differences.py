from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.errors import DataError, UsageError
from aitb_nautilus.observe.differences import (
    compare_configs,
    compare_figures,
    remarks,
    run_names,
)
from aitb_nautilus.observe.run_folder import Run
from tests.observe.run_builder import write_record


def opened(runs: dict[str, Path], *names: str) -> list[Run]:
    return [Run(runs[name]) for name in names]


def test_names_are_kept_and_equal_ones_get_their_run(runs: dict[str, Path]) -> None:
    assert run_names(opened(runs, "plain", "other")) == ["EMA cross", "Other"]


def test_equal_names_are_told_apart(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "twin")
    write_record(folder, msgspec.structs.replace(Run(folder).record, run_id="twin"))
    names = run_names([Run(runs["plain"]), Run(folder)])
    assert names == ["EMA cross (plain)", "EMA cross (twin)"]


def test_same_run_twice_is_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="plain was given twice"):
        run_names(opened(runs, "plain", "other", "plain"))


def test_more_runs_than_can_be_read_are_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="at most 8"):
        run_names([Run(path) for path in (*runs.values(),)][:9])


def test_figures_stand_beside_each_other_with_differences(runs: dict[str, Path]) -> None:
    rows = {row.figure.key: row for row in compare_figures(opened(runs, "plain", "other", "idle"))}
    row = rows["trades"]
    counts = [Run(runs[name]).record.stats.trades for name in ("plain", "other", "idle")]
    assert row.texts == [str(count) for count in counts]
    assert row.differences == [f"{count - counts[0]:+}" for count in counts[1:]]
    assert rows["sharpe"].differences[1] == "\N{EN DASH}"


def test_run_without_figures_cannot_be_compared(runs: dict[str, Path]) -> None:
    with pytest.raises(DataError, match="is failed and has no figures"):
        compare_figures(opened(runs, "plain", "failed"))


def test_config_differences_name_the_path_and_what_is_absent(runs: dict[str, Path]) -> None:
    found = compare_configs(opened(runs, "plain", "other"))
    assert found == {
        "strategies[0].params.fast": ["12", "6"],
        "strategies[0].params.slow": ["48", None],
        "strategies[0].params.stop": [None, "0.02"],
        "trader.name": ["EMA cross", "Other"],
        "venues[0].taker_fee_bps": ["5.0", "2.0"],
    }
    assert compare_configs(opened(runs, "plain", "plain")) == {}


def test_config_that_is_not_toml_is_an_error(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    (folder / "config.toml").write_text("a = = b")
    with pytest.raises(DataError, match="is not TOML"):
        compare_configs([Run(runs["other"]), Run(folder)])


def test_remarks_say_what_makes_runs_hard_to_compare(runs: dict[str, Path], tmp_path: Path) -> None:
    assert remarks(opened(runs, "plain", "losing")) == []
    folder = shutil.copytree(runs["plain"], tmp_path / "run")
    record = Run(folder).record
    changed = msgspec.structs.replace(
        record,
        run_id="changed",
        data_sha256="0" * 64,
        starting_equity=500.0,
        simulated=True,
        status="interrupted",
    )
    write_record(folder, changed)
    said = " ".join(remarks([Run(runs["plain"]), Run(folder)]))
    for part in (
        "not read the same data",
        "began with different equity",
        "Some runs are on simulated data",
        "Not complete, figures end early: changed",
        "same fingerprint",
    ):
        assert part in said
    assert "cover different times" in " ".join(remarks(opened(runs, "plain", "short")))
