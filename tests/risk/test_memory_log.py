"""What limits remember is in the log at once, in the state file later, and never lost between."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aitb_nautilus.risk import memory_log
from aitb_nautilus.risk.limit_memory import MemoryRow
from aitb_nautilus.risk.memory_log import MemoryLog, path_of, read
from aitb_nautilus.risk.state_file import StateFile
from aitb_nautilus.risk.trading_states import StateError
from tests.risk.test_disk import wait_until

ROOT = Path(__file__).parents[2]
KILLED = """
import os, pathlib, signal, sys
from aitb_nautilus.risk.state_file import StateFile
from tests.risk.test_memory_log import row
file = StateFile(pathlib.Path(sys.argv[1]), by_node=True, memories="soon")
for count in range(1, 50):
    file.remember([row(count)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def row(count: int, limit: str = "orders") -> MemoryRow:
    return MemoryRow(limit, "the trader", "{}", f'{{"count": {count}}}', count)


def state_in(folder: Path) -> Path:
    return folder / "AITB-001.sqlite"


def test_newest_row_of_each_limit_is_read(tmp_path: Path) -> None:
    log = MemoryLog(state_in(tmp_path))
    log.append([row(1), row(1, "turnover")])
    log.append([row(2)])
    assert read(state_in(tmp_path)) == [row(2), row(1, "turnover")]
    log.close()
    log.close()
    again = MemoryLog(state_in(tmp_path))
    again.append([row(3)])
    assert read(state_in(tmp_path)) == [row(3), row(1, "turnover")]
    again.clear()
    assert read(state_in(tmp_path)) == []
    again.append([row(4)])
    assert read(state_in(tmp_path)) == [row(4)]
    again.close()


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_what_a_power_cut_tore_off_is_not_read(tmp_path: Path, lost: int) -> None:
    log = MemoryLog(state_in(tmp_path))
    log.append([row(1)])
    log.append([row(2)])
    log.close()
    path = path_of(state_in(tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    assert read(state_in(tmp_path)) == [row(1)]
    path.write_bytes(whole[:-lost] + bytes(lost))  # a page that never came to the disk
    assert read(state_in(tmp_path)) == [row(1)]


def test_state_file_says_both_and_takes_the_log_over_when_it_is_closed(tmp_path: Path) -> None:
    path = state_in(tmp_path)
    with StateFile(path, by_node=True) as file:
        file.remember([row(1), row(7, "turnover")])
        file.remember([row(2)])
        with StateFile(path) as reader:
            assert reader.memories() == [row(2), row(7, "turnover")]
    assert path_of(path).stat().st_size == 0
    path_of(path).unlink()
    with StateFile(path) as file:
        assert file.memories() == [row(2), row(7, "turnover")]


def test_log_of_a_killed_node_is_taken_over_by_the_next(tmp_path: Path) -> None:
    path = state_in(tmp_path)
    child = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL
    with StateFile(path) as file:  # as `aitb status` reads it
        assert file.memories() == [row(49)]
    with StateFile(path, by_node=True) as file:
        assert path_of(path).stat().st_size == 0
        assert file.memories() == [row(49)]


def test_log_that_has_grown_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = state_in(tmp_path)
    monkeypatch.setattr(memory_log, "_MOST_BYTES", 300)
    with StateFile(path, by_node=True) as file:
        sizes = []
        for count in range(1, 12):
            file.remember([row(count)])
            sizes.append(path_of(path).stat().st_size)
        assert sizes.count(0) == 2
        assert max(sizes) < 300
        assert file.memories() == [row(11)]


def test_log_that_was_moved_away_is_a_failed_write(tmp_path: Path) -> None:
    path = state_in(tmp_path)
    with StateFile(path, by_node=True) as file:
        file.remember([row(1)])
        path_of(path).rename(tmp_path / "away")
        with pytest.raises(StateError, match="No such file"):
            file.remember([row(2)])
        path_of(path).write_bytes(b"")
        with pytest.raises(StateError, match="was replaced by another file"):
            file.remember([row(2)])
        (tmp_path / "away").replace(path_of(path))
        file.remember([row(3)])
        assert file.memories() == [row(3)]


def test_log_that_was_moved_away_is_missed_a_moment_later_where_nobody_waits(
    tmp_path: Path,
) -> None:
    path = state_in(tmp_path)
    with StateFile(path, by_node=True, memories="soon") as file:
        follower = file._follower
        assert follower is not None
        path_of(path).rename(tmp_path / "away")
        wait_until(lambda: follower.astray)
        with pytest.raises(StateError, match="No such file"):
            file.remember([row(2)])
        (tmp_path / "away").rename(path_of(path))
        wait_until(lambda: not follower.astray)
        file.remember([row(3)])
        assert file.memories() == [row(3)]
