"""What waits for a close is journalled as sent when it leaves, and no sooner."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from aitb_nautilus.messages import BarClosed, CloseIntent, OrderIntent
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_proof import verify
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.journal_recovery import sent_ids, unresolved
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk, DryPort
from tests.risk.rig import BTC, Scripted, close_of, make_context

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
SELL = OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.010"))
SECOND = 1_000_000_000


class Turning:
    """A desk that held 0.010, closes it and waits to sell, with a journal as a node has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        desk = self.desk = DryDesk(make_context())
        turns = Turns(desk.context.ledger, 10 * SECOND)
        msgspec.structs.force_setattr(desk.context, "turns", turns)
        self.strategy = Scripted(Settings(), desk.context, "S-001")
        desk.add(self.strategy)
        opened = Opened(run_id="run", config_sha256="0" * 64)
        self.journal = Journal(path, opened, close_of(0), on_disk="soon")
        desk.context.chronicle.journal = self.journal
        close = CloseIntent(instrument_id=BTC)
        self.strategy.steps = {1: lambda _: [BUY], 2: lambda _: [close, SELL]}
        self.bar(1)
        desk.fill(desk.commands[-1].client_order_id, price=30_000.0)
        self.bar(2)
        self.close = desk.commands[-1].client_order_id
        (self.waiting,) = (
            o.client_order_id for o in self.strategy.view.open_orders(BTC) if not o.reduce_only
        )

    def bar(self, number: int) -> None:
        self.desk.bar(BarClosed(BTC, close_of(number), *(30_000.0,) * 4, 5.0))

    def asked(self) -> list[tuple[str, str]]:
        """Return whom a node that is killed now leaves to be asked for, and as what."""
        return [(one.client_order_id, one.stage) for one in unresolved(self.path)]

    def fill_close(self) -> None:
        self.desk.fill(self.close, price=30_000.0)

    def left(self) -> list[str]:
        """Return what left after the close."""
        return [c.client_order_id for c in self.desk.commands[2:]]


@pytest.fixture
def turning(tmp_path: Path) -> Iterator[Turning]:
    made = Turning(tmp_path / "journal.sqlite")
    yield made
    made.journal.close()


def test_entry_that_waits_when_its_node_is_killed_was_decided_and_not_sent(
    turning: Turning,
) -> None:
    assert (turning.waiting, "sent") not in turning.asked()
    turning.journal.flush()  # that it was decided is written with what comes next
    assert turning.asked() == [(turning.close, "sent"), (turning.waiting, "decided")]
    assert turning.waiting not in sent_ids(turning.path)


def test_entry_is_journalled_once_and_before_it_leaves(
    turning: Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[tuple[str, str]]] = []
    submit = DryPort.submit

    def look(self: DryPort, terms: OrderTerms) -> None:
        seen.append(turning.asked())
        submit(self, terms)

    monkeypatch.setattr(DryPort, "submit", look)
    turning.fill_close()
    assert seen == [[(turning.waiting, "sent")]]
    assert turning.left() == [turning.waiting]
    sent = read(turning.path, Wanted(kinds=("sent",)))
    assert [r.client_order_id for r in sent].count(turning.waiting) == 1
    turning.journal.close()
    assert verify(turning.path).whole


def test_entry_that_may_not_leave_after_a_halt_is_never_journalled_as_sent(
    turning: Turning,
) -> None:
    turning.desk.context.guard.restrict(Halt(1, "by hand", cause="command", who="me"))
    turning.fill_close()
    turning.journal.flush()
    assert turning.left() == []
    assert turning.waiting not in sent_ids(turning.path)
    assert turning.asked() == []


def test_entry_that_was_given_up_is_asked_for_no_more(turning: Turning) -> None:
    turning.desk.context.expire(turning.desk.now + 11 * SECOND)
    turning.journal.flush()
    assert turning.asked() == [(turning.close, "sent")]
    assert turning.waiting not in sent_ids(turning.path)


def test_entry_that_cannot_be_journalled_when_its_turn_comes_does_not_leave(
    turning: Turning,
) -> None:
    away = turning.path.with_name("away.sqlite")
    turning.path.rename(away)
    turning.fill_close()
    assert turning.left() == []
    assert turning.strategy.view.open_orders(BTC) == []
    assert turning.desk.context.guard.refused_by["journal"] == 1
    away.rename(turning.path)
    turning.journal.close()
    assert verify(turning.path).whole
