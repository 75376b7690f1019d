"""Recorded back-tests, decided once more without an engine."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.times import iso
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_file import INPUTS_NAME, read_entries
from aitb_nautilus.run.recorded_run import RecordedRun
from aitb_nautilus.run.replay import replay
from aitb_nautilus.run.what_if import what_if
from tests.run.desk_lab import A, Lab, Outcome
from tests.run.replay_lab import BARS, PLANTS, copy_of, record, rewrite


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("replay")
        patch.syspath_prepend(str(folder))
        patch.chdir(folder)
        patch.setenv("AITB_HOME", str(folder / "home"))
        yield Lab(folder)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Drop the engine's objects in this thread: no other may, and other tests have some."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def done(lab: Lab) -> Outcome:
    return record(lab)


def test_recorded_back_test_comes_out_as_it_was(done: Outcome) -> None:
    again = replay(done.folder)
    assert (again.divergence, again.differences, again.is_whole) == (None, 0, True)
    assert (again.unchecked, again.remarks) == (0, [])
    assert again.equal["data"] == 2 * BARS == done.record.bars + done.record.warm_up_bars
    assert again.equal["features"] == again.equal["predictions"] == done.record.predictions > 200
    assert again.equal["intents"] >= again.equal["decisions"] > 200
    assert again.equal["orders"] > done.record.orders > 100
    assert again.equal["events"] > done.record.fills > 50


def test_answers_of_a_thread_come_when_they_came(lab: Lab) -> None:
    done = record(lab, inference="worker")
    again = replay(done.folder)
    assert (again.divergence, again.is_whole, again.remarks) == (None, True, [])
    assert again.equal["features"] > 200
    figures = done.record.models[0].figures
    assert figures is not None
    assert figures.rows > 0
    assert figures.late > 50  # bars follow each other at once: these were overtaken by the next
    assert again.equal["predictions"] == figures.rows + figures.late


def test_recording_changes_nothing(done: Outcome, lab: Lab) -> None:
    plain = record(lab, is_recorded=False)
    assert plain.record.fingerprint == done.record.fingerprint
    assert not (plain.folder / INPUTS_NAME).exists()


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("layer", PLANTS)
def test_planted_fault_is_named_by_its_layer(
    done: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str, number: int
) -> None:
    folder = copy_of(done.folder, tmp_path)
    PLANTS[layer](monkeypatch, folder, number)
    again = replay(folder)
    assert again.divergence is not None
    assert again.divergence.layer == layer, again.divergence
    assert again.divergence.recorded != again.divergence.replayed
    assert again.differences == 1


def test_missing_fill_is_named_as_an_event_or_by_what_follows(
    done: Outcome, tmp_path: Path
) -> None:
    folder = copy_of(done.folder, tmp_path)

    def without(entries: list[Entry]) -> list[Entry]:
        place = next(i for i, e in enumerate(entries) if e.kind == "fill")
        return entries[:place] + entries[place + 1 :]

    rewrite(folder, without)
    again = replay(folder)
    assert again.divergence is not None
    assert again.divergence.recorded.startswith("filled")


def test_recording_that_was_cut_off_is_compared_as_far_as_it_goes(
    done: Outcome, tmp_path: Path
) -> None:
    folder = copy_of(done.folder, tmp_path)
    rewrite(folder, lambda entries: entries[: len(entries) // 2])
    path = folder / INPUTS_NAME
    with path.open("ab") as file:
        file.write(b"\x40\x00\x00\x00torn")
    again = replay(folder)
    assert (again.differences, again.is_whole) == (0, False)
    assert again.unchecked > 0
    assert "before the run did" in again.remarks[0]
    assert 0 < again.equal["data"] < 2 * BARS


def test_gap_ends_the_replay_and_is_said(done: Outcome, tmp_path: Path) -> None:
    folder = copy_of(done.folder, tmp_path)
    rewrite(
        folder,
        lambda entries: [
            *entries[:500],
            Entry("gap", 0, entries[500].at, "", (7,)),
            *entries[507:],
        ],
    )
    again = replay(folder)
    assert again.differences == 0
    assert "7 inputs" in again.remarks[0]


def test_which_bar_of_one_time_came_first_is_no_difference(done: Outcome, tmp_path: Path) -> None:
    folder = copy_of(done.folder, tmp_path)
    path = folder / "bars.parquet"
    table = pq.read_table(path)
    order = [("ts", "ascending"), ("instrument_id", "descending")]
    turned = table.sort_by(order)
    assert turned != table
    pq.write_table(turned, path)
    again = replay(folder)
    assert (again.differences, again.is_whole) == (0, True)


def test_limits_hear_bars_of_one_time_in_the_order_of_the_recording(
    done: Outcome, tmp_path: Path
) -> None:
    folder = copy_of(done.folder, tmp_path)
    path = folder / "bars.parquet"
    order = [("ts", "ascending"), ("instrument_id", "descending")]
    pq.write_table(pq.read_table(path).sort_by(order), path)
    heard = [
        (e.what[0], e.what[1])
        for e in read_entries(folder / INPUTS_NAME)
        if e.kind in ("past", "bar")
    ]
    recorded = RecordedRun(folder)
    assert [(b.instrument_id, b.ts) for b in recorded.bars()] == heard
    assert [(b.instrument_id, b.ts) for b in recorded.bars_by_time()] != heard
    assert what_if(folder).differences == []


def test_bars_that_the_recording_lacks_come_at_the_end(done: Outcome, tmp_path: Path) -> None:
    folder = copy_of(done.folder, tmp_path)
    rewrite(folder, lambda entries: entries[: len(entries) // 2])
    recorded = RecordedRun(folder)
    bars = list(recorded.bars())
    assert len(bars) == 2 * BARS
    assert bars == list(recorded.bars_by_time())


def test_predictions_are_heard_in_the_order_of_the_recording(done: Outcome, tmp_path: Path) -> None:
    folder = copy_of(done.folder, tmp_path)
    listens = {"threshold": [("up", A)]}
    was = [p.ts_event for p in RecordedRun(folder).predictions(listens)]

    def turned(entries: list[Entry]) -> list[Entry]:
        first, second = [i for i, e in enumerate(entries) if e.kind == "prediction"][:2]
        entries[first], entries[second] = entries[second], entries[first]
        return entries

    rewrite(folder, turned)
    told = [p.ts_event for p in RecordedRun(folder).predictions(listens)]
    assert (told[:2], told[2:]) == ([was[1], was[0]], was[2:])


@pytest.mark.parametrize("place", [0, 200, -1])
def test_bar_that_the_recording_has_not_is_a_difference_of_the_data(
    done: Outcome, tmp_path: Path, place: int
) -> None:
    folder = copy_of(done.folder, tmp_path)
    lost: list[Entry] = []

    def without(entries: list[Entry]) -> list[Entry]:
        lost.append([e for e in entries if e.kind == "bar"][place])
        return [e for e in entries if e is not lost[0]]

    rewrite(folder, without)
    again = replay(folder)
    name, ts, *_ = lost[0].what
    assert again.divergence is not None
    assert (again.divergence.layer, again.divergence.about) == ("data", name)
    assert again.divergence.ts == ts
    assert again.divergence.recorded == f"{name} {iso(ts)}"


def test_bar_that_the_folder_has_not_is_a_difference_of_the_data(
    done: Outcome, tmp_path: Path
) -> None:
    folder = copy_of(done.folder, tmp_path)
    path = folder / "bars.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table.slice(0, 100), table.slice(101)]), path)
    again = replay(folder)
    assert again.divergence is not None
    assert (again.divergence.layer, again.divergence.what) == ("data", "bar")


def test_run_without_a_recording_says_how_to_have_one(lab: Lab) -> None:
    plain = record(lab, is_recorded=False)
    with pytest.raises(DataError, match="--record"):
        replay(plain.folder)


def test_damaged_recording_is_refused(done: Outcome, tmp_path: Path) -> None:
    folder = copy_of(done.folder, tmp_path)
    path = folder / INPUTS_NAME
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data + b"\x01\x00\x00\x00abcd1")
    with pytest.raises(DataError, match="damaged near byte"):
        replay(folder)


@pytest.mark.parametrize("start", [b"", b"AITB"])
def test_recording_without_an_entry_is_said_to_be_empty(
    done: Outcome, tmp_path: Path, start: bytes
) -> None:
    folder = copy_of(done.folder, tmp_path)
    (folder / INPUTS_NAME).write_bytes(start)
    with pytest.raises(DataError, match="is empty") as raised:
        replay(folder)
    assert f"aitb audit show {folder}" in raised.value.paragraph()


def test_recording_is_small(done: Outcome) -> None:
    size = os.path.getsize(done.folder / INPUTS_NAME)
    assert size < 200 * done.record.bars
