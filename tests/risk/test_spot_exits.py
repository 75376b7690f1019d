"""Exits on a spot market: one order rests, and what cannot rest is followed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import CancelIntent, CloseIntent, ModifyIntent, OrderIntent
from aitb_nautilus.risk.exit_settings import Target
from aitb_nautilus.risk.guard import LotRules
from tests.risk.exit_desk import Desk

LOTS = LotRules(Decimal("0.001"), Decimal("0.001"), 5.0, long_only=True)


def desk(**exits: Any) -> Desk:
    return Desk(lots=LOTS, **exits)


def kinds(made: Desk) -> list[str]:
    return [type(intent).__name__ for intent in made.sent]


def test_stop_rests_alone_and_the_target_is_followed() -> None:
    made = desk(stop_frac=0.1, target_frac=0.1)
    made.fill("BUY", "2", 100.0)
    assert [(o.kind, o.leaves, o.trigger_price) for o in made.open()] == [
        ("STOP_MARKET", Decimal(2), 90.0)
    ]
    made.bar(109.0, high=111.0)
    assert made.closed_at_market() == []
    made.bar(110.0)
    (sale,) = made.closed_at_market()
    assert (sale.purpose, sale.leaves) == ("exit:target", Decimal(2))


def test_stop_that_moves_is_replaced_and_never_changed() -> None:
    made = desk(trailing_frac=0.1)
    made.fill("BUY", "2", 100.0)
    made.bar(120.0)
    assert made.stop().trigger_price == 108.0
    assert kinds(made) == ["OrderIntent", "CancelIntent", "OrderIntent"]
    assert not any(isinstance(one, ModifyIntent) for one in made.sent)


def test_stop_grows_with_the_position_by_another_one() -> None:
    made = desk(stop_frac=0.1)
    made.fill("BUY", "1", 100.0)
    made.fill("BUY", "1", 100.0)
    assert [o.leaves for o in made.open()] == [Decimal(2)]


def test_part_at_a_target_leaves_a_stop_for_the_rest() -> None:
    made = desk(stop_frac=0.1, targets=(Target(frac=0.1, close_frac=0.5),))
    made.fill("BUY", "2", 100.0)
    made.bar(110.0)
    (sale,) = made.closed_at_market()
    assert (sale.purpose, sale.leaves) == ("exit:target_1", Decimal(1))
    made.fill_order(sale, 110.0)
    assert made.stop().leaves == Decimal(1)
    made.bar(112.0)
    assert made.closed_at_market() == []


def test_part_that_the_venue_would_not_take_is_the_whole() -> None:
    made = desk(stop_frac=0.1, targets=(Target(frac=0.1, close_frac=0.5),))
    made.fill("BUY", "0.08", 100.0)
    made.bar(110.0)
    (sale,) = made.closed_at_market()
    assert sale.leaves == Decimal("0.08")  # 0.04 at 110 are 4.4, and it takes 5


def test_target_without_a_stop_rests() -> None:
    made = desk(target_frac=0.1)
    made.fill("BUY", "2", 100.0)
    assert made.targets() == [("exit:target", 110.0, Decimal(2))]


def test_stop_that_somebody_cancelled_is_put_back_and_one_that_is_refused_closes() -> None:
    made = desk(stop_frac=0.1)
    made.fill("BUY", "2", 100.0)
    made.update(made.stop().client_order_id, "CANCELED")
    assert made.stop().leaves == Decimal(2)
    made.takes = False
    made.bar(100.0)
    made.update(made.stop().client_order_id, "REJECTED")
    assert isinstance(made.sent[-1], CloseIntent)


def test_replaced_stop_whose_cancel_came_late_is_placed_again() -> None:
    made = desk(trailing_frac=0.1)
    made.fill("BUY", "2", 100.0)
    first = made.stop()
    made.takes = False
    made.bar(120.0)
    cancel, wanted = made.sent[-2:]
    assert isinstance(cancel, CancelIntent)
    assert isinstance(wanted, OrderIntent)
    # The successor was given up, since the venue had not answered; now it does.
    made.ledger.withdraw_order(made.open()[-1].client_order_id)
    made.takes = True
    made.update(first.client_order_id, "CANCELED")
    assert (made.stop().trigger_price, made.stop().leaves) == (108.0, Decimal(2))


def test_dust_has_no_exits() -> None:
    made = desk(stop_frac=0.1)
    made.fill("BUY", "0.04", 100.0)
    assert (made.open(), made.view.quantity("X.V")) == ([], 0)


def test_stop_that_would_be_worth_too_little_waits_for_the_rest_of_the_entry() -> None:
    made = desk(stop_frac=0.1)
    entry = made.order("BUY", "2")
    made.fill_order(entry, 100.0, "0.052")  # 5.2 now, and 4.68 at the stop; the venue takes 5
    assert made.sent == []
    made.fill_order(entry, 100.0)
    assert (made.stop().leaves, made.closed_at_market()) == (Decimal(2), [])


def test_entry_that_ends_with_too_little_for_a_stop_is_closed() -> None:
    made = desk(stop_frac=0.1)
    entry = made.order("BUY", "2")
    made.fill_order(entry, 100.0, "0.052")
    made.update(entry.client_order_id, "CANCELED")
    (sale,) = made.closed_at_market()
    assert (sale.purpose, sale.leaves) == ("exit:stop", Decimal("0.052"))


def test_what_a_stop_has_left_and_no_other_could_protect_is_closed() -> None:
    made = desk(stop_frac=0.1)
    made.fill("BUY", "2", 100.0)
    stop = made.stop()
    made.fill_order(stop, 96.0, "1.947")  # 0.053 at 96 are 5.09, and 4.77 at the stop
    made.update(stop.client_order_id, "CANCELED")
    (sale,) = made.closed_at_market()
    assert sale.leaves == Decimal("0.053")


def test_part_at_a_target_that_leaves_too_little_for_a_stop_is_the_whole() -> None:
    made = desk(stop_frac=0.1, targets=(Target(frac=0.1, close_frac=0.5),))
    made.fill("BUY", "0.1", 100.0)
    made.bar(110.0)
    (sale,) = made.closed_at_market()
    assert sale.leaves == Decimal("0.1")  # 0.05 at 110 are 5.5, and 4.5 at the stop
