"""What the state file keeps, refuses, brings forward, and says when it cannot be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.risk import state_file
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.state_lock import StateLock
from aitb_nautilus.risk.trading_states import (
    TRADER,
    Halt,
    Resume,
    StateError,
    StateScope,
    TradingStates,
)

EMA = StateScope.strategy("ema")
X = StateScope.instrument("X.V")


def halt(scope: StateScope = TRADER, **changes: Any) -> Halt:
    return Halt(**({"ts": 1, "reason": "why", "cause": "command", "scope": scope} | changes))


def path_in(folder: Path) -> Path:
    return folder / "AITB-001.sqlite"


def test_everything_of_a_halt_comes_back_in_order(tmp_path: Path) -> None:
    halts = [
        halt(EMA, who="ann@box", reason="Übermut, 'quoted'\nand two lines", level="reducing"),
        halt(ts=1_700_000_000_123_456_789, cause="limit", flatten=True),
        halt(X, cause="error", strategy_id="ema-001", client_order_id="O-1"),
    ]
    with StateFile(path_in(tmp_path)) as file:
        for one in halts:
            file.keep(one)
    with StateFile(path_in(tmp_path)) as file:
        assert file.read() == halts


def test_resume_takes_out_its_scope_and_leaves_a_trace(tmp_path: Path) -> None:
    with StateFile(path_in(tmp_path)) as file:
        for scope in (TRADER, EMA, TRADER):
            file.keep(halt(scope))
        file.lift(Resume(5, "fine", "ann@box"))
        assert file.read() == [halt(EMA)]
        newest, *before = file.changes(10)
        assert (newest.level, newest.who, newest.reason, newest.ts) == (
            "active",
            "ann@box",
            "fine",
            5,
        )
        assert [change.scope for change in before] == [TRADER, EMA, TRADER]
        assert file.changes(1) == [newest]


def test_resume_to_reducing_leaves_that(tmp_path: Path) -> None:
    with StateFile(path_in(tmp_path)) as file:
        file.keep(halt(EMA, flatten=True))
        resume = Resume(5, "slowly", "ann@box", EMA, "reducing")
        file.lift(resume)
        assert file.read() == [resume.left()]


def test_file_keeps_what_the_states_in_memory_say(tmp_path: Path) -> None:
    states = TradingStates()
    with StateFile(path_in(tmp_path)) as file:
        states.keeper = file
        states.restrict(halt(EMA))
        states.restrict(halt(level="reducing"))
        states.restrict(halt(EMA))  # nothing new
        states.lift(Resume(5, "fine", "ann@box"))
        assert file.read() == states.in_force == [halt(EMA)]


def test_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with StateFile(path_in(tmp_path)) as file:
        file.keep(halt())
    with sqlite3.connect(path_in(tmp_path)) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(DataError, match="state file of version 99, this program knows versions up"):
        StateFile(path_in(tmp_path))


def test_file_of_an_older_version_is_brought_forward_with_its_halts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StateFile(path_in(tmp_path)) as file:
        file.keep(halt(EMA))
    step = ("ALTER TABLE standings ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",)
    monkeypatch.setattr(state_file, "_STEPS", (*state_file._STEPS, step))
    for _ in range(2):
        with StateFile(path_in(tmp_path)) as file:
            assert file.read() == [halt(EMA)]
            assert file._rows("SELECT note FROM standings") == [("none",)]
            assert file._rows("PRAGMA user_version") == [(len(state_file._STEPS),)]


def test_file_of_the_first_version_is_brought_forward(tmp_path: Path) -> None:
    row = ("trader", "", "halted", 0, "limit", 5, "guard", "it lost")
    with sqlite3.connect(path_in(tmp_path)) as database:
        for statement in state_file._STEPS[0]:
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {state_file._APPLICATION_ID}")
        database.execute("PRAGMA user_version = 1")
        places = ", ".join("?" * 8)
        database.execute(f"INSERT INTO standings VALUES (1, {places}, '', '')", row)
        database.execute(f"INSERT INTO changes VALUES (1, {places})", row)
    database.close()
    with StateFile(path_in(tmp_path), by_node=True) as file:
        assert file.read() == [Halt(5, "it lost", cause="limit")]
        assert [change.reason for change in file.changes(5)] == ["it lost"]
        assert file.take_unheard() == []


def test_what_was_changed_without_the_node_is_told_to_it_once(tmp_path: Path) -> None:
    with StateFile(path_in(tmp_path), by_node=True) as file:
        file.keep(halt())
    with StateFile(path_in(tmp_path)) as file:
        file.lift(Resume(5, "fine", "ann@box"))
        file.keep(halt(EMA, ts=6))
    with StateFile(path_in(tmp_path), by_node=True) as file:
        assert [(c.ts, c.level) for c in file.take_unheard()] == [(5, "active"), (6, "halted")]
        assert file.take_unheard() == []


def test_step_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StateFile(path_in(tmp_path)) as file:
        file.keep(halt(EMA))
    steps = ("ALTER TABLE standings ADD COLUMN note TEXT", "nonsense")
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "_STEPS", (*state_file._STEPS, steps))
        with pytest.raises(StateError, match="nonsense"):
            StateFile(path_in(tmp_path))
    with StateFile(path_in(tmp_path)) as file:
        assert file.read() == [halt(EMA)]


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at", None])
def test_file_of_something_else_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        with sqlite3.connect(path_in(tmp_path)) as database:
            database.execute("CREATE TABLE prices (price REAL)")
        database.close()
    else:
        path_in(tmp_path).write_bytes(content)
    with pytest.raises(DataError, match="is no state file"):
        StateFile(path_in(tmp_path))


def test_file_that_another_program_holds_cannot_be_written_and_says_so(tmp_path: Path) -> None:
    states = TradingStates()
    with StateFile(path_in(tmp_path)) as file:
        states.keeper = file
        other = sqlite3.connect(path_in(tmp_path), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        states.restrict(halt())
        assert states.level("ema-001", "X.V") == "halted"
        assert states.unwritten == "database is locked"
        with pytest.raises(StateError, match="database is locked"):
            states.lift(Resume(5, "fine", "ann@box"))
        assert states.level("ema-001", "X.V") == "halted"
        other.execute("ROLLBACK")
        other.close()
        assert states.write()
        assert file.read() == [halt()]


def test_file_that_was_moved_away_is_a_failed_write(tmp_path: Path) -> None:
    with StateFile(path_in(tmp_path)) as file:
        file.keep(halt())
        path_in(tmp_path).rename(tmp_path / "away")
        with pytest.raises(StateError, match="is gone"):
            file.keep(halt(EMA))
        path_in(tmp_path).write_bytes(b"")
        with pytest.raises(StateError, match="was replaced by another file"):
            file.keep(halt(EMA))
        (tmp_path / "away").replace(path_in(tmp_path))
        file.keep(halt(EMA))
        assert file.read() == [halt(), halt(EMA)]


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(StateError, match="must be written"):
        StateLock(tmp_path / "state" / "AITB-001.sqlite")


def test_second_process_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from aitb_nautilus.risk.state_lock import StateLock\n"
        "lock = StateLock(pathlib.Path(sys.argv[1]))\n"
        "print('mine', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path_in(tmp_path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "mine\n"
        with pytest.raises(StateError, match=f"in use by another process \\({child.pid}\\)"):
            StateLock(path_in(tmp_path))
        child.kill()
    StateLock(path_in(tmp_path)).release()
    assert os.listdir(tmp_path) == []
