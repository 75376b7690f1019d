"""Each fault happens as often as it was armed, to what it fits, and is written down."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tomli_w

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.rehearsal import (
    Fault,
    Rehearsal,
    RehearsalSettings,
    SteppedClock,
    WallClock,
)
from aitb_nautilus.rehearsal.fault_plan import read_fault_plan
from tests.rehearsal_client import HOUR_NS, Client, bar_source, connected, next_events
from tests.rehearsal_lab import START_NS


def run(scene: Any, **options: Any) -> None:
    async def play() -> None:
        async with connected(**options) as client:
            await scene(client)

    asyncio.run(play())


@pytest.fixture(params=["over HTTP", "from a file"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let every fault be told in both ways."""
    monkeypatch.setenv("ARMED", request.param)
    monkeypatch.setenv("FAULTS", str(tmp_path / "armed.toml"))


async def arm(client: Client, kind: Any, match: str = "", **more: Any) -> None:
    fault = {"kind": kind, "match": match, **more}
    if os.environ["ARMED"] == "over HTTP":
        url = f"{client.rehearsal.url_http}/rehearsal/faults"
        async with client.session.post(url, json=fault) as answer:
            assert answer.status == 200
        return
    path = Path(os.environ["FAULTS"])
    path.write_text(tomli_w.dumps({"faults": [fault]}))
    client.rehearsal.plan(read_fault_plan(path))
    await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("status", "code", "waits"), [(429, -1003, True), (418, -1003, True), (503, -1001, False)]
)
def test_a_refusal_has_its_status_and_nothing_is_done(status: int, code: int, waits: bool) -> None:
    async def scene(client: Client) -> None:
        await arm(client, "refuse", "POST /fapi/v1/order", status=status, code=code, retry_after=7)
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
        await arm(client, "refuse", "POST /fapi/v1/order", status=400, code=-2019)
        assert (await client.buy())[1] == {"code": -2019, "msg": "Margin is insufficient."}

    run(scene)


@pytest.mark.parametrize("kind", ["slow", "late_answer"])
def test_an_answer_comes_late(kind: str) -> None:
    async def scene(client: Client) -> None:
        await arm(client, kind, "POST /fapi/v1/order", delay_ms=300)
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
        await arm(client, "no_answer", "POST /fapi/v1/order")
        with pytest.raises(aiohttp.ClientError):
            await client.buy(newClientOrderId="lost")
        status, order = await client.sign(
            "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="lost"
        )
        assert (status, order["status"]) == (200, "FILLED")

    run(scene)


def test_an_order_whose_fate_is_unknown_was_done_all_the_same() -> None:
    async def scene(client: Client) -> None:
        await arm(client, "unknown", "POST /fapi/v1/order", status=503, code=-1007)
        status, body = await client.buy()
        assert (status, body["code"]) == (503, -1007)
        assert len(client.rehearsal.exchange.venue.fills) == 1

    run(scene)


def test_a_lost_fill_is_lost_on_the_stream_and_kept_at_the_venue() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            await arm(client, "drop_event", "ORDER_TRADE_UPDATE TRADE")
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
            await arm(client, "duplicate_event", "ORDER_TRADE_UPDATE TRADE")
            await client.buy()
            told = await next_events(events, 3)
            assert [e["o"]["x"] for e in told] == ["NEW", "TRADE", "TRADE"]
            assert told[1] == told[2]
            await arm(client, "reorder_event", "ORDER_TRADE_UPDATE NEW")
            await client.buy()
            assert [e["o"]["x"] for e in await next_events(events, 2)] == ["NEW", "TRADE"]
            await arm(client, "delay_event", "ORDER_TRADE_UPDATE NEW", delay_ms=100)
            await client.buy()
            assert [e["o"]["x"] for e in await next_events(events, 2)] == ["TRADE", "NEW"]

    run(scene)


def test_two_events_that_wait_are_both_sent() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            await arm(client, "reorder_event", "ORDER_TRADE_UPDATE", times=2)
            await client.buy()
            await client.buy()
            told = await next_events(events, 4)
            assert [e["o"]["x"] for e in told] == ["NEW", "NEW", "TRADE", "TRADE"]

    run(scene)


def test_the_one_event_that_waits_is_sent_after_the_next_one() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            await arm(client, "reorder_event", "TRADE_LITE")
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
            await arm(client, "silence", "user", delay_ms=300)
            await client.buy(newClientOrderId="unheard")
            await asyncio.sleep(0.35)
            await client.buy(newClientOrderId="heard")
            told = await next_events(events, 1)
            assert told[0]["o"]["c"] == "heard"

    run(scene)


def test_a_listen_key_that_expires_says_so_and_ends_its_stream() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            await arm(client, "end_listen_key")
            (told,) = await next_events(events, 1, "listenKeyExpired")
            assert told["listenKey"].startswith("rehearsal")
            await client.buy()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(events.receive(), 0.2)

    run(scene)


def test_a_cut_connection_ends_and_the_others_live_on() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events, client.streams("btcusdt@aggTrade") as streams:
            await arm(client, "disconnect", "market")
            ended = await asyncio.wait_for(streams.receive(), 5)
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            await client.buy()
            assert len(await next_events(events, 2)) == 2

    run(scene)


def test_a_restart_keeps_orders_and_takes_the_sockets() -> None:
    async def scene(client: Client) -> None:
        await client.buy("0.010", type="LIMIT", timeInForce="GTC", price="58000.0")
        async with client.account() as events:
            await arm(client, "restart", delay_ms=100)
            ended = await asyncio.wait_for(events.receive(), 5)
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        client.rehearsal.inject(Fault(kind="restart", delay_ms=100))  # is away already
        await asyncio.sleep(0.5)
        _, orders = await client.sign("GET", "/fapi/v1/openOrders")
        assert [order["price"] for order in orders] == ["58000.00"]

    run(scene)


def test_a_plan_of_faults_happens_at_its_times(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        """
        [[faults]]
        kind = "refuse"
        match = "POST /fapi/v1/order"
        status = 429
        code = -1003

        [[faults]]
        at_s = 0.1
        every_s = 0.1
        kind = "end_listen_key"
        """
    )

    async def scene(client: Client) -> None:
        async with client.account() as events:
            client.rehearsal.plan(read_fault_plan(path))
            await asyncio.sleep(0)
            assert (await client.buy())[0] == 429
            await next_events(events, 1, "listenKeyExpired")
        async with client.account() as events:
            await next_events(events, 1, "listenKeyExpired")

    run(scene)


def test_a_plan_that_says_nonsense_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    for text, words in (
        ("[[faults]]\nkind = 'refuze'", r"faults\[0\].kind: was 'refuze'.*refuse"),
        ("[[faults]]\nkind = 'slow'\nat_s = -1", "at_s was -1"),
        ("[[faults]]\nkind = 'slow'\nevery_s = 0", "every_s was 0"),
        ("[[faults]]\nkind = 'skew'\ntimes = 2", "times was 2, must be 1 for skew"),
        ("faults", "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_fault_plan(path)


def test_a_restart_that_finds_its_port_taken_ends_the_rehearsal_and_says_why() -> None:
    async def play() -> None:
        rehearsal = Rehearsal(RehearsalSettings(), [bar_source()], SteppedClock(START_NS))
        await rehearsal.start()
        port = rehearsal.server.port
        rehearsal.inject(Fault(kind="restart", delay_ms=200))
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
        await arm(client, "skew", skew_ms=10_000)
        _, body = await client.sign("GET", "/fapi/v2/balance")
        assert body["code"] == -1021
        _, told = await client.ask("GET", "/fapi/v1/time")
        assert told["serverTime"] / 1_000 - time.time() == pytest.approx(10, abs=1)

    run(scene, clock=clock)


def test_clearing_faults_mends_the_clock_that_one_has_skewed() -> None:
    clock = WallClock()

    async def scene(client: Client) -> None:
        await arm(client, "skew", skew_ms=-7_000)
        await arm(client, "refuse", match="/time")
        url = f"{client.rehearsal.url_http}/rehearsal/faults"
        async with client.session.delete(url) as answer:
            assert await answer.json() == {"armed": 0}
        _, told = await client.ask("GET", "/fapi/v1/time")
        assert told["serverTime"] / 1_000 - time.time() == pytest.approx(0, abs=1)
        assert (await client.sign("GET", "/fapi/v2/balance"))[0] == 200

    run(scene, clock=clock)


def test_clearing_faults_leaves_the_clock_that_the_rehearsal_began_with() -> None:
    clock = WallClock(skew_ns=2_000_000_000)

    async def scene(client: Client) -> None:
        await arm(client, "skew", skew_ms=9_000)
        async with client.session.delete(f"{client.rehearsal.url_http}/rehearsal/faults"):
            assert clock.skew_ns == 2_000_000_000

    run(scene, clock=clock)


def test_a_rehearsal_is_told_over_http() -> None:
    async def scene(client: Client) -> None:
        base = f"{client.rehearsal.url_http}/rehearsal"

        async def tell(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            async with client.session.request(method, f"{base}/{path}", json=body) as answer:
                return answer.status, await answer.json()

        assert await tell("POST", "faults", {"kind": "refuse", "times": 2}) == (200, {"armed": 1})
        _, status = await tell("GET", "status")
        assert status["symbols"] == ["BTCUSDT"]
        assert status["faults_armed"][0]["times"] == 2
        assert await tell("DELETE", "faults") == (200, {"armed": 0})
        assert await tell("GET", "fills") == (200, [])
        code, answer = await tell("POST", "faults", {"kinds": "refuse"})
        assert (code, "did you mean" in answer["error"]) == (400, True)
        assert (await tell("POST", "dance"))[0] == 404
        await tell("POST", "faults", {"kind": "disconnect", "match": "user"})
        _, status = await tell("GET", "status")
        assert status["faults_happened"][-1][1:] == ["disconnect", "0 sockets of user"]

    run(scene)
