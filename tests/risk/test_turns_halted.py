"""What waits for a close when a halt, or a cancel, comes in between."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aitb_nautilus.messages import (
    BarClosed,
    CancelIntent,
    CloseIntent,
    ModifyIntent,
    OrderIntent,
)
from aitb_nautilus.risk.trading_states import Halt
from aitb_nautilus.risk.turns import Turns
from aitb_nautilus.settings import Settings
from tests.risk.dry_desk import DryDesk
from tests.risk.rig import BTC, Scripted, close_of, make_context

SELL = OrderIntent(instrument_id=BTC, side="SELL", quantity=Decimal("0.010"))
LIMIT = OrderIntent(
    instrument_id=BTC, side="SELL", quantity=Decimal("0.010"), kind="LIMIT", price=30_100.0
)


def bar(desk: DryDesk, number: int) -> None:
    """Close a bar that does not move."""
    desk.bar(BarClosed(BTC, close_of(number), 3e4, 3e4, 3e4, 3e4, 5.0))


def turning(wish: OrderIntent = SELL) -> tuple[DryDesk, Scripted, str]:
    """Hold 0.010, close it and wish for the other side; return the id of the close."""
    desk = DryDesk(make_context())
    msgspec.structs.force_setattr(desk.context, "turns", Turns(desk.context.ledger, 10**12))
    strategy = Scripted(Settings(), desk.context, "S-001")
    desk.add(strategy)
    buy = OrderIntent(instrument_id=BTC, side="BUY", quantity=Decimal("0.010"))
    strategy.steps = {1: lambda _: [buy], 2: lambda _: [CloseIntent(instrument_id=BTC), wish]}
    bar(desk, 1)
    desk.fill(desk.commands[-1].client_order_id, price=30_000.0)
    bar(desk, 2)
    close = desk.commands[-1]
    assert (len(desk.commands), close.terms is not None and close.terms.reduce_only) == (2, True)
    return desk, strategy, close.client_order_id


def held_order(strategy: Scripted) -> str:
    (one,) = [o for o in strategy.view.open_orders(BTC) if not o.reduce_only]
    return one.client_order_id


@pytest.mark.parametrize("level", ["halted", "reducing"])
def test_entry_that_waits_for_its_turn_does_not_leave_after_a_halt(level: Any) -> None:
    desk, strategy, close = turning()
    desk.context.guard.restrict(Halt(1, "by hand", cause="command", level=level, who="me"))
    desk.fill(close, price=30_000.0)
    assert [c.client_order_id for c in desk.commands[2:]] == []
    assert strategy.view.open_orders(BTC) == []
    assert desk.context.guard.refused_by["state"] == 1


def test_entry_that_waits_for_its_turn_does_not_leave_while_nothing_may_open() -> None:
    desk, strategy, close = turning()
    desk.context.guard.withheld["stopping"] = "the run is being stopped"
    desk.fill(close, price=30_000.0)
    assert desk.commands[2:] == []
    assert strategy.view.open_orders(BTC) == []


def test_halt_takes_back_what_waits_without_asking_the_venue() -> None:
    desk, strategy, close = turning()
    desk.context.guard.restrict(Halt(1, "by hand", cause="command", who="me"))
    strategy.answering.obey(desk.now)
    assert desk.commands[2:] == []
    assert [o.client_order_id for o in strategy.view.open_orders(BTC)] == [close]
    desk.fill(close, price=30_000.0)
    assert desk.commands[2:] == []


def test_cancelled_order_that_waits_for_its_turn_never_leaves() -> None:
    desk, strategy, close = turning()
    strategy.act([CancelIntent(client_order_id=held_order(strategy))])
    desk.fill(close, price=30_000.0)
    assert desk.commands[2:] == []


def test_order_that_waits_for_its_turn_cannot_be_changed_at_the_venue() -> None:
    desk, strategy, close = turning(LIMIT)
    strategy.act([ModifyIntent(client_order_id=held_order(strategy), price=30_200.0)])
    assert desk.commands[2:] == []
    assert "has not left yet" in strategy.refusals[-1].line
    desk.fill(close, price=30_000.0)
    (left,) = desk.commands[2:]
    assert left.terms is not None
    assert left.terms.price == 30_100.0


def test_entry_that_waits_for_its_turn_leaves_once_the_close_is_filled() -> None:
    desk, strategy, close = turning()
    waiting = held_order(strategy)
    desk.fill(close, price=30_000.0)
    assert [c.client_order_id for c in desk.commands[2:]] == [waiting]
