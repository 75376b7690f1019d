from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.run_folder import Run, floats, texts, times
from aitb_nautilus.observe.run_tables import TABLES


@pytest.fixture
def folder(runs: dict[str, Path], tmp_path: Path) -> Path:
    """Return a copy of a run folder that a test may damage."""
    return shutil.copytree(runs["simulated"], tmp_path / "run")


def change(folder: Path, **keys: object) -> None:
    file = folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def rewrite(folder: Path, name: str, work: Callable[[pa.Table], pa.Table]) -> None:
    file = folder / f"{name}.parquet"
    pq.write_table(work(pq.read_table(file)), file)


def test_tables_have_the_types_of_their_schemas(runs: dict[str, Path]) -> None:
    run = Run(runs["several"])
    for name in TABLES:
        assert getattr(run, name).schema.equals(TABLES[name])
    assert run.fills.num_rows == run.record.fills > 0
    assert run.closed_positions.num_rows == run.record.stats.trades


def test_open_round_trips_are_kept_apart(runs: dict[str, Path]) -> None:
    run = Run(runs["simulated"])
    assert run.positions.num_rows == run.closed_positions.num_rows + 1
    assert (times(run.positions, "ts_close") == -1).sum() == 1
    assert texts(run.positions, "exit_purpose").count("") == 1


def test_closed_round_trips_come_in_order_of_their_end(runs: dict[str, Path]) -> None:
    ended = times(Run(runs["several"]).closed_positions, "ts_close")
    assert (ended[1:] >= ended[:-1]).all()


def test_run_json_itself_may_be_named(runs: dict[str, Path]) -> None:
    assert Run(runs["plain"] / "run.json").path == runs["plain"]


def test_other_column_order_other_time_unit_and_extra_columns_are_read(folder: Path) -> None:
    def turn(table: pa.Table) -> pa.Table:
        table = table.set_column(0, "ts", table.column("ts").cast(pa.timestamp("us", tz="UTC")))
        return table.append_column("more", table.column("equity")).select(
            ["more", "exposure", "market", "equity", "ts"]
        )

    before = Run(folder).equity
    rewrite(folder, "equity", turn)
    assert Run(folder).equity.equals(before)


def test_unknown_keys_in_run_json_are_ignored(folder: Path) -> None:
    change(folder, mood="calm")
    assert Run(folder).record.name == "Sim"


def test_failed_run_without_tables_reads_as_empty(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["failed"], tmp_path / "run")
    for file in folder.iterdir():
        if file.name != "run.json":
            file.unlink()
    run = Run(folder)
    assert [getattr(run, name).num_rows for name in TABLES] == [0] * len(TABLES)
    assert run.config_text == ""


def test_predictions_are_read_with_what_happened(runs: dict[str, Path]) -> None:
    run = Run(runs["modelled"])
    table = run.predictions
    assert table.num_rows == run.record.predictions == 150 * 24 * 2 * 2
    assert set(texts(table, "model")) == {"btc_up", "blend"}
    assert table.column("up").null_count == 12 * 2 * 2  # the last horizon of each
    assert np.isnan(floats(table, "forward_return")).sum() == 12 * 2 * 2


def test_folder_from_before_there_were_predictions_is_read(folder: Path) -> None:
    (folder / "predictions.parquet").unlink()
    record = json.loads((folder / "run.json").read_text())
    assert record["models"] == []
    assert Run(folder).predictions.num_rows == 0
    change(folder, models=[{"id": "old", "version": "1", "sha256": "ab"}])
    (model,) = Run(folder).record.models
    assert (model.reference, model.sample, model.figures) == ("old@1", "in", None)


def test_predictions_that_were_counted_must_be_there(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(runs["modelled"], tmp_path / "run")
    (folder / "predictions.parquet").unlink()
    with pytest.raises(DataError, match=r"predictions\.parquet: is missing"):
        _ = Run(folder).predictions


@pytest.mark.parametrize(
    ("work", "found"),
    [
        (shutil.rmtree, "there is no such run folder"),
        (lambda p: (p / "run.json").unlink(), "has no run.json"),
        (lambda p: (p / "run.json").write_text("{"), "cannot be read"),
        (lambda p: (p / "run.json").write_text('{"a": 1}'), "is not the record of a run"),
        (lambda p: (p / "run.json").write_text("[]"), "is not the record of a run"),
        (lambda p: change(p, schema=2), "schema: was 2"),
        (lambda p: change(p, schema=True), "is not the record of a run"),
        (lambda p: change(p, bars="many"), "is damaged"),
        (lambda p: change(p, status="running"), "has not finished"),
        (lambda p: change(p, stats=None), "lacks stats"),
        (lambda p: change(p, costs=None, period=None), "lacks period, costs"),
    ],
)
def test_folder_that_cannot_be_read_says_why(
    folder: Path, work: Callable[[Path], object], found: str
) -> None:
    work(folder)
    with pytest.raises(DataError, match=found) as caught:
        Run(folder)
    assert str(folder) in caught.value.where


@pytest.mark.parametrize(
    ("name", "work", "found"),
    [
        ("equity", lambda p: (p / "equity.parquet").unlink(), "is missing"),
        ("equity", lambda p: (p / "equity.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (
            "equity",
            lambda p: rewrite(p, "equity", lambda t: t.drop_columns(["market"])),
            "lacks market",
        ),
        (
            "equity",
            lambda p: rewrite(p, "equity", lambda t: t.set_column(0, "ts", t.column("equity"))),
            "has other columns",
        ),
        ("equity", lambda p: rewrite(p, "equity", lambda t: t.take([1, 0])), "do not ascend"),
        (
            "fills",
            lambda p: rewrite(p, "fills", lambda t: t.slice(1)),
            "run.json counts",
        ),
        (
            "fills",
            lambda p: rewrite(
                p, "fills", lambda t: t.set_column(7, "quantity", pa.nulls(len(t), pa.float64()))
            ),
            "has other columns.*quantity",
        ),
        (
            "bars",
            lambda p: rewrite(
                p, "bars", lambda t: t.set_column(2, "open", pa.array([float("nan")] * len(t)))
            ),
            "open has NaN",
        ),
    ],
)
def test_damaged_table_says_what_is_wrong(
    folder: Path, name: str, work: Callable[[Path], object], found: str
) -> None:
    work(folder)
    run = Run(folder)
    with pytest.raises(DataError, match=found) as caught:
        getattr(run, name)
    assert f"{name}.parquet" in caught.value.where


def test_complete_run_without_config_is_damaged(folder: Path) -> None:
    (folder / "config.toml").unlink()
    with pytest.raises(DataError, match=r"config\.toml: is missing"):
        _ = Run(folder).config_text


def test_numbers_come_as_float64_with_nan_where_empty(runs: dict[str, Path]) -> None:
    values = floats(Run(runs["simulated"]).positions, "close_price")
    assert values.dtype == "float64"
    assert np.isnan(values).sum() == 1
