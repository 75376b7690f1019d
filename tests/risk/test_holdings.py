"""What is held and pending, kept up to date fact by fact, equals what is worked out anew."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from aitb_nautilus.messages import BarClosed, Fill, OrderUpdate, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.holdings import EVERYTHING, Holdings, Looks, Scope
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.one_sided import one_sided_amount, one_sided_quantity

X, Y, Z = "X.V", "Y.V", "Z.W"
STRATEGIES = ("ema-001", "other-002")
SCOPES = (
    EVERYTHING,
    Scope(strategy="ema"),
    Scope(venue="V"),
    Scope(instrument_id=Z),
    Scope(strategy="other-002", venue="W"),
)
SIDES: tuple[Side, ...] = ("BUY", "SELL")
TOTALS = ("gross", "net", "pnl", "waiting", "side", "held", "pending", "signed", "filled")


def order(
    ledger: Ledger, quantity: str, side: Side, instrument: str, strategy: str, price: float | None
) -> Order:
    made = Order(
        client_order_id=f"O-{len(ledger.orders)}",
        strategy_id=strategy,
        instrument_id=instrument,
        side=side,
        kind="MARKET" if price is None else "LIMIT",
        quantity=Decimal(quantity),
        price=price,
        trigger_price=None,
        reduce_only=False,
        purpose="entry",
        ts_sent=1,
    )
    ledger.apply_order(made)
    return made


def fill(ledger: Ledger, one: Order, quantity: Decimal, price: float) -> None:
    who, where, ident = one.strategy_id, one.instrument_id, one.client_order_id
    trade = f"T-{len(ledger.fills)}"
    ledger.apply_fill(Fill(who, where, ident, trade, 1, one.side, price, quantity, 0.1, "TAKER"))


def bar(ledger: Ledger, instrument: str, close: float) -> None:
    ledger.apply_bar(BarClosed(instrument, 1, close, close, close, close, 1.0))


def test_scope_takes_over_what_one_strategy_has_and_tells_two_apart() -> None:
    ledger = Ledger(1_000.0)
    looks = Looks(ledger)
    ema, other = Scope(strategy="ema"), Scope(strategy="other")
    bar(ledger, X, 100.0)
    fill(ledger, order(ledger, "2", "BUY", X, "ema-001", None), Decimal(2), 90.0)
    order(ledger, "1", "BUY", X, "ema-001", 80.0)
    assert looks.at(EVERYTHING, None).owners == {X: "ema-001"}
    assert (looks.at(ema, None).gross, looks.at(ema, None).pnl) == (280.0, 19.9)
    assert (looks.at(other, None).gross, looks.at(other, None).pnl) == (0.0, 0.0)
    order(ledger, "1", "SELL", X, "other-002", 150.0)
    assert looks.at(EVERYTHING, None).gross == 430.0
    assert looks.at(EVERYTHING, None).owners == {X: ""}
    assert looks.at(ema, None).gross == 280.0
    assert looks.at(other, None).gross == 150.0


@pytest.mark.parametrize("seed", range(8))
def test_holdings_of_every_scope_are_those_that_are_worked_out_anew(seed: int) -> None:
    dice = random.Random(seed)
    ledger = Ledger(10_000.0)
    looks = Looks(ledger)
    strategies = STRATEGIES if seed % 2 else STRATEGIES[:1]
    for _ in range(120):
        instrument, price = dice.choice((X, Y, Z)), dice.uniform(50, 150)
        resting = list(ledger.every_open_order())
        happens = dice.random()
        if happens < 0.2:
            bar(ledger, instrument, price)
        elif happens < 0.6 or not resting:
            limit = dice.choice((None, price))
            quantity, side = str(dice.randint(1, 9)), dice.choice(SIDES)
            one = order(ledger, quantity, side, instrument, dice.choice(strategies), limit)
            if limit is None:
                fill(ledger, one, one.quantity, price)
        else:
            one = dice.choice(resting)
            if happens < 0.75:
                fill(ledger, one, one.leaves / 2, price)
            elif happens < 0.85:
                ledger.ask_change(one, one.quantity + 3, price)
            else:
                update = OrderUpdate(one.client_order_id, one.instrument_id, 1, "CANCELED")
                ledger.apply_update(update)
        for scope in dice.sample(SCOPES, 3):  # some are asked more seldom than others
            kept, anew = looks.at(scope, None), Holdings(ledger, scope)
            for name in TOTALS:
                assert getattr(kept, name) == getattr(anew, name), (name, SCOPES.index(scope))
        for side in SIDES:
            which = EVERYTHING, side, instrument, None
            amount = looks.at(EVERYTHING, None).one_sided_amount(side, instrument)
            exact = one_sided_quantity(ledger, *which) if instrument in ledger.marks else 0
            assert amount == pytest.approx(float(exact))
            if exact:
                assert one_sided_amount(ledger, *which) == pytest.approx(float(exact))
    assert looks.at(EVERYTHING, None).equity == pytest.approx(ledger.equity())
