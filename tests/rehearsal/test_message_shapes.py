"""What the exchange sends has the fields and types that Binance sends.

Two outsiders judge: the messages recorded from Binance (2021 and 2024), and the field lists of
Binance's own connector, which Binance generates from its documentation (`binance_fields.json`).
A field that is sent must be known to one of them; a field that they know must be sent, or be named
here with the reason why it is not.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.rehearsal.feed import FundingSettled
from aitb_nautilus.rehearsal.recorded_feed import read_lines
from tests.rehearsal_client import HOUR_NS, Client, connected, next_events
from tests.rehearsal_lab import Lab

LISTS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "binance_fields.json").read_text(encoding="utf-8")
)
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str, type(None)),
    "int": (int,),
    "bool": (bool,),
    "list": (list,),
    "object": (dict,),
}
ORDER_LISTS = ("rest order", "rest query_order", "rest cancel_order", "rest modify_order")

# Fields that Binance knows and the rehearsal does not send, and why.
TRAILING = {"activatePrice", "priceRate", "AP", "cr"}  # only for trailing stops on the order itself
COIN_MARGINED = {"pair", "baseQty", "M", "S", "ia"}  # of coin-margined contracts, shared models
UNSAID = {"modifyId", "rateType"}  # in the list, on no page of the documentation
LEFT_OUT = TRAILING | COIN_MARGINED | UNSAID
# Fields that are sent and in no list, and where they are known from.
RECORDED_ONLY = {"futuresType", "e"}  # in the recorded exchangeInfo; the list takes `e` apart
ON_ITS_PAGE = {"cumQuote", "avgPrice", "time", "callbackRate", "actualOrderId"}


def judge(message: dict[str, Any], *names: str) -> None:
    """Compare a message with the union of some field lists."""
    known: dict[str, str] = {}
    for name in names:
        known |= LISTS[name]
    extra = set(message) - set(known) - RECORDED_ONLY - ON_ITS_PAGE
    assert not extra, f"{names}: Binance does not send {extra}"
    missing = set(known) - set(message) - LEFT_OUT
    assert not missing, f"{names}: {missing} not sent"
    for field, kind in known.items():
        if field in message and kind != "any":
            assert isinstance(message[field], TYPES[kind]), f"{names}: {field} is no {kind}"
            assert kind != "int" or not isinstance(message[field], bool)


def run(scene: Callable[[Client], Any]) -> None:
    async def play() -> None:
        async with connected() as client:
            await scene(client)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("time", ("rest server_time",)),
        ("exchangeInfo", ("rest exchange_info",)),
        ("depth?symbol=BTCUSDT", ("rest depth",)),
        ("trades?symbol=BTCUSDT", ("rest trade",)),
        ("aggTrades?symbol=BTCUSDT", ("rest agg_trade",)),
        ("premiumIndex?symbol=BTCUSDT", ("rest premium_index",)),
        ("ticker/bookTicker?symbol=BTCUSDT", ("rest book_ticker",)),
        ("ticker/price?symbol=BTCUSDT", ("rest price_ticker",)),
        ("ticker/24hr?symbol=BTCUSDT", ("rest day_ticker",)),
        ("openInterest?symbol=BTCUSDT", ("rest open_interest",)),
    ],
)
def test_public_answers(path: str, names: tuple[str, ...]) -> None:
    async def scene(client: Client) -> None:
        status, body = await client.ask("GET", f"/fapi/v1/{path}")
        assert status == 200
        judge(body[-1] if isinstance(body, list) else body, *names)
        if path == "exchangeInfo":
            judge(body["symbols"][0], "rest symbol")

    run(scene)


def test_account_and_order_answers() -> None:
    async def scene(client: Client) -> None:
        limit = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "58000.0"}
        stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "59000.0"}
        small = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010"}
        _, order = await client.sign(
            "POST", "/fapi/v1/order", **limit, type="LIMIT", timeInForce="GTC"
        )
        judge(order, *ORDER_LISTS)
        change = limit | {"orderId": str(order["orderId"]), "price": "58001.0"}
        for method, params in (("PUT", change), ("GET", change), ("DELETE", change)):
            _, body = await client.sign(method, "/fapi/v1/order", **params)
            judge(body, *ORDER_LISTS)
        await client.buy()
        _, algo = await client.sign("POST", "/fapi/v1/algoOrder", **small, **stop)
        judge(algo, "rest algo_order", "rest query_algo_order", "rest open_algo_order")
        asked = {
            "userTrades": ("rest user_trade",),
            "openAlgoOrders": ("rest algo_order", "rest query_algo_order", "rest open_algo_order"),
            "commissionRate": ("rest commission",),
        }
        for path, names in asked.items():
            _, body = await client.sign("GET", f"/fapi/v1/{path}", symbol="BTCUSDT")
            judge(body[0] if isinstance(body, list) else body, *names)
        _, account = await client.sign("GET", "/fapi/v2/account")
        judge(account, "rest account")
        judge(account["assets"][0], "rest account_asset")
        judge(account["positions"][0], "rest account_position")
        for path, name in (("balance", "rest balance"), ("positionRisk", "rest position")):
            _, body = await client.sign("GET", f"/fapi/v2/{path}")
            judge(body[0], name)
        for method, path, name, params in (
            ("DELETE", "algoOrder", "rest cancel_algo_order", {"algoId": str(algo["algoId"])}),
            ("DELETE", "allOpenOrders", "rest cancel_all", {"symbol": "BTCUSDT"}),
            ("POST", "leverage", "rest leverage", {"symbol": "BTCUSDT", "leverage": "5"}),
            ("GET", "positionSide/dual", "rest position_mode", {}),
            (
                "POST",
                "countdownCancelAll",
                "rest countdown",
                {"symbol": "BTCUSDT", "countdownTime": "1000"},
            ),
        ):
            _, body = await client.sign(method, f"/fapi/v1/{path}", **params)
            judge(body, name)

    run(scene)


def test_public_streams() -> None:
    streams = {
        "aggTrade": ("stream agg_trade",),
        "bookTicker": ("stream book_ticker",),
        "markPrice@1s": ("stream mark_price",),
        "depth@0ms": ("stream depth",),
        "depth10": ("stream partial_depth",),
        "kline_1h": ("stream kline",),
    }

    async def scene(client: Client) -> None:
        for stream, names in streams.items():
            async with client.streams(f"btcusdt@{stream}") as ws:
                client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
                message = await asyncio.wait_for(ws.receive_json(), 5)
                judge(message, *names)
                if stream.startswith("kline"):
                    judge(message["k"], "stream kline_k")

    run(scene)


def test_the_user_data_stream() -> None:
    async def scene(client: Client) -> None:
        async with client.account():
            await client.buy()
            small = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010"}
            stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "59000.0"}
            await client.sign("POST", "/fapi/v1/algoOrder", **small, **stop)
            await client.sign("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage="7")
            client.rehearsal.exchange.end_listen_key(expired=False)
        sent = {event["e"]: event for event in client.rehearsal.server.user_stream.sent}
        order = sent["ORDER_TRADE_UPDATE"]
        judge(order, "user order_trade_update")
        judge(order["o"], "user order_trade_update_o")
        account = sent["ACCOUNT_UPDATE"]
        judge(account, "user account_update")
        judge(account["a"], "user account_update_a")
        judge(account["a"]["B"][0], "user account_update_b")
        judge(account["a"]["P"][0], "user account_update_p")
        judge(sent["TRADE_LITE"], "user trade_lite")
        judge(sent["ALGO_UPDATE"], "user algo_update")
        judge(sent["ALGO_UPDATE"]["o"], "user algo_update_o")
        judge(sent["ACCOUNT_CONFIG_UPDATE"] | {"ai": {}}, "user account_config_update")
        judge(sent["ACCOUNT_CONFIG_UPDATE"]["ac"], "user account_config_update_ac")

    run(scene)


def test_the_end_of_a_listen_key_and_a_funding_settlement() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as ws:
            client.rehearsal.exchange.end_listen_key(expired=True)
            judge((await next_events(ws, 1, "listenKeyExpired"))[0], "user listen_key_expired")

    run(scene)
    lab = Lab()
    lab.book([("60000.0", "1")], [("60000.1", "1")])
    lab.trade("60000.0", "0.001", seller=True)
    lab.place("BUY", "0.010")
    lab.venue.apply(FundingSettled(lab.clock.now_ns(), "BTCUSDT", "0.0001"))
    judge(lab.venue.income[0], "rest income")
    judge(lab.market.settlements[0], "rest funding_rate")


def same_shape(sent: Any, recorded: Any, where: str) -> None:
    """Require every field of a recorded message, with its type, in one that is sent."""
    if isinstance(recorded, dict):
        for name, value in recorded.items():
            assert name in sent, f"{where}: {name} is not sent"
            same_shape(sent[name], value, f"{where}.{name}")
    elif isinstance(recorded, list):
        for value in recorded[:1]:
            if sent:
                same_shape(sent[0], value, f"{where}[]")
    else:
        assert type(sent) is type(recorded), f"{where}: {sent!r} for {recorded!r}"


def first_of(messages: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        data = message.get("data", message)
        if "asks" in data or (data.get("b") != [] and data.get("a") != []):
            found.setdefault(data.get("e", "snapshot"), data)
    return found


def test_recorded_messages_of_2024_have_no_field_that_is_not_sent(market_dir: Path) -> None:
    path = market_dir / "ws_raw" / "binance_usdm_btcusdt_20240808.jsonl.gz"
    lines = read_lines(path)
    recorded = first_of(message for _, (_, message) in zip(range(20_000), lines, strict=False))
    assert set(recorded) == {"depthUpdate", "bookTicker", "trade", "snapshot"}

    async def scene(client: Client) -> None:
        await compare(client, recorded, {"depthUpdate": "depth@0ms"})

    run(scene)


def test_recorded_messages_of_2021_have_no_field_that_is_not_sent(market_dir: Path) -> None:
    with gzip.open(market_dir / "ws_raw" / "cryptofeed_BINANCE_FUTURES.ws.1.0.gz", "rt") as lines:
        next(lines)
        recorded = first_of(json.loads(line.split(": ", 1)[1]) for line in lines)
    with gzip.open(market_dir / "ws_raw" / "cryptofeed_BINANCE_FUTURES.0.gz", "rt") as lines:
        info = json.loads(next(lines).split(": ", 1)[1])
    assert {"depthUpdate", "bookTicker", "aggTrade", "kline"} <= set(recorded)
    info["symbols"] = [symbol for symbol in info["symbols"] if symbol["symbol"] == "BTCUSDT"]

    async def scene(client: Client) -> None:
        await compare(client, recorded, {"depthUpdate": "depth@100ms", "kline": "kline_1h"})
        _, sent = await client.ask("GET", "/fapi/v1/exchangeInfo")
        filters = {row["filterType"]: row for row in sent["symbols"][0]["filters"]}
        for row in info["symbols"][0].pop("filters"):
            same_shape(filters[row["filterType"]], row, row["filterType"])
        same_shape(sent, info, "exchangeInfo")

    run(scene)


async def compare(
    client: Client, recorded: dict[str, dict[str, Any]], streams: dict[str, str]
) -> None:
    for name, message in recorded.items():
        if name == "snapshot":
            _, sent = await client.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit="1000")
        else:
            async with client.streams(f"btcusdt@{streams.get(name, name)}") as ws:
                client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
                sent = await asyncio.wait_for(ws.receive_json(), 5)
        same_shape(sent, message, name)
