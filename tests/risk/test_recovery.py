"""After a crash: every answer of a venue, no answer, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    Fill,
    ModifyIntent,
    OrderIntent,
)
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_reader import read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Gap
from aitb_nautilus.risk.journal_recovery import sent_ids, unresolved
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.recovery import Finding, Recovery, follow, resting
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from aitb_nautilus.settings import Settings
from tests.journal_samples import OPENED
from tests.risk.dry_desk import DryDesk
from tests.risk.lively import BUY, STOP, journal_of
from tests.risk.rig import BTC, Scripted, Step, close_of, make_context

NOW = close_of(5)
SECOND = 1_000_000_000
LIMIT = OrderIntent(
    instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.010"), price=29_500.0
)


_OPEN: list[Journal] = []


@pytest.fixture(autouse=True)
def _closed_journals() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


class Crash:
    """A node that was killed, and the one that begins on its journal.

    Parameters
    ----------
    steps
        What the first node wishes at its bars.
    """

    def __init__(self, folder: Path, *steps: Step, answers: Any = ()) -> None:
        self.path = folder / "journal.sqlite"
        before = DryDesk(make_context())
        strategy = Scripted(Settings(), before.context, "S-001")
        strategy.steps = dict(enumerate(steps, 1))
        before.add(strategy)
        journal = journal_of(before.context, self.path)
        for number in range(1, len(steps) + 1):
            before.bar(bar(number))
            for answer in answers:
                answer(before, number)
        journal.close()  # SIGKILL leaves the same records; `kill_journal` sees to that
        self.before = before
        self.desk = DryDesk(make_context())
        self.desk.now = NOW
        self.context = self.desk.context
        rebuild(self.path, self.context.ledger, self.context.guard.hear_fill)
        self.context.guard.permits.remember_sent(sent_ids(self.path))
        self.strategy = Scripted(Settings(), self.context, "S-001")
        self.desk.add(self.strategy)
        asked, ledger = unresolved(self.path), self.context.ledger
        self.recovery = Recovery([*asked, *resting(ledger, asked)], ledger, NOW, 10 * SECOND)
        self.journal = self.context.chronicle.journal = Journal(
            self.path, OPENED, NOW, durable=False
        )
        _OPEN.append(self.journal)

    def order(self, number: int = 0) -> Any:
        """Return one of the orders that the first node sent."""
        return self.context.ledger.orders[list(self.context.ledger.orders)[number]]

    def follow(self, finding: Finding, *, started: bool = True) -> None:
        answering = self.desk.answering if started else {}
        follow(finding, self.context, answering, self.desk.now)

    def answer(self, order: VenueOrder | None, *fills: VenueFill, name: str = "") -> Finding:
        name = name or self.order().client_order_id
        finding = self.recovery.answer(name, order, fills, self.desk.now)
        self.follow(finding)
        return finding

    def records(self) -> list[Any]:
        """Return the records of the second node."""
        self.journal.close()
        told = list(read(self.path))
        begun = max(i for i, r in enumerate(told) if r.kind == "opened")
        return [r for r in told[begun + 1 :] if r.kind != "closed"]


def bar(number: int) -> BarClosed:
    return BarClosed(BTC, close_of(number), *(30_000.0,) * 4, 5.0)


def at_venue(order: Any, **changes: Any) -> VenueOrder:
    """Return an order of ours as the venue has it."""
    terms: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "venue_order_id": "V1",
        "instrument_id": BTC,
        "side": order.side,
        "kind": order.kind,
        "quantity": order.quantity,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "reduce_only": order.reduce_only,
        "ts": close_of(3),
    }
    return VenueOrder(**(terms | changes))


def part(trade: str, quantity: str, price: float = 30_000.0) -> VenueFill:
    return VenueFill(
        trade_id=trade, price=price, quantity=Decimal(quantity), ts=close_of(3), fee=0.15
    )


def test_answered_journal_asks_nothing(tmp_path: Path) -> None:
    crash = Crash(
        tmp_path,
        lambda _: [BUY],
        answers=[lambda d, _: d.fill(d.commands[0].client_order_id, price=30_000.0)],
    )
    assert crash.recovery.done
    assert crash.context.ledger.position("S-001", BTC).quantity == BUY.quantity


def test_question_says_what_was_sent(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    (question,) = crash.recovery.questions
    assert question.client_order_id == crash.before.commands[0].client_order_id
    assert (question.actions, question.may_be_there) == (("submit",), True)
    assert question.line == f"BUY 0.010 {BTC} LIMIT at 29500 by S-001"


def test_order_that_rests_is_taken_over(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    crash.answer(at_venue(crash.order()))
    assert crash.recovery.done
    assert crash.order().status == "ACCEPTED"
    assert crash.context.guard.state == "active"
    assert [(r.kind, r.body.answer) for r in crash.records()] == [("acknowledged", "accepted")]
    assert unresolved(crash.path) == []


def test_fill_that_was_missed_reaches_the_strategy_once(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [BUY])
    crash.strategy.answers = {"fill": lambda _, fill: [STOP]}
    order = at_venue(crash.order(), status="FILLED", filled=BUY.quantity)
    crash.answer(order, part("t1", "0.004"), part("t2", "0.006", 30_010.0))
    assert [(f.trade_id, f.quantity) for f in crash.strategy.fills] == [
        ("t1", Decimal("0.004")),
        ("t2", Decimal("0.006")),
    ]
    assert crash.strategy.view.quantity(BTC) == Decimal("0.010")
    # Its stop leaves at each of them, cut to nothing by none: both are reduce-only.
    assert [c.terms.kind for c in crash.desk.commands if c.terms] == ["STOP_MARKET"] * 2
    crash.answer(order, part("t1", "0.004"))
    assert len(crash.strategy.fills) == 2
    crash.journal.close()
    assert not [u for u in unresolved(crash.path) if u.client_order_id == order.client_order_id]


def test_strategy_that_has_not_started_is_told_nothing_and_the_ledger_all(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [BUY])
    order = at_venue(crash.order(), status="FILLED", filled=BUY.quantity)
    finding = crash.recovery.answer(order.client_order_id, order, [part("t1", "0.010")], NOW)
    crash.follow(finding, started=False)
    assert crash.strategy.fills == []
    assert crash.strategy.view.quantity(BTC) == Decimal("0.010")
    assert [r.kind for r in crash.records()] == ["filled"]
    assert unresolved(crash.path) == []


def test_fills_that_the_venue_does_not_list_are_taken_at_their_average(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [BUY])
    order = at_venue(
        crash.order(), status="FILLED", filled=BUY.quantity, average_price=30_006.0, ts=close_of(4)
    )
    crash.answer(order, part("t1", "0.004", 30_000.0))
    fills = crash.context.ledger.fills
    # 0.004 at 30,000 and 0.006 at p are 0.010 at 30,006: p is 30,010.
    assert [(f.quantity, round(f.price, 6)) for f in fills] == [
        (Decimal("0.004"), 30_000.0),
        (Decimal("0.006"), 30_010.0),
    ]
    assert fills[1].trade_id == "unseen-V1-0.010"
    assert crash.context.ledger.position("S-001", BTC).average_price == pytest.approx(30_006.0)


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED", "REJECTED"])
def test_order_that_ended_in_part_leaves_its_fills(tmp_path: Path, status: Any) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    crash.answer(
        at_venue(crash.order(), status=status, filled=Decimal("0.003")), part("t1", "0.003")
    )
    assert (crash.order().status, crash.order().filled) == (status, Decimal("0.003"))
    assert crash.context.ledger.open_order_count() == 0
    assert [r.kind for r in crash.records()] == ["filled", "acknowledged"]
    assert unresolved(crash.path) == []


def test_change_that_the_venue_made_is_taken(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT], change(29_600.0), answers=[accept])
    assert [q.actions for q in crash.recovery.questions] == [("modify",)]
    crash.answer(at_venue(crash.order(), price=29_600.0))
    assert (crash.order().price, crash.order().changes) == (29_600.0, 0)
    assert crash.context.guard.halts == []
    assert [r.body.answer for r in crash.records()] == ["updated"]
    assert unresolved(crash.path) == []


def test_change_and_cancel_that_never_arrived_leave_the_order_as_it_was(tmp_path: Path) -> None:
    def cancel(s: Any) -> Any:
        return [CancelIntent(client_order_id=o.client_order_id) for o in s.view.open_orders(BTC)]

    crash = Crash(tmp_path, lambda _: [LIMIT], change(29_600.0), cancel, answers=[accept])
    assert [q.actions for q in crash.recovery.questions] == [("modify", "cancel")]
    crash.answer(at_venue(crash.order()))
    assert (crash.order().price, crash.order().changes) == (29_500.0, 0)
    assert [r.body.answer for r in crash.records()] == ["unchanged"]
    assert unresolved(crash.path) == []


def test_change_that_arrived_and_cancel_that_did_not_are_both_answered(tmp_path: Path) -> None:
    def cancel(s: Any) -> Any:
        return [CancelIntent(client_order_id=o.client_order_id) for o in s.view.open_orders(BTC)]

    crash = Crash(tmp_path, lambda _: [LIMIT], change(29_600.0), cancel, answers=[accept])
    crash.answer(at_venue(crash.order(), price=29_600.0))
    assert [r.body.answer for r in crash.records()] == ["updated", "unchanged"]
    assert unresolved(crash.path) == []


def test_order_made_smaller_and_then_filled_has_ended(tmp_path: Path) -> None:
    def smaller(s: Any) -> Any:
        (order,) = s.view.open_orders(BTC)
        return [ModifyIntent(client_order_id=order.client_order_id, quantity=Decimal("0.004"))]

    crash = Crash(tmp_path, lambda _: [LIMIT], smaller, answers=[accept])
    less = Decimal("0.004")
    crash.answer(
        at_venue(crash.order(), status="FILLED", quantity=less, filled=less), part("t1", "0.004")
    )
    assert (crash.order().status, crash.order().quantity) == ("FILLED", less)
    crash.journal.close()
    assert unresolved(crash.path) == []


def test_unknown_order_is_asked_for_until_the_timeout_then_journalled_and_trading_halts(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    for seconds in (0, 5, 9):
        crash.desk.now = NOW + seconds * SECOND
        assert crash.answer(None) == Finding()
        assert not crash.recovery.done
    crash.desk.now = NOW + 10 * SECOND
    finding = crash.answer(None)
    assert crash.recovery.done
    assert len(finding.facts) == 1
    assert crash.order().status == "REJECTED"
    assert crash.context.guard.state == "halted"
    halt = crash.context.guard.halts[0]
    assert crash.order().client_order_id in halt.reason
    assert f"(BUY 0.010 {BTC} LIMIT at 29500 by S-001) was sent, and the venue" in halt.reason
    # The same decision, taken again at the same bar, is not sent again.
    crash.context.guard.states.in_force.clear()
    crash.context.guard.states.put_in_force([])
    crash.strategy.steps = {1: lambda _: [LIMIT]}
    crash.desk.bar(bar(1))
    assert crash.desk.commands == []
    assert [d.limit for d in crash.strategy.refusals] == ["id"]
    told = crash.records()
    assert [r.kind for r in told] == ["acknowledged", "halted", "intent", "decision"]
    assert told[0].body.answer == "unknown"
    assert unresolved(crash.path) == []


def test_nobody_answers_at_all(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [BUY, LIMIT])
    assert crash.recovery.wait(NOW + 10 * SECOND - 1) == Finding()
    crash.follow(crash.recovery.wait(NOW + 10 * SECOND))
    assert crash.recovery.done
    assert crash.context.guard.state == "halted"
    assert ", and 1 more was sent" in crash.context.guard.halts[0].reason
    assert crash.context.ledger.open_order_count() == 0
    crash.journal.close()
    assert unresolved(crash.path) == []


def test_exit_that_is_unknown_is_sent_again_if_it_is_decided_again(tmp_path: Path) -> None:
    def filled(desk: DryDesk, number: int) -> None:
        if number == 1:
            desk.fill(desk.commands[0].client_order_id, price=30_000.0)

    close = CloseIntent(instrument_id=BTC)
    crash = Crash(tmp_path, lambda _: [BUY], lambda _: [close], answers=[filled])
    crash.follow(crash.recovery.wait(NOW + 10 * SECOND))
    crash.strategy.steps = {1: lambda _: [close]}
    crash.desk.bar(bar(2))
    (command,) = crash.desk.commands
    assert command.terms is not None
    assert command.terms.reduce_only
    assert command.client_order_id not in crash.before.context.ledger.orders


def test_order_that_rested_and_was_filled_in_part_meanwhile_is_brought_up_to_date(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT], answers=[accept])
    (question,) = crash.recovery.questions
    assert question.client_order_id == crash.order().client_order_id
    assert unresolved(crash.path) == []
    crash.answer(at_venue(crash.order(), filled=Decimal("0.004")), part("t1", "0.004"))
    assert (crash.order().status, crash.order().leaves) == ("ACCEPTED", Decimal("0.006"))
    assert [r.kind for r in crash.records()] == ["filled"]


def test_order_that_rests_as_it_did_is_no_news(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT], answers=[accept])
    assert crash.answer(at_venue(crash.order())) == Finding()
    assert crash.recovery.done
    assert crash.records() == []


def test_venue_that_has_filled_less_than_the_journal_halts(tmp_path: Path) -> None:
    def partly(desk: DryDesk, number: int) -> None:
        if number == 1:
            desk.update(desk.commands[0].client_order_id, "ACCEPTED")
            desk.fill(desk.commands[0].client_order_id, price=29_500.0, quantity=Decimal("0.006"))

    crash = Crash(tmp_path, lambda _: [LIMIT], change(29_600.0), answers=[partly])
    crash.answer(at_venue(crash.order(), price=29_600.0, filled=Decimal("0.002")))
    assert "the venue says that 0.002 of it is filled, the journal 0.006" in (
        crash.context.guard.halts[0].reason
    )


def test_order_of_a_gap_has_no_owner_and_is_left_to_the_firewall(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path, OPENED, close_of(0), durable=False) as journal:
        gap = Gap(lost=3, first_ts=close_of(1), last_ts=close_of(1), why="disk full", sent=("x",))
        journal.append(gap, close_of(1))
    ledger = rebuild(path, Ledger(100_000.0))
    recovery = Recovery(unresolved(path), ledger, NOW, SECOND)
    (question,) = recovery.questions
    assert question.line == "sent while the journal could not be written"
    order = VenueOrder(
        client_order_id="x",
        venue_order_id="V",
        instrument_id=BTC,
        side="SELL",
        kind="MARKET",
        quantity=Decimal("0.010"),
    )
    assert recovery.answer("x", order, [], NOW) == Finding()
    assert recovery.done


def test_order_that_was_decided_and_never_left_is_no_reason_to_halt(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    never = [replace(command, stage="decided") for command in unresolved(crash.path)]
    recovery = Recovery(never, crash.context.ledger, NOW, SECOND)
    finding = recovery.wait(NOW + SECOND)
    assert (len(finding.facts), finding.halt) == (1, "")


def stop_of(crash: Crash) -> Any:
    return next(o for o in crash.context.ledger.orders.values() if o.reduce_only)


def is_spot(crash: Crash) -> None:
    """Let the instrument be a coin, as if the node had been started for the spot market."""
    lots = crash.context.guard.lots
    crash.context.ledger._lots = {BTC: replace(lots[BTC], long_only=True)}


def held_with_a_stop(tmp_path: Path) -> Crash:
    def fill(desk: DryDesk, number: int) -> None:
        if number == 1:
            desk.fill(desk.commands[0].client_order_id, price=30_000.0)

    return Crash(tmp_path, lambda _: [BUY], lambda _: [STOP], answers=[fill])


@pytest.mark.parametrize(
    ("silent", "said"),
    [(False, "the venue does not know it"), (True, "has not said in time what became of it")],
)
def test_unknown_order_that_could_only_reduce_halts_nothing_and_is_said(
    tmp_path: Path, silent: bool, said: str
) -> None:
    crash = held_with_a_stop(tmp_path)
    stop = stop_of(crash)
    names = [stop.client_order_id] if silent else []
    finding = crash.recovery.wait(NOW + 10 * SECOND, names)
    crash.follow(finding)
    assert (finding.halt, crash.context.guard.halts) == ("", [])
    assert said in finding.remark
    assert finding.remark.endswith("taken for ended, since it could only reduce")
    assert (crash.recovery.done, stop.is_open) == (True, False)
    assert [r.body.answer for r in crash.records()] == ["unknown"]
    assert unresolved(crash.path) == []


def test_unknown_order_on_spot_may_open_and_halts(tmp_path: Path) -> None:
    crash = held_with_a_stop(tmp_path)
    is_spot(crash)
    finding = crash.recovery.wait(NOW + 10 * SECOND)
    assert "does not know it: see what is held there" in finding.halt
    assert finding.remark == ""


def test_silence_is_not_told_as_a_word_of_the_venue(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    finding = crash.recovery.wait(NOW + 10 * SECOND, [crash.order().client_order_id])
    assert "the venue has not said in time what became of it: see what is held" in finding.halt
    crash.follow(finding)
    record = crash.records()[0]
    assert record.body.reason.startswith("the venue did not say what became of it")


def test_what_was_bought_on_spot_is_not_made_up_where_no_trade_says_its_fee(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path, lambda _: [BUY])
    is_spot(crash)
    order = at_venue(crash.order(), status="FILLED", filled=BUY.quantity, average_price=30_006.0)
    finding = crash.answer(order, part("t1", "0.004", 30_000.0))
    assert finding.facts == ()
    assert "0.010 of it is filled, and not by which trades" in crash.context.guard.halts[0].reason
    assert crash.context.ledger.fills == []


@given(st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_however_a_venue_answers_nothing_stays_open_or_is_sent_twice(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Each order is answered by a state that a venue can have, or not at all."""
    wishes = data.draw(st.lists(st.sampled_from([BUY, LIMIT, STOP]), min_size=1, max_size=4))
    crash = Crash(tmp_path_factory.mktemp("any"), lambda _: wishes)
    held = Decimal(0)
    for question in crash.recovery.questions:
        order = crash.context.ledger.orders[question.client_order_id]
        lots = data.draw(st.integers(0, 10))
        filled = Decimal(lots) / 1_000
        state = data.draw(
            st.sampled_from(["ACCEPTED", "CANCELED", "EXPIRED", "REJECTED", "nobody"])
        )
        if state == "nobody":
            continue
        status: Any = "FILLED" if lots == 10 else state
        listed = data.draw(st.integers(0, lots))
        fills = [part(f"t{question.client_order_id}", str(Decimal(listed) / 1_000))]
        crash.answer(
            at_venue(order, status=status, filled=filled),
            *(fills if listed else []),
            name=question.client_order_id,
        )
        held += filled if order.side == "BUY" else -filled
    crash.follow(crash.recovery.wait(NOW + 10 * SECOND))
    assert crash.recovery.done
    assert crash.context.ledger.position("S-001", BTC).quantity == held
    crash.journal.flush()
    assert unresolved(crash.path) == []
    sent_before = {c.client_order_id for c in crash.before.commands}
    crash.strategy.steps = {1: lambda _: wishes}
    crash.desk.bar(bar(1))
    again = {c.client_order_id for c in crash.desk.commands if c.action == "submit"}
    assert sent_before.isdisjoint(again)
    crash.journal.close()
    rebuilt: Ledger = rebuild(crash.path, Ledger(100_000.0))
    assert rebuilt.position("S-001", BTC).quantity == held


def change(price: float) -> Step:
    def step(s: Any) -> Any:
        (order,) = s.view.open_orders(BTC)
        return [ModifyIntent(client_order_id=order.client_order_id, price=price)]

    return step


def accept(desk: DryDesk, number: int) -> None:
    """Let the venue take the first order."""
    if number == 1:
        desk.update(desk.commands[0].client_order_id, "ACCEPTED")


def test_order_that_was_made_larger_and_filled_up_to_what_it_was_stays_open(
    tmp_path: Path,
) -> None:
    def enlarge(strategy: Any) -> Any:
        (order,) = strategy.view.open_orders(BTC)
        return [ModifyIntent(client_order_id=order.client_order_id, quantity=2 * order.quantity)]

    crash = Crash(tmp_path, lambda _: [LIMIT], enlarge)
    whole = LIMIT.quantity
    crash.answer(at_venue(crash.order(), quantity=2 * whole, filled=whole), part("T1", str(whole)))
    order = crash.order()
    assert (order.status, order.leaves, order.changes) == ("ACCEPTED", whole, 0)
    assert crash.recovery.done


def test_fills_that_were_taken_as_a_sum_are_not_taken_again_one_by_one(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    crash.answer(at_venue(crash.order(), filled=Decimal("0.004"), average_price=29_400.0))
    ledger = crash.context.ledger
    asked = resting(ledger, [])
    again = Recovery(asked, ledger, NOW, 10 * SECOND)
    parts = [part("T1", "0.003"), part("T2", "0.002")]
    finding = again.answer(
        crash.order().client_order_id,
        at_venue(crash.order(), filled=Decimal("0.005"), average_price=29_400.0),
        parts,
        NOW,
    )
    (rest,) = [fact for fact in finding.facts if isinstance(fact, Fill)]
    assert (rest.quantity, rest.price) == (Decimal("0.001"), pytest.approx(29_400.0))


def test_fill_whose_fee_nobody_can_value_is_taken_and_halts(tmp_path: Path) -> None:
    crash = Crash(tmp_path, lambda _: [BUY])
    fill = replace(part("T1", "0.010"), fee=0.0, unknown_fee="the fee is in BNB")
    finding = crash.answer(at_venue(crash.order(), filled=Decimal("0.010"), status="FILLED"), fill)
    assert finding.halt == "the fee is in BNB"
    assert crash.context.ledger.position("S-001", BTC).quantity == Decimal("0.010")
    assert [halt.reason for halt in crash.context.guard.halts] == ["the fee is in BNB"]


def test_fee_of_a_fill_that_was_told_before_halts_nothing(tmp_path: Path) -> None:
    some = Decimal("0.004")
    crash = Crash(
        tmp_path,
        lambda _: [BUY],
        answers=[lambda d, _: d.fill(d.commands[0].client_order_id, price=3e4, quantity=some)],
    )
    (trade,) = [trade for _, trade in crash.context.ledger.trades()]
    told = replace(part(trade, "0.004"), unknown_fee="the fee is in BNB")
    finding = crash.answer(
        at_venue(crash.order(), filled=Decimal("0.010"), status="FILLED"), told, part("T2", "0.006")
    )
    assert finding.halt == ""
    assert crash.context.ledger.position("S-001", BTC).quantity == Decimal("0.010")


def test_strategy_that_waits_for_an_order_is_told_that_the_venue_does_not_know_it(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT])
    told: list[tuple[str, Any, str]] = []
    crash.strategy.decide_on_order = lambda order, update: (  # type: ignore[method-assign]
        told.append((order.client_order_id, update.status, update.reason)) or ()
    )
    crash.follow(crash.recovery.wait(NOW + 10 * SECOND))
    name = crash.order().client_order_id
    assert [row[:2] for row in told] == [(name, "REJECTED")]
    assert "the venue did not know it" in told[0][2]
    assert crash.context.ledger.rejected[-1].client_order_id == name
    assert [(r.kind, r.body.answer) for r in crash.records() if r.kind == "acknowledged"] == [
        ("acknowledged", "unknown")
    ]
    assert unresolved(crash.path) == []


def test_stop_that_the_venue_does_not_know_has_ended_and_was_not_refused(tmp_path: Path) -> None:
    """A strategy answers a refused stop by closing, and a missing one by putting it back."""
    crash = held_with_a_stop(tmp_path)
    told: list[Any] = []
    crash.strategy.decide_on_order = lambda _, update: (  # type: ignore[method-assign]
        told.append(update.status) or [STOP]
    )
    crash.follow(crash.recovery.wait(NOW + 10 * SECOND))
    assert told == ["CANCELED"]
    assert stop_of(crash).status == "CANCELED"
    (again,) = crash.desk.commands
    assert again.terms is not None
    assert again.terms.kind == "STOP_MARKET"
    crash.journal.close()
    assert rebuild(crash.path, Ledger(100_000.0)).orders[stop_of(crash).client_order_id].status == (
        "CANCELED"
    )


def test_only_an_order_that_was_decided_and_did_not_leave_is_believed_unknown(
    tmp_path: Path,
) -> None:
    crash = Crash(tmp_path, lambda _: [LIMIT, BUY])
    first, second = unresolved(crash.path)
    recovery = Recovery(
        [replace(first, stage="decided"), second], crash.context.ledger, NOW, 10 * SECOND
    )
    finding = recovery.never_left(first.client_order_id, NOW)
    assert (len(finding.facts), finding.halt) == (1, "")
    assert recovery.never_left(second.client_order_id, NOW) == Finding()
    change_of_it = replace(second, action="modify", stage="decided")
    other = Recovery([change_of_it], crash.context.ledger, NOW, 10 * SECOND)
    assert other.never_left(second.client_order_id, NOW) == Finding()
    assert [q.client_order_id for q in recovery.questions] == [second.client_order_id]
