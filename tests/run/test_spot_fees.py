"""Fees on Binance's spot market that are paid with BNB, or have more decimals than the engine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import Filled
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.run import binance_spot
from aitb_nautilus.run.binance_rest import AskError
from aitb_nautilus.run.binance_spot import SpotAsker
from tests.run.asked_venue import asked_venue
from tests.run.node_lab import Node, NodeLab, node_lab
from tests.run.test_live import SECRET
from tests.run.test_recovery_of_a_node import comes_out_again, is_true_soon
from tests.run.test_spot_orders import (
    books,
    config_of,
    inject,
    resting,
    started,
    trade_and_enter_again,
    wallet,
)

BNB = Decimal(10)
BEGAN = {"USDT": "50000", "BTC": "0.5", "BNB": str(BNB)}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NodeLab]:
    fees = {"maker_fee": "0.001", "taker_fee": "0.001", "bnb_price": "600"}
    with node_lab(tmp_path, product="spot", api_secret=SECRET, balances=BEGAN, **fees) as lab:
        yield lab


def fills(lab: NodeLab) -> list[Filled]:
    """Return the fills in the journals of all runs."""
    records = [
        record.body
        for folder in (lab.folder / "runs").iterdir()
        for record in read(folder, Wanted(kinds=(Filled.kind,)))
    ]
    return [body for body in records if isinstance(body, Filled)]


def paid(lab: NodeLab) -> Decimal:
    """Return what the account has paid in BNB."""
    return BNB - wallet(lab)["BNB"]


def bought(lab: NodeLab) -> Decimal:
    """Return what is held beside the user's coins."""
    return wallet(lab)["BTC"] - Decimal(BEGAN["BTC"])


def protected(lab: NodeLab) -> Decimal:
    """Return what resting stops would sell."""
    return sum((size for _, _, size in resting(lab)), Decimal(0))


def asker(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch, prices: dict[tuple[str, str], float]
) -> SpotAsker:
    venue = asked_venue(lab, monkeypatch, "cash", SECRET)
    return SpotAsker(venue, {lab.spec.id: engine_instrument(lab.spec)}, Ledger(1.0), prices)


def price_bnb(lab: NodeLab, price: Decimal | None) -> None:
    lab.running.call(lambda r: setattr(r.exchange.venue, "_bnb_price", price))


def test_fee_in_a_coin_without_a_price_hides_no_fill(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.running.call(lambda r: r.advance(r.clock.now_ns() + 10**9))
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.100"}
    lab.running.call(lambda r: r.exchange.venue.place(terms | {"newClientOrderId": "by-hand"}))
    prices: dict[tuple[str, str], float] = {}
    asks = asker(lab, monkeypatch, prices)
    price_bnb(lab, None)
    found = asks.find("by-hand", lab.spec.id)
    assert found is not None
    order, told = found
    assert (order.status, order.filled) == ("FILLED", Decimal("0.1"))
    assert sum(fill.quantity for fill in told) == order.filled
    assert {(fill.fee, fill.base_fee) for fill in told} == {(0.0, Decimal(0))}
    assert all("BNB, not in USDT, and the run knows no price of" in f.unknown_fee for f in told)
    asks.books("BINANCE")
    assert prices == {}
    price_bnb(lab, Decimal(600))
    found = asks.find("by-hand", lab.spec.id)
    assert found is not None
    assert prices == {("BNB", "USDT"): 600.0}
    # A quarter less than 10 bp of its value.
    value = sum(float(fill.quantity) * fill.price for fill in found[1])
    assert sum(fill.fee for fill in found[1]) == pytest.approx(value * 0.00075, abs=1e-5)
    assert {(f.base_fee, f.fee_elsewhere, f.unknown_fee) for f in found[1]} == {(0, True, "")}


def test_order_with_more_trades_than_the_venue_tells_at_once_is_found_whole(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binance_spot, "_PAGE", 2)
    lab.running.call(lambda r: r.exchange.venue.wallet().update(USDT=Decimal(10**7)))
    lab.running.call(lambda r: r.advance(r.clock.now_ns() + 10**9))
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "5"}
    lab.running.call(lambda r: r.exchange.venue.place(terms | {"newClientOrderId": "by-hand"}))
    asks = asker(lab, monkeypatch, {("BNB", "USDT"): 600.0})
    found = asks.find("by-hand", lab.spec.id)
    assert found is not None
    order, told = found
    assert (len(told) > 2, order.filled) == (True, Decimal(5))
    assert sum(fill.quantity for fill in told) == order.filled
    assert len({fill.trade_id for fill in told}) == len(told)


def test_order_whose_trades_are_not_all_listed_yet_is_asked_for_again(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fee has taken of the rest stands nowhere else: it would be made up."""
    lab.running.call(lambda r: r.exchange.venue.wallet().update(USDT=Decimal(10**7)))
    lab.running.call(lambda r: r.advance(r.clock.now_ns() + 10**9))
    terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "5"}
    lab.running.call(lambda r: r.exchange.venue.place(terms | {"newClientOrderId": "by-hand"}))
    asks = asker(lab, monkeypatch, {("BNB", "USDT"): 600.0})
    last = lab.running.call(lambda r: r.exchange.venue.fills.pop())
    with pytest.raises(AskError, match=r"trades of .* alone, and that 5.* is filled"):
        asks.find("by-hand", lab.spec.id)
    lab.running.call(lambda r: r.exchange.venue.fills.append(last))
    found = asks.find("by-hand", lab.spec.id)
    assert found is not None
    assert sum(fill.quantity for fill in found[1]) == 5


def test_fees_in_bnb_are_counted_over_a_kill_and_nothing_halts(lab: NodeLab) -> None:
    config = config_of(lab, {"stop_frac": 0.05})
    node = started(lab, config)
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    assert is_true_soon(lambda: len(resting(lab)) == 1)
    node.process.send_signal(signal.SIGKILL)
    node.end()
    node = started(lab, config)
    assert "1 positions and 1 open orders are known, 0 things are not explained" in node.said
    inject(lab, "drop_event", "executionReport TRADE")  # of the exit: the asker finds it
    lab.play()
    trade_and_enter_again(node)
    lab.pause()
    assert is_true_soon(lambda: protected(lab) == bought(lab))
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    last, told = lab.last(), fills(lab)
    assert last.record.halts == []
    assert {(f.base_fee, f.fee_elsewhere) for f in told} == {(Decimal(0), True)}
    assert sum(f.fee or 0.0 for f in told) == pytest.approx(float(paid(lab)) * 600, abs=1e-4)
    spent = sum((f.quantity * Decimal(repr(f.price)) for f in told if f.side == "BUY"), Decimal(0))
    got = sum((f.quantity * Decimal(repr(f.price)) for f in told if f.side == "SELL"), Decimal(0))
    held = wallet(lab)
    assert held["USDT"] == Decimal(BEGAN["USDT"]) - spent + got
    # Without a fee in the coin there is no dust, and the stop is for all that is held.
    assert protected(lab) == bought(lab)
    coins = float(bought(lab)) * last.table("bars")[-1]["close"]
    worth = float(held["USDT"]) + coins - float(paid(lab)) * 600
    assert last.record.final_equity == pytest.approx(worth, abs=1e-3)
    comes_out_again(lab)


def node_that_knows_no_price(lab: NodeLab) -> Node:
    """Start one whose account gets its BNB after the venue was asked what it holds."""
    lab.running.call(lambda r: r.exchange.venue.wallet().update(BNB=Decimal(0)))
    node = started(lab, config_of(lab, {"stop_frac": 0.05}))
    lab.running.call(lambda r: r.exchange.venue.wallet().update(BNB=BNB))
    return node


def test_fee_that_comes_before_its_coin_has_a_price_waits_for_it_and_halts_nothing(
    lab: NodeLab,
) -> None:
    node = node_that_knows_no_price(lab)
    lab.play()
    node.wait_for("(entry)")
    lab.pause()
    assert is_true_soon(lambda: protected(lab) == bought(lab))
    assert node.stop(signal.SIGTERM)[0] == 0, node.said
    assert "a fee was paid in BNB: asking what it is worth in USDT" in node.said
    told = fills(lab)
    assert sum(f.fee or 0.0 for f in told) == pytest.approx(float(paid(lab)) * 600, abs=1e-4)
    assert lab.last().record.halts == []
    comes_out_again(lab)


@pytest.mark.long
def test_fill_with_a_fee_that_nobody_can_value_keeps_its_stop_and_halts(lab: NodeLab) -> None:
    node = node_that_knows_no_price(lab)
    inject(lab, "refuse", "GET /api/v3/ticker/price", status=503, times=1_000)
    lab.play()
    node.wait_for("halted: the fee of trade")
    lab.pause()
    assert is_true_soon(lambda: protected(lab) == bought(lab))
    assert node.stop(signal.SIGTERM)[0] == 6, node.said  # It was halted for an error.
    assert protected(lab) == bought(lab)
    assert lab.last().record.halts[0].reason.endswith("or trade BNB as well")
    comes_out_again(lab)


def test_fees_with_more_decimals_than_the_engine_keeps_of_a_coin_are_counted_exactly(
    tmp_path: Path,
) -> None:
    began = {"USDT": "50000", "XRP": "0.5"}
    fees = {"maker_fee": "0.00067513", "taker_fee": "0.00067513"}
    terms: dict[str, Any] = {"product": "spot", "api_secret": SECRET, "balances": began, **fees}
    with node_lab(tmp_path, base="XRP", **terms) as lab:
        node = started(lab, config_of(lab, {"stop_frac": 0.05}))
        lab.play()
        trade_and_enter_again(node)
        lab.pause()
        assert node.stop(signal.SIGTERM)[0] == 0, node.said
        assert wallet(lab) == books(lab, began)
        assert any(f.base_fee % Decimal("0.000001") for f in fills(lab))
        comes_out_again(lab)
