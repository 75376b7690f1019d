"""No decision is sent twice: not in one run, and not after a crash and a restart."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from aitb_nautilus.messages import BarClosed, CloseIntent, Fill, OrderIntent
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.journal_recovery import sent_ids
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, ROOMY, Scripted, Step, close_of, make_context

BUY = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
RICH = RiskSettings(max_order_notional=1e6, max_position_notional=1e6, price_band_frac=0.9)
CLOSE = CloseIntent(instrument_id=BTC)
STOP = OrderIntent(
    instrument_id=BTC,
    side="SELL",
    kind="STOP_MARKET",
    quantity=Decimal("0.010"),
    trigger_price=29_000.0,
    reduce_only=True,
)


def bar(number: int) -> BarClosed:
    return BarClosed(BTC, close_of(number), *(30_000.0,) * 4, 5.0)


def started(path: Path, *steps: Step, risk: RiskSettings = ROOMY) -> tuple[DryDesk, Any, Journal]:
    """Start a node on a journal that may be there already; step n is done at bar n."""
    desk = DryDesk(make_context(risk))
    if path.exists():
        desk.context.guard.permits.remember_sent(sent_ids(path))
    opened = Opened(run_id="run", config_sha256="0" * 64)
    journal = desk.context.chronicle.journal = Journal(path, opened, close_of(0), durable=False)
    strategy = Scripted(Settings(), desk.context, "S-001")
    strategy.steps = dict(enumerate(steps, 1))
    desk.add(strategy)
    return desk, strategy, journal


def test_decision_that_is_taken_again_after_a_restart_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk, _, journal = started(path, lambda _: [BUY])
    desk.bar(bar(1))
    journal.close()  # whatever comes of the order, this node does not live to hear it
    (name,) = sent_ids(path)
    assert [c.client_order_id for c in desk.commands] == [name]

    desk, strategy, journal = started(path, lambda _: [BUY], lambda _: [BUY])
    desk.bar(bar(1))
    assert desk.commands == []
    assert [(d.limit, name in d.line) for d in strategy.refusals] == [("id", True)]
    desk.bar(bar(2))  # another bar is another decision
    assert [c.action for c in desk.commands] == ["submit"]
    journal.close()
    told = [r.body for r in read(path, Wanted(kinds=("decision",)))]
    assert [(d.outcome, d.limit) for d in told] == [
        ("allowed", ""),
        ("refused", "id"),
        ("allowed", ""),
    ]


def test_two_equal_wishes_at_one_bar_are_two_orders_and_both_are_known_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.sqlite"
    desk, _, journal = started(path, lambda _: [BUY, BUY])
    desk.bar(bar(1))
    journal.close()
    assert len(desk.commands) == len(sent_ids(path)) == 2
    desk, strategy, journal = started(path, lambda _: [BUY, BUY, BUY])
    desk.bar(bar(1))
    assert len(strategy.refusals) == 2
    assert len(desk.commands) == 1
    journal.close()


def test_refused_wish_keeps_its_number_so_that_those_after_it_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    dear = OrderIntent(
        instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.010"), price=50_000.0
    )
    desk, strategy, journal = started(path, lambda _: [dear, BUY])
    desk.bar(bar(1))
    journal.close()
    assert [d.limit for d in strategy.refusals] == ["price_band_frac"]
    sent = sent_ids(path)
    desk, strategy, journal = started(path, lambda _: [dear, BUY], risk=RICH)
    desk.bar(bar(1))
    journal.close()
    assert [d.limit for d in strategy.refusals] == ["id"]
    assert sent_ids(path) - sent == {desk.commands[0].client_order_id}
    assert len(desk.commands) == 1


def test_exit_that_came_to_nothing_is_sent_under_another_id(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    desk, _, journal = started(path, lambda _: [BUY], lambda _: [CLOSE])
    desk.bar(bar(1))
    desk.fill(desk.commands[0].client_order_id, price=30_000.0)
    desk.bar(bar(2))
    journal.close()
    lost = desk.commands[1].client_order_id

    desk, strategy, journal = started(path, lambda _: [CLOSE])
    bought = Fill(
        "S-001", BTC, "o1", "t1", close_of(1), "BUY", 30_000.0, Decimal("0.010"), 0.0, "TAKER"
    )
    desk.context.ledger.apply_fill(bought)
    desk.bar(bar(2))
    assert strategy.refusals == []
    (command,) = desk.commands
    assert command.terms is not None
    assert command.terms.reduce_only
    assert command.client_order_id != lost
    journal.close()


def test_stop_that_rests_already_is_not_sent_a_second_time(tmp_path: Path) -> None:
    desk, strategy, journal = started(
        tmp_path / "journal.sqlite", lambda _: [BUY], lambda _: [STOP]
    )
    desk.bar(bar(1))
    desk.fill(desk.commands[0].client_order_id, price=30_000.0)
    desk.bar(bar(2))
    (stop,) = desk.context.ledger.open_orders(BTC)
    # The same node, told the same bar as if it were new.
    strategy.bars.pop()
    strategy.answering._sender._ids._numbers.clear()
    desk.bar(bar(2))
    assert [d.limit for d in strategy.refusals] == ["id"]
    assert list(desk.context.ledger.open_orders(BTC)) == [stop]
    journal.close()


def test_id_that_only_the_engine_knows_is_not_sent(tmp_path: Path) -> None:
    desk, _, journal = started(tmp_path / "first.sqlite", lambda _: [BUY])
    desk.bar(bar(1))
    journal.close()
    known = desk.commands[0].client_order_id
    desk, strategy, journal = started(tmp_path / "second.sqlite", lambda _: [BUY])
    desk.elsewhere.add(known)
    desk.bar(bar(1))
    assert (desk.commands, [d.limit for d in strategy.refusals]) == ([], ["id"])
    journal.close()
