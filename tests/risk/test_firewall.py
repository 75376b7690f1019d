"""Nothing at a venue passes that the journal does not explain, and nothing else is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from aitb_nautilus.messages import Fill, OrderUpdate
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.firewall import (
    Explained,
    Unexplained,
    expected_balance,
    spell_rows,
    unexplained,
)
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from tests.risk.rig import BTC, ETH

LOT = Decimal("0.001")
PLAIN = Explained(
    lots={BTC: LOT, ETH: LOT},
    balances={"USDT": Decimal("100000.000000")},
    balance_tolerance=Decimal(1),
)


def order_of_ours(ledger: Ledger, name: str, **changes: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": name,
        "strategy_id": "S-001",
        "instrument_id": BTC,
        "side": "BUY",
        "kind": "LIMIT",
        "quantity": Decimal("0.010"),
        "price": 29_000.0,
        "trigger_price": None,
        "reduce_only": False,
        "purpose": "entry",
        "ts_sent": 1,
    }
    order = Order(**(terms | changes))
    ledger.apply_order(order)
    ledger.apply_update(OrderUpdate(name, order.instrument_id, 2, "ACCEPTED"))
    return order


def there(order: Order, **changes: Any) -> VenueOrder:
    """Return our order as the venue has it."""
    told = VenueOrder(
        client_order_id=order.client_order_id,
        venue_order_id=f"V{order.client_order_id}",
        instrument_id=order.instrument_id,
        side=order.side,
        kind=order.kind,
        quantity=order.quantity,
        filled=order.filled,
        price=order.price,
        trigger_price=order.trigger_price,
        reduce_only=order.reduce_only,
    )
    return replace(told, **changes)


def fill(ledger: Ledger, side: Any, quantity: str, name: str = "o", where: str = BTC) -> None:
    count = len(ledger.fills)
    ledger.apply_fill(
        Fill("S-001", where, name, f"t{count}", 3, side, 30_000.0, Decimal(quantity), 0.0, "TAKER")
    )


def facts(ledger: Ledger, **changes: Any) -> VenueFacts:
    """Return what a venue says that agrees with us."""
    held: dict[str, Decimal] = {}
    for (_, instrument_id), position in ledger.positions.items():
        held[instrument_id] = held.get(instrument_id, ZERO) + position.quantity
    told = VenueFacts(
        venues=("BINANCE",),
        orders=tuple(there(o) for o in ledger.every_open_order() if o.status != "SENT"),
        positions={name: quantity for name, quantity in held.items() if quantity},
        balances={"USDT": Decimal("100000.4"), "BNB": Decimal(3)},
    )
    return replace(told, **changes)


def only(rows: list[Unexplained]) -> Unexplained:
    (row,) = rows
    return row


def test_explained_desk_gives_an_empty_table() -> None:
    ledger = Ledger(100_000.0)
    order_of_ours(ledger, "o1")
    fill(ledger, "BUY", "0.004", "o1")
    fill(ledger, "SELL", "0.020", where=ETH)
    assert unexplained(facts(ledger), ledger, PLAIN) == []


def test_foreign_order_is_shown_with_its_terms() -> None:
    ledger = Ledger(100_000.0)
    strange = VenueOrder(
        client_order_id="web_1",
        venue_order_id="V9",
        instrument_id=ETH,
        side="SELL",
        kind="STOP_LIMIT",
        quantity=Decimal("0.5"),
        filled=Decimal("0.1"),
        price=1_790.5,
        trigger_price=1_800.0,
        reduce_only=True,
    )
    row = only(unexplained(facts(ledger, orders=(strange,)), ledger, PLAIN))
    assert (row.key, row.what, row.choices) == (
        "order:web_1",
        "foreign order",
        ("cancel", "adopt", "ignore"),
    )
    assert row.line == (
        f"order web_1, SELL 0.5 STOP_LIMIT at 1790.5 from 1800, reduce-only, 0.1 filled {ETH}, "
        f"is open: nobody here sent it"
    )
    nameless = replace(strange, client_order_id="")
    assert only(unexplained(facts(ledger, orders=(nameless,)), ledger, PLAIN)).key == "order:V9"


def test_own_pending_order_is_not_foreign_and_one_of_a_gap_says_so() -> None:
    ledger = Ledger(100_000.0)
    lost = there(order_of_ours(Ledger(1.0), "x"))
    told = facts(ledger, orders=(lost,))
    assert unexplained(told, ledger, replace(PLAIN, pending={"x"})) == []
    row = only(unexplained(told, ledger, replace(PLAIN, sent={"x"})))
    assert row.line.endswith("whose it is, nobody knows")


def test_order_that_the_venue_lost_is_shown_unless_it_is_on_its_way() -> None:
    ledger = Ledger(100_000.0)
    order_of_ours(ledger, "o1")
    order_of_ours(ledger, "elsewhere", instrument_id="BTC-USD.COINBASE")
    told = facts(ledger, orders=())
    row = only(unexplained(told, ledger, PLAIN))
    assert (row.key, row.what, row.choices) == ("order:o1", "order gone", ("adopt", "ignore"))
    assert unexplained(told, ledger, replace(PLAIN, pending={"o1"})) == []
    on_its_way = Ledger(100_000.0)
    order_of_ours(on_its_way, "o1").status = "SENT"
    assert unexplained(facts(on_its_way, orders=()), on_its_way, PLAIN) == []


@pytest.mark.parametrize(
    ("changes", "what", "choices"),
    [
        ({"filled": Decimal("0.003")}, "changed order", ("adopt", "cancel", "ignore")),
        ({"quantity": Decimal("0.020")}, "changed order", ("adopt", "cancel", "ignore")),
        ({"price": 29_500.0}, "changed order", ("adopt", "cancel", "ignore")),
        ({"side": "SELL"}, "changed order", ("cancel", "ignore")),
        ({"instrument_id": ETH}, "changed order", ("cancel", "ignore")),
    ],
)
def test_order_that_differs_at_the_venue_is_shown(
    changes: dict[str, Any], what: str, choices: tuple[str, ...]
) -> None:
    ledger = Ledger(100_000.0)
    ours = order_of_ours(ledger, "o1")
    held = {BTC: changes["filled"]} if "filled" in changes else {}
    told = facts(ledger, orders=(there(ours, **changes),), positions=held)
    row = only(unexplained(told, ledger, PLAIN))  # one cause, one row
    assert (row.key, row.what, row.choices) == ("order:o1", what, choices)


def test_fill_that_the_venue_takes_back_cannot_be_adopted() -> None:
    ledger = Ledger(100_000.0)
    ours = order_of_ours(ledger, "o1")
    fill(ledger, "BUY", "0.004", "o1")
    told = facts(ledger, orders=(there(ours, filled=ZERO),))
    assert only(unexplained(told, ledger, PLAIN)).choices == ("cancel", "ignore")


def test_unanswered_change_explains_either_terms() -> None:
    ledger = Ledger(100_000.0)
    ours = order_of_ours(ledger, "o1")
    ledger.ask_change(ours, Decimal("0.005"), 29_500.0)
    changed = there(ours, price=29_500.0, quantity=Decimal("0.005"))
    assert unexplained(facts(ledger, orders=(changed,)), ledger, PLAIN) == []
    assert unexplained(facts(ledger), ledger, PLAIN) == []


def test_order_that_has_ended_for_us_is_shown() -> None:
    ledger = Ledger(100_000.0)
    ours = order_of_ours(ledger, "o1")
    told = facts(ledger)
    ledger.apply_update(OrderUpdate("o1", BTC, 3, "CANCELED"))
    assert ours.status == "CANCELED"
    row = only(unexplained(told, ledger, PLAIN))
    assert (row.what, row.choices) == ("ended order", ("cancel", "ignore"))


@pytest.mark.parametrize(
    ("held", "choices"),
    [
        ("0.015", ("close", "adopt", "ignore")),  # larger
        ("0.004", ("adopt", "ignore")),  # smaller
        ("0", ("adopt", "ignore")),  # absent
        ("-0.010", ("close", "adopt", "ignore")),  # on the other side
    ],
)
def test_position_that_is_not_ours_is_shown(held: str, choices: tuple[str, ...]) -> None:
    ledger = Ledger(100_000.0)
    fill(ledger, "BUY", "0.010")
    positions = {BTC: Decimal(held)} if held != "0" else {}
    row = only(unexplained(facts(ledger, positions=positions), ledger, PLAIN))
    assert (row.key, row.choices) == (f"position:{BTC}", choices)
    assert row.line == f"{held} {BTC} is held at the venue, the journal explains 0.010"
    assert row.needs_strategy


@pytest.mark.parametrize(("off", "shown"), [("0.0009", False), ("0.001", True), ("-0.001", True)])
def test_dust_is_less_than_a_lot(off: str, shown: bool) -> None:
    ledger = Ledger(100_000.0)
    fill(ledger, "BUY", "0.010")
    told = facts(ledger, positions={BTC: Decimal("0.010") + Decimal(off)})
    assert bool(unexplained(told, ledger, PLAIN)) is shown


def test_positions_of_two_strategies_are_explained_together() -> None:
    ledger = Ledger(100_000.0)
    fill(ledger, "BUY", "0.010")
    other = Fill("T-002", BTC, "p", "u", 3, "SELL", 30_000.0, Decimal("0.004"), 0.0, "TAKER")
    ledger.apply_fill(other)
    assert unexplained(facts(ledger, positions={BTC: Decimal("0.006")}), ledger, PLAIN) == []


def test_position_of_an_instrument_that_is_not_traded_here_is_shown() -> None:
    ledger = Ledger(100_000.0)
    told = facts(ledger, positions={"DOGEUSDT-PERP.BINANCE": Decimal(1)})
    assert only(unexplained(told, ledger, PLAIN)).what == "position"


@pytest.mark.parametrize(
    ("held", "shown"), [("100001", False), ("99999", False), ("100001.01", True), ("0", True)]
)
def test_balance_may_be_off_by_its_tolerance(held: str, shown: bool) -> None:
    ledger = Ledger(100_000.0)
    rows = unexplained(facts(ledger, balances={"USDT": Decimal(held)}), ledger, PLAIN)
    assert [row.key for row in rows] == (["balance:USDT"] if shown else [])
    assert bool(unexplained(facts(ledger, balances={}), ledger, PLAIN))


def test_expected_balance_is_profit_less_fees_without_what_is_open() -> None:
    ledger = Ledger(1_000.0)
    for side, price in (("BUY", 100.0), ("SELL", 110.0), ("BUY", 50.0)):
        ledger.apply_fill(
            Fill("S-001", BTC, "o", side + str(price), 1, side, price, Decimal(2), 0.5, "TAKER")  # type: ignore[arg-type]
        )
    # 2 bought at 100 and sold at 110: 20; three fees of 0.5.
    assert expected_balance(ledger) == Decimal("1018.500000")


def test_reason_names_the_first_rows_and_counts_the_rest() -> None:
    ledger = Ledger(100_000.0)
    names = [f"S{i}USDT.BINANCE" for i in range(7)]
    rows = unexplained(facts(ledger, positions=dict.fromkeys(names, Decimal(1))), ledger, PLAIN)
    said = spell_rows(rows)
    assert said.startswith("7 things at the venue that the journal does not explain: 1 S0USDT")
    assert said.endswith("; and 2 more")
    assert spell_rows(rows[:1]).startswith("one thing at the venue")


# Any desk


@st.composite
def desks(draw: st.DrawFn) -> tuple[Ledger, VenueFacts]:
    """Return a ledger, and a venue that agrees with it."""
    ledger = Ledger(100_000.0)
    for number in range(draw(st.integers(0, 4))):
        where = draw(st.sampled_from([BTC, ETH]))
        side: Any = draw(st.sampled_from(["BUY", "SELL"]))
        size = Decimal(draw(st.integers(1, 20))) / 1_000
        order_of_ours(ledger, f"o{number}", instrument_id=where, side=side, quantity=size)
        if draw(st.booleans()):
            part = size * draw(st.integers(0, 4)) / 5
            if part:
                fill(ledger, side, str(part), f"o{number}", where)
        if draw(st.booleans()):
            ledger.apply_update(OrderUpdate(f"o{number}", where, 4, "CANCELED"))
    return ledger, facts(ledger)


@given(desks())
def test_any_desk_explains_itself(desk: tuple[Ledger, VenueFacts]) -> None:
    ledger, told = desk
    assert unexplained(told, ledger, PLAIN) == []


@given(desks(), st.data())
def test_whatever_is_changed_at_the_venue_is_shown_and_nothing_else(
    desk: tuple[Ledger, VenueFacts], data: st.DataObject
) -> None:
    ledger, told = desk
    ways = ["new order", "position", "balance", *(["lost", "grown", "filled"] * bool(told.orders))]
    way = data.draw(st.sampled_from(ways))
    orders = list(told.orders)
    place = data.draw(st.integers(0, max(len(orders) - 1, 0)))
    if way == "new order":
        strange = there(order_of_ours(Ledger(1.0), "foreign"))
        told, key = replace(told, orders=(*orders, strange)), "order:foreign"
    elif way == "position":
        where = data.draw(st.sampled_from([BTC, ETH]))
        off = LOT * data.draw(st.integers(-50, 50).filter(bool))
        held = told.positions.get(where, ZERO) + off
        positions = {**told.positions, where: held}
        told, key = replace(told, positions=positions), f"position:{where}"
    elif way == "balance":
        off = data.draw(st.integers(-90_000, 90_000).filter(lambda n: abs(n) > 1))
        told = replace(told, balances={"USDT": Decimal(100_000 + off)})
        key = "balance:USDT"
    else:
        order = orders.pop(place)
        key = f"order:{order.client_order_id}"
        if way == "grown":
            orders.append(replace(order, quantity=order.quantity * 2))
        elif way == "filled":
            more = order.leaves / 2
            orders.append(replace(order, filled=order.filled + more))
            held = told.positions.get(order.instrument_id, ZERO)
            held += more if order.side == "BUY" else -more
            told = replace(told, positions={**told.positions, order.instrument_id: held})
        told = replace(told, orders=tuple(orders))
    assert [row.key for row in unexplained(told, ledger, PLAIN)] == [key]


def test_order_of_the_run_before_that_ended_for_us_is_shown_as_such() -> None:
    ledger = Ledger(100_000.0)
    old = VenueOrder(
        client_order_id="o1",
        venue_order_id="V1",
        instrument_id=BTC,
        side="SELL",
        kind="STOP_MARKET",
        quantity=Decimal("0.010"),
        trigger_price=28_000.0,
    )
    explained = replace(PLAIN, sent=("o1",), ended={"o1": "CANCELED"})
    row = only(unexplained(facts(ledger, orders=(old,)), ledger, explained))
    assert (row.what, row.in_journal, row.choices) == (
        "ended order",
        "CANCELED",
        ("cancel", "ignore"),
    )
    assert row.line == (
        f"order o1 is open at the venue (SELL 0.010 STOP_MARKET from 28000 {BTC}), for us it is "
        "CANCELED"
    )
