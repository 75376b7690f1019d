"""The recording's file, the thread that writes it, and what is said when it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.risk.tape import Entry, Tape
from aitb_nautilus.risk.tape_file import block_of, read_entries
from aitb_nautilus.risk.tape_recorder import GAP, TapeRecorder

ENTRIES = [
    Entry("bar", 0, 1_700_000_000_000_000_001, "", ("A", 5, 1.5, float("inf"), 0.1, -0.0, 2.0)),
    Entry("features", 1, 1_700_000_000_000_000_000, "model-001", ("A", b"\x00\xff", None, True)),
    Entry("withheld", 0, 1_700_000_000_000_000_007, "", ({"warm-up": "it is cold"},)),
]


def recorder(path: Path, told: list[str], **settings: Any) -> TapeRecorder:
    plain = {"queue_size": 1_000, "flush_s": 0.01, "waits": False} | settings
    return TapeRecorder(path, time.time_ns, tell=told.append, **plain)


def test_entries_come_back_as_they_were_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(block_of(ENTRIES[:2], first=True) + block_of(ENTRIES[2:], first=False))
    assert list(read_entries(path)) == ENTRIES


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t"
    path.write_bytes(block_of(ENTRIES[:2], first=True) + block_of(ENTRIES[2:], first=False)[:-cut])
    assert list(read_entries(path)) == ENTRIES[:2]


def test_other_file_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"SQLite format 3")
    with pytest.raises(DataError, match="is no recording"):
        list(read_entries(path))


def test_what_is_put_is_in_the_file_after_the_flush_time(tmp_path: Path) -> None:
    told: list[str] = []
    one = recorder(tmp_path / "t", told)
    one.put("bar", 0, "", ("A", 1))
    until = time.monotonic() + 5
    while one.written == 0 and time.monotonic() < until:
        time.sleep(0.005)
    assert [e.what for e in read_entries(tmp_path / "t")] == [("A", 1)]  # while it goes on
    one.close()
    assert (told, one.lost) == ([], 0)


def test_full_queue_of_a_node_is_said_once_and_leaves_a_gap(tmp_path: Path) -> None:
    told: list[str] = []
    one = recorder(tmp_path / "t", told, flush_s=60.0, queue_size=10)
    for i in range(25):
        one.put("bar", 0, "", (i,))
    assert (one.lost, len(told)) == (15, 1)
    assert "queue of the recording was full" in told[0]
    one.close()
    entries = list(read_entries(tmp_path / "t"))
    assert [e.what[0] for e in entries[:10]] == list(range(10))
    assert (entries[10].kind, entries[10].what) == (GAP, (15,))


def test_back_test_waits_for_the_writer(tmp_path: Path) -> None:
    told: list[str] = []
    one = recorder(tmp_path / "t", told, flush_s=0.001, queue_size=10, waits=True)
    for i in range(500):
        one.put("bar", 0, "", (i,))
    one.close()
    assert [e.what[0] for e in read_entries(tmp_path / "t")] == list(range(500))
    assert (told, one.lost) == ([], 0)


def test_disk_that_is_full_is_said_and_trading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    one = recorder(tmp_path / "t", told)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    one.put("bar", 0, "", (1,))
    until = time.monotonic() + 5
    while not told and time.monotonic() < until:
        one.put("bar", 0, "", (2,))
        time.sleep(0.005)
    monkeypatch.undo()
    one.close()
    assert "No space left on device" in told[0]
    assert one.lost >= 2


KILLED = """
import sys, time
from pathlib import Path
from aitb_nautilus.risk.tape_recorder import TapeRecorder
one = TapeRecorder(
    Path(sys.argv[1]), time.time_ns, queue_size=100_000, flush_s=0.01, waits=True, tell=print
)
i = 0
while True:
    one.put("bar", 0, "", (i, "x" * (i % 97)))
    i += 1
    if i % 500 == 0:
        print(one.written, flush=True)
"""


def test_killed_process_keeps_what_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "t"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    written = 0
    while written < 5_000:
        written = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    entries = list(read_entries(path))
    assert len(entries) >= written
    assert [e.what[0] for e in entries] == list(range(len(entries)))


class _Taker:
    def __init__(self) -> None:
        self.entries: list[tuple[str, int, str, tuple[Any, ...]]] = []

    def put(self, *entry: Any) -> None:
        self.entries.append(entry)


def test_tape_notes_depth_own_components_and_what_is_withheld() -> None:
    tape, taker = Tape(), _Taker()
    tape.recorder, tape.desk = taker, frozenset({"ema-001"})
    withheld: dict[str, str] = {}
    tape.withheld = withheld
    tape.heard_by("start", "aitb_gate-001")
    tape.heard_by("start", "ema-001")
    withheld["stopping"] = "the run is being stopped"
    with tape.carrying_out():
        tape.heard("fill", "ema-001", 1)
    assert tape.reading(7) == 7
    tape.is_past = lambda: True
    tape.said("prediction", "model-001", 0.5)
    assert taker.entries == [
        ("start", 0, "ema-001", ()),
        ("withheld", 1, "", ({"stopping": "the run is being stopped"},)),
        ("fill", 1, "ema-001", (1,)),
        ("reading", 0, "", (7,)),
    ]
