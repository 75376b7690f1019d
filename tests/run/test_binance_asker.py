"""Asking for one order by our name, at a rehearsal of the exchange."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from aitb_nautilus.rehearsal.faults import Fault
from aitb_nautilus.run.binance_asker import BinanceAsker, our_name_of, venue_name_of
from aitb_nautilus.run.binance_books import books_of
from aitb_nautilus.run.binance_rest import AskError
from tests.run.asked_venue import asked_venue
from tests.run.node_lab import BTC, NodeLab, node_lab

OURS = "65de6aaf9a7285bf8ad432ecb8023393"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeLab]:
    with node_lab(tmp_path_factory.mktemp("asked")) as lab:
        lab.running.call(lambda r: r.advance(r.clock.now_ns() + 10**9))
        yield lab


def asker(lab: NodeLab, monkeypatch: pytest.MonkeyPatch, secret: str = "rehearsal") -> BinanceAsker:
    venue = asked_venue(lab, monkeypatch, "margin", secret)
    return BinanceAsker(venue)


def place(lab: NodeLab, ours: str, **terms: str) -> None:
    params = {"symbol": "BTCUSDT", "newClientOrderId": venue_name_of(ours)} | terms
    lab.running.call(lambda r: r.exchange.venue.place(params))


def test_order_is_named_as_the_adapter_names_it() -> None:
    # Read off an order that the engine's adapter had sent under this id.
    assert venue_name_of(OURS) == "x-aHRE4BCj-u36DrvMMLngDf4Vroekvw2N"
    assert venue_name_of("by-hand-1") == "by-hand-1"


@pytest.mark.parametrize("ours", [OURS, "0" * 31 + "1", "f" * 32, "by-hand-1", "x-aHRE4BCj-u!"])
def test_name_comes_back_from_the_venues(ours: str) -> None:
    assert our_name_of(venue_name_of(ours)) == ours


def test_filled_order_is_found_with_all_its_fills(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(lab, OURS, side="BUY", type="MARKET", quantity="0.010")
    found = asker(lab, monkeypatch).find(OURS, BTC)
    assert found is not None
    order, fills = found
    assert (order.client_order_id, order.status, order.filled) == (OURS, "FILLED", Decimal("0.010"))
    assert sum(f.quantity for f in fills) == Decimal("0.010")
    assert {f.liquidity for f in fills} == {"TAKER"}
    assert all(f.fee > 0 for f in fills)


@pytest.mark.parametrize("price", [600.0, None])
def test_fee_in_another_coin_is_not_taken_for_one_in_quote_currency(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch, price: float | None
) -> None:
    ours, asks = ("a" if price else "b") * 32, asker(lab, monkeypatch)
    place(lab, ours, side="BUY", type="MARKET", quantity="0.010")
    ask, coin = asks._rest.ask, {"commissionAsset": "BNB", "commission": "0.00050000"}

    def paid_with_bnb(method: Any, path: str, params: Any) -> Any:
        answer = ask(method, path, params)
        return [row | coin for row in answer] if path.endswith("userTrades") else answer

    told = None if price is None else {"symbol": "BNBUSDT", "price": str(price)}
    monkeypatch.setattr(asks._rest, "ask", paid_with_bnb)
    monkeypatch.setattr(asks._rest, "look_up", lambda *_: told)
    found = asks.find(ours, BTC)
    assert found is not None
    assert {f.fee for f in found[1]} == {0.3 if price else 0.0}
    assert {(f.fee_elsewhere, bool(f.unknown_fee)) for f in found[1]} == {(True, price is None)}


def test_trades_that_are_not_listed_yet_are_waited_for_and_not_for_ever(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, asks = "c" * 32, asker(lab, monkeypatch)
    place(lab, ours, side="BUY", type="MARKET", quantity="0.010")
    ask, late = asks._rest.ask, True

    def slowly(method: Any, path: str, params: Any) -> Any:
        return [] if late and path.endswith("userTrades") else ask(method, path, params)

    monkeypatch.setattr(asks._rest, "ask", slowly)
    for _ in range(2):
        with pytest.raises(AskError, match=r"trades of 0 alone, and that 0\.010 is filled"):
            asks.find(ours, BTC)
    late = False
    found = asks.find(ours, BTC)
    assert found is not None
    assert sum(fill.fee for fill in found[1]) > 0
    late = True
    with pytest.raises(AskError, match="trades of 0 alone"):
        asks.find(ours, BTC)
    now = time.monotonic()
    monkeypatch.setattr("aitb_nautilus.run.binance_asker.time.monotonic", lambda: now + 3.1)
    found = asks.find(ours, BTC)
    assert found is not None
    assert (found[0].filled, found[1]) == (Decimal("0.010"), [])
    with pytest.raises(AskError, match=r"that 0\.020 is filled"):
        asks._wait_for_trades(ours, Decimal("0.020"), [])


def test_resting_and_conditional_orders_are_found(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, stop = "1" * 32, "2" * 32
    place(
        lab, limit, side="BUY", type="LIMIT", quantity="0.010", price="40000.0", timeInForce="GTC"
    )
    terms = {
        "symbol": "BTCUSDT",
        "clientAlgoId": venue_name_of(stop),
        "algoType": "CONDITIONAL",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.010",
        "triggerPrice": "40000.0",
        "reduceOnly": "true",
    }
    lab.running.call(lambda r: r.exchange.triggers.place(terms))  # type: ignore[attr-defined]
    resting = asker(lab, monkeypatch).find(limit, BTC)
    waiting = asker(lab, monkeypatch).find(stop, BTC)
    assert resting is not None
    assert waiting is not None
    assert (resting[0].status, resting[0].price, resting[1]) == ("ACCEPTED", 40_000.0, [])
    assert (waiting[0].kind, waiting[0].status, waiting[0].trigger_price) == (
        "STOP_MARKET",
        "ACCEPTED",
        40_000.0,
    )
    assert waiting[0].reduce_only


def test_books_are_those_of_the_exchange(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, stop = "4" * 32, "5" * 32
    place(lab, "6" * 32, side="BUY", type="MARKET", quantity="0.010")
    place(
        lab, limit, side="BUY", type="LIMIT", quantity="0.020", price="40000.0", timeInForce="GTC"
    )
    terms = {
        "symbol": "BTCUSDT",
        "clientAlgoId": venue_name_of(stop),
        "algoType": "CONDITIONAL",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.010",
        "triggerPrice": "39000.0",
        "reduceOnly": "true",
    }
    lab.running.call(lambda r: r.exchange.triggers.place(terms))  # type: ignore[attr-defined]
    books = books_of(asker(lab, monkeypatch), "BINANCE")
    assert books.positions == {BTC: Decimal(lab.venue()["position"]) / 1_000}
    assert books.entry_prices[BTC] > 50_000
    orders = {order.client_order_id: order for order in books.orders}
    assert (orders[limit].kind, orders[limit].price) == ("LIMIT", 40_000.0)
    assert (orders[stop].kind, orders[stop].trigger_price) == ("STOP_MARKET", 39_000.0)
    assert orders[stop].reduce_only
    assert {order.instrument_id for order in books.orders} == {BTC}
    paid = sum(Decimal(f.commission) for f in lab.running.call(lambda r: r.exchange.venue.fills))
    assert books.balances == {"USDT": Decimal(100_000) - paid}


def test_order_that_never_came_is_none(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asker(lab, monkeypatch).find("3" * 32, BTC) is None


def test_refused_question_is_no_answer(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AskError, match="HTTP 4"):
        asker(lab, monkeypatch, secret="wrong").find(OURS, BTC)


def test_busy_venue_is_left_alone_for_as_long_as_it_says(
    lab: NodeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = asker(lab, monkeypatch)
    busy = Fault(kind="refuse", match="GET /fapi/v1/order", status=429, code=-1003, retry_after=1)
    lab.running.call(lambda r: r.inject(busy))
    with pytest.raises(AskError, match="HTTP 429"):
        one.find("7" * 32, BTC)
    asked = lab.running.call(lambda r: len(r.exchange.faults.happened))
    lab.running.call(lambda r: r.inject(busy))
    with pytest.raises(AskError, match="left alone until"):
        one.find("7" * 32, BTC)
    # It was not even asked: the fault that waits for the next question waits still.
    assert lab.running.call(lambda r: len(r.exchange.faults.happened)) == asked
    lab.running.call(lambda r: r.exchange.faults.clear())
    time.sleep(1.1)
    assert one.find("7" * 32, BTC) is None


def test_silent_venue_is_no_answer(lab: NodeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.running, "url_http", "http://127.0.0.1:9")
    one = asker(lab, monkeypatch)
    with pytest.raises(AskError, match="/fapi/v1/order"):
        one.find(OURS, BTC)
