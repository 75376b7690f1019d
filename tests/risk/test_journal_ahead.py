"""What is written ahead of SQLite is a record like all others, whenever the writer is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_ahead import path_of
from aitb_nautilus.risk.journal_chain import Row
from aitb_nautilus.risk.journal_file import JournalError, opened_for_reading
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, count, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Gap, Sent
from aitb_nautilus.risk.journal_recovery import unresolved
from aitb_nautilus.risk.ledger import Ledger
from tests.journal_samples import BTC, EMA, OPENED, T0, fill, rows_of, wish
from tests.risk.test_disk import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def soon(path: Path, ts: int = T0) -> Journal:
    return Journal(path, OPENED, ts, on_disk="soon")


def sent_in(path: Path) -> list[str]:
    return [r.client_order_id for r in read(path, Wanted(kinds=(Sent.kind,)))]


def in_sqlite(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT max(seq) FROM records").fetchone()[0])


def without_ahead(folder: Path, *orders: str) -> list[Row]:
    """Return the rows of a journal that was never written ahead."""
    with Journal(folder / "other.sqlite", OPENED, T0) as journal:
        for order in orders:
            wish(journal, order)
    return rows_of(folder / "other.sqlite")[:-1]


def test_readers_see_what_only_the_log_holds(path: Path) -> None:
    with soon(path) as journal:
        wish(journal, "o1")
        assert wish(journal, "o2", ahead=True) == 7
        assert wish(journal, "o3", ahead=True) == 10
        assert in_sqlite(path) == 4
        assert sent_in(path) == ["o1", "o2", "o3"]
        assert count(path) == 10
        assert [r.seq for r in read(path, Wanted(last=2))] == [9, 10]
        assert [u.client_order_id for u in unresolved(path)] == ["o1", "o2", "o3"]
        ledger = Ledger(0.0)
        rebuild(path, ledger)
        assert list(ledger.orders) == ["o1", "o2", "o3"]
        proof = verify(path)
        assert (proof.whole, proof.records) == (True, 10)
        assert in_sqlite(path) == 4
        journal.settle()
        assert in_sqlite(path) == 10
        assert verify(path).head == proof.head == journal.state.head


def test_chain_is_the_same_in_every_byte(path: Path, tmp_path: Path) -> None:
    with soon(path) as journal:
        wish(journal, "o1", ahead=True)
        wish(journal, "o2", ahead=True)
        journal.settle()
        journal.settle()
        wish(journal, "o3", ahead=True)
        wish(journal, "o4")
        wish(journal, "o5", ahead=True)
    assert rows_of(path)[:-1] == without_ahead(tmp_path, "o1", "o2", "o3", "o4", "o5")
    assert not path_of(path).exists()


def test_rows_are_told_once_sqlite_has_them(path: Path) -> None:
    told: list[int] = []
    journal = Journal(
        path, OPENED, T0, on_disk="soon", tell=lambda rows: told.extend(row[0] for row in rows)
    )
    wish(journal, "o1", ahead=True)
    assert told == [1]
    fill(journal, "o1")
    journal.close()
    assert told == [1, 2, 3, 4, 5, 6, 7]


def test_who_begins_to_read_while_sqlite_takes_them_sees_each_once(path: Path) -> None:
    with soon(path) as journal:
        wish(journal, "o1", ahead=True)
        with opened_for_reading(path) as database:
            journal.settle()
            wish(journal, "o2")
            rows = database.execute("SELECT seq FROM records ORDER BY seq").fetchall()
    assert rows == [(n,) for n in range(1, 8)]


@pytest.mark.parametrize("lost", [1, 40, 500])
def test_entry_that_was_torn_is_none(path: Path, lost: int) -> None:
    journal = soon(path)
    wish(journal, "o1", ahead=True)
    first = path_of(path).read_bytes().rstrip(b"\0")
    wish(journal, "o2", ahead=True)
    both = path_of(path).read_bytes().rstrip(b"\0")
    assert 0 < len(first) < len(both) - lost
    path_of(path).write_bytes(both[:-lost])
    assert sent_in(path) == ["o1"]
    path_of(path).write_bytes(both[:-lost] + bytes(lost))
    assert sent_in(path) == ["o1"]
    journal.close()


@pytest.mark.parametrize("options", [{"on_disk": "before"}, {"durable": False}])
def test_other_journals_write_nothing_ahead(path: Path, options: dict[str, bool]) -> None:
    with Journal(path, OPENED, T0, **options) as journal:  # type: ignore[arg-type] # either
        assert wish(journal, "o1", ahead=True) == 4
        assert not path_of(path).exists()
        journal.flush()
        assert in_sqlite(path) == 4
        journal.settle()


def test_text_that_the_log_cannot_hold_goes_to_sqlite(path: Path) -> None:
    with soon(path) as journal:
        sent = Sent(action="submit", purpose="\ud800")
        assert journal.append(sent, T0, EMA, BTC, "o1", ahead=True) == 2
        assert in_sqlite(path) == 2


def test_log_that_was_deleted_is_not_written(path: Path) -> None:
    with soon(path) as journal:
        path_of(path).unlink()
        follower = journal._follower
        assert follower is not None
        wait_until(lambda: follower.astray)
        wish(journal, "o1", ahead=True)
        assert in_sqlite(path) == 4


def test_disk_that_failed_is_asked_no_more(path: Path) -> None:
    journal = soon(path)
    assert journal._follower is not None
    journal._follower.failure = "the disk failed: by a test"
    with pytest.raises(JournalError, match="the disk failed: by a test"):
        wish(journal, "o1", ahead=True)
    with pytest.raises(JournalError):
        journal.close()


def test_what_left_is_not_lost_when_sqlite_cannot_take_it(path: Path, tmp_path: Path) -> None:
    journal = soon(path)
    wish(journal, "o1", ahead=True)
    away = tmp_path / "away.sqlite"
    path.rename(away)
    with pytest.raises(JournalError, match=r"journal\.sqlite is gone"):
        journal.settle()
    assert (journal.broken, journal.state.lost) == (True, 0)
    with pytest.raises(JournalError):  # nothing opens from here on, as ever
        wish(journal, "o2", ahead=True)
    away.rename(path)
    assert sent_in(path) == ["o1"]
    wish(journal, "o3", ahead=True)
    journal.close()
    assert sent_in(path) == ["o1", "o3"]
    (gap,) = [r.body for r in read(path) if isinstance(r.body, Gap)]
    assert (gap.lost, gap.sent) == (3, ("o2",))
    assert verify(path).whole


def test_broken_journal_that_lost_nothing_is_mended_by_a_flush(path: Path, tmp_path: Path) -> None:
    journal = soon(path)
    wish(journal, "o1", ahead=True)
    path.rename(tmp_path / "away.sqlite")
    with pytest.raises(JournalError):
        journal.settle()
    (tmp_path / "away.sqlite").rename(path)
    journal.flush()
    assert not journal.broken
    assert in_sqlite(path) == 4
    journal._missing.why = "a commit that arrived, and was said to have failed"
    journal.flush()
    journal.close()
    assert (verify(path).whole, verify(path).records) == (True, 5)


def test_log_of_a_broken_journal_stays_and_the_next_writer_takes_it_in(
    path: Path, tmp_path: Path
) -> None:
    journal = soon(path)
    wish(journal, "o1", ahead=True)
    path.rename(tmp_path / "away.sqlite")
    with pytest.raises(JournalError):
        journal.close()
    (tmp_path / "away.sqlite").rename(path)
    assert path_of(path).exists()
    head = verify(path).head
    with soon(path, T0 + 1):
        pass
    assert rows_of(path)[:4] == without_ahead(tmp_path, "o1")
    resumed = next(iter(read(path, Wanted(kinds=("opened",), since_ns=T0 + 1))))
    assert resumed.body.resumed_from == head  # type: ignore[attr-defined] # an Opened


def test_log_of_another_journal_is_passed_over(path: Path, tmp_path: Path) -> None:
    journal = soon(path)
    wish(journal, "o1", ahead=True)
    kept = path_of(path).read_bytes()
    journal.close()
    other = tmp_path / "other.sqlite"
    with soon(other, T0 + 7):  # as long, and another one
        path_of(other).write_bytes(kept)
        assert sent_in(other) == []
    path_of(other).write_bytes(kept)
    assert verify(other).records == 2
    with soon(other, T0 + 8):
        pass
    assert (sent_in(other), verify(other).whole) == ([], True)
    # Of this journal, which has gone on since.
    path_of(path).write_bytes(kept)
    assert sent_in(path) == ["o1"]


def test_log_that_cannot_be_read_is_said(path: Path) -> None:
    with soon(path) as journal:
        wish(journal, "o1", ahead=True)
        journal.settle()
        path_of(path).unlink()
        path_of(path).mkdir()
        with pytest.raises(JournalError, match=r"journal\.sqlite-ahead"):
            sent_in(path)
        path_of(path).rmdir()


KILLED = """
import os, pathlib, signal, sys
import aitb_nautilus.risk.journal as journal_module
from tests.risk.test_journal_ahead import T0, soon, wish

path, point = pathlib.Path(sys.argv[1]), sys.argv[2]
journal = soon(path)

def tell(order):
    wish(journal, order, ahead=True)
    os.write(1, f"{order} ".encode())

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def write_half(handle, data, at):
    write(handle, data[: len(data) // 2], at)
    die()

tell("o1")
journal.settle()
write, insert = os.pwrite, journal_module.insert
match point:
    case "before the write":
        os.pwrite = die
        tell("o2")
    case "in the write":
        os.pwrite = write_half
        tell("o2")
    case "after the write":
        os.pwrite = lambda *which: (write(*which), die())
        tell("o2")
    case "in the second write":
        tell("o2")
        os.pwrite = write_half
        tell("o3")
    case "after two writes":
        tell("o2")
        tell("o3")
    case "before SQLite":
        tell("o2")
        journal_module.insert = die
        journal.settle()
    case "in SQLite":
        tell("o2")
        journal._database.set_progress_handler(die, 60)
        journal.settle()
    case "in SQLite, of two":
        tell("o2")
        tell("o3")
        journal._database.set_progress_handler(die, 100)
        journal.settle()
    case "after SQLite":
        tell("o2")
        journal_module.insert = lambda *which: (insert(*which), die())
        journal.settle()
    case "at the next write":
        tell("o2")
        journal.settle()
        os.pwrite = write_half
        tell("o3")
die()
"""
POINTS = {
    "before the write": "o1",
    "in the write": "o1",
    "after the write": "o1 o2",
    "in the second write": "o1 o2",
    "after two writes": "o1 o2 o3",
    "before SQLite": "o1 o2",
    "in SQLite": "o1 o2",
    "in SQLite, of two": "o1 o2 o3",
    "after SQLite": "o1 o2",
    "at the next write": "o1 o2",
}


@pytest.mark.parametrize("point", POINTS)
def test_kill_at_any_point_loses_no_order_that_may_have_left(
    path: Path, tmp_path: Path, point: str
) -> None:
    words = [sys.executable, "-c", KILLED, str(path), point]
    child = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE)
    assert child.returncode == -signal.SIGKILL
    there = POINTS[point].split()
    assert set(child.stdout.decode().split()) <= set(there)
    rows = without_ahead(tmp_path, *there)
    done = point in ("after SQLite", "at the next write")
    assert in_sqlite(path) == (7 if done else 4)

    # As an audit, and as the next node reads it: nothing of it is changed by that.
    before = {one.name: one.read_bytes() for one in tmp_path.glob("journal.sqlite*")}
    assert sent_in(path) == there
    assert [u.client_order_id for u in unresolved(path)] == there
    proof = verify(path)
    assert (proof.whole, proof.head) == (True, rows[-1][-1].hex())
    log = path_of(path).name
    assert path_of(path).read_bytes() == before[log]

    # As it is gone on with, twice.
    soon(path, T0 + 1).close()
    assert rows_of(path)[: len(rows)] == rows
    assert not path_of(path).exists()
    soon(path, T0 + 2).close()
    assert (sent_in(path), verify(path).whole) == (there, True)


def test_kill_while_the_log_is_taken_in_leaves_it_to_be_taken_in(
    path: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", KILLED, str(path), "after two writes"]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    again = """
import os, pathlib, signal, sys
import aitb_nautilus.risk.journal_file as journal_file
from tests.risk.test_journal_ahead import soon
journal_file.path_of = lambda path: os.kill(os.getpid(), signal.SIGKILL)
soon(pathlib.Path(sys.argv[1]))
"""
    words = [sys.executable, "-c", again, str(path)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert in_sqlite(path) == 10  # taken in, and the log was not yet taken away
    assert path_of(path).exists()
    assert (sent_in(path), count(path)) == (["o1", "o2", "o3"], 10)
    soon(path, T0 + 1).close()
    assert rows_of(path)[:10] == without_ahead(tmp_path, "o1", "o2", "o3")


def test_folder_where_nothing_may_be_written_is_read(path: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(path), "after two writes"]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    os.chmod(tmp_path, 0o555)
    try:
        assert sent_in(path) == ["o1", "o2", "o3"]
    finally:
        os.chmod(tmp_path, 0o755)
