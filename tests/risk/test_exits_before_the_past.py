"""Exits of a position that is held before the past is told: what is known is placed, no more."""

from __future__ import annotations

from decimal import Decimal

from aitb_nautilus.messages import BarClosed, OrderIntent, OrderUpdate
from aitb_nautilus.risk.exits import ExitManager, Exits
from tests.risk.exit_desk import LOTS, Desk, X


def restarted(desk: Desk, **exits: float) -> None:
    """Let all that rested be gone, and exits begin that have heard nothing."""
    for order in desk.open():
        desk.ledger.apply_update(OrderUpdate(order.client_order_id, X, desk.now, "CANCELED"))
    desk.exits = ExitManager(Exits(**exits), desk.view, X, 0.1, LOTS, halt=desk.halt)  # type: ignore[arg-type]
    desk.sent.clear()


def test_stop_that_is_remembered_is_placed_and_nothing_is_closed_at_an_old_price() -> None:
    desk = Desk(stop_frac=0.1, trailing_frac=0.05)
    desk.fill("BUY", "1", 100.0)
    desk.bar(120.0)  # the stop trails to 114, above the entry
    saved = desk.exits.save()
    restarted(desk, stop_frac=0.1, trailing_frac=0.05)
    desk.ledger.marks[X] = 100.0  # all that is known is what it was bought at
    desk.exits.bring_back(saved)
    desk.carry_out(desk.exits.protect())
    assert [type(one) for one in desk.sent] == [OrderIntent]
    assert (desk.stop().trigger_price, desk.stop().quantity) == (114.0, 1)


def test_stop_in_ranges_that_nobody_remembers_waits_for_the_past() -> None:
    desk = Desk(stop_atr=2.0, atr_bars=2)
    desk.now = 10
    desk.fill("BUY", "1", 100.0)
    restarted(desk, stop_atr=2.0, atr_bars=2)
    desk.exits.bring_back(None)
    desk.carry_out(desk.exits.protect())
    assert desk.sent == []
    for ts, close in ((1, 100.0), (2, 101.0), (3, 100.0)):  # ranges of 4: from 2 up to 2 down
        desk.exits.measure(BarClosed(X, ts, close, close + 2, close - 2, close, 1.0))
    desk.carry_out(desk.exits.resume([]))
    assert (desk.stop().trigger_price, desk.stop().quantity) == (92.0, Decimal(1))


def test_position_that_was_begun_without_its_range_gets_it_once_it_is_known() -> None:
    desk = Desk(stop_atr=2.0, atr_bars=2)
    desk.now = 10
    desk.fill("BUY", "1", 100.0)  # such as by a fill that came while the past was awaited
    assert desk.open() == []
    for ts, close in ((1, 100.0), (2, 101.0), (3, 100.0)):
        desk.exits.measure(BarClosed(X, ts, close, close + 2, close - 2, close, 1.0))
    desk.carry_out(desk.exits.resume([]))
    assert desk.stop().trigger_price == 92.0
