"""An order leaves once the journal's log has it; SQLite takes it when the engine has sent it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.messages import BarClosed, CloseIntent, OrderIntent
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.settings import Settings
from tests.journal_samples import rows_of
from tests.risk.dry_desk import DryDesk, DryPort
from tests.risk.rig import BTC, Scripted, close_of, make_context
from tests.risk.test_disk import wait_until

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.1"))


def bar(number: int) -> BarClosed:
    return BarClosed(BTC, close_of(number), 30_000.0, 30_000.0, 30_000.0, 30_000.0, 1.0)


def dry_desk_with_journal(path: Path) -> tuple[DryDesk, Scripted, Journal]:
    """Return a desk, its strategy, and a journal as a node has it by default."""
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = Journal(path, opened, close_of(0), on_disk="soon")
    desk.context.chronicle.journal = journal
    return desk, strategy, journal


def test_orders_leave_before_sqlite_has_them_and_it_has_them_once_the_engine_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.sqlite"
    desk, strategy, journal = dry_desk_with_journal(path)
    strategy.steps = {1: lambda _: [BUY, BUY], 2: lambda _: [CloseIntent(instrument_id=BTC)]}
    seen: list[tuple[int, int]] = []
    told: list[tuple[Answers, str]] = []
    submit, left = DryPort.submit, Answers.left

    def look(self: DryPort, terms: OrderTerms) -> None:
        seen.append((len(rows_of(path)), len(list(read(path)))))
        submit(self, terms)

    def later(self: Answers, client_order_id: str) -> None:
        told.append((self, client_order_id))

    monkeypatch.setattr(DryPort, "submit", look)
    monkeypatch.setattr(Answers, "left", later)  # as the engine, which says so in another turn
    desk.bar(bar(1))
    desk.bar(bar(2))
    # One record at the beginning, and three an order.
    assert seen == [(1, 4), (1, 7)]
    assert (len(rows_of(path)), len(list(read(path)))) == (1, 7)
    left(*told[0])
    assert len(rows_of(path)) == 7
    left(*told[1])
    for command in desk.commands[:2]:
        desk.fill(command.client_order_id, price=30_000.0)
    assert len(rows_of(path)) == 9
    journal.close()
    assert verify(path).whole


def test_nothing_opens_after_sqlite_could_not_take_what_had_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk, strategy, journal = dry_desk_with_journal(path)
    assert journal._follower is not None
    journal._follower._looks = lambda: ""  # It had looked right before.

    def lose(_: Any) -> list[Any]:
        path.rename(tmp_path / "away.sqlite")
        return [BUY]

    strategy.steps = {1: lose, 2: lambda _: [BUY], 3: lambda _: [CloseIntent(instrument_id=BTC)]}
    desk.bar(bar(1))
    (left,) = desk.commands
    assert len(desk.context.chronicle.failures) == 1
    desk.fill(left.client_order_id, price=30_000.0)
    desk.bar(bar(2))
    assert [d.limit for d in strategy.refusals] == ["journal"]
    desk.bar(bar(3))
    assert [c.action for c in desk.commands] == ["submit", "submit"]  # an exit passes
    (tmp_path / "away.sqlite").rename(path)
    assert [r.client_order_id for r in read(path, Wanted(kinds=("sent",)))] == [
        left.client_order_id
    ]
    journal.close()
    assert verify(path).whole


def test_journal_that_was_moved_away_is_missed_before_an_order_leaves(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk, strategy, journal = dry_desk_with_journal(path)
    strategy.steps = {1: lambda _: [BUY], 2: lambda _: [BUY]}
    path.rename(tmp_path / "away.sqlite")
    follower = journal._follower
    assert follower is not None
    wait_until(lambda: follower.astray)
    desk.bar(bar(1))
    assert (desk.commands, [d.limit for d in strategy.refusals]) == ([], ["journal"])
    (tmp_path / "away.sqlite").rename(path)
    wait_until(lambda: not follower.astray)
    desk.bar(bar(2))
    assert len(desk.commands) == 1
    journal.close()
    assert verify(path).whole


def test_order_that_was_written_ahead_and_taken_back_leaves_nothing_owed(tmp_path: Path) -> None:
    """Such as one that waits for a market to open, and may not leave any more by then."""
    path = tmp_path / "journal.sqlite"
    desk, strategy, journal = dry_desk_with_journal(path)
    opening = close_of(1) + 10**9
    desk.context.heard_at[BTC] = lambda now: max(now, opening)
    strategy.steps = {1: lambda _: [BUY]}
    desk.bar(bar(1))
    chronicle = desk.context.chronicle
    assert (chronicle.owes, len(rows_of(path)), desk.commands) == (True, 1, [])
    desk.context.guard.halt("no more", desk.now)
    desk.move_on(opening)
    assert desk.commands == []
    assert not chronicle.owes
    assert len(rows_of(path)) > 3  # SQLite has what was written ahead of it.
    journal.close()
    assert verify(path).whole


def test_order_that_could_not_be_journalled_leaves_nothing_owed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk, strategy, journal = dry_desk_with_journal(path)
    strategy.steps = {1: lambda _: [BUY]}
    journal.close()
    desk.bar(bar(1))
    assert [d.limit for d in strategy.refusals] == ["journal"]
    assert (desk.commands, desk.context.chronicle.owes) == ([], False)
