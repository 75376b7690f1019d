"""What a journal gives back is what the run's own ledger held, after every fact."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Intent,
    ModifyIntent,
    OrderIntent,
)
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.journal_rebuild import Rebuilding, rebuild, unknown_update
from aitb_nautilus.risk.journal_records import Acknowledged
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import RiskSettings
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.lively import BUY, RISK, ROWS, STOP, Eavesdropper, journal_of, lively, state_of
from tests.risk.rig import BTC, Scripted, close_of, make_context, run


class Cuts:
    """What a ledger held when so many records were written."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self.states: list[tuple[int, Any]] = []

    def note(self) -> None:
        journal = self._desk.context.chronicle.journal
        if journal is not None:
            state = journal.state
            held = state_of(self._desk.context.ledger)
            self.states.append((state.records + state.waiting, held))

    def compare(self, path: Path) -> int:
        """Rebuild up to each cut and compare; return how many differ from the one before."""
        rebuilding, records, seq, differing, last = (
            Rebuilding(Ledger(100_000.0)),
            read(path),
            0,
            0,
            None,
        )
        for count, held in self.states:
            while seq < count:
                rebuilding.take(next(records))
                seq += 1
            assert state_of(rebuilding.ledger) == held
            differing += held != last
            last = held
        return differing


def test_run_of_the_engine_is_rebuilt_at_every_cut(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strategy = lively(Scripted(Settings(), make_context(RISK), "S-001"))
    cuts = Cuts(strategy)
    Eavesdropper(monkeypatch, after=cuts.note)
    path = tmp_path / "journal.sqlite"
    journal = journal_of(strategy.context, path)
    run([strategy], strategy.context, ROWS)
    monkeypatch.undo()
    assert strategy.context.run_state.failures == []
    journal.close()
    assert cuts.compare(path) > 15
    alive, told = strategy.context.ledger, []
    ledger = rebuild(tmp_path, Ledger(100_000.0), told.append)
    assert state_of(ledger) == state_of(alive)
    assert told == alive.fills
    assert {o.purpose for o in ledger.orders.values()} == {
        "entry",
        "exit:stop",
        "exit:renamed",
        "exit:signal",
    }
    ledger.marks = dict(alive.marks)
    assert ledger.equity() == pytest.approx(alive.equity())


WISHES = st.sampled_from(["buy", "sell", "stop", "limit", "close", "cancel", "modify", "nothing"])
ANSWERS = st.sampled_from(["fill", "part", "accept", "reject", "cancel", "expire", "renew"])


class Whim(Scripted):
    """Wish what is drawn."""

    wish = "nothing"

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        resting = [o.client_order_id for o in self.view.open_orders(BTC)]
        size = Decimal("0.010")
        match self.wish:
            case "buy" | "sell":
                side: Any = self.wish.upper()
                yield OrderIntent(instrument_id=BTC, side=side, quantity=size)
            case "stop":
                yield STOP
            case "limit":
                yield OrderIntent(
                    instrument_id=BTC, side="BUY", kind="LIMIT", quantity=size, price=29_500.0
                )
            case "close":
                yield CloseIntent(instrument_id=BTC)
            case "cancel":
                yield from (CancelIntent(client_order_id=one) for one in resting)
            case "modify":
                price = 29_000.0 + bar.ts % 7
                yield from (
                    ModifyIntent(client_order_id=one, quantity=size / 2, purpose=f"moved {price}")
                    for one in resting
                )


@given(st.lists(st.tuples(WISHES, st.lists(st.tuples(ANSWERS, st.integers(0, 9)), max_size=3))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_venues_answer_is_rebuilt_at_every_cut(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, list[tuple[str, int]]]]
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "journal.sqlite"
    desk = DryDesk(make_context())
    strategy = Whim(Settings(), desk.context, "S-001")
    desk.add(strategy)
    journal, cuts = journal_of(desk.context, path), Cuts(desk)
    for number, (wish, answers) in enumerate(story, 1):
        strategy.wish = wish
        desk.bar(BarClosed(BTC, close_of(number), *(30_000.0,) * 4, 5.0))
        cuts.note()
        for place, (answer, which) in enumerate(answers):
            orders = list(desk.context.ledger.open_orders(BTC))
            if orders:
                order = orders[which % len(orders)]
                reply(desk, order.client_order_id, answer, close_of(number) + place + 1)
                cuts.note()
    journal.close()
    cuts.compare(path)


def reply(desk: DryDesk, name: str, answer: str, ts: int) -> None:
    """Let the venue answer an open order."""
    order = desk.context.ledger.orders[name]
    match answer:
        case "fill":
            desk.fill(name, price=30_010.0, ts=ts, fee=0.1)
        case "part":
            desk.fill(name, price=29_990.0, quantity=order.leaves / 2, ts=ts, fee=0.1)
        case "renew":
            terms = {"quantity": order.quantity, "price": order.price}
            if order.changes:
                desk.update(name, None, ts, answers_change=True, **terms)
            else:
                desk.update(name, None, ts, reason="a cancel was refused")
        case _:
            status: Any = {
                "accept": "ACCEPTED",
                "reject": "REJECTED",
                "cancel": "CANCELED",
                "expire": "EXPIRED",
            }[answer]
            desk.update(name, status, ts, reason=answer)


def test_order_of_a_list_that_was_refused_is_not_rebuilt(tmp_path: Path) -> None:
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    journal = journal_of(desk.context, tmp_path / "journal.sqlite")
    desk.bar(BarClosed(BTC, close_of(1), *(30_000.0,) * 4, 5.0))
    orders = [
        OrderTerms(
            client_order_id=name, instrument_id=BTC, side="BUY", kind="MARKET", quantity=quantity
        )
        for name, quantity in (("A", Decimal("0.010")), ("B", Decimal(999)))
    ]
    strategy.answering.submit_built(orders, lambda: None)
    journal.close()
    assert len(strategy.refusals) == 1
    assert rebuild(tmp_path, Ledger(100_000.0)).orders == desk.context.ledger.orders == {}


@pytest.mark.parametrize(
    ("answers", "status"),
    [([], "REJECTED"), (["accepted"], "CANCELED")],
    ids=["never taken", "was taken"],
)
def test_order_that_the_venue_does_not_know_is_rebuilt_as_ended(
    tmp_path: Path, answers: list[Any], status: str
) -> None:
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    strategy.steps = {1: lambda _: [BUY]}
    desk.add(strategy)
    journal: Journal = journal_of(desk.context, tmp_path / "journal.sqlite")
    desk.bar(BarClosed(BTC, close_of(1), *(30_000.0,) * 4, 5.0))
    name = desk.commands[0].client_order_id
    for answer in [*answers, "unknown"]:
        journal.append(Acknowledged(answer=answer), close_of(2), "S-001", BTC, name)
    journal.close()
    ledger = rebuild(tmp_path, Ledger(100_000.0))
    assert ledger.orders[name].status == status
    assert ledger.open_order_count() == 0
    before = desk.context.ledger.orders[name]
    assert unknown_update(before, 1).status == "REJECTED"


def test_opening_orders_and_changes_before_a_restart_are_told_exits_are_not(tmp_path: Path) -> None:
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    journal = journal_of(desk.context, tmp_path / "journal.sqlite")
    desk.bar(BarClosed(BTC, close_of(1), *(30_000.0,) * 4, 5.0))
    bid = OrderIntent(
        instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.010"), price=29_500.0
    )
    strategy.act([bid, BUY])
    first, second = (command.client_order_id for command in desk.commands)
    desk.fill(second, price=30_000.0)
    strategy.act(
        [
            ModifyIntent(client_order_id=first, price=29_600.0),
            ModifyIntent(client_order_id=first, quantity=Decimal("0.005")),
            STOP,
            CloseIntent(instrument_id=BTC),
        ]
    )
    journal.close()
    told: list[tuple[str, int]] = []
    rebuild(
        tmp_path,
        Ledger(100_000.0),
        hear_sent=lambda order, ts: told.append((order.client_order_id, ts)),
    )
    assert [name for name, _ in told] == [first, second, first]
    assert told[0][1] == close_of(1)
    limited = RiskSettings(max_order_notional=1e6, max_position_notional=1e6, max_orders_per_day=4)
    guard = make_context(limited).guard
    rebuild(tmp_path, guard.ledger, guard.hear_fill, guard.hearing.sent_before)
    guard.ledger.apply_bar(BarClosed(BTC, close_of(2), *(30_000.0,) * 4, 5.0))
    asked = [guard.judge(BUY, "S-001", close_of(2)) for _ in range(2)]
    assert [(one.allowed, one.limit) for one in asked] == [
        (True, ""),
        (False, "max_orders_per_day"),
    ]
