"""What a spot market takes no order for becomes dust, once, and nothing is tried again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.cli.audit_words import spell_record
from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.messages import BarClosed, CloseIntent, Fill, Intent, OrderIntent, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.exits import Exits, make_exits
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Dusted
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import build_limits
from aitb_nautilus.risk.strategy import GuardedStrategy
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.lively import journal_of
from tests.risk.rig import ROOMY, close_of

X = "BTCUSDT.BINANCE"
SPEC = InstrumentSettings(
    id=X,
    kind="spot",
    base="BTC",
    quote="USDT",
    tick_size="0.01",
    lot_size="0.001",
    min_notional="5",
)
LOTS = {X: LotRules(Decimal("0.001"), Decimal("0.001"), 5.0, long_only=True)}


class Holder(GuardedStrategy):
    """Buy and close at the bars that are named."""

    quantity = Decimal("0.11")
    buys: tuple[int, ...] = (1, 6)
    closes: tuple[int, ...] = ()
    bars = 0

    def protect_by(self, exits: Exits) -> None:
        self.exits = make_exits(exits, self.view, self.context, (X,))[X]

    def decide_on_bar(self, bar: BarClosed) -> Iterable[Intent]:
        self.bars += 1
        self.exits.measure(bar)
        if self.bars in self.buys:
            return [OrderIntent(instrument_id=X, side="BUY", quantity=self.quantity)]
        if self.bars in self.closes:
            return [CloseIntent(instrument_id=X)]
        return self.exits.on_bar(bar)

    def decide_on_fill(self, fill: Fill) -> Iterable[Intent]:
        return self.exits.on_fill(fill)

    def decide_on_order(self, order: Order, update: OrderUpdate) -> Iterable[Intent]:
        return self.exits.on_order(order, update)


class SpotDesk(DryDesk):
    """A desk that has bought 0.11 at 100, with a target at 200."""

    def __init__(self, folder: Path, *closes: int) -> None:
        ledger = Ledger(10_000.0, LOTS)
        guard = Guard(ledger, build_limits(ROOMY), LOTS)
        super().__init__(Context(RunState(), ledger, guard, {X: engine_instrument(SPEC)}))
        self.journal = journal_of(self.context, folder / "journal.sqlite")
        self.strategy = Holder(Settings(), self.context, "S-001")
        self.strategy.closes = closes
        self.strategy.protect_by(Exits(target_frac=1.0))
        self.add(self.strategy)
        self.close_at(100.0)
        self.fill(self.commands[0].client_order_id, price=100.0)

    def close_at(self, price: float) -> None:
        number = self.strategy.bars + 1
        self.bar(BarClosed(X, close_of(number), price, price, price, price, 1.0))

    def said(self, action: str) -> list[Any]:
        return [c for c in self.commands if c.action == action]

    def held(self) -> tuple[Decimal, Decimal]:
        position = self.context.ledger.position("S-001", X)
        return position.quantity, position.dust

    def end(self) -> Path:
        self.journal.close()
        return Path(self.journal.path)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[SpotDesk]:
    made = SpotDesk(tmp_path, 3, 4)
    yield made
    made.end()


def test_close_of_too_little_gives_up_and_cancels_the_target(desk: SpotDesk) -> None:
    (target,) = desk.said("submit")[1:]
    desk.update(target.client_order_id, "ACCEPTED")
    desk.close_at(46.0)
    assert desk.held() == (Decimal("0.11"), 0)  # 5.06
    desk.close_at(45.0)
    assert desk.held() == (0, Decimal("0.11"))
    assert [c.client_order_id for c in desk.said("cancel")] == [target.client_order_id]
    desk.update(target.client_order_id, "CANCELED")
    desk.close_at(44.0)
    assert len(desk.said("submit")) == 2
    (rest,) = desk.context.ledger.dust.given_up
    assert rest.why == "at 45 it is worth 4.95, and the venue takes no order below 5"
    assert desk.context.guard.state == "active"


def test_close_that_is_refused_for_its_average_value_gives_up_once(desk: SpotDesk) -> None:
    (target,) = desk.said("submit")[1:]
    desk.update(target.client_order_id, "ACCEPTED")
    desk.close_at(46.0)
    desk.close_at(46.0)
    desk.update(target.client_order_id, "CANCELED")
    close = desk.said("submit")[-1]
    desk.update(close.client_order_id, "REJECTED", reason="Filter failure: NOTIONAL")
    assert desk.held() == (0, Decimal("0.11"))
    assert (len(desk.said("submit")), desk.context.guard.state) == (3, "active")


def test_sale_that_is_on_its_way_is_waited_for(desk: SpotDesk) -> None:
    desk.close_at(46.0)
    desk.close_at(46.0)
    close = desk.said("submit")[-1]
    desk.update(close.client_order_id, "ACCEPTED")
    desk.close_at(45.0)
    assert desk.held() == (Decimal("0.11"), 0)
    assert close.client_order_id not in [c.client_order_id for c in desk.said("cancel")]
    desk.fill(close.client_order_id, price=45.0)
    assert desk.held() == (0, 0)


def test_close_of_much_that_is_refused_for_its_value_is_not_given_up(desk: SpotDesk) -> None:
    desk.close_at(101.0)
    desk.close_at(101.0)
    close = desk.said("submit")[-1]
    # The same words stand for more than the most that a venue takes.
    desk.update(close.client_order_id, "REJECTED", reason="Filter failure: NOTIONAL")
    assert desk.held() == (Decimal("0.11"), 0)


def test_flatten_ends_with_dust_and_tries_no_more(desk: SpotDesk) -> None:
    desk.close_at(46.0)
    desk.context.ledger.marks[X] = 45.0
    desk.context.guard.restrict(Halt(desk.now, "enough", cause="command", flatten=True))
    for second in range(1, 6):
        desk.answering["S-001"].enforce(desk.now + second * 10**9)
    assert desk.held() == (0, Decimal("0.11"))
    assert [c.terms.kind for c in desk.said("submit")] == ["MARKET", "LIMIT"]


def test_journal_says_it_and_the_next_run_holds_it_as_dust(desk: SpotDesk) -> None:
    desk.close_at(46.0)
    desk.close_at(45.0)
    path = desk.end()
    (record,) = read(path, Wanted(kinds=(Dusted.kind,)))
    assert spell_record(record.body) == (
        "0.11 given up as dust: at 45 it is worth 4.95, and the venue takes no order below 5"
    )
    again = rebuild(path, Ledger(10_000.0, LOTS)).position("S-001", X)
    assert (again.quantity, again.dust) == (0, Decimal("0.11"))


def test_dust_that_was_given_up_is_sold_with_the_next_position(desk: SpotDesk) -> None:
    desk.close_at(46.0)
    desk.close_at(45.0)
    desk.update(desk.said("cancel")[0].client_order_id, "CANCELED")
    for price in (45.0, 60.0, 100.0):
        desk.close_at(price)
    buy = desk.said("submit")[-1]
    assert buy.terms.side == "BUY"
    desk.fill(buy.client_order_id, price=100.0)
    target = desk.said("submit")[-1].terms
    assert (target.kind, target.quantity) == ("LIMIT", Decimal("0.22"))
