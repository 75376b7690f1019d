"""What spot sends has the fields and types that Binance sends, in JSON and in binary.

The field lists are those of Binance's own connector (`binance_spot_fields.json`), the lengths those
of its published schema; recorded messages judge as well.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal.recorded_feed import read_lines
from aitb_nautilus.rehearsal.spot.sbe import encode
from tests.rehearsal.test_message_shapes import same_shape
from tests.rehearsal_client import HOUR_NS, Client
from tests.rehearsal_spot import place, spot_client

LISTS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "binance_spot_fields.json").read_text(encoding="utf-8")
)
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str, type(None)),
    "int": (int,),
    "bool": (bool,),
    "list": (list,),
    "object": (dict,),
}
# Fields that Binance sends under a condition which the rehearsal has not.
CONDITIONAL = {
    *("preventedMatchId", "preventedQuantity", "v", "A", "B", "u", "U", "pl", "pL", "pY", "Cs"),
    *("icebergQty", "strategyId", "strategyType", "trailingDelta", "trailingTime", "d", "D"),
    *("j", "J", "usedSor", "workingFloor", "allocId", "matchType", "b", "a", "k", "uS", "W"),
    *("pegPriceType", "pegOffsetType", "pegOffsetValue", "peggedPrice", "gP", "gOT", "gOV", "gp"),
    *("expiryReason", "eR", "sors", "sor"),
}
# Fields that are sent and in no list, and why.
ELSEWHERE = {
    "e",  # the lists take it apart
    *("timezone", "opoAllowed"),
    *("maker", "taker", "buyer", "seller"),  # rates that the binary form has beside the others
    *("cummulativeQuoteQty", "origQuoteOrderQty", "workingTime", "isWorking"),
}


def judge(message: dict[str, Any], name: str) -> None:
    known: dict[str, str] = LISTS[name]
    extra = set(message) - set(known) - ELSEWHERE
    assert not extra, f"{name}: Binance does not send {extra}"
    missing = set(known) - set(message) - CONDITIONAL
    assert not missing, f"{name}: {missing} not sent"
    for field, kind in known.items():
        if field in message:
            assert isinstance(message[field], TYPES[kind]), f"{name}: {field} is no {kind}"


def run(scene: Callable[[Client], Any]) -> None:
    async def play() -> None:
        async with spot_client() as client:
            await scene(client)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("time", "rest server_time"),
        ("exchangeInfo", "rest exchange_info"),
        ("depth?symbol=BTCUSDT", "rest depth"),
        ("trades?symbol=BTCUSDT", "rest trade"),
        ("avgPrice?symbol=BTCUSDT", "rest average_price"),
        ("ticker/24hr?symbol=BTCUSDT", "rest day_ticker"),
        ("ticker/price?symbol=BTCUSDT", "rest price_ticker"),
        ("ticker/bookTicker?symbol=BTCUSDT", "rest book_ticker"),
    ],
)
def test_public_answers(path: str, name: str) -> None:
    async def scene(client: Client) -> None:
        status, body = await client.ask("GET", f"/api/v3/{path}")
        assert status == 200
        judge(body[-1] if isinstance(body, list) else body, name)
        if path == "exchangeInfo":
            judge(body["symbols"][0], "rest symbol")

    run(scene)


def test_orders_account_and_events() -> None:
    async def scene(client: Client) -> None:
        _, order = await place(client, "BUY", "0.01000")
        judge(order, "rest new_order")
        judge(order["fills"][0], "rest fill")
        _, resting = await place(client, "BUY", "0.01000", "58000.00")
        named = {"symbol": "BTCUSDT", "orderId": str(resting["orderId"])}
        _, asked = await client.sign("GET", "/api/v3/order", **named)
        judge(asked, "rest order")
        _, cancelled = await client.sign("DELETE", "/api/v3/order", **named)
        judge(cancelled, "rest cancel_order")
        _, trades = await client.sign("GET", "/api/v3/myTrades", symbol="BTCUSDT")
        judge(trades[0], "rest my_trade")
        _, account = await client.sign("GET", "/api/v3/account")
        judge(account, "rest account")
        judge(account["balances"][0], "rest balance")
        judge(account["commissionRates"], "rest rates")
        for event in client.rehearsal.server.user_stream.sent:
            judge(event, f"user {event['e']}")
            if event["e"] == "outboundAccountPosition":
                judge(event["B"][0], "user balance")

    run(scene)


STREAMS = {
    "aggTrade": "stream aggTrade",
    "trade": "stream trade",
    "bookTicker": "stream bookTicker",
    "depth@100ms": "stream depth",
    "depth10@100ms": "stream partial_depth",
    "kline_1h": "stream kline",
}


def test_public_streams() -> None:
    async def scene(client: Client) -> None:
        for stream, name in STREAMS.items():
            async with client.streams(f"btcusdt@{stream}") as ws:
                client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
                message = await asyncio.wait_for(ws.receive_json(), 5)
                judge(message, name)
                if "k" in message:
                    judge(message["k"], "stream kline_k")

    run(scene)


def test_recorded_messages_have_no_field_that_is_not_sent(market_dir: Path) -> None:
    path = market_dir / "ws_raw" / "binance_spot_btcusdt_20240808.jsonl.gz"
    recorded: dict[str, Any] = {}
    for (_, message), _ in zip(read_lines(path), range(20_000), strict=False):
        data = message.get("data", message)
        kind = message.get("stream", "snapshot").partition("@")[2] or "snapshot"
        if data.get("b") != [] and data.get("a") != []:
            recorded.setdefault(kind, data)
    assert {"trade", "bookTicker", "snapshot"} <= set(recorded)

    async def scene(client: Client) -> None:
        for kind, message in recorded.items():
            if kind == "snapshot":
                _, sent = await client.ask("GET", "/api/v3/depth", symbol="BTCUSDT")
            else:
                stream = "depth@100ms" if kind.startswith("depth") else kind
                async with client.streams(f"btcusdt@{stream}") as ws:
                    client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
                    sent = await asyncio.wait_for(ws.receive_json(), 5)
            same_shape(sent, message, kind)

    run(scene)


# Template and length of the fixed part, from Binance's schema 3:4.
LENGTHS = json.loads((Path(__file__).parent / "binance_sbe.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(LENGTHS["messages"]))
def test_the_fixed_part_of_a_binary_message_has_the_length_of_the_schema(name: str) -> None:
    template, length, inner = LENGTHS["messages"][name]
    lists = name in ("trades", "klines", "orders", "myTrades", "cancelAll")
    packed = encode(name, [] if lists else {})
    assert struct.unpack_from("<HHHH", packed) == (length, template, 3, 4)
    place = 8 + length
    for group in inner:
        assert struct.unpack_from("<H", packed, place) == (group,)
        place += 4 if name == "response" else 6


def test_a_binary_order_holds_what_its_json_holds() -> None:
    async def scene(client: Client) -> None:
        _, order = await place(client, "BUY", "0.01000", "58000.00")
        named = {"symbol": "BTCUSDT", "orderId": str(order["orderId"])}
        _, asked = await client.sign("GET", "/api/v3/order", **named)
        packed = encode("order", asked)
        price, quantity, number, listed = struct.unpack_from("<bbqq", packed, 8)
        assert (price, quantity, number, listed) == (-8, -8, asked["orderId"], -(2**63))
        mantissa, size, done = struct.unpack_from("<qqq", packed, 26)
        assert (mantissa, size, done) == (5_800_000_000_000, 1_000_000, 0)
        assert packed.endswith(
            b"\x07BTCUSDT" + bytes([len(asked["clientOrderId"])]) + asked["clientOrderId"].encode()
        )

    run(scene)


def test_an_error_is_binary_too() -> None:
    async def scene(client: Client) -> None:
        url = f"{client.rehearsal.url_http}/api/v3/depth?symbol=DOGEUSDT"
        async with client.session.get(url, headers={"Accept": "application/sbe"}) as answer:
            packed = await answer.read()
        assert answer.status == 400
        assert answer.content_type == "application/sbe"
        assert struct.unpack_from("<HHHHh", packed)[1::3] == (100, -1121)
        assert b"Invalid symbol." in packed

    run(scene)
