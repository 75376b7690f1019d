"""What is written outlives the process at once, and is on the disk soon after, or nothing opens."""

from __future__ import annotations

import errno
import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from aitb_nautilus.risk.disk import Follower
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_file import JournalError
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.trading_states import Halt, StateError
from tests.journal_samples import OPENED, T0, fill, wish

ROW = MemoryRow("max_orders_per_day", "the trader", "{}", '{"count": 3}', T0)


class Disk:
    """Counts how often something was forced to the disk, by which thread, and can fail."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.fails = False
        self._force = os.fdatasync

    def force(self, handle: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        self._force(handle)
        self.threads.append(threading.current_thread().name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.force)
    return disk


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


def level(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA synchronous").fetchone()[0])


def test_record_is_there_for_others_at_once_and_forced_to_the_disk_by_another_thread(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, OPENED, T0, on_disk="soon") as journal:
        wait_until(lambda: disk.threads)
        disk.threads.clear()
        number = wish(journal, "o1")
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT max(seq) FROM records").fetchone() == (number,)
        wait_until(lambda: "disk-journal.sqlite-wal" in disk.threads)
    proof = verify(path)
    assert (proof.whole, proof.records) == (True, 5)
    assert not path.with_name("journal.sqlite-wal").exists()


def test_journal_that_waits_forces_each_commit_itself(tmp_path: Path, disk: Disk) -> None:
    with Journal(tmp_path / "journal.sqlite", OPENED, T0) as journal:
        wish(journal, "o1")
        assert level(journal._database) == 2  # FULL
    assert disk.threads == []  # SQLite does it in C


def test_disk_that_failed_once_lets_nothing_open_any_more(tmp_path: Path, disk: Disk) -> None:
    journal = Journal(tmp_path / "journal.sqlite", OPENED, T0, on_disk="soon")
    disk.fails = True
    wish(journal, "o1")
    assert journal._follower is not None
    follower = journal._follower
    wait_until(lambda: follower.failure)
    disk.fails = False  # what was not written by then may be lost, whatever the disk says now
    for order in ("o2", "o3"):
        with pytest.raises(JournalError, match=r"the disk failed: .*Input/output error"):
            wish(journal, order)
    assert journal.state.lost == 6
    with pytest.raises(JournalError, match="the disk failed"):
        journal.close()


def test_disk_that_fails_at_the_start_makes_no_journal(tmp_path: Path, disk: Disk) -> None:
    path, disk.fails = tmp_path / "journal.sqlite", True
    with pytest.raises(JournalError, match="Input/output error"):
        Journal(path, OPENED, T0, on_disk="soon")
    disk.fails = False
    Journal(path, OPENED, T0, on_disk="soon").close()  # it was let go


def test_log_is_carried_into_the_file_while_the_node_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, OPENED, T0, on_disk="soon") as journal:
        # Else SQLite does it as well, on this thread, after a thousand pages.
        journal._database.execute("PRAGMA wal_autocheckpoint = 0")
        before = path.stat().st_size
        until = time.monotonic() + 20
        for number in itertools.count():
            fill(journal, f"o{number}", T0 + number)
            if path.stat().st_size > before:
                break
            assert time.monotonic() < until
            time.sleep(0.001)
    assert verify(path).whole


def test_memories_follow_and_a_failed_disk_takes_no_more_of_them(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "AITB-001.sqlite"
    with StateFile(path, by_node=True, memories="soon") as file:
        file.remember([ROW])
        assert threading.current_thread().name not in disk.threads
        wait_until(lambda: f"disk-{path.name}-memories" in disk.threads)
        disk.fails = True
        file.remember([ROW])
        assert file._follower is not None
        follower = file._follower
        wait_until(lambda: follower.failure)
        disk.fails = False
        with pytest.raises(StateError, match="the disk failed"):
            file.remember([ROW])
        file.keep(Halt(2, "why", cause="command"))


def test_memories_that_wait_are_forced_to_the_disk_by_who_writes(
    tmp_path: Path, disk: Disk
) -> None:
    with StateFile(tmp_path / "AITB-001.sqlite", by_node=True) as file:
        file.remember([ROW])
        assert disk.threads == [threading.current_thread().name]


def test_follower_that_is_closed_twice_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a")
    follower = Follower(path)
    follower.soon()
    follower.close()
    follower.close()
    assert follower.failure == ""
