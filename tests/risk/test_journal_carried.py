"""What one run's journal hands to the next: positions, open orders, ids."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.journal import Journal
from aitb_nautilus.risk.journal_carried import Account, Carried, CarriedPosition, carry, take_over
from aitb_nautilus.risk.journal_rebuild import rebuild
from aitb_nautilus.risk.journal_records import Opened
from aitb_nautilus.risk.journal_recovery import Unresolved, sent_ids
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.recovery import Recovery
from aitb_nautilus.risk.venue_facts import VenueFill, VenueOrder
from tests.risk.lively import state_of

BTC = "BTCUSDT-PERP.BINANCE"
ETH = "ETHUSDT-PERP.BINANCE"
DAY_NS = 86_400 * 10**9
NOW = 30 * DAY_NS


def order(name: str, kind: str = "MARKET", quantity: str = "0.5", **terms: object) -> Order:
    plain = {"price": None, "trigger_price": None, "reduce_only": False, "side": "BUY"} | terms
    return Order(
        client_order_id=name,
        strategy_id="S-001",
        instrument_id=BTC,
        kind=kind,  # type: ignore[arg-type]
        quantity=Decimal(quantity),
        purpose="exit:target" if plain["reduce_only"] else "entry",
        ts_sent=NOW - 100,
        **plain,  # type: ignore[arg-type]
    )


def fill(name: str, trade: str, side: str, quantity: str, price: float) -> Fill:
    return Fill(
        "S-001",
        BTC,
        name,
        trade,
        NOW - 90,
        side,
        price,
        Decimal(quantity),
        1.0,
        "TAKER",  # type: ignore[arg-type]
    )


def held() -> Ledger:
    """Return 0.5 bought at 100, of which a resting target has closed 0.2 at 110."""
    ledger = Ledger(1_000.0)
    ledger.apply_order(order("in"))
    ledger.apply_fill(fill("in", "t1", "BUY", "0.5", 100.0))
    ledger.apply_order(order("out", "LIMIT", side="SELL", price=110.0, reduce_only=True))
    ledger.apply_fill(fill("out", "t2", "SELL", "0.2", 110.0))
    return ledger


def test_position_and_order_go_on_where_they_were() -> None:
    carried = carry(held(), "run-1", 1_000.0, {"in": NOW - 100, "old": NOW - 9 * DAY_NS}, NOW)
    assert carried.sent == {"in": NOW - 100}  # the other is older than eight days
    ledger = Ledger(7.0)
    take_over(carried, ledger)
    position = ledger.position("S-001", BTC)
    assert (position.quantity, position.average_price) == (Decimal("0.3"), 100.0)
    assert (position.realized, position.fees, position.ts_opened) == (0.0, 0.0, NOW - 90)
    (left,) = ledger.every_open_order()
    assert (left.client_order_id, left.filled, left.leaves) == (
        "out",
        Decimal("0.2"),
        Decimal("0.3"),
    )
    assert ledger.starting_equity == 1_000.0
    # The venue tells the fill of the run before again: it is counted already.
    assert not ledger.apply_fill(fill("out", "t2", "SELL", "0.2", 110.0))


def test_fill_before_and_fill_meanwhile_are_told_apart() -> None:
    ledger = Ledger(1_000.0)
    take_over(carry(held(), "run-1", 1_000.0, {}, NOW), ledger)
    asked = Unresolved("out", "S-001", BTC, "submit", "resting", 0, NOW)
    at_venue = VenueOrder(
        client_order_id="out",
        venue_order_id="V1",
        instrument_id=BTC,
        side="SELL",
        kind="LIMIT",
        quantity=Decimal("0.5"),
        status="FILLED",
        filled=Decimal("0.5"),
        price=110.0,
        reduce_only=True,
    )
    trades = [
        VenueFill(trade_id="t2", price=110.0, quantity=Decimal("0.2"), ts=NOW - 90),
        VenueFill(trade_id="t3", price=110.0, quantity=Decimal("0.3"), ts=NOW - 5),
    ]
    finding = Recovery([asked], ledger, NOW, 0).answer("out", at_venue, trades, NOW)
    told = [(f.trade_id, f.quantity) for f in finding.facts if isinstance(f, Fill)]
    assert (told, finding.halt) == ([("t3", Decimal("0.3"))], "")


def test_account_that_holds_nothing_is_taken_over() -> None:
    ledger = Ledger(7.0)
    take_over(Carried(balance=1_000.0), ledger)
    assert (ledger.starting_equity, ledger.positions) == (1_000.0, {})


@pytest.mark.parametrize("balance", [None, 1_000.0], ids=["balance unknown", "balance known"])
def test_every_position_keeps_its_own_funding(balance: float | None) -> None:
    paid = {BTC: -3.0, ETH: 1.25}
    ledger = Ledger(1_000.0)
    positions = tuple(
        CarriedPosition("S-001", name, Decimal("0.5"), 100.0, NOW - 90, funding)
        for name, funding in paid.items()
    )
    take_over(Carried(balance=balance, positions=positions), ledger)
    assert {n: ledger.position("S-001", n).trade_funding for n in paid} == paid
    assert ledger.balance() == 1_000.0


def test_journal_of_the_next_run_alone_gives_back_what_was_held(tmp_path: Path) -> None:
    carried = carry(held(), "run-1", 1_000.0, {"in": NOW - 100}, NOW)
    path = tmp_path / "journal.sqlite"
    opened = Opened(run_id="run-2", config_sha256="0" * 64, mode="live")
    with Journal(path, opened, NOW) as journal:
        journal.append(carried, NOW, "", "", "")
        journal.append(Account(began_with=1_003.0, reason="as the venue says"), NOW, "", "", "")
    taken = Ledger(0.0)
    take_over(carried, taken)
    rebuilt = rebuild(path, Ledger(0.0))
    assert state_of(rebuilt) == state_of(taken)
    assert rebuilt.starting_equity == 1_003.0
    assert sent_ids(path) == {"in"}
    again = carry(rebuilt, "run-2", None, {}, NOW)
    assert (again.positions, again.orders) == (carried.positions, carried.orders)
