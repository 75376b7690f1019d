"""Runs of nodes that were killed: what they had written is read, and said to end there."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.cli import main
from aitb_nautilus.errors import DataError
from aitb_nautilus.observe.left_words import left_sentences
from aitb_nautilus.observe.run_folder import Run
from aitb_nautilus.observe.run_tables import TABLES
from aitb_nautilus.risk.journal_file import JOURNAL_NAME, JournalError, WriterLock, open_for_writing
from aitb_nautilus.risk.journal_reader import Wanted, count
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME
from aitb_nautilus.run.economic import economic
from aitb_nautilus.run.journalling import still_writing
from aitb_nautilus.run.killed import finish_killed
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.node_lab import node_lab
from tests.run.recorded_node import record_node
from tests.run.replay_lab import copy_of, rewrite
from tests.run.test_live import SECRET

BARS = 20
SAME = (
    "name", "mode", "config_sha256", "data_sha256", "fingerprint", "models", "bars", "predictions",
    "orders", "fills", "stats", "period", "instruments", "bar_types", "venues", "starting_equity",
    "final_equity", "costs", "honesty", "data", "versions", "halts", "refused", "limits", "risk",
    "warm_up_bars",
)  # fmt: skip
"""What a run that has ended and one that was killed at that moment say in the same words."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Drop the engine's objects in this thread: no other may, and other tests have some."""
    yield
    gc.collect()


def nodes_run(factory: pytest.TempPathFactory, mode: str, *, is_killed: bool) -> Iterator[Path]:
    where = factory.mktemp(mode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AITB_HOME", str(where / "home"))
        with node_lab(where, api_secret=SECRET) as lab:
            folder = record_node(lab, mode, SECRET, BARS, is_killed=is_killed)
        yield folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from nodes_run(tmp_path_factory, "paper", is_killed=True)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from nodes_run(tmp_path_factory, "live", is_killed=False)


def raw(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def as_if_killed(folder: Path, to: Path) -> Path:
    """Return a copy of a run that ended, as it was right before its figures were written."""
    copy = copy_of(folder, to)
    for name in [*TABLES, "latency"]:
        (copy / f"{name}.parquet").unlink(missing_ok=True)
    record = Run(copy).record
    begun = msgspec.structs.replace(
        record, status="running", stats=None, costs=None, final_equity=None, fills=0, orders=0
    )
    (copy / "run.json").write_bytes(msgspec.json.encode(begun))
    os.utime(copy / JOURNAL_NAME, (0, 0))
    return copy


def test_tables_and_figures_are_those_that_the_node_would_have_written(
    ended: Path, tmp_path: Path
) -> None:
    copy = as_if_killed(ended, tmp_path)
    finish_killed(copy)
    was, made = raw(ended), raw(copy)
    assert {name: made[name] for name in SAME} == {name: was[name] for name in SAME}
    assert {**made["left"], "ts": ""} == {**was["left"], "ts": ""}
    assert (was["status"], made["status"]) == ("complete", "interrupted")
    assert was["fills"] > 5
    for name in TABLES:
        if name != "latency":
            files = (folder / f"{name}.parquet" for folder in (ended, copy))
            one, other = map(pq.read_table, files)
            assert one.equals(other), name


def test_bars_beyond_a_gap_of_the_recording_are_those_of_the_tables(
    ended: Path, tmp_path: Path
) -> None:
    copy = as_if_killed(ended, tmp_path)
    shutil.copy(ended / "bars.parquet", copy)

    def cut(entries: list[Entry]) -> list[Entry]:
        bars = [i for i, entry in enumerate(entries) if entry.kind == "bar"]
        place = bars[len(bars) // 2]
        return [*entries[:place], Entry("gap", 0, entries[place].at, "", (7,)), *entries[place:]]

    rewrite(copy, cut)
    finish_killed(copy)
    was, made = raw(ended), raw(copy)
    for name in ("bars", "orders", "fills", "stats", "final_equity", "data_sha256"):
        assert made[name] == was[name], name
    assert made["predictions"] < was["predictions"]
    assert "was killed: 7 inputs could not be recorded before that; its last" in made["error"]


def test_killed_run_is_shown_and_says_where_it_ends(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(killed, tmp_path)
    assert raw(folder)["status"] == "running"
    assert main(["report", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    record = Run(folder).record
    assert record.status == "interrupted"
    assert record.killed_at is not None
    assert "The run was killed: figures end there and are not judged." in shown
    assert f"its last record is of {record.killed_at}, and what came after that is not" in shown
    assert (folder / "report.html").exists()
    assert record.fills == count(folder, Wanted(kinds=("filled",)))
    assert record.fills > 5
    before = (folder / "run.json").read_bytes()
    assert main(["report", str(folder)]) == 0
    assert (folder / "run.json").read_bytes() == before


def test_killed_run_is_decided_again_and_priced(killed: Path, tmp_path: Path) -> None:
    folder = copy_of(killed, tmp_path)
    again = replay(folder)
    assert (again.differences, again.is_whole) == (0, False)
    assert again.equal["orders"] > 5
    other = what_if(folder)
    assert other.differences == []
    assert other.decisions > 5
    told = economic(folder)
    assert sum(one.amount for one in told.layers) == pytest.approx(told.difference, abs=1e-6)
    assert replay(folder).differences == 0


def test_status_tells_what_a_killed_run_held_and_of_when_that_is(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(killed, tmp_path)
    finish_killed(folder)
    left = Run(folder).record.left
    assert left is not None
    assert left.held or left.orders
    config = killed.parent.parent / "desk.toml"
    assert main(["status", str(config)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"The last paper run, {killed.name}, at " in shown
    assert "(was killed: what came after that is not known)" in shown
    for sentence in left_sentences(left, "paper"):
        assert sentence in shown


def test_status_names_a_journal_that_is_gone(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk.toml").write_text('[trader]\nid = "AITB-001"\n')
    (path,) = (killed.parent.parent / "state").glob("AITB-001.paper-*.json")
    last = msgspec.json.decode(path.read_bytes())
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / path.name).write_bytes(
        msgspec.json.encode(last | {"folder": str(tmp_path / "moved")})
    )
    assert main(["status", str(tmp_path / "desk.toml")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"The last paper run {killed.name}: what it left is not known." in shown
    assert f"{tmp_path / 'moved'}: there is no such run folder" in shown


def test_run_that_goes_on_is_left_alone(killed: Path, tmp_path: Path) -> None:
    folder = copy_of(killed, tmp_path)
    lock = WriterLock(folder / JOURNAL_NAME)
    try:
        with pytest.raises(DataError, match="the run goes on") as raised:
            finish_killed(folder)
    finally:
        lock.release()
    assert "aitb status CONFIG" in raised.value.paragraph()
    assert raw(folder)["status"] == "running"


def test_node_that_has_just_closed_its_journal_may_write_its_tables(
    ended: Path, tmp_path: Path
) -> None:
    copy = as_if_killed(ended, tmp_path)
    os.utime(copy / JOURNAL_NAME)
    with pytest.raises(DataError, match="has just ended"):
        finish_killed(copy)


def test_node_that_needs_long_to_write_its_tables_goes_on(ended: Path, tmp_path: Path) -> None:
    copy = as_if_killed(ended, tmp_path)
    with still_writing(copy), still_writing(copy):  # who cannot hold it writes all the same
        with pytest.raises(DataError, match="the run goes on"):
            finish_killed(copy)
        assert raw(copy)["status"] == "running"
    WriterLock(copy / JOURNAL_NAME).release()  # it is free again


def test_run_that_was_killed_right_after_its_start_says_what_is_left(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(killed, tmp_path)
    (folder / INPUTS_NAME).write_bytes(b"")
    for words in (["report"], ["risk"], ["replay"], ["replay", "--economic"]):
        assert main([*words, str(folder)]) == 4
        said = " ".join(capsys.readouterr().err.split())
        assert "inputs.tape: is empty" in said
        assert f"aitb audit show {folder}" in said
    (folder / JOURNAL_NAME).unlink()
    assert main(["report", str(folder)]) == 4
    assert "killed before it had a journal" in " ".join(capsys.readouterr().err.split())
    open_for_writing(folder / JOURNAL_NAME, durable=True, on_disk="soon").close()
    assert main(["report", str(folder)]) == 4
    assert "killed before it had a journal" in " ".join(capsys.readouterr().err.split())


def test_killed_run_whose_folder_may_not_be_written_is_none_that_goes_on(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("aitb_nautilus.risk.journal_file.FileLock", refuse)
    with pytest.raises(JournalError, match="cannot be made: permission denied"):
        finish_killed(copy_of(killed, tmp_path))
