"""Spot orders and balances, without sockets and over them: taken, refused, booked, told."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from aitb_nautilus.market.instruments import find_instrument
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.candles import Candles
from aitb_nautilus.rehearsal.clock import SteppedClock
from aitb_nautilus.rehearsal.feed import BookSet, Trade
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.spot.account import SpotAccount
from aitb_nautilus.rehearsal.spot.venue import SpotVenue
from aitb_nautilus.rehearsal.symbols import Rules
from tests.rehearsal_client import Client, sign
from tests.rehearsal_lab import START_NS
from tests.rehearsal_spot import SPOT_ID, place, spot_client


class SpotLab:
    """BTCUSDT around 60,000, fees of 10 bp, 10,000 USDT and 0.1 BTC."""

    def __init__(self) -> None:
        self.clock = SteppedClock(START_NS)
        self.rules = Rules(find_instrument(SPOT_ID), Decimal("0.001"), Decimal("0.001"))
        account = SpotAccount({"USDT": Decimal(10_000), "BTC": Decimal("0.1")})
        self.venue = SpotVenue(self.clock, Hub(), account)
        self.market = self.venue.list_symbol(self.rules, Candles(self.rules, 60_000))
        self.events: list[dict[str, Any]] = []
        self.venue.on_user_event = self.events.append
        price, size = self.rules.price_units, self.rules.size_units
        bids, asks = [(price("60000"), size("1"))], [(price("60000.01"), size("1"))]
        self.venue.apply(BookSet(START_NS, "BTCUSDT", bids, asks))
        self.trade("60000")

    def trade(self, price: str, *, seller: bool = True) -> None:
        units = (self.rules.price_units(price), self.rules.size_units("0.5"))
        self.venue.apply(Trade(self.clock.now_ns(), "BTCUSDT", *units, seller))

    def place(self, side: str, kind: str, quantity: str = "0.01", **more: str) -> Order:
        params = {"symbol": "BTCUSDT", "side": side, "type": kind, "quantity": quantity}
        return self.venue.place(params | more)

    def told(self) -> list[str]:
        return [f"{e['x']} {e['X']}" for e in self.events if e["e"] == "executionReport"]


@pytest.fixture
def lab() -> SpotLab:
    return SpotLab()


def test_a_buy_pays_its_fee_in_what_it_receives(lab: SpotLab) -> None:
    order = lab.place("BUY", "MARKET")
    assert lab.told() == ["NEW NEW", "TRADE FILLED"]
    assert order.status == "FILLED"
    assert lab.venue.wallet()["USDT"] == Decimal("9399.9999")  # 10,000 - 0.01 * 60,000.01
    assert lab.venue.wallet()["BTC"] == Decimal("0.10999")  # 0.1 + 0.01 - 10 bp of it
    fill = lab.venue.fills[0]
    assert (fill.commission, fill.commission_asset) == ("0.00001000", "BTC")
    balances = {row["a"]: row["f"] for row in lab.events[-1]["B"]}
    assert balances == {"BTC": "0.10999000", "USDT": "9399.99990000"}


def test_a_sale_pays_its_fee_in_quote_currency(lab: SpotLab) -> None:
    lab.place("SELL", "MARKET", "0.1")
    assert lab.venue.wallet() == {"USDT": Decimal("15994.0"), "BTC": Decimal(0)}


def test_open_orders_lock_what_they_need_and_give_it_back(lab: SpotLab) -> None:
    order = lab.place("BUY", "LIMIT", "0.1", price="59000", timeInForce="GTC")
    assert (lab.venue.locked("USDT"), lab.venue.free("USDT")) == (Decimal(5_900), Decimal(4_100))
    with pytest.raises(VenueError, match="-2010: Account has insufficient balance"):
        lab.place("BUY", "LIMIT", "0.1", price="59000", timeInForce="GTC")
    with pytest.raises(VenueError, match="-2010"):
        lab.place("SELL", "MARKET", "0.2")
    lab.venue.cancel({"symbol": "BTCUSDT", "orderId": str(order.order_id)})
    assert lab.venue.free("USDT") == Decimal(10_000)
    assert lab.events[-2]["C"] == order.client_id


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("LIMIT", {"price": "60000.001", "timeInForce": "GTC"}, "-1111"),
        ("LIMIT", {"price": "59000"}, "-1102"),
        ("LIMIT", {"price": "59000", "timeInForce": "GTX"}, "-1115"),
        ("LIMIT", {"price": "10", "timeInForce": "GTC"}, "-1013: Filter failure: NOTIONAL"),
        ("LIMIT_MAKER", {"price": "60001"}, "immediately match and take"),
        ("MARKET", {"quantity": "0.000001"}, "-1013: Filter failure: LOT_SIZE"),
        ("STOP_LOSS", {"stopPrice": "59000"}, "trigger immediately"),
        ("STOP", {"stopPrice": "59000"}, "-1116"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    lab: SpotLab, kind: str, more: dict[str, str], words: str
) -> None:
    with pytest.raises(VenueError, match=words):
        lab.place("BUY", kind, **more)
    assert lab.events == []


def test_a_fill_or_kill_that_would_not_fill_expires_and_an_ioc_takes_what_is_there(
    lab: SpotLab,
) -> None:
    limit = {"price": "60000", "quantity": "0.05"}
    killed = lab.place("SELL", "LIMIT", timeInForce="FOK", **(limit | {"price": "60000.01"}))
    assert (killed.status, killed.filled) == ("EXPIRED", 0)
    taken = lab.place("SELL", "LIMIT", timeInForce="IOC", **limit)
    assert taken.status == "FILLED"


def test_a_quote_quantity_buys_whole_lots(lab: SpotLab) -> None:
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "1000"}
    order = lab.venue.place(params)
    assert lab.rules.size_text(order.quantity) == "0.016660"  # 1,000 / 60,000.01


def test_a_stop_waits_wakes_and_sells(lab: SpotLab) -> None:
    order = lab.place("SELL", "STOP_LOSS", stopPrice="59900")
    assert lab.venue.is_waiting(order)
    assert lab.events[0]["w"] is False
    assert lab.venue.free("BTC") == Decimal("0.09")
    lab.trade("59900.01")
    assert order.status == "NEW"
    lab.trade("59900")
    assert order.status == "FILLED"
    assert lab.told() == ["NEW NEW", "NEW NEW", "TRADE FILLED"]
    assert lab.events[2]["w"] is True


def test_a_stop_limit_rests_at_its_limit_and_a_waiting_one_can_be_cancelled(lab: SpotLab) -> None:
    more = {"stopPrice": "60100", "price": "60200", "timeInForce": "GTC"}
    order = lab.place("SELL", "TAKE_PROFIT_LIMIT", **more)
    lab.trade("60100", seller=False)
    assert lab.market.matcher.resting() == [order]
    waiting = lab.place("SELL", "STOP_LOSS", stopPrice="59000")
    lab.venue.cancel({"symbol": "BTCUSDT", "orderId": str(waiting.order_id)})
    assert not lab.venue.is_waiting(waiting)
    assert lab.venue.orders.open() == [order]


def run(scene: Callable[[Client], Any]) -> None:
    async def play() -> None:
        async with spot_client() as client:
            await scene(client)

    asyncio.run(play())


def test_an_order_is_replaced_or_stays() -> None:
    async def scene(client: Client) -> None:
        _, order = await place(client, "BUY", "0.01000", "58000.00")
        new = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000",
            "price": "58100.00",
            "cancelReplaceMode": "STOP_ON_FAILURE",
        }
        path = "/api/v3/order/cancelReplace"
        status, done = await client.sign("POST", path, **new, cancelOrderId=str(order["orderId"]))
        assert (status, done["newOrderResponse"]["price"]) == (200, "58100.00")
        status, done = await client.sign("POST", path, **new, cancelOrderId=str(order["orderId"]))
        assert (status, done["code"]) == (400, -2022)
        _, orders = await client.sign("GET", "/api/v3/openOrders")
        assert [row["price"] for row in orders] == ["58100.00"]

    run(scene)


@pytest.mark.parametrize("binary", [False, True])
def test_a_session_logs_on_trades_and_hears_of_it(binary: bool) -> None:
    async def scene(client: Client) -> None:
        base = client.rehearsal.url_ws_api.partition("?")
        url = "".join(base) if binary else base[0]
        async with client.session.ws_connect(url) as ws:

            async def ask(method: str, **params: str) -> Any:
                await ws.send_json({"id": "r", "method": method, "params": params})
                message = await asyncio.wait_for(ws.receive(), 5)
                return message.data if binary else message.json()

            def status(answer: Any) -> int:
                return struct.unpack_from("<H", answer, 9)[0] if binary else answer["status"]

            assert status(await ask("userDataStream.subscribe")) == 400
            stamp = {"apiKey": "rehearsal", "timestamp": str(int(time.time() * 1_000))}
            signature = sign(urlencode(sorted(stamp.items())))
            assert status(await ask("session.logon", **stamp, signature="0" * 64)) == 400
            assert status(await ask("session.logon", **stamp, signature=signature)) == 200
            assert status(await ask("userDataStream.subscribe")) == 200
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01000"}
            await ws.send_json({"id": "o", "method": "order.place", "params": order})
            found = [(await asyncio.wait_for(ws.receive(), 5)) for _ in range(5)]
            if binary:
                templates = [struct.unpack_from("<H", one.data, 2)[0] for one in found]
                assert templates == [603, 607, 603, 607, 50]
            else:
                events = [one.json().get("event", {}).get("e") for one in found]
                assert events == [
                    *("executionReport", "outboundAccountPosition") * 2,
                    None,
                ]
                assert found[-1].json()["result"]["status"] == "FILLED"

    run(scene)


def test_end_of_an_order_is_told_with_what_is_free_again(lab: SpotLab) -> None:
    def told_last() -> tuple[str, str]:
        (coins,) = [b for b in lab.events[-1]["B"] if b["a"] == "BTC"]
        return coins["f"], coins["l"]

    stop = lab.place("SELL", "STOP_LOSS", "0.06", stopPrice="50000")
    assert told_last() == ("0.04000000", "0.06000000")
    lab.venue.cancel({"symbol": "BTCUSDT", "orderId": str(stop.order_id)})
    assert told_last() == ("0.10000000", "0.00000000")


def test_spot_has_limits_of_its_own() -> None:
    async def scene(client: Client) -> None:
        _, info = await client.ask("GET", "/api/v3/exchangeInfo")
        assert [(row["interval"], row["limit"]) for row in info["rateLimits"]] == [
            ("MINUTE", 6_000),
            ("SECOND", 100),
            ("DAY", 200_000),
        ]
        now = client.rehearsal.exchange.signing_ms()
        client.rehearsal.exchange.limits.add_orders(100, now)
        status, body = await place(client, "BUY", "0.01000", "58000.00")
        if status == 429:  # otherwise ten new seconds have begun in between
            assert body["code"] == -1015
            assert client.headers["X-MBX-ORDER-COUNT-1D"] in {"100", "101"}

    run(scene)


def refused(lab: SpotLab, kind: str, quantity: str, **more: str) -> bool:
    with suppress(VenueError):
        lab.place("SELL", kind, quantity, **more)
        return False
    with pytest.raises(VenueError, match="Filter failure: NOTIONAL"):
        lab.place("SELL", kind, quantity, **more)
    return True


def test_least_value_of_an_order_at_the_market_is_judged_by_five_minutes(lab: SpotLab) -> None:
    lab.trade("50000")  # half a coin at 60,000 and half at 50,000: the average is 55,000
    assert refused(lab, "MARKET", "0.00009")  # 4.95
    assert not refused(lab, "MARKET", "0.0001")
    lab.clock.advance_to(START_NS + 301 * 10**9)
    lab.trade("50000")
    assert refused(lab, "MARKET", "0.00009")
    assert not refused(lab, "MARKET", "0.0001")  # 5.0 at 50,000


def test_least_value_of_a_stop_is_judged_by_its_prices(lab: SpotLab) -> None:
    assert refused(lab, "STOP_LOSS", "0.0001", stopPrice="49999")
    assert not refused(lab, "STOP_LOSS", "0.0001", stopPrice="50000")
    limit = {"timeInForce": "GTC", "stopPrice": "50000"}
    assert refused(lab, "STOP_LOSS_LIMIT", "0.0001", price="49999", **limit)
    assert not refused(lab, "STOP_LOSS_LIMIT", "0.0001", price="50000", **limit)


def test_fee_is_paid_with_bnb_while_the_account_holds_enough() -> None:
    lab = SpotLab()
    holds = {"USDT": Decimal(10_000), "BTC": Decimal("0.1"), "BNB": Decimal("0.0008")}
    lab.venue.account = SpotAccount(holds, pays_with_bnb=True)
    lab.venue._bnb_price = Decimal(600)
    lab.place("SELL", "MARKET", "0.01")
    lab.place("SELL", "MARKET", "0.01")
    first, second = lab.venue.fills
    # 600 at 10 bp less a quarter are 0.45, which 0.00075 BNB pay; 0.00005 are not enough again.
    assert (first.commission, first.commission_asset) == ("0.00075000", "BNB")
    assert (second.commission, second.commission_asset) == ("0.60000000", "USDT")
    assert lab.venue.wallet()["USDT"] == Decimal("11199.4")
