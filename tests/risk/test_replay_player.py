"""What a recording says when it is played, fact by fact."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import astuple

from aitb_nautilus.messages import OrderStatus, OrderUpdate, prediction_topic
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.replay_compare import Findings, JournalAgain
from aitb_nautilus.risk.replay_player import RecordingPlayer
from aitb_nautilus.risk.replay_stage import ReplayStage
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, T0, Scripted, make_context

TOPIC = prediction_topic("up", BTC)


def play(entries: Sequence[Entry]) -> tuple[RecordingPlayer, ReplayStage]:
    findings, stage = Findings(), ReplayStage()
    player = RecordingPlayer(
        iter(entries),
        make_context(),
        components={},
        stage=stage,
        findings=findings,
        journal=JournalAgain(iter(()), findings),
        check_bar=lambda *_: None,
    )
    return player, stage


def heard(who: str) -> Entry:
    return Entry("hear", 0, 1, who, ())


def reading(value: int) -> Entry:
    return Entry("reading", 0, 1, "", (value,))


def test_listener_that_waits_for_its_bar_reads_the_clock_as_it_did_then() -> None:
    # A prediction may come before the bar that it answers: who hears it keeps it for later.
    command = Entry("command", 0, 1, "a", ("cancel", "1"))
    player, stage = play([heard("a"), heard("b"), reading(7), reading(8), command])
    told: list[str] = []
    for who in ("a", "b"):
        stage.subscribe(who, TOPIC, lambda _, who=who: told.append(who))  # type: ignore[misc]
    stage.publish(TOPIC, "a prediction")
    assert told == ["a", "b"]
    assert [player.reading(0), player.reading(0)] == [7, 8]


def test_listeners_that_answer_at_once_hear_in_the_order_of_the_recording() -> None:
    player, stage = play([heard("b"), reading(7), reading(8), heard("a"), reading(9)])
    told: list[tuple[str, int]] = []
    for who in ("a", "b"):
        stage.subscribe(
            who,
            TOPIC,
            lambda _, who=who: told.append((who, player.reading(0))),  # type: ignore[misc]
        )
    stage.publish(TOPIC, "a prediction")
    # The first asked less often than it did; what it did not ask is left out.
    assert told == [("b", 7), ("a", 9)]


def test_ends_that_a_node_found_out_by_asking_are_answered_again() -> None:
    """One order is unknown at its venue; the other was denied, and is sent again."""
    desk = DryDesk(make_context())
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    desk.context.ledger.apply_order(an_order("entry", is_exit=False))
    desk.context.ledger.apply_order(an_order("sale", is_exit=True))
    told: list[tuple[str, OrderStatus | None]] = []
    strategy.decide_on_order = lambda order, update: (  # type: ignore[method-assign]
        told.append((order.client_order_id, update.status)) or ()
    )
    ends = (("unknown", "entry", "REJECTED"), ("again", "sale", "DENIED"))
    entries = [
        Entry(kind, 0, T0, "S-001", (T0, *astuple(OrderUpdate(name, BTC, T0, status))))  # type: ignore[arg-type]
        for kind, name, status in ends
    ]
    findings = Findings()
    RecordingPlayer(
        iter(entries),
        desk.context,
        components={"S-001": strategy},
        stage=ReplayStage(),
        findings=findings,
        journal=JournalAgain(iter(()), findings),
        check_bar=lambda *_: None,
    ).play()
    assert told == [("entry", "REJECTED")]
    orders = desk.context.ledger.orders
    assert [orders[name].status for name in ("entry", "sale")] == ["REJECTED", "DENIED"]
    assert (desk.context.ledger.open_order_count(), findings.divergence) == (0, None)


def an_order(name: str, *, is_exit: bool) -> Order:
    return Order(
        client_order_id=name,
        strategy_id="S-001",
        instrument_id=BTC,
        side="SELL" if is_exit else "BUY",
        kind="MARKET",
        quantity=Decimal(1),
        price=None,
        trigger_price=None,
        reduce_only=is_exit,
        purpose="exit:signal" if is_exit else "entry",
        ts_sent=T0,
        is_exit=is_exit,
    )
