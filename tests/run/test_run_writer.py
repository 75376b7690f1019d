from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from aitb_nautilus.errors import RunError
from aitb_nautilus.market.bars import BarFrame, Interval
from aitb_nautilus.observe.run_tables import MAX_BAR_ROWS, TABLES
from aitb_nautilus.run.run_writer import RunWriter, new_run_dir, table_of, thin
from tests.run.desk_lab import T0, A, Lab, buy

FUNDING = {"ts": T0 + 1, "instrument_id": A, "rate": 1e-4, "quantity": 2.0, "price": 9.5}


def frame(count: int, interval_ns: int) -> BarFrame:
    values = 100 + np.arange(count, dtype=np.float64)
    ts = T0 + interval_ns * np.arange(1, count + 1, dtype=np.int64)
    return BarFrame(ts, values, values + 1, values - 1, values + 0.5, values)


def test_run_folders_of_one_second_have_different_names(tmp_path: Path) -> None:
    folders = [new_run_dir(tmp_path / "runs", "desk") for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(f.is_dir() and "desk" in f.name for f in folders)


def test_run_folder_where_a_file_stands_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match=r"runs.*could not be written \(Not a directory\)"):
        new_run_dir(tmp_path / "runs", "desk")


def test_table_keeps_nanoseconds_and_the_order_of_its_schema() -> None:
    table = table_of("funding", [{"amount": 0.5, **FUNDING}])
    assert table.schema.equals(TABLES["funding"])
    assert table["ts"].cast(pa.int64()).to_pylist() == [T0 + 1]
    assert table_of("funding", []).num_rows == 0


def test_table_of_rows_that_come_one_by_one_is_that_of_all_at_once() -> None:
    whole = [
        {
            "ts": T0 + n,
            "strategy_id": f"S-{n % 7}",
            "instrument_id": f"X-{n // 700}",
            "limit": "book",
            "outcome": "refused",
            "quantity": n / 2,
            "line": f"line {n}",
        }
        for n in range(1_300)
    ]
    table = table_of("refusals", iter(whole))
    schema = TABLES["refusals"]
    plain = [pa.int64() if pa.types.is_timestamp(f.type) else f.type for f in schema]
    expected = [
        pa.array([row[f.name] for row in whole], kind).cast(f.type)
        for f, kind in zip(schema, plain, strict=True)
    ]
    assert table.equals(pa.Table.from_arrays(expected, schema=schema))
    assert all(column.num_chunks == 1 for column in table.columns)


def test_table_refuses_a_row_that_lacks_a_column() -> None:
    with pytest.raises(KeyError, match="amount"):
        table_of("funding", [FUNDING])


@pytest.mark.parametrize("count", [1, MAX_BAR_ROWS, MAX_BAR_ROWS + 1, 7 * MAX_BAR_ROWS])
@pytest.mark.parametrize("interval", ["1s", "1m", "3h", "8h", "1d"])
def test_thin_keeps_the_extremes_and_ends_of_what_it_merges(count: int, interval: str) -> None:
    interval_ns = Interval.parse(interval).ns
    bars = frame(count, interval_ns)
    table = thin(bars, A, interval_ns)
    assert 0 < table.num_rows <= count
    assert max(table["high"].to_pylist()) == bars.high.max()
    assert min(table["low"].to_pylist()) == bars.low.min()
    assert table["open"][0].as_py() == bars.open[0]
    assert table["close"][-1].as_py() == bars.close[-1]
    assert table["ts"].cast(pa.int64())[-1].as_py() == bars.ts_close[-1]
    assert table["volume"].to_numpy().sum() == pytest.approx(bars.volume.sum())
    if count <= MAX_BAR_ROWS:
        assert table["close"].to_pylist() == bars.close.tolist()
    elif interval in ("1s", "1m"):
        assert table.num_rows <= MAX_BAR_ROWS


def test_files_are_replaced_whole_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    writer.config("a = 1\n")
    writer.config("a = 2\n")
    writer.log([{"ts": "x", "message": "one"}, {"ts": "y", "message": "two"}])
    writer.table("funding", table_of("funding", []))
    assert (tmp_path / "config.toml").read_text() == "a = 2\n"
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.toml",
        "funding.parquet",
        "log.jsonl",
    ]


def test_error_while_writing_leaves_the_file_before_as_it_was(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    writer.config("a = 1\n")
    with pytest.raises(TypeError):
        writer.log([{"ts": object()}])
    (tmp_path / "log.jsonl").mkdir()  # what is in the way here is the target itself
    with pytest.raises(RunError, match=r"log.jsonl: could not be written \(Is a directory\)"):
        writer.log([])
    assert (tmp_path / "config.toml").read_text() == "a = 1\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.toml", "log.jsonl"]


FULL = """
import resource

class Full(Scripted):
    def decide_on_stop(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
        return ()
"""


@pytest.mark.parametrize(
    ("limit", "status", "file"),
    [(120_000, "failed", "equity.parquet"), (100, "running", "journal.sqlite")],
)
def test_full_disk_ends_in_one_clear_error_and_nothing_half_written(
    lab: Lab, limit: int, status: str, file: str
) -> None:
    """A limit on the size of files stands for the disk; the kernel refuses a write in its middle.

    With 120 kB journal and run.json fit and the equity of 20,000 bars does not; with 100 bytes
    nothing does.
    """
    lab.bars([(100 + i % 7, 108, 99, 100 + i % 5) for i in range(20_000)])
    script = {1: [buy(5)]}
    full = lab.strategy(script, code=FULL.replace("LARGEST", str(limit)), cls="Full")
    done = lab.process(lab.config(full))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert file in done.stderr
    assert "Make room" in done.stderr
    outcome = lab.last()
    assert outcome.record.status == status
    names = {p.name for p in outcome.folder.iterdir()}
    assert "equity.parquet" not in names
    assert not any(name.endswith(".tmp") for name in names)
    if status == "failed":
        assert "could not be written" in done.stderr
        assert "File too large" in done.stderr
        assert "equity.parquet" in outcome.record.error
        assert outcome.log[-1]["level"] == "ERROR"
