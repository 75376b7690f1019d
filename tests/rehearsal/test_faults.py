"""Each fault happens as often as it was armed, to what it fits, and is written down."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp
import pytest

from aitb_nautilus.errors import RunError
from aitb_nautilus.rehearsal import (
    Fault,
    Rehearsal,
    RehearsalSettings,
    SteppedClock,
    WallClock,
    serve_in_process,
)
from tests.rehearsal_client import HOUR_NS, Client, bar_source, connected, next_events
from tests.rehearsal_lab import START_NS


def run(scene: Any, **options: Any) -> None:
    async def play() -> None:
        async with connected(**options) as client:
            await scene(client)

    asyncio.run(play())


def arm(client: Client, kind: Any, match: str = "", **more: Any) -> None:
    client.rehearsal.exchange.faults.arm(Fault(kind=kind, match=match, **more))


@pytest.mark.parametrize(
    ("status", "code", "waits"), [(429, -1003, True), (418, -1003, True), (503, -1001, False)]
)
def test_a_refusal_has_its_status_and_nothing_is_done(status: int, code: int, waits: bool) -> None:
    async def scene(client: Client) -> None:
        arm(client, "refuse", "POST /fapi/v1/order", status=status, code=code, retry_after=7)
        assert (await client.ask("GET", "/fapi/v1/ping"))[0] == 200
        got, body = await client.buy()
        assert (got, body["code"]) == (status, code)
        assert (client.headers.get("Retry-After") == "7") is waits
        assert len(client.rehearsal.exchange.venue.orders) == 0
        assert (await client.buy())[0] == 200
        happened = client.rehearsal.exchange.faults.happened
        assert [entry[1:] for entry in happened] == [("refuse", "POST /fapi/v1/order")]

    run(scene)


def test_an_order_may_be_rejected_with_any_code() -> None:
    async def scene(client: Client) -> None:
        arm(client, "refuse", "POST /fapi/v1/order", status=400, code=-2019)
        assert (await client.buy())[1] == {"code": -2019, "msg": "Margin is insufficient."}

    run(scene)


@pytest.mark.parametrize("kind", ["slow", "late_answer"])
def test_an_answer_comes_late(kind: str) -> None:
    async def scene(client: Client) -> None:
        arm(client, kind, "POST /fapi/v1/order", delay_ms=300)
        waiting = asyncio.create_task(client.buy())
        await asyncio.sleep(0.1)
        done = len(client.rehearsal.exchange.venue.fills)
        assert done == (1 if kind == "late_answer" else 0)
        assert not waiting.done()
        assert (await waiting)[0] == 200
        assert len(client.rehearsal.exchange.venue.fills) == 1

    run(scene)


def test_an_order_without_an_answer_was_done_all_the_same() -> None:
    async def scene(client: Client) -> None:
        arm(client, "no_answer", "POST /fapi/v1/order")
        with pytest.raises(aiohttp.ClientError):
            await client.buy(newClientOrderId="lost")
        status, order = await client.sign(
            "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="lost"
        )
        assert (status, order["status"]) == (200, "FILLED")

    run(scene)


def test_an_order_whose_fate_is_unknown_was_done_all_the_same() -> None:
    async def scene(client: Client) -> None:
        arm(client, "unknown", "POST /fapi/v1/order", status=503, code=-1007)
        status, body = await client.buy()
        assert (status, body["code"]) == (503, -1007)
        assert len(client.rehearsal.exchange.venue.fills) == 1

    run(scene)


def test_a_lost_fill_is_lost_on_the_stream_and_kept_at_the_venue() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            arm(client, "drop_event", "ORDER_TRADE_UPDATE TRADE")
            await client.buy(newClientOrderId="one")
            await client.buy(newClientOrderId="two")
            told = await next_events(events, 3)
            assert [(e["o"]["c"], e["o"]["x"]) for e in told] == [
                ("one", "NEW"),
                ("two", "NEW"),
                ("two", "TRADE"),
            ]
        _, trades = await client.sign("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
        assert len(trades) == 2

    run(scene)


def test_a_fill_may_come_twice_late_or_out_of_order() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            arm(client, "duplicate_event", "ORDER_TRADE_UPDATE TRADE")
            await client.buy()
            told = await next_events(events, 3)
            assert [e["o"]["x"] for e in told] == ["NEW", "TRADE", "TRADE"]
            assert told[1] == told[2]
            arm(client, "reorder_event", "ORDER_TRADE_UPDATE NEW")
            await client.buy()
            assert [e["o"]["x"] for e in await next_events(events, 2)] == ["NEW", "TRADE"]
            arm(client, "delay_event", "ORDER_TRADE_UPDATE NEW", delay_ms=100)
            await client.buy()
            assert [e["o"]["x"] for e in await next_events(events, 2)] == ["TRADE", "NEW"]

    run(scene)


def test_two_events_that_wait_are_both_sent() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            arm(client, "reorder_event", "ORDER_TRADE_UPDATE", times=2)
            await client.buy()
            await client.buy()
            told = await next_events(events, 4)
            assert [e["o"]["x"] for e in told] == ["NEW", "NEW", "TRADE", "TRADE"]

    run(scene)


def test_the_one_event_that_waits_is_sent_after_the_next_one() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            arm(client, "reorder_event", "TRADE_LITE")
            await client.buy()
            names = [(await asyncio.wait_for(events.receive_json(), 5))["e"] for _ in range(4)]
            assert names == [
                "ORDER_TRADE_UPDATE",
                "ACCOUNT_UPDATE",
                "TRADE_LITE",
                "ORDER_TRADE_UPDATE",
            ]

    run(scene)


def test_a_silent_socket_stays_open_and_loses_what_was_to_be_sent() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            arm(client, "silence", "user", delay_ms=300)
            await client.buy(newClientOrderId="unheard")
            await asyncio.sleep(0.35)
            await client.buy(newClientOrderId="heard")
            told = await next_events(events, 1)
            assert told[0]["o"]["c"] == "heard"

    run(scene)


def test_a_cut_connection_ends_and_the_others_live_on() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events, client.streams("btcusdt@aggTrade") as streams:
            assert client.rehearsal.server.disconnect("market") == 1
            ended = await asyncio.wait_for(streams.receive(), 5)
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            await client.buy()
            assert len(await next_events(events, 2)) == 2

    run(scene)


def test_a_restart_keeps_orders_and_takes_the_sockets() -> None:
    async def scene(client: Client) -> None:
        await client.buy("0.010", type="LIMIT", timeInForce="GTC", price="58000.0")
        async with client.account() as events:
            await client.rehearsal.server.restart(0.1)
            ended = await asyncio.wait_for(events.receive(), 5)
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        _, orders = await client.sign("GET", "/fapi/v1/openOrders")
        assert [order["price"] for order in orders] == ["58000.00"]

    run(scene)


def test_a_restart_that_finds_its_port_taken_ends_the_rehearsal_and_says_why() -> None:
    async def play() -> None:
        rehearsal = Rehearsal(RehearsalSettings(), [bar_source()], SteppedClock(START_NS))
        await rehearsal.start()
        port = rehearsal.server.port
        rehearsal.restart(0.2)
        await asyncio.sleep(0.1)
        with socket.create_server(("127.0.0.1", port)):
            await asyncio.wait_for(rehearsal.wait(), 5)
            with pytest.raises(OSError, match="address already in use"):
                await rehearsal.stop()

    asyncio.run(play())


def test_requests_are_answered_while_the_market_catches_up() -> None:
    clock = WallClock()

    async def scene(client: Client) -> None:
        clock.skew_ns = 12 * HOUR_NS
        assert (await client.ask("GET", "/fapi/v1/ping"))[0] == 200
        assert not client.rehearsal.finished
        async with asyncio.timeout(5):
            while not client.rehearsal.finished:
                await asyncio.sleep(0.01)

    run(scene, clock=clock)


def test_a_skewed_clock_refuses_what_was_signed_just_now() -> None:
    clock = WallClock()

    async def scene(client: Client) -> None:
        assert (await client.sign("GET", "/fapi/v2/balance"))[0] == 200
        clock.skew_ns = 10_000_000_000
        _, body = await client.sign("GET", "/fapi/v2/balance")
        assert body["code"] == -1021
        _, told = await client.ask("GET", "/fapi/v1/time")
        assert told["serverTime"] / 1_000 - time.time() == pytest.approx(10, abs=1)

    run(scene, clock=clock)


def test_a_rehearsal_of_its_own_process_is_told_over_http() -> None:
    with serve_in_process(RehearsalSettings(), [bar_source()]) as running:
        assert running.tell("POST", "faults", {"kind": "refuse", "times": 2}) == {"armed": 1}
        status = running.tell("GET", "status")
        assert status["symbols"] == ["BTCUSDT"]
        assert status["faults_armed"][0]["times"] == 2
        assert running.tell("DELETE", "faults") == {"armed": 0}
        assert running.tell("GET", "fills") == []
        with pytest.raises(RunError, match="did you mean"):
            running.tell("POST", "faults", {"kinds": "refuse"})
        assert running.tell("POST", "disconnect", {"kind": "user"}) == {"disconnected": 0}
