"""A journal that cannot be written says so, counts what is missing, and goes on when it can."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_file import JournalError
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Gap, Halted
from aitb_nautilus.risk.journal_recovery import unresolved
from tests.journal_samples import OPENED, T0, rows_of, wish, write_orders

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a journal as a stranger with a database browser does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield


def test_locked_journal_counts_what_is_missing_and_says_it_once_it_can(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        with locked(path):
            with pytest.raises(JournalError, match=r"locked, must be written before an order"):
                wish(journal, "o1", T0 + 1)
            with pytest.raises(JournalError):
                wish(journal, "o2", T0 + 2)
            state = journal.state
            assert (state.broken, state.lost, state.why) == (True, 6, "database is locked")
            assert (state.first_ts, state.last_ts) == (T0 + 1, T0 + 2)
            assert (state.records, state.waiting) == (1, 0)
        assert wish(journal, "o3", T0 + 3) == 5
        state = journal.state
        assert (state.broken, state.lost, state.why, state.first_ts) == (False, 0, "", 0)
    assert [r.kind for r in read(path)] == [
        "opened",
        "gap",
        "intent",
        "decision",
        "sent",
        "closed",
    ]
    (gap,) = read(path, Wanted(kinds=("gap",)))
    assert gap.body == Gap(
        lost=6, first_ts=T0 + 1, last_ts=T0 + 2, why="database is locked", sent=("o1", "o2")
    )
    proof = verify(path)
    assert (proof.whole, proof.gaps, proof.lost) == (True, 1, 6)
    assert [(u.client_order_id, u.stage) for u in unresolved(path)] == [
        ("o1", "lost"),
        ("o2", "lost"),
        ("o3", "sent"),
    ]


def test_flush_heals_a_journal_without_a_new_record(path: Path) -> None:
    journal = Journal(path, OPENED, T0)
    with locked(path), pytest.raises(JournalError):
        journal.append(Halted(reason="loss"), T0 + 1)
    assert journal.broken
    journal.flush()
    assert not journal.broken
    assert [r.kind for r in read(path)] == ["opened", "gap"]
    journal.close()


def test_journal_that_ends_broken_lets_the_next_writer_in(path: Path) -> None:
    journal = Journal(path, OPENED, T0)
    with locked(path), pytest.raises(JournalError):
        journal.close()
    Journal(path, OPENED, T0 + 1).close()
    assert [r.kind for r in read(path)] == ["opened", "opened", "closed"]
    assert verify(path).whole


def test_fast_journal_loses_a_batch_and_says_so(path: Path) -> None:
    journal = Journal(path, OPENED, T0, durable=False, batch=3)
    with locked(path):
        journal.append(Halted(reason="1"), T0)
        journal.append(Halted(reason="2"), T0)
        with pytest.raises(JournalError):
            journal.append(Halted(reason="3"), T0)
    assert journal.append(Halted(reason="4"), T0) == 3
    journal.close()
    (gap,) = read(path, Wanted(kinds=("gap",)))
    assert isinstance(gap.body, Gap)
    assert (gap.seq, gap.body.lost) == (2, 3)
    assert [r.seq for r in read(path, Wanted(kinds=("halted",)))] == [3]


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_file_that_was_taken_away_is_noticed_and_may_be_put_back(path: Path, suffix: str) -> None:
    journal = Journal(path, OPENED, T0)
    file = path.with_name(path.name + suffix)
    file.rename(path.with_name("away"))
    with pytest.raises(JournalError, match=f"{file.name} is gone"):
        wish(journal, "o1")
    file.write_bytes(b"")
    with pytest.raises(JournalError, match=f"{file.name} was replaced"):
        wish(journal, "o2")
    path.with_name("away").rename(file)
    wish(journal, "o3")
    journal.close()
    proof = verify(path)
    assert (proof.whole, proof.lost) == (True, 6)


def test_row_that_a_stranger_put_in_is_where_the_chain_breaks(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        with closing(sqlite3.connect(path)) as stranger, stranger:
            stranger.execute("INSERT INTO records VALUES (2, 0, 'sent', '', '', '', '{}', x'00')")
        with pytest.raises(JournalError, match="UNIQUE"):
            wish(journal, "o1")
        wish(journal, "o1")
    broken = verify(path).broken
    assert broken is not None
    assert broken.seq == 2
    assert [row[2] for row in rows_of(path)][2:] == ["gap", "intent", "decision", "sent", "closed"]


def test_damaged_page_is_a_failed_write_and_no_crash(path: Path) -> None:
    write_orders(path, 200)
    damaged = bytearray(path.read_bytes())
    root = int.from_bytes(damaged[16:18])  # the table's first page, after that of the schema
    damaged[root : root + 100] = b"\xff" * 100
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match="malformed"):
        Journal(path, OPENED, T0)
    broken = verify(path).broken
    assert broken is not None
    assert broken.what == "unreadable"


def test_file_that_may_only_be_read_is_refused(path: Path) -> None:
    write_orders(path, 1)
    # Root may write anything, so it stops being root.
    before = "import os; os.chmod(path, 0o400); os.getuid() == 0 and os.setuid(65534)"
    done = run(path, before, allowed="all")
    assert "cannot be made: permission denied" in done or "readonly" in done, done


CHILD = """
import resource, sys
from pathlib import Path
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_file import JournalError
from tests.journal_samples import OPENED, T0, fill, wish

path = Path(sys.argv[1])
{before}
try:
    journal = Journal(path, OPENED, T0)
    written = 0
    while written < 2_000:
        wish(journal, f"o{{written}}")
        written += 1
except JournalError as e:
    print(e)
    {after}
"""
GO_ON = """
    assert journal.broken
    try:
        fill(journal, "o1")
    except JournalError:
        print("lost", journal.state.lost)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("seq", fill(journal, "o1"), "written", written)
    journal.close()
"""


def run(path: Path, before: str, allowed: str) -> str:
    """Write a journal in a process of its own until it cannot be written; return what it said."""
    after = "pass" if allowed == "all" else GO_ON.strip()
    code = CHILD.format(before=before, after=after)
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_full_disk_breaks_the_journal_and_room_mends_it(path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, {hard}))"
    first, lost, mended = run(path, limit, allowed="some").splitlines()
    assert "disk" in first
    assert lost == "lost 4"
    written = int(mended.split()[-1])
    assert written > 5
    (gap,) = read(path, Wanted(kinds=("gap",)))
    assert isinstance(gap.body, Gap)
    assert (gap.body.lost, gap.body.sent) == (4, (f"o{written}",))
    proof = verify(path)
    assert (proof.whole, proof.closed) == (True, True)
    assert proof.records == 1 + 3 * written + 1 + 2 + 1


def test_body_that_cannot_be_said_keeps_no_other_from_being_written(path: Path) -> None:
    with Journal(path, OPENED, T0) as journal:
        with pytest.raises(TypeError):
            journal.append(Halted(reason=object()), T0 + 1)  # type: ignore[arg-type]
        assert journal.broken
        journal.append(Halted(reason="seen"), T0 + 2)
        assert not journal.broken
    assert [r.kind for r in read(path)] == ["opened", "gap", "halted", "closed"]
    assert verify(path).whole
