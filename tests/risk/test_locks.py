"""A sale waits until no other one locks its coins."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.messages import Fill, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.locks import Locks, Sale
from aitb_nautilus.risk.tape import Tape

X = "BTCUSDT.BINANCE"
LOTS = {X: LotRules(Decimal("0.001"), long_only=True)}


class Rig:
    """A strategy that holds two coins, a stop that sells them, and what becomes of sales."""

    def __init__(self, held: str = "2") -> None:
        self.ledger = Ledger(1_000.0, LOTS)
        self.locks = Locks(self.ledger, LOTS, 10, Tape())
        self.became: list[str] = []
        self.fill("BUY", held)

    def fill(self, side: Any, quantity: str, order: str = "entry") -> None:
        number = str(len(self.ledger.fills))
        amount = Decimal(quantity)
        self.ledger.apply_fill(Fill("s", X, order, number, 1, side, 100.0, amount, 0.0, "TAKER"))

    def order(self, name: str, kind: Any, quantity: str = "2") -> Order:
        made = Order(
            client_order_id=name,
            strategy_id="s",
            instrument_id=X,
            side="SELL",
            kind=kind,
            quantity=Decimal(quantity),
            price=None,
            trigger_price=90.0 if kind == "STOP_MARKET" else None,
            reduce_only=True,
            purpose="exit:stop",
            ts_sent=1,
            is_exit=True,
        )
        self.ledger.apply_order(made)
        return made

    def update(self, name: str, status: Any) -> None:
        self.ledger.apply_update(OrderUpdate(name, X, 1, status))
        self.locks.go_on("s", X)

    def sell(self, name: str, kind: Any, quantity: str = "2") -> None:
        order = self.order(name, kind, quantity)

        def cancel(other: str) -> None:
            self.became.append(f"cancel {other}")
            self.ledger.orders[other].ask_end()

        def back(why: str) -> None:
            self.became.append(f"{name} {why}")
            self.ledger.withdraw_order(name)

        self.locks.take(
            Sale(
                order,
                cancel,
                lambda: self.became.append(f"{name} sent"),
                lambda why: back("given up"),
                lambda left: back(f"again for {left}"),
                lambda names: self.became.append(f"{name} waits for {', '.join(names)}"),
            ),
            0,
        )

    def stop(self) -> None:
        self.sell("stop", "STOP_MARKET")
        self.update("stop", "ACCEPTED")
        self.became.clear()


def test_sale_of_free_coins_leaves_at_once() -> None:
    rig = Rig()
    rig.sell("stop", "STOP_MARKET")
    assert rig.became == ["stop sent"]


def test_close_cancels_the_stop_and_leaves_once_it_is_gone() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    assert rig.became == ["cancel stop"]
    rig.locks.go_on("s", X)
    assert rig.became == ["cancel stop"]
    rig.update("stop", "CANCELED")
    assert rig.became == ["cancel stop", "close sent"]


def test_stop_that_is_on_its_way_is_cancelled_once_the_venue_has_it() -> None:
    rig = Rig()
    rig.sell("stop", "STOP_MARKET")
    rig.sell("close", "MARKET")
    assert rig.became == ["stop sent"]
    rig.update("stop", "ACCEPTED")
    assert rig.became == ["stop sent", "cancel stop"]


def test_what_a_stop_has_sold_meanwhile_is_not_sold_again() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    rig.fill("SELL", "0.5", "stop")
    rig.locks.go_on("s", X)
    assert rig.became == ["cancel stop", "close again for 1.5"]


def test_close_is_given_up_where_the_stop_has_sold_all() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    rig.fill("SELL", "2", "stop")
    rig.locks.go_on("s", X)
    assert rig.became == ["cancel stop", "close given up"]


def test_successor_of_a_stop_waits_for_its_end_and_a_close_goes_before_it() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    rig.sell("stop 2", "STOP_MARKET")
    assert rig.locks.holds("stop 2")
    rig.sell("close", "MARKET")
    assert rig.became == ["stop 2 given up"]
    rig.update("stop", "CANCELED")
    assert rig.became == ["stop 2 given up", "close sent"]


def test_second_sale_of_the_same_coins_does_not_rest() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("target", "LIMIT")
    assert rig.became == ["target given up"]


def test_close_whose_coins_are_not_freed_in_time_cancels_once_more() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    rig.locks.expire(9)
    assert rig.became == ["cancel stop"]
    rig.locks.expire(10)
    assert rig.became == ["cancel stop", "cancel stop", "close waits for stop"]
    assert rig.locks.take_back("close")
    assert not rig.locks.take_back("close")


def test_stop_whose_coins_are_not_freed_in_time_goes_on_waiting_and_that_is_told() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    rig.sell("stop 2", "STOP_MARKET")
    for now in (10, 15, 20):
        rig.locks.expire(now)
    assert rig.became == ["cancel stop", "stop 2 waits for stop"] * 2
    rig.update("stop", "CANCELED")
    assert rig.became[4:] == ["stop 2 sent"]


def test_stop_before_which_the_venue_has_refused_a_cancel_has_it_cancelled_again_later() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    rig.sell("stop 2", "STOP_MARKET")
    rig.update("stop", None)
    assert rig.became == []
    rig.locks.expire(10)
    assert rig.became == ["cancel stop", "stop 2 waits for stop"]


def test_stop_behind_one_that_is_to_stay_is_given_up_once_it_is_late() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    rig.sell("stop 2", "LIMIT", "1.5")
    rig.sell("stop 3", "STOP_MARKET")
    rig.update("stop", "CANCELED")
    assert rig.became == ["stop 2 sent"]
    rig.locks.expire(10)
    assert rig.became == ["stop 2 sent", "stop 3 given up"]


def test_stop_takes_the_place_of_another_one_that_waits() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    rig.sell("stop 2", "STOP_MARKET", "1.5")
    rig.sell("stop 3", "STOP_MARKET")
    assert rig.became == ["stop 2 given up"]
    rig.update("stop", "CANCELED")
    assert rig.became == ["stop 2 given up", "stop 3 sent"]


def test_refused_cancel_is_not_repeated_at_once() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    rig.update("stop", None)
    rig.update("stop", None)
    assert rig.became == ["cancel stop"]
    rig.locks.expire(10)
    assert rig.became == ["cancel stop", "cancel stop", "close waits for stop"]


def test_second_close_of_the_same_coins_is_given_up() -> None:
    rig = Rig()
    rig.stop()
    rig.sell("close", "MARKET")
    rig.sell("again", "MARKET")
    assert rig.became == ["cancel stop", "again given up"]


def test_sale_of_a_part_leaves_beside_what_sells_the_rest() -> None:
    rig = Rig()
    rig.sell("half", "STOP_MARKET", "1")
    rig.update("half", "ACCEPTED")
    rig.sell("other half", "MARKET", "1")
    assert rig.became == ["half sent", "other half sent"]


def test_perpetual_concerns_nobody() -> None:
    rig = Rig()
    assert rig.locks.concerns(rig.order("one", "MARKET"))
    assert not Locks(rig.ledger, {X: LotRules(Decimal(1))}, 1, Tape()).concerns(
        rig.order("two", "MARKET")
    )


def test_sale_that_another_one_has_replaced_meanwhile_is_passed_over() -> None:
    rig = Rig()
    rig.stop()
    rig.ledger.orders["stop"].ask_end()
    part = rig.order("part", "MARKET", "0.8")

    def again(left: Decimal) -> None:
        rig.ledger.withdraw_order("part")
        rig.sell("rest", "MARKET", str(left))

    rig.locks.take(
        Sale(part, rig.became.append, lambda: None, rig.became.append, again, lambda _: None),
        0,
    )
    rig.sell("stop 2", "STOP_MARKET")
    rig.fill("SELL", "1.5", "stop")
    rig.update("stop", "CANCELED")
    # What is left is less than the part: it is sold instead, and no stop is needed any more.
    assert rig.became == ["stop 2 given up", "rest sent"]
