"""How a run finds what the one before it left."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import FundingRate
from aitb_nautilus.risk.exit_levels import ExitState
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_carried import Account, Carried, CarriedPosition, take_over
from aitb_nautilus.risk.journal_records import Filled, Opened, Sent
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run.config import VenueSettings
from aitb_nautilus.run.last_run import Funded, LastRun, LastRunFile, history_of
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


def holding(folder: Path) -> str:
    """Write a journal that ends with 2 bought at 100, for a fee of 0.1, and 500 before that."""
    folder.mkdir(parents=True)
    opened = Opened(run_id=folder.name, config_sha256="0" * 64, mode="paper")
    who = "S-001", "X.BINANCE", "one"
    with Journal(folder / "journal.sqlite", opened, NOW) as journal:
        journal.append(Account(began_with=500.0, reason="a test"), NOW, "", "", "")
        two = Decimal(2)
        journal.append(Sent(action="submit", side="BUY", quantity=two), NOW, *who)
        filled = Filled(trade_id="t", side="BUY", price=100.0, quantity=two, fee=0.1)
        journal.append(filled, NOW + 5, *who)
    return str(folder)


@pytest.mark.parametrize(
    ("paid", "balance", "of_trade", "own"),
    [
        # 3 were paid in all, of them 1 by the trade that is open: the trade so far -0.1 - 1.
        (Funded(-3.0, -1.0, NOW + 5), 500 - 0.1 - 3, -1.0, -1.1),
        # What is open now was opened after the file was written.
        (Funded(-3.0, -1.0, NOW + 4), 500 - 0.1 - 3, 0.0, -0.1),
    ],
)
def test_funding_of_the_run_before_is_in_its_balance_and_in_the_open_trade(
    tmp_path: Path, paid: Funded, balance: float, of_trade: float, own: float
) -> None:
    last = LastRun("run-1", holding(tmp_path / "run-1"), funding={"S-001": {"X.BINANCE": paid}})
    file = the_file(tmp_path)
    file.write(last)
    assert file.read() == last
    carried = history_of(last, tmp_path, NOW).carried
    assert carried.balance == pytest.approx(balance)
    (position,) = carried.positions
    assert position.funding == of_trade
    # It begins with no profit, so what it has won so far is put into where it began.
    assert carried.own_trades["S-001"].open["X.BINANCE"].before == pytest.approx(-own)


def test_open_trade_adds_up_its_funding_over_several_runs(tmp_path: Path) -> None:
    ledger = Ledger(0.0)
    held = CarriedPosition("S-001", "X.BINANCE", Decimal(2), 100.0, NOW, funding=-1.0)
    take_over(Carried(balance=500.0, positions=(held,)), ledger)
    position = ledger.position("S-001", "X.BINANCE")
    ledger.apply_funding_rate(FundingRate("X.BINANCE", 0.01, NOW + 1))
    ledger.settle_funding(NOW + 2)
    # 2 * 100 * 0.01 more; the balance begins with what was paid before.
    assert (position.funding, position.trade_funding) == (-2.0, -3.0)
    assert ledger.balance() == pytest.approx(498)
    assert position.funding_carried == -1.0


def test_another_account_has_another_history(tmp_path: Path) -> None:
    the_file(tmp_path).write(LastRun("run-1", "/runs/run-1"))
    assert the_file(tmp_path, "http://two").read() is None


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    file = the_file(tmp_path)
    file.path.write_text('{"run_id": 3')
    with pytest.raises(DataError, match="must name the trader's last run"):
        file.read()
