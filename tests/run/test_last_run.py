"""How a run finds what the one before it left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_carried import Account
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.last_run import LastRun, LastRunFile, history_of
from aitb_nautilus.run.state_place import StatePlace

NOW = time.time_ns()


def a_run(folder: Path) -> LastRun:
    folder.mkdir(parents=True)
    opened = Opened(run_id=folder.name, config_sha256="0" * 64, mode="live")
    with Journal(folder / "journal.sqlite", opened, NOW) as journal:
        journal.append(Account(began_with=500.0, reason="a test"), NOW, "", "", "")
    exits = {"S-001": {"X": ExitState(opened=7, direction=1, stop=95.0)}}
    return LastRun(folder.name, str(folder), exits)


def the_file(folder: Path, url: str = "http://one") -> LastRunFile:
    venue = VenueSettings(
        name="BINANCE",
        starting_balance="10 USDT",
        maker_fee_bps=0.0,
        taker_fee_bps=0.0,
        base_url_http=url,
    )
    return LastRunFile(StatePlace(folder / "desk.toml", "T", folder), "live", {"BINANCE": venue})


def test_first_run_has_no_history(tmp_path: Path) -> None:
    assert the_file(tmp_path).read() is None
    history = history_of(None, tmp_path, NOW)
    assert (history.carried.from_run, history.asked, history.missing) == ("", (), "")


def test_run_is_found_where_it_was_with_what_its_exits_remember(tmp_path: Path) -> None:
    file, last = the_file(tmp_path), a_run(tmp_path / "runs" / "run-1")
    file.write(last)
    assert file.read() == last
    history = history_of(file.read(), tmp_path / "elsewhere", NOW)
    assert (history.carried.from_run, history.carried.balance) == ("run-1", 500.0)
    assert history.exits["S-001"]["X"].stop == 95.0


def test_moved_folder_is_found_among_the_runs(tmp_path: Path) -> None:
    last = a_run(tmp_path / "old" / "run-1")
    (tmp_path / "old").rename(tmp_path / "new")
    assert history_of(last, tmp_path / "new", NOW).carried.balance == 500.0


def test_folder_that_is_gone_is_said_with_both_places(tmp_path: Path) -> None:
    last = LastRun("run-1", str(tmp_path / "old" / "run-1"))
    history = history_of(last, tmp_path / "runs", NOW)
    assert history.carried.positions == ()
    assert str(tmp_path / "old" / "run-1" / "journal.sqlite") in history.missing
    assert str(tmp_path / "runs" / "run-1" / "journal.sqlite") in history.missing
    assert "Put its folder back" in history.missing


def test_another_account_has_another_history(tmp_path: Path) -> None:
    the_file(tmp_path).write(LastRun("run-1", "/runs/run-1"))
    assert the_file(tmp_path, "http://two").read() is None


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    file = the_file(tmp_path)
    file.path.write_text('{"run_id": 3')
    with pytest.raises(DataError, match="must name the trader's last run"):
        file.read()
