"""Each limit by itself: what passes, what is shrunk, what is refused, and what it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.messages import Fill, OrderUpdate, Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import PASS
from aitb_nautilus.risk.limits import (
    MaxOpenOrders,
    MaxOrderNotional,
    MaxOrderRate,
    MaxPositionNotional,
    PriceBand,
    Proposal,
    RiskSettings,
    build_limits,
)
from aitb_nautilus.risk.limits_exposure import MaxGrossNotional
from aitb_nautilus.settings import decode

X, Y = "X.V", "Y.V"
SECOND = 10**9


def proposal(quantity: str = "1", side: Side = "BUY", **changes: Any) -> Proposal:
    terms: dict[str, Any] = {
        "strategy_id": "S-001",
        "instrument_id": X,
        "side": side,
        "quantity": Decimal(quantity),
        "price": 100.0,
        "quoted_price": None,
        "mark": 100.0,
        "ts": 0,
    }
    return Proposal(**(terms | changes))


def resting(quantity: str, side: Side = "BUY", **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": f"O-{quantity}-{side}-{len(changes)}",
        "strategy_id": "S-001",
        "instrument_id": X,
        "side": side,
        "kind": "LIMIT",
        "quantity": Decimal(quantity),
        "price": 100.0,
        "trigger_price": None,
        "reduce_only": False,
        "purpose": "entry",
        "ts_sent": 0,
    }
    return Order(**(terms | changes))


def hold(ledger: Ledger, quantity: str, strategy: str = "S-001", instrument: str = X) -> None:
    side: Side = "BUY" if Decimal(quantity) > 0 else "SELL"
    amount = abs(Decimal(quantity))
    trade = f"T-{len(ledger.fills)}"
    ledger.apply_fill(Fill(strategy, instrument, "O", trade, 1, side, 100.0, amount, 0.0, "TAKER"))


def test_order_up_to_the_cap_passes_and_a_larger_one_is_shrunk() -> None:
    limit, ledger = MaxOrderNotional(250.0), Ledger(1000.0)
    assert limit.check(proposal("2.5"), ledger) is PASS
    shrunk = limit.check(proposal("4"), ledger)
    assert shrunk.allowed == Decimal("2.5")
    assert shrunk.line == (
        "order of 400.00 is above max_order_notional 250.00; raise risk.max_order_notional to "
        "allow it"
    )


def test_changed_order_counts_with_what_was_filled_of_it() -> None:
    limit, ledger = MaxOrderNotional(250.0), Ledger(1000.0)
    before = resting("2")
    before.filled = Decimal(2)
    assert limit.check(proposal("0.5", replaces=before), ledger).line == ""
    assert limit.check(proposal("1", replaces=before), ledger).allowed == Decimal("0.5")
    before.filled = Decimal(3)
    assert limit.check(proposal("1", replaces=before), ledger).allowed == 0


def test_position_counts_what_is_held_and_pending_on_the_same_side() -> None:
    limit, ledger = MaxPositionNotional(1000.0), Ledger(1000.0)
    hold(ledger, "3")
    ledger.apply_order(resting("2"))
    assert limit.check(proposal("5"), ledger).line == ""
    shrunk = limit.check(proposal("6"), ledger)
    assert float(shrunk.allowed) == pytest.approx(5.0)
    assert "position would be 1,100.00" in shrunk.line
    hold(ledger, "5", strategy="S-002")
    assert limit.check(proposal("1"), ledger).allowed == 0


def test_caps_are_reached_exactly_whatever_float64_makes_of_the_quotient() -> None:
    ledger = Ledger(1000.0)
    hold(ledger, "0.02")
    order = proposal("1", price=30_000.0)
    assert MaxPositionNotional(900.0).check(order, ledger).allowed == Decimal("0.01")
    assert MaxPositionNotional(900.0).check(proposal("0.01", price=30_000.0), ledger).line == ""
    assert MaxOrderNotional(0.3).check(proposal("3", price=0.1), ledger).line == ""
    assert MaxOrderNotional(0.3).check(proposal("4", price=0.1), ledger).allowed == 3


def test_position_of_another_instrument_does_not_count() -> None:
    limit, ledger = MaxPositionNotional(1000.0), Ledger(1000.0)
    hold(ledger, "9", instrument=Y)
    ledger.apply_order(resting("9", instrument_id=Y))
    assert limit.check(proposal("10"), ledger).line == ""


def test_what_stands_on_the_other_side_is_not_set_off() -> None:
    limit, ledger = MaxPositionNotional(1000.0), Ledger(1000.0)
    hold(ledger, "10")
    hold(ledger, "-4", strategy="S-002")
    assert limit.check(proposal("6", "SELL"), ledger).line == ""
    assert float(limit.check(proposal("20", "SELL"), ledger).allowed) == pytest.approx(6.0)


def test_orders_that_can_only_reduce_do_not_count() -> None:
    limit, ledger = MaxPositionNotional(1000.0), Ledger(1000.0)
    hold(ledger, "10")
    ledger.apply_order(resting("10", "SELL", kind="STOP_MARKET", reduce_only=True))
    ledger.apply_order(resting("10", "SELL", reduce_only=True))
    assert limit.check(proposal("10", "SELL"), ledger).line == ""


def test_change_that_is_under_way_counts_with_its_larger_quantity() -> None:
    limit, ledger = MaxPositionNotional(1000.0), Ledger(1000.0)
    order = resting("1")
    ledger.apply_order(order)
    order.ask_change(Decimal(8))
    assert float(limit.check(proposal("9"), ledger).allowed) == pytest.approx(2.0)
    assert limit.check(proposal("10", replaces=order), ledger).line == ""


def test_change_that_is_under_way_counts_with_its_dearer_price() -> None:
    limit, ledger = MaxGrossNotional(1000.0), Ledger(1000.0)
    ledger.marks[X] = 100.0
    order = resting("5")
    ledger.apply_order(order)
    ledger.ask_change(order, None, 120.0)
    assert float(limit.check(proposal("9"), ledger).allowed) == pytest.approx(4.0)
    ledger.apply_update(OrderUpdate(order.client_order_id, X, 1, None, answers_change=True))
    assert float(limit.check(proposal("9"), ledger).allowed) == pytest.approx(5.0)


def test_open_orders_of_all_instruments_count_and_a_changed_one_is_open_already() -> None:
    limit, ledger = MaxOpenOrders(2), Ledger(1000.0)
    first = resting("1")
    ledger.apply_order(first)
    assert limit.check(proposal(), ledger).line == ""
    ledger.apply_order(resting("2", instrument_id=Y, reduce_only=True))
    refused = limit.check(proposal(), ledger)
    assert (refused.allowed, refused.line) == (
        0,
        "2 orders are open and max_open_orders is 2; wait until one has ended or raise "
        "risk.max_open_orders",
    )
    assert limit.check(proposal(replaces=first), ledger).line == ""


def test_rate_looks_at_any_sixty_seconds() -> None:
    limit, ledger = MaxOrderRate(2), Ledger(1000.0)
    for ts in (0, 30 * SECOND):
        assert limit.check(proposal(ts=ts), ledger).line == ""
        limit.sent(proposal(ts=ts))
    refused = limit.check(proposal(ts=59 * SECOND), ledger)
    assert refused.allowed == 0
    assert refused.line.endswith(
        "the next may be sent in 1.0 s, or raise risk.max_orders_per_minute"
    )
    assert limit.check(proposal(ts=60 * SECOND), ledger).line == ""
    limit.sent(proposal(ts=60 * SECOND))
    assert limit.check(proposal(ts=89 * SECOND), ledger).allowed == 0
    assert limit.check(proposal(ts=90 * SECOND), ledger).line == ""


def test_asking_the_rate_does_not_use_it_up() -> None:
    limit, ledger = MaxOrderRate(1), Ledger(1000.0)
    for _ in range(3):
        assert limit.check(proposal(), ledger).line == ""


@pytest.mark.parametrize(
    ("quoted", "passes"),
    [(None, True), (110.0, True), (90.0, True), (110.1, False), (89.9, False)],
)
def test_price_band_is_measured_from_the_last_price(quoted: float | None, passes: bool) -> None:
    limit, ledger = PriceBand(0.1), Ledger(1000.0)
    verdict = limit.check(proposal(quoted_price=quoted), ledger)
    assert (verdict.allowed > 0) == (verdict.line == "") == passes


def test_price_outside_the_band_is_named_with_its_distance() -> None:
    line = PriceBand(0.1).check(proposal(quoted_price=150.0), Ledger(1.0)).line
    assert line == (
        "price 150 lies 50.00% from the last price 100, beyond price_band_frac 10.00%; quote "
        "nearer or raise risk.price_band_frac"
    )


def test_limits_that_refuse_are_asked_before_those_that_shrink() -> None:
    limits = build_limits(RiskSettings(max_order_notional=1.0, max_position_notional=2.0))
    assert [limit.name for limit in limits] == [
        "max_open_orders",
        "max_orders_per_minute",
        "price_band_frac",
        "max_order_notional",
        "max_position_notional",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_order_notional", 0),
        ("max_position_notional", -1.0),
        ("max_open_orders", 0),
        ("max_orders_per_minute", 1.5),
        ("price_band_frac", 1.01),
        ("price_band_frac", 0.0),
    ],
)
def test_impossible_limit_is_refused(key: str, value: float) -> None:
    data = {"max_order_notional": 1.0, "max_position_notional": 2.0, key: value}
    with pytest.raises(ConfigError, match=rf"desk.toml: {key}: was {value}, must be"):
        decode(data, RiskSettings, "desk.toml")


def test_shrunk_proposal_is_worth_less_and_asks_for_no_new_look() -> None:
    ledger = Ledger(1000.0)
    whole = proposal("4")
    look = whole.holdings(ledger)
    part = replace(whole, quantity=Decimal(1))
    assert (whole.value, part.value, part.amount) == (400.0, 100.0, 1.0)
    assert part.holdings(ledger) is look
    assert (proposal(ts=7).clock, proposal(ts=7, clock=9).clock) == (7, 9)
