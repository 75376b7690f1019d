"""A coin that was bought: what the fee has left of it is held, and what is too little is dust."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aitb_nautilus.messages import Fill, Side
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.journal_carried import carry, take_over
from aitb_nautilus.risk.ledger import Ledger

X = "BTCUSDT.BINANCE"
LOTS = {X: LotRules(Decimal("0.001"), Decimal("0.001"), 5.0, long_only=True)}


def fill(side: Side, quantity: str, price: float, number: int) -> Fill:
    """Return a fill with a fee of 10 bp, taken from what is received."""
    traded = Decimal(quantity)
    kept = traded / 1_000 if side == "BUY" else Decimal(0)
    fee = float(traded) * price / 1_000
    return Fill("s", X, f"o{number}", f"t{number}", number, side, price, traded, fee, "TAKER", kept)


def ledger(*fills: Fill) -> Ledger:
    made = Ledger(10_000.0, LOTS)
    for one in fills:
        made.apply_fill(one)
    return made


def test_fee_in_the_coin_leaves_less_than_was_bought_and_costs_its_value() -> None:
    bought = ledger(fill("BUY", "0.1", 50_000.0, 1))
    position = bought.position("s", X)
    # 0.1 - 0.0001: of 0.0999 whole lots are 0.099, and 0.0009 is dust.
    assert (position.quantity, position.dust) == (Decimal("0.099"), Decimal("0.0009"))
    assert (position.average_price, position.fees) == (50_000.0, 5.0)
    bought.marks[X] = 51_000.0
    # The account holds 5,000 in money and 0.0999 coins.
    assert bought.balance() == pytest.approx(5_000.0)
    assert bought.equity() == pytest.approx(5_000.0 + 0.0999 * 51_000.0)


def test_close_leaves_dust_which_is_no_position_and_waits_for_the_next_sale() -> None:
    closed = ledger(fill("BUY", "0.1", 50_000.0, 1), fill("SELL", "0.099", 52_000.0, 2))
    position = closed.position("s", X)
    assert (position.quantity, position.dust) == (Decimal(0), Decimal("0.0009"))
    assert (position.ts_opened, position.before) == (0, Decimal("0.099"))
    # 0.099 were sold 2,000 dearer; 5 and 5.148 are fees.
    assert position.realized == pytest.approx(198.0)
    assert position.fees == pytest.approx(10.148)
    assert closed.balance() == pytest.approx(5_000.0 + 0.099 * 52_000.0 - 5.148)
    closed.apply_fill(fill("BUY", "0.1", 50_000.0, 3))
    # 0.0009 and 0.0999 are a whole lot more than was bought after fees.
    assert (position.quantity, position.dust) == (Decimal("0.100"), Decimal("0.0008"))
    assert position.ts_opened == 3


def test_what_is_worth_less_than_the_venue_takes_is_dust() -> None:
    position = ledger(fill("BUY", "0.004", 1_200.0, 1)).position("s", X)
    assert (position.quantity, position.dust) == (Decimal(0), Decimal("0.003996"))


def test_a_thousand_trades_come_to_the_balances_of_the_venue_exactly() -> None:
    money, coins, fills = Decimal(10_000), Decimal(0), []
    held = ledger()
    for number in range(1, 1_001):
        price = 30_000.0 + (number * 7_919) % 5_000 + 0.01 * (number % 97)
        sells = number % 2 == 0
        quantity = held.position("s", X).quantity if sells else Decimal("0.137")
        one = fill("SELL" if sells else "BUY", str(quantity), price, number)
        value = quantity * Decimal(repr(price))
        money += value - value / 1_000 if sells else -value
        coins += -quantity if sells else quantity - quantity / 1_000
        fills.append(one)
        held.apply_fill(one)
    position = held.position("s", X)
    assert position.held == coins
    assert position.quantity == 0
    held.marks[X] = 33_333.0
    exact = Decimal(10_000) - sum(
        one.change * Decimal(repr(one.price)) + Decimal(repr(one.price)) * one.quantity / 1_000
        for one in fills
    )
    assert exact == money
    assert held.balance() == pytest.approx(float(money), abs=1e-6)
    assert held.equity() == pytest.approx(float(money + coins * 33_333), abs=1e-6)


def test_dust_goes_over_to_the_next_run() -> None:
    left = ledger(fill("BUY", "0.1", 50_000.0, 1), fill("SELL", "0.099", 52_000.0, 2))
    carried = carry(left, "run", left.balance(), {}, 9)
    (one,) = carried.positions
    assert (one.quantity, one.ts_opened) == (Decimal("0.0009"), 9)
    fresh = Ledger(0.0, LOTS)
    take_over(carried, fresh)
    position = fresh.position("s", X)
    assert (position.quantity, position.dust) == (Decimal(0), Decimal("0.0009"))
    assert fresh.balance() == pytest.approx(left.balance())


def taken_over(before: Ledger) -> Ledger:
    """Return the ledger of the run after."""
    fresh = Ledger(0.0, LOTS)
    take_over(carry(before, "run", before.balance(), {}, 9), fresh)
    return fresh


def test_dust_stays_dust_in_the_next_run_though_it_has_cost_more_than_the_least_value() -> None:
    # 0.052 are worth 4.68 at the last fill, and have cost 5.2; the venue takes 5.
    left = ledger(
        Fill("s", X, "o1", "t1", 1, "BUY", 100.0, Decimal("1.052"), 0.0, "TAKER"),
        Fill("s", X, "o2", "t2", 2, "SELL", 90.0, Decimal(1), 0.0, "TAKER"),
    )
    for held in (left, taken_over(left), taken_over(taken_over(left))):
        position = held.position("s", X)
        assert (position.quantity, position.dust) == (Decimal(0), Decimal("0.052"))
        assert (position.average_price, position.ts_opened) == (100.0, 0)
        assert held.balance() == pytest.approx(left.balance())


def test_position_stays_one_in_the_next_run_though_it_has_cost_less_than_the_least_value() -> None:
    # 0.049 are worth 5.39 at the last fill, and have cost 4.9.
    left = ledger(
        Fill("s", X, "o1", "t1", 1, "BUY", 100.0, Decimal("1.0495"), 0.0, "TAKER"),
        Fill("s", X, "o2", "t2", 2, "SELL", 110.0, Decimal(1), 0.0, "TAKER"),
    )
    for held in (left, taken_over(left), taken_over(taken_over(left))):
        position = held.position("s", X)
        assert (position.quantity, position.dust) == (Decimal("0.049"), Decimal("0.0005"))
        assert position.ts_opened == 1


def test_what_was_given_up_is_dust_until_the_next_fill_and_in_the_next_run() -> None:
    left = ledger(fill("BUY", "0.1", 50_000.0, 1))
    left.give_up("s", X, 2)
    for held in (left, taken_over(left)):
        position = held.position("s", X)
        assert (position.quantity, position.amount, position.ts_opened) == (0, 0.0, 0)
        assert (position.dust, position.dust_amount) == (Decimal("0.0999"), 0.0999)
    left.marks[X] = 51_000.0
    assert left.equity() == pytest.approx(5_000.0 + 0.0999 * 51_000.0)
    left.apply_fill(fill("BUY", "0.1", 50_000.0, 3))
    assert left.position("s", X).quantity == Decimal("0.199")


def test_what_could_not_be_sold_again_is_not_bought() -> None:
    rules = LOTS[X]
    assert rules.too_small(Decimal("0.002"), 5_000.0) == ""
    assert "could not be sold again" in rules.too_small(Decimal("0.002"), 4_999.0)
    assert "could not be sold again" in rules.too_small(Decimal("0.001"), 50_000.0)
    perpetual = LotRules(Decimal("0.001"), Decimal("0.001"), 5.0)
    assert perpetual.too_small(Decimal("0.001"), 5_000.0) == ""
    assert perpetual.too_small(Decimal("0.001"), 4_999.0) == (
        "0.001 at 4999 is too small, the venue takes 0.001 and 5 in value"
    )
