"""Every way to change a journal that somebody acted on is found, and the first place is named."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from aitb_nautilus.errors import AitbError, DataError
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_chain import link
from aitb_nautilus.risk.journal_file import JournalError
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_records import Closed
from tests.journal_samples import OPENED, T0, fill, rows_of, wish, write_orders

RECORDS = 17
"""Opened, five records for each of three orders, closed."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "journal.sqlite"
    write_orders(found, 3)
    return found


def tamper(path: Path, *statements: str) -> None:
    """Change a journal as an attacker does: triggers off, changes in, triggers on again."""
    with closing(sqlite3.connect(path)) as database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        for _, sql in triggers:
            database.execute(sql)
        database.commit()


@pytest.mark.parametrize(
    ("statements", "seq", "what"),
    [
        (["UPDATE records SET ts = ts + 1 WHERE seq = 5"], 5, "changed"),
        (["UPDATE records SET kind = 'halted' WHERE seq = 5"], 5, "changed"),
        (["UPDATE records SET strategy_id = 'x' WHERE seq = 5"], 5, "changed"),
        (["UPDATE records SET instrument_id = 'x' WHERE seq = 5"], 5, "changed"),
        (["UPDATE records SET client_order_id = 'x' WHERE seq = 5"], 5, "changed"),
        (["UPDATE records SET body = replace(body, '0.1', '9.1') WHERE seq = 4"], 4, "changed"),
        (["UPDATE records SET body = body || ' ' WHERE seq = 4"], 4, "changed"),
        (["UPDATE records SET body = '' WHERE seq = 1"], 1, "changed"),
        (["UPDATE records SET body = '{}x' WHERE seq = 17"], 17, "changed"),
        (["UPDATE records SET hash = x'00' WHERE seq = 5"], 5, "hash"),
        (["UPDATE records SET hash = zeroblob(32) WHERE seq = 16"], 16, "hash"),
        (["UPDATE records SET hash = zeroblob(32) WHERE seq = 17"], 17, "changed"),
        (["UPDATE records SET ts = 0, hash = zeroblob(32) WHERE seq = 9"], 9, "changed"),
        (["UPDATE records SET ts = ts + 1"], 1, "changed"),
        (["DELETE FROM records WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM records WHERE seq = 5"], 5, "missing"),
        (["DELETE FROM records WHERE seq BETWEEN 5 AND 8"], 5, "missing"),
        (
            ["DELETE FROM records WHERE seq = 5", "UPDATE records SET seq = seq - 1 WHERE seq > 5"],
            5,
            "changed",
        ),
        (["UPDATE records SET seq = seq + 1 WHERE seq = 17"], 17, "missing"),
        (
            [
                "UPDATE records SET seq = 99 WHERE seq = 5",
                "UPDATE records SET seq = 5 WHERE seq = 9",
                "UPDATE records SET seq = 9 WHERE seq = 99",
            ],
            5,
            "reordered",
        ),
        (
            [
                "UPDATE records SET seq = 99 WHERE seq = 5",
                "UPDATE records SET seq = 5 WHERE seq = 6",
                "UPDATE records SET seq = 6 WHERE seq = 99",
            ],
            5,
            "reordered",
        ),
        (
            [
                "UPDATE records SET seq = -seq WHERE seq >= 5",
                "UPDATE records SET seq = 1 - seq WHERE seq < 0",
                "INSERT INTO records SELECT 5, ts, kind, strategy_id, instrument_id, "
                "client_order_id, body, hash FROM records WHERE seq = 4",
            ],
            5,
            "reordered",
        ),
        (
            [
                "INSERT INTO records SELECT seq + 1, ts, kind, '', '', '', body, hash "
                "FROM records WHERE seq = 17"
            ],
            18,
            "changed",
        ),
        (
            [
                "INSERT OR REPLACE INTO records SELECT seq, ts, kind, '', '', '', body, hash "
                "FROM records WHERE seq = 4"
            ],
            4,
            "changed",
        ),
        (["INSERT INTO records SELECT 0, ts, kind, '', '', '', body, hash FROM records LIMIT 1"],
         0, "reordered"),
        (["DROP TRIGGER IF EXISTS no_update", "DROP TABLE records"], 0, "schema"),
        (["CREATE INDEX sly ON records (ts)"], 0, "schema"),
    ],
)  # fmt: skip
def test_change_is_named_by_its_first_record(
    path: Path, statements: list[str], seq: int, what: str
) -> None:
    if "DROP TABLE records" in statements:
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TABLE records")
    else:
        tamper(path, *statements)
    proof = verify(path)
    assert proof.broken is not None
    assert (proof.broken.seq, proof.broken.what) == (seq, what), proof.broken.line
    assert proof.records == max(seq - 1, 0)
    assert not proof.whole


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TRIGGER no_update", "no_update is missing"),
        ("DROP TRIGGER no_delete", "no_delete is missing"),
        ("CREATE TRIGGER sly AFTER INSERT ON records BEGIN SELECT 1; END", "sly was added"),
    ],
)
def test_trigger_that_was_taken_off_or_put_on_is_seen(
    path: Path, statement: str, said: str
) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
    proof = verify(path)
    assert proof.broken is not None
    assert said in proof.broken.line


def test_lines_say_what_was_done(path: Path) -> None:
    copy = path.with_name("copy.sqlite")

    def line(*statements: str) -> str:
        shutil.copy(path, copy)
        tamper(copy, *statements)
        broken = verify(copy).broken
        assert broken is not None
        return broken.line

    assert line("DELETE FROM records WHERE seq = 5") == "record 5 is missing; record 6 comes next"
    assert line("DELETE FROM records WHERE seq IN (5, 6)").startswith("records 5 to 6 are missing")
    changed = line("UPDATE records SET ts = 1 WHERE seq = 5")
    assert changed == "record 5 was changed: its content is not what was written"
    moved = line(
        "UPDATE records SET seq = 99 WHERE seq = 5",
        "UPDATE records SET seq = 5 WHERE seq = 9",
        "UPDATE records SET seq = 9 WHERE seq = 99",
    )
    assert moved == "what was written as record 5 stands at 9"


def test_end_that_was_cut_off_is_seen_by_whoever_noted_a_head(path: Path) -> None:
    head = verify(path).head
    tamper(path, "DELETE FROM records WHERE seq > 12")
    alone = verify(path)
    assert (alone.whole, alone.closed, alone.records) == (True, False, 12)
    noted = verify(path, head)
    assert noted.broken is not None
    assert (noted.broken.seq, noted.broken.what) == (13, "cut off")
    assert head in noted.broken.line


def test_journal_that_was_written_anew_is_seen_by_whoever_noted_a_head(path: Path) -> None:
    head = verify(path).head
    path.unlink()
    write_orders(path, 4)
    assert verify(path).whole
    noted = verify(path, head)
    assert noted.broken is not None
    assert noted.broken.what == "cut off"


def test_forger_who_chains_anew_is_seen_by_an_earlier_head(path: Path) -> None:
    head = verify(path).head
    rows, forged, previous = rows_of(path), [], bytes(32)
    for seq, _, *rest in (row[:-1] for row in rows):
        fields = (seq, T0 + 9, *rest)
        previous = link(previous, fields)  # type: ignore[arg-type]
        forged.append((*fields, previous))
    with closing(sqlite3.connect(path)) as database:
        schema = database.execute("SELECT sql FROM sqlite_schema").fetchall()
        database.execute("DROP TABLE records")
        database.execute(schema[0][0])
        database.executemany(f"INSERT INTO records VALUES ({', '.join('?' * 8)})", forged)
        for (trigger,) in schema[1:]:
            database.execute(trigger)
        database.commit()
    assert verify(path).whole
    assert not verify(path, head).whole


def test_head_of_any_record_proves_what_came_after(path: Path) -> None:
    for seq, *_, stored in rows_of(path):
        proof = verify(path, stored.hex().upper())
        assert (proof.whole, proof.noted_at) == (True, seq)


def test_journal_without_records_is_whole_and_empty(path: Path) -> None:
    tamper(path, "DELETE FROM records")
    proof = verify(path)
    assert (proof.whole, proof.records, proof.first_ts, proof.head) == (True, 0, None, "0" * 64)


def test_open_journal_verifies_while_it_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "live.sqlite", OPENED, T0) as journal:
        for number in range(3):
            wish(journal, f"o{number}")
            fill(journal, f"o{number}")
            proof = verify(journal.path)
            assert (proof.whole, proof.closed) == (True, False)
            assert proof.head == journal.state.head
            assert proof.records == journal.state.records == 6 + 5 * number


def test_changed_byte_is_found_or_changes_no_record(path: Path) -> None:
    """A byte in unused space, or in a page count, says nothing about any record."""
    whole, before, head = path.read_bytes(), rows_of(path), verify(path).head
    dice, found = random.Random(5), 0
    for _ in range(300):
        place = dice.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            sound = verify(path, head).whole
        except AitbError:
            sound = False
        if sound:
            assert rows_of(path) == before, f"byte {place}"
        found += not sound
    assert found > 20


def test_changed_byte_of_a_text_is_always_found(path: Path) -> None:
    whole = path.read_bytes()
    dice = random.Random(6)
    places = [
        i for i in range(len(whole) - 5) if whole[i : i + 5] in (b"ema-0", b"Accep", b"30001")
    ]
    for place in [*dice.sample(places, min(len(places), 20))]:
        changed = bytearray(whole)
        changed[place] ^= 0x81  # no UTF-8 either
        path.write_bytes(changed)
        broken = verify(path).broken
        assert broken is not None
        assert broken.what in {"changed", "unreadable"}
        assert broken.seq > 0


def test_file_that_was_cut_short_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for size in (0, 50):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is no journal"):
            verify(path)
    for size in (4096, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert is_broken(path), size


def is_broken(path: Path) -> bool:
    """Return whether a journal is broken, or too damaged to be opened at all."""
    try:
        return not verify(path).whole
    except JournalError:
        return True


def test_folder_that_may_only_be_read_is_enough(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        assert verify(path.parent).records == RECORDS
    finally:
        path.parent.chmod(0o700)


def test_change_that_a_killed_node_left_half_done_is_undone(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_DONE, str(path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.with_name("journal.sqlite-journal").stat().st_size > 0
    assert verify(path).records == RECORDS


HALF_DONE = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN")
row = "INSERT INTO records VALUES (?, 0, 'x', '', '', '', ?, x'')"
database.executemany(row, ((seq, "x" * 4000) for seq in range(100, 200)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_missing_journal_is_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no journal\.sqlite"):
        verify(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        verify(tmp_path / "none.sqlite")


def test_closed_says_that_the_last_record_closes(tmp_path: Path) -> None:
    path = tmp_path / "two.sqlite"
    Journal(path, OPENED, T0).close()
    assert verify(path).closed
    journal = Journal(path, OPENED, T0)
    assert not verify(path).closed
    journal.append(Closed(), T0)
    assert verify(path).closed
    journal.close()
