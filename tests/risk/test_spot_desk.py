"""A spot desk without an engine whose venue answers cancels late, by errors, or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.messages import BarClosed, CloseIntent, OrderIntent
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.capture import RunState
from aitb_nautilus.risk.context import Context
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.exits import Exits, make_exits
from aitb_nautilus.risk.guard import Guard
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limits import build_limits
from aitb_nautilus.risk.locks import Locks
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import ROOMY, Scripted

X = "BTCUSDT.BINANCE"
SEC = 1_000_000_000
MINUTE = 60 * SEC
PATIENCE = 10 * SEC


class Spot(DryDesk):
    """A strategy that holds one coin of five that it has asked for, with a stop for that one."""

    def __init__(self) -> None:
        spec = InstrumentSettings(
            id=X, kind="spot", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001"
        )
        lots = {X: LotRules(Decimal("0.001"), Decimal("0.001"), 5.0, long_only=True)}
        ledger = Ledger(10_000.0, lots)
        guard = Guard(ledger, build_limits(ROOMY), lots)
        context = Context(RunState(), ledger, guard, {X: engine_instrument(spec)})
        locks = Locks(ledger, lots, PATIENCE, context.tape)
        msgspec.structs.force_setattr(context, "locks", locks)
        super().__init__(context)
        self.strategy = Scripted(Settings(), context, "S-001")
        self.add(self.strategy)
        exits = make_exits(Exits(stop_frac=0.1), self.strategy.view, context, (X,))[X]
        self.strategy.answers = {"fill": lambda _, fill: exits.on_fill(fill)}
        self.strategy.decide_on_order = exits.on_order  # type: ignore[method-assign]
        self.strategy.decide_on_bar = exits.on_bar  # type: ignore[method-assign]
        self.minute()
        buy = OrderIntent(instrument_id=X, side="BUY", quantity=Decimal(5))
        self.strategy.act([buy])
        self.entry = self.commands[0].client_order_id
        self.update(self.entry, "ACCEPTED")
        self.part("1")
        self.first = self.stops()[0].client_order_id
        self.update(self.first, "ACCEPTED")
        self.commands.clear()

    def part(self, quantity: str) -> None:
        self.fill(self.entry, price=100.0, quantity=Decimal(quantity))

    def minute(self) -> None:
        self.bar_after(MINUTE)

    def bar_after(self, ns: int) -> None:
        self.wait(ns)
        self.bar(BarClosed(X, self.now, 100.0, 100.0, 100.0, 100.0, 1.0))

    def wait(self, ns: int) -> None:
        self.move_on(self.now + ns)
        self.context.expire(self.now)

    def stops(self) -> list[Order]:
        return [o for o in self.context.ledger.open_orders(X) if o.is_stop]

    def said(self) -> list[tuple[str, str]]:
        """Return what left, and of which order; then forget it."""
        found = [(one.action, one.client_order_id) for one in self.commands]
        self.commands.clear()
        return found

    @property
    def level(self) -> str:
        return self.context.guard.states.level("S-001", X)

    def build(self, *terms: dict[str, Any]) -> list[str]:
        """Send orders that the strategy has built itself; return what has left, later as well."""
        left: list[str] = []
        orders = [
            OrderTerms(client_order_id=f"own-{n}", instrument_id=X, **one)
            for n, one in enumerate(terms, 1)
        ]
        self.strategy.answering.submit_built(orders, lambda: left.append("sent"))
        return left


def test_unanswered_cancel_of_an_outgrown_stop_binds_and_the_full_stop_follows() -> None:
    desk = Spot()
    desk.part("4")
    assert desk.said() == [("cancel", desk.first)]
    assert [o.leaves for o in desk.stops()] == [1, 5]
    for _ in range(8):
        desk.minute()
    # One stop waits, and what locks its coins is cancelled again.
    assert [o.leaves for o in desk.stops()] == [1, 5]
    assert set(desk.said()) == {("cancel", desk.first)}
    assert desk.level == "reducing"
    (halt,) = desk.context.guard.halts
    assert "SELL 5 STOP_MARKET" in halt.reason
    assert desk.first in halt.reason
    desk.update(desk.first, "CANCELED")
    (stop,) = desk.stops()
    assert stop.leaves == 5
    assert desk.said() == [("submit", stop.client_order_id)]


def test_cancel_that_was_refused_is_asked_for_again_at_the_next_bar() -> None:
    desk = Spot()
    desk.part("4")
    desk.update(desk.first, None)
    assert desk.said() == [("cancel", desk.first)]
    desk.bar_after(SEC)
    assert desk.said()[-1] == ("cancel", desk.first)
    desk.update(desk.first, "CANCELED")
    assert [(o.leaves, desk.context.holds(o.client_order_id)) for o in desk.stops()] == [(5, False)]
    assert desk.level == "active"


def test_close_waits_for_a_cancel_that_nobody_answers_and_sells_nothing_twice() -> None:
    desk = Spot()
    desk.strategy.act([CloseIntent(instrument_id=X)])
    assert desk.said() == [("cancel", desk.first)]
    for _ in range(3):
        desk.wait(PATIENCE)
    assert desk.said() == [("cancel", desk.first)] * 3
    assert desk.level == "reducing"
    desk.fill(desk.first, price=90.0)
    assert desk.said() == []
    assert desk.context.ledger.position("S-001", X).quantity == 0


def test_sale_that_a_strategy_built_itself_waits_for_its_coins() -> None:
    desk = Spot()
    left = desk.build({"side": "SELL", "kind": "MARKET", "quantity": Decimal(1)})
    assert (left, desk.said()) == ([], [("cancel", desk.first)])
    assert desk.context.holds("own-1")
    desk.update(desk.first, "CANCELED")
    assert left == ["sent"]


def test_resting_sale_that_a_strategy_built_beside_its_stop_does_not_leave() -> None:
    desk = Spot()
    left = desk.build(
        {"side": "SELL", "kind": "LIMIT", "quantity": Decimal(1), "price": 110.0},
    )
    assert (left, desk.said()) == ([], [])
    assert "own-1" not in desk.context.ledger.orders


def test_list_with_a_sale_is_refused_on_a_spot_market() -> None:
    desk = Spot()
    left = desk.build(
        {"side": "BUY", "kind": "MARKET", "quantity": Decimal(1)},
        {"side": "SELL", "kind": "STOP_MARKET", "quantity": Decimal(1), "trigger_price": 90.0},
    )
    assert left == []
    (refusal,) = desk.strategy.refusals
    assert "send them one by one" in refusal.line
    assert desk.build({"side": "BUY", "kind": "MARKET", "quantity": Decimal(1)}) == ["sent"]


def test_sale_of_more_than_is_held_sells_what_is_held_and_locks_nothing_out() -> None:
    """Such as of all that was bought, of which the venue has kept its fee."""
    desk = Spot()
    sale = {"side": "SELL", "quantity": Decimal("1.001"), "reduce_only": True}
    desk.strategy.act([OrderIntent(instrument_id=X, **sale)])
    assert desk.said() == [("cancel", desk.first)]
    desk.update(desk.first, "CANCELED")
    (close,) = [o for o in desk.context.ledger.open_orders(X) if o.side == "SELL"]
    assert (close.kind, close.quantity) == ("MARKET", 1)
    assert desk.said() == [("submit", close.client_order_id)]
    assert desk.level == "active"
