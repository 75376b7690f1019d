"""What is not explained binds the trader to reducing, until it is answered and resumed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aitb_nautilus.errors import DataError
from aitb_nautilus.messages import BarClosed, OrderIntent, Side
from aitb_nautilus.risk.answers import Answers
from aitb_nautilus.risk.firewall import Choice, Explained, expected_balance
from aitb_nautilus.risk.firewall_check import Firewall
from aitb_nautilus.risk.firewall_file import Answer, FirewallFile
from aitb_nautilus.risk.holdings import EVERYTHING, Looks
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.trading_states import Resume
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.lively import journal_of
from tests.risk.rig import BTC, ETH, Scripted, close_of, make_context

QUIET = VenueFacts(venues=("BINANCE",), balances={"USDT": Decimal(100_000)})
EXPLAINED = Explained(
    lots={BTC: Decimal("0.001")},
    balances={"USDT": Decimal(100_000)},
    balance_tolerance=Decimal(1),
)
BUY = OrderIntent(
    instrument_id=BTC, side="BUY", kind="LIMIT", quantity=Decimal("0.010"), price=29_500.0
)
FOREIGN = VenueOrder(
    client_order_id="web_1",
    venue_order_id="V9",
    instrument_id=BTC,
    side="BUY",
    kind="LIMIT",
    quantity=Decimal("0.020"),
    filled=Decimal("0.005"),
    price=29_000.0,
    average_price=28_990.0,
)


class Hands:
    """Write down what a node would do at the venue."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.closed: list[tuple[str, Side, Decimal]] = []
        self.unknown: set[str] = set()
        self.listening: dict[str, Answers] = {}

    def knows(self, order: VenueOrder) -> bool:
        return order.venue_order_id not in self.unknown

    def cancel(self, order: VenueOrder) -> None:
        self.cancelled.append(order.venue_order_id)

    def close(self, instrument_id: str, side: Side, quantity: Decimal) -> None:
        self.closed.append((instrument_id, side, quantity))

    def answering(self) -> Mapping[str, Answers]:
        return self.listening


class Desk:
    """A dry desk with a strategy, a journal and a firewall."""

    def __init__(self, folder: Path) -> None:
        self.dry = DryDesk(make_context())
        self.context = self.dry.context
        self.strategy = Scripted(Settings(), self.context, "ema-001")
        self.dry.add(self.strategy)
        self.folder = folder
        self.journal = journal_of(self.context, folder / "journal.sqlite")
        self.file = FirewallFile(folder, "AITB-001")
        self.hands = Hands()
        self.firewall = Firewall(self.context, ["ema-001"], self.file, self.hands)
        self.dry.bar(BarClosed(BTC, close_of(1), *(30_000.0,) * 4, 5.0))
        self.clock = close_of(1)

    def check(self, facts: VenueFacts, explained: Explained = EXPLAINED) -> list[str]:
        self.clock += 1
        return [row.key for row in self.firewall.check(facts, explained, self.clock)]

    def answer(self, key: str, choice: Choice, strategy: str = "ema") -> None:
        table = self.file.table()
        assert table is not None
        row = next(row for row in table.rows if row.key == key)
        self.clock += 1
        self.file.add_answer(
            Answer(
                key=key,
                at_venue=row.at_venue,
                choice=choice,
                strategy=strategy,
                who="ann@box",
                reason="seen",
                ts=self.clock,
            )
        )

    def told(self, *kinds: str) -> list[Any]:
        self.journal.flush()
        return [r.body for r in read(self.journal.path, Wanted(kinds=kinds))]


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def test_adopted_balance_and_position_are_seen_by_the_limits_at_once(desk: Desk) -> None:
    ledger = desk.context.ledger
    looks = Looks(ledger)

    def known() -> Explained:
        return replace(EXPLAINED, balances={"USDT": expected_balance(ledger)})

    assert looks.at(EVERYTHING, None).equity == 100_000
    less = replace(QUIET, balances={"USDT": Decimal(60_000)})
    assert desk.check(less, known()) == ["balance:USDT"]
    desk.answer("balance:USDT", "adopt")
    desk.check(less, known())
    assert looks.at(EVERYTHING, None).equity == ledger.equity() == 60_000
    assert desk.check(less, known()) == []

    # 0.5 bought at 31,000 and worth 30,000: no money moved, and 500 are lost.
    held = replace(less, positions={BTC: Decimal("0.500")}, entry_prices={BTC: 31_000.0})
    (row,) = desk.check(held, known())
    desk.answer(row, "adopt")
    assert desk.check(held, known()) == []
    assert looks.at(EVERYTHING, None).equity == ledger.equity() == 59_500
    assert expected_balance(ledger) == 60_000


def test_explained_venue_leaves_trading_alone(desk: Desk) -> None:
    assert desk.check(QUIET) == []
    assert (desk.context.guard.state, desk.context.guard.halts) == ("active", [])
    table = desk.file.table()
    assert table is not None
    assert (table.rows, table.ts) == ((), desk.clock)


def test_unexplained_thing_binds_the_trader_to_reducing_with_the_table_as_reason(
    desk: Desk,
) -> None:
    facts = replace(QUIET, orders=(FOREIGN,))
    assert desk.check(facts) == ["order:web_1"]
    guard = desk.context.guard
    assert guard.state == "reducing"
    (halt,) = guard.halts
    assert (halt.who, halt.level, halt.scope.kind) == ("firewall", "reducing", "trader")
    assert halt.reason == (
        "one thing at the venue that the journal does not explain: order web_1, BUY 0.020 LIMIT "
        f"at 29000, 0.005 filled {BTC}, is open: nobody here sent it"
    )
    assert [found.key for found in desk.told("found")] == ["order:web_1"]
    # The same table again is no news; another row is.
    assert desk.check(facts) == ["order:web_1"]
    assert len(guard.halts) == 1
    assert desk.check(replace(facts, positions={ETH: Decimal(1)})) == [
        "order:web_1",
        f"position:{ETH}",
    ]
    assert len(guard.halts) == 2
    assert [found.key for found in desk.told("found")] == ["order:web_1", f"position:{ETH}"]


def test_nothing_opens_meanwhile_and_a_person_lifts_it(desk: Desk) -> None:
    facts = replace(QUIET, orders=(FOREIGN,))
    desk.check(facts)
    desk.strategy.steps = {2: lambda _: [BUY], 3: lambda _: [BUY]}
    desk.dry.bar(BarClosed(BTC, close_of(2), *(30_000.0,) * 4, 5.0))
    assert [d.limit for d in desk.strategy.refusals] == ["state"]
    assert "order web_1" in desk.strategy.refusals[0].line
    desk.context.guard.resume(Resume(close_of(2), "mine", "ann@box"))
    assert desk.check(facts) == ["order:web_1"]
    assert desk.context.guard.state == "reducing"  # it is still there
    desk.answer("order:web_1", "ignore")
    assert desk.check(facts) == []
    desk.context.guard.resume(Resume(close_of(2), "mine", "ann@box"))
    assert desk.check(facts) == []
    assert desk.context.guard.state == "active"
    desk.dry.bar(BarClosed(BTC, close_of(3), *(30_000.0,) * 4, 5.0))
    assert [c.action for c in desk.dry.commands] == ["submit"]


def test_ignored_thing_that_changes_is_shown_again(desk: Desk) -> None:
    desk.check(replace(QUIET, positions={ETH: Decimal(1)}))
    desk.answer(f"position:{ETH}", "ignore")
    assert desk.check(replace(QUIET, positions={ETH: Decimal(1)})) == []
    assert desk.check(replace(QUIET, positions={ETH: Decimal(2)})) == [f"position:{ETH}"]


@pytest.mark.parametrize(("choice", "owner"), [("cancel", ""), ("adopt", "ema")])
def test_order_that_the_engine_does_not_know_is_not_taken_for_done(
    desk: Desk, choice: Choice, owner: str
) -> None:
    """It came while the node ran, and the engine was not told of it."""
    facts = replace(QUIET, orders=(FOREIGN,))
    desk.hands.unknown.add("V9")
    desk.check(facts)
    desk.answer("order:web_1", choice, owner)
    assert desk.check(facts) == ["order:web_1"]
    assert desk.hands.cancelled == []
    (settled,) = desk.told("settled")
    assert "start the node again" in settled.failed
    assert "web_1" not in desk.context.ledger.orders


def test_cancel_and_close_go_to_the_venue_once(desk: Desk) -> None:
    facts = replace(QUIET, orders=(FOREIGN,), positions={BTC: Decimal("-0.030")})
    desk.check(facts)
    desk.answer("order:web_1", "cancel")
    desk.answer(f"position:{BTC}", "close")
    for _ in range(2):
        assert desk.check(facts) == ["order:web_1", f"position:{BTC}"]
    assert desk.hands.cancelled == ["V9"]
    assert desk.hands.closed == [(BTC, "BUY", Decimal("0.030"))]
    assert desk.check(QUIET) == []
    settled = desk.told("settled")
    assert [(s.key, s.choice, s.who, s.reason, s.failed) for s in settled] == [
        ("order:web_1", "cancel", "ann@box", "seen", ""),
        (f"position:{BTC}", "close", "ann@box", "seen", ""),
    ]


def test_adopted_order_belongs_to_the_strategy_and_survives_a_restart(desk: Desk) -> None:
    facts = replace(QUIET, orders=(FOREIGN,), positions={BTC: Decimal("0.005")})
    assert desk.check(facts) == ["order:web_1", f"position:{BTC}"]
    desk.answer("order:web_1", "adopt")
    assert desk.check(facts) == []  # its fill explains the position
    order = desk.context.ledger.orders["web_1"]
    assert (order.strategy_id, order.purpose, order.leaves) == (
        "ema-001",
        "adopted",
        Decimal("0.015"),
    )
    assert desk.strategy.view.quantity(BTC) == Decimal("0.005")
    assert desk.context.ledger.fills[0].price == pytest.approx(28_990.0)
    assert desk.context.guard.permits.is_used("web_1")
    desk.journal.flush()
    again = rebuild(desk.folder, Ledger(100_000.0))
    assert again.orders["web_1"].leaves == Decimal("0.015")
    assert again.position("ema-001", BTC).quantity == Decimal("0.005")


def test_adopted_position_is_the_strategys_at_the_venues_price(desk: Desk) -> None:
    facts = replace(QUIET, positions={BTC: Decimal("-0.020")}, entry_prices={BTC: 31_000.0})
    desk.check(facts)
    desk.answer(f"position:{BTC}", "adopt")
    assert desk.check(facts) == []
    position = desk.strategy.view.position(BTC)
    assert (position.quantity, position.average_price) == (Decimal("-0.020"), 31_000.0)
    desk.journal.flush()
    again = rebuild(desk.folder, Ledger(100_000.0))
    assert again.position("ema-001", BTC).quantity == Decimal("-0.020")


def test_order_that_is_gone_is_taken_as_ended(desk: Desk) -> None:
    desk.strategy.steps = {2: lambda _: [BUY]}
    desk.dry.bar(BarClosed(BTC, close_of(2), *(30_000.0,) * 4, 5.0))
    name = desk.dry.commands[0].client_order_id
    desk.dry.update(name, "ACCEPTED")
    told: list[tuple[str, Any]] = []
    desk.strategy.decide_on_order = lambda order, update: (  # type: ignore[method-assign]
        told.append((order.client_order_id, update.status)) or ()
    )
    desk.hands.listening = desk.dry.answering
    assert desk.check(QUIET) == [f"order:{name}"]
    desk.answer(f"order:{name}", "adopt", strategy="")
    assert desk.check(QUIET) == []
    assert desk.context.ledger.orders[name].status == "CANCELED"
    assert told == [(name, "CANCELED")]
    assert [a.answer for a in desk.told("acknowledged")] == ["accepted", "unknown"]


def test_fills_that_were_missed_are_adopted_with_the_order(desk: Desk) -> None:
    desk.strategy.steps = {2: lambda _: [BUY]}
    desk.dry.bar(BarClosed(BTC, close_of(2), *(30_000.0,) * 4, 5.0))
    name = desk.dry.commands[0].client_order_id
    desk.dry.update(name, "ACCEPTED")
    order = replace(
        FOREIGN,
        client_order_id=name,
        quantity=BUY.quantity,  # type: ignore[arg-type]
        price=BUY.price,
        filled=Decimal("0.004"),
        average_price=29_500.0,
    )
    facts = replace(QUIET, orders=(order,), positions={BTC: Decimal("0.004")})
    assert desk.check(facts) == [f"order:{name}"]
    desk.answer(f"order:{name}", "adopt", strategy="")
    assert desk.check(facts) == []
    assert desk.strategy.view.quantity(BTC) == Decimal("0.004")


def test_what_was_bought_on_spot_cannot_be_adopted_without_its_fees(desk: Desk) -> None:
    lots = desk.context.guard.lots
    desk.context.ledger._lots = {BTC: replace(lots[BTC], long_only=True)}
    facts = replace(QUIET, orders=(FOREIGN,))
    assert desk.check(facts) == ["order:web_1"]
    desk.answer("order:web_1", "adopt")
    assert desk.check(facts) == ["order:web_1"]
    assert desk.told("settled")[0].failed.startswith("what it has bought cannot be counted")
    assert desk.context.ledger.orders == {}
    assert desk.context.ledger.fills == []


def test_adopted_balance_moves_equity(desk: Desk) -> None:
    facts = replace(QUIET, balances={"USDT": Decimal(100_250)})
    desk.check(facts)
    desk.answer("balance:USDT", "adopt", strategy="")
    desk.check(facts)
    assert desk.context.ledger.equity() == pytest.approx(100_250.0)


@pytest.mark.parametrize(
    ("strategy", "entry", "said"),
    [
        ("nobody", 1_800.0, "there is no strategy 'nobody' that it could belong to, only ema-001"),
        ("ema", None, f"no price of {ETH} was seen yet"),
    ],
)
def test_answer_that_cannot_be_carried_out_says_why_and_leaves_the_row(
    desk: Desk, strategy: str, entry: float | None, said: str
) -> None:
    prices = {} if entry is None else {ETH: entry}
    facts = replace(QUIET, positions={ETH: Decimal(1)}, entry_prices=prices)
    desk.check(facts)
    desk.answer(f"position:{ETH}", "adopt", strategy=strategy)
    assert desk.check(facts) == [f"position:{ETH}"]
    table = desk.file.table()
    assert table is not None
    assert table.settled[0].said.startswith(said)
    assert desk.told("settled")[0].failed.startswith(said)


def test_restart_forgets_neither_table_nor_answers(desk: Desk) -> None:
    facts = replace(QUIET, orders=(FOREIGN,))
    desk.check(facts)
    desk.answer("order:web_1", "cancel")
    desk.check(facts)
    again = Firewall(desk.context, ["ema-001"], desk.file, desk.hands)
    again.check(facts, EXPLAINED, desk.clock + 1)
    assert desk.hands.cancelled == ["V9"]


@pytest.mark.parametrize("name", ["AITB-001.firewall.json", "AITB-001.answers.jsonl"])
def test_damaged_file_is_no_empty_one(desk: Desk, name: str) -> None:
    desk.check(QUIET)
    (desk.folder / name).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        (desk.file.table if "firewall" in name else desk.file.answers)()
