"""The exchange behind real sockets: REST, streams, signatures, limits."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aitb_nautilus.rehearsal import RehearsalSettings
from tests.rehearsal_client import HOUR_NS, Client, connected, next_events, sign
from tests.rehearsal_lab import hour_bars


def run(scene: Any, **options: Any) -> None:
    async def play() -> None:
        async with connected(**options) as client:
            await scene(client)

    asyncio.run(play())


def test_klines_are_the_fed_bars_with_the_clocks_times() -> None:
    async def scene(client: Client) -> None:
        status, rows = await client.ask(
            "GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1h", limit="4"
        )
        bars = hour_bars(60)
        assert status == 200
        *rows, current = rows
        for place, row in zip((48, 49, 50), rows, strict=True):
            assert [float(text) for text in row[1:6]] == [
                getattr(bars, name)[place] for name in ("open", "high", "low", "close", "volume")
            ]
            assert (row[6] + 1) % 3_600_000 == 0
        now = client.rehearsal.exchange.now_ms()
        assert rows[-1][6] + 1 == current[0] == now

    run(scene)


def test_coarser_klines_are_sums_and_finer_ones_are_refused() -> None:
    async def scene(client: Client) -> None:
        ask = {"symbol": "BTCUSDT", "interval": "4h", "limit": "5"}
        _, coarse = await client.ask("GET", "/fapi/v1/klines", **ask)
        _, fine = await client.ask(
            "GET", "/fapi/v1/klines", **(ask | {"interval": "1h", "limit": "24"})
        )
        whole = next(row for row in coarse if row[0] == coarse[1][0])
        parts = [row for row in fine if whole[0] <= row[0] < whole[6]]
        assert len(parts) == 4
        assert (whole[1], whole[4]) == (parts[0][1], parts[3][4])
        assert float(whole[2]) == max(float(row[2]) for row in parts)
        status, body = await client.ask("GET", "/fapi/v1/klines", symbol="BTCUSDT", interval="1m")
        assert (status, body) == (400, {"code": -1120, "msg": "Invalid interval."})

    run(scene)


def test_a_window_of_klines_has_both_ends_and_gives_the_first_ones() -> None:
    async def scene(client: Client) -> None:
        end = client.rehearsal.exchange.now_ms()
        _, rows = await client.ask(
            "GET",
            "/fapi/v1/klines",
            symbol="BTCUSDT",
            interval="1h",
            startTime=str(end - 10 * 3_600_000),
            endTime=str(end - 8 * 3_600_000),
        )
        assert [row[0] - end for row in rows] == [n * 3_600_000 for n in (-10, -9, -8)]

    run(scene)


def test_a_closing_kline_says_so_once_at_its_end() -> None:
    async def scene(client: Client) -> None:
        async with client.streams("btcusdt@kline_1h") as ws:
            clock = client.rehearsal.clock
            client.rehearsal.advance(clock.now_ns() + HOUR_NS)
            seen = []
            while not seen or not seen[-1]["k"]["x"]:
                seen.append(await asyncio.wait_for(ws.receive_json(), 5))
            last = seen[-1]["k"]
            bars = hour_bars(60)
            assert len(seen) == 12  # eleven steps after the first, and the close
            assert last["T"] + 1 == client.rehearsal.exchange.now_ms()
            assert [float(last[name]) for name in "ohlcv"] == [
                getattr(bars, name)[51] for name in ("open", "high", "low", "close", "volume")
            ]

    run(scene)


def test_a_book_kept_from_snapshot_and_diffs_equals_the_exchanges() -> None:
    async def scene(client: Client) -> None:
        async with client.streams("btcusdt@depth@0ms") as ws:
            _, snapshot = await client.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit="1000")
            book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
            last = snapshot["lastUpdateId"]
            client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
            _, after = await client.ask("GET", "/fapi/v1/depth", symbol="BTCUSDT", limit="1000")
            while last < after["lastUpdateId"]:
                diff = await asyncio.wait_for(ws.receive_json(), 5)
                assert diff["pu"] == last
                assert diff["U"] <= diff["u"]
                last = diff["u"]
                for side, changes in (("bids", diff["b"]), ("asks", diff["a"])):
                    for price, quantity in changes:
                        book[side][price] = quantity
            for side in ("bids", "asks"):
                kept = {p: q for p, q in book[side].items() if float(q)}
                assert kept == dict(after[side])

    run(scene)


def test_combined_streams_wrap_and_raw_ones_do_not() -> None:
    async def scene(client: Client) -> None:
        base = client.rehearsal.url_ws.removesuffix("/ws")
        names = "btcusdt@aggTrade/btcusdt@bookTicker"
        async with (
            client.session.ws_connect(f"{base}/stream?streams={names}") as combined,
            client.session.ws_connect(f"{base}/public/ws/btcusdt@aggTrade") as raw,
        ):
            client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
            wrapped = await asyncio.wait_for(combined.receive_json(), 5)
            plain = await asyncio.wait_for(raw.receive_json(), 5)
            assert set(wrapped) == {"stream", "data"}
            assert wrapped["data"]["e"] in {"aggTrade", "bookTicker"}
            assert plain["e"] == "aggTrade"

    run(scene)


def test_a_socket_lists_and_ends_its_subscriptions() -> None:
    async def scene(client: Client) -> None:
        async with client.streams("btcusdt@aggTrade", "btcusdt@kline_1h") as ws:
            await ws.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 2})
            await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
            await ws.send_json({"method": "DANCE", "id": 4})
            assert await ws.receive_json() == {"result": None, "id": 2}
            assert await ws.receive_json() == {"result": ["btcusdt@kline_1h"], "id": 3}
            assert (await ws.receive_json())["error"]["code"] == 2

    run(scene)


def test_an_unsigned_or_badly_signed_request_is_refused() -> None:
    async def scene(client: Client) -> None:
        url = f"{client.rehearsal.url_http}/fapi/v2/account"
        good = client.signed({})
        key = {"X-MBX-APIKEY": "rehearsal"}
        late = client.signed({"timestamp": "1700000000000"})
        early = client.signed({"timestamp": "9999999999999"})
        for query, headers, status, code in (
            (good, {}, 401, -2014),
            (good, {"X-MBX-APIKEY": "stolen"}, 401, -2014),
            (good, {"X-MBX-APIKEY": "s" * 64}, 401, -2015),
            (good[:-1] + "0", key, 400, -1022),
            ("symbol=BTCUSDT&" + good, key, 400, -1022),
            (late, key, 400, -1021),
            (early, key, 400, -1021),
            ("timestamp=1", key, 400, -1021),
            (good.partition("&signature")[0], key, 400, -1102),
        ):
            if query == good[:-1] + "0" and good.endswith("0"):
                continue
            async with client.session.get(f"{url}?{query}", headers=headers) as answer:
                assert answer.status == status
                assert (await answer.json())["code"] == code
        async with client.session.get(f"{url}?{good}", headers=key) as answer:
            assert answer.status == 200

    run(scene)


def test_an_ed25519_key_signs_too() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )

    async def scene(client: Client) -> None:
        query = client.signed({}).partition("&signature")[0]
        signature = base64.b64encode(private.sign(query.encode())).decode()
        for text, code in ((signature, 200), (signature[:-8] + "AAAAAA==", 400)):
            url = f"{client.rehearsal.url_http}/fapi/v2/balance?{query}&signature={quote(text)}"
            async with client.session.get(url, headers={"X-MBX-APIKEY": "rehearsal"}) as answer:
                assert answer.status == code

    run(scene, settings=RehearsalSettings(public_key=public.hex()))


def test_an_order_travels_by_rest_and_by_socket_and_its_events_arrive() -> None:
    async def scene(client: Client) -> None:
        async with client.account() as events:
            status, answer = await client.buy(newClientOrderId="one")
            assert (status, answer["status"], answer["executedQty"]) == (200, "NEW", "0.000")
            new, traded = await next_events(events, 2)
            assert (new["o"]["x"], traded["o"]["X"], traded["o"]["c"]) == ("NEW", "FILLED", "one")
            params = {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "MARKET",
                "quantity": "0.010",
                "reduceOnly": "true",
                "newOrderRespType": "RESULT",
                "apiKey": "rehearsal",
                "timestamp": str(client.rehearsal.exchange.signing_ms()),
            }
            signature = sign(urlencode(sorted(params.items())))
            async with client.session.ws_connect(client.rehearsal.url_ws_api) as ws:
                request = {"id": "r1", "method": "order.place"}
                await ws.send_json(request | {"params": params | {"signature": signature}})
                placed = await ws.receive_json()
                assert (placed["id"], placed["status"]) == ("r1", 200)
                assert placed["result"]["status"] == "FILLED"
                await ws.send_json(request | {"params": params | {"signature": "0" * 64}})
                refused = await ws.receive_json()
                assert (refused["status"], refused["error"]["code"]) == (400, -1022)
        _, account = await client.sign("GET", "/fapi/v2/account")
        assert account["positions"][0]["positionAmt"] == "0.000"
        _, trades = await client.sign("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
        assert [trade["side"] for trade in trades] == ["BUY", "SELL"]

    run(scene)


def test_a_batch_takes_each_order_for_itself() -> None:
    async def scene(client: Client) -> None:
        order = (
            '{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","price":"58000.0"'
        )
        batch = f'[{order},"quantity":"0.010"}},{order},"quantity":"0.001"}}]'
        status, rows = await client.sign("POST", "/fapi/v1/batchOrders", batchOrders=batch)
        assert (status, rows[0]["status"], rows[1]["code"]) == (200, "NEW", -4164)
        ids = f"[{rows[0]['orderId']},1]"
        _, rows = await client.sign(
            "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=ids
        )
        assert (rows[0]["status"], rows[1]["code"]) == ("CANCELED", -2011)

    run(scene)


def test_a_listen_key_is_kept_closed_and_expires_with_a_last_event() -> None:
    async def scene(client: Client) -> None:
        url = f"{client.rehearsal.url_http}/fapi/v1/listenKey"
        key = {"X-MBX-APIKEY": "rehearsal"}
        async with client.session.put(url, headers=key) as answer:
            assert (await answer.json())["code"] == -1125
        async with client.account() as events:
            async with client.session.put(url, headers=key) as answer:
                assert answer.status == 200
            client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
            told = (await next_events(events, 1, "listenKeyExpired"))[0]
            assert told["listenKey"].startswith("rehearsal")
            async with client.account() as fresh:
                await client.buy()
                assert len(await next_events(fresh, 2)) == 2
            with pytest.raises(TimeoutError):  # the socket of the old key hears nothing more
                await asyncio.wait_for(events.receive(), 0.2)

    run(scene)


def test_weight_and_orders_are_counted_and_too_many_are_refused() -> None:
    async def scene(client: Client) -> None:
        await client.ask("GET", "/fapi/v1/ping")
        assert client.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        await client.buy()
        assert client.headers["X-MBX-ORDER-COUNT-10S"] == "1"
        client.rehearsal.exchange.limits.add_request(2_398, client.rehearsal.exchange.signing_ms())
        status, body = await client.ask("GET", "/fapi/v1/ping")
        if status == 200:  # a minute began in between
            return
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(client.headers["Retry-After"]) <= 60

    run(scene)


def test_what_is_not_there_is_said() -> None:
    async def scene(client: Client) -> None:
        status, body = await client.ask("GET", "/fapi/v1/nothing")
        assert (status, body["code"]) == (404, -5000)
        status, body = await client.ask("GET", "/fapi/v1/depth", symbol="DOGEUSDT")
        assert (status, body["code"]) == (400, -1121)
        async with client.session.get(f"{client.rehearsal.url_http}/ws") as answer:
            assert answer.status == 400

    run(scene)


async def read_all(ws: aiohttp.ClientWebSocketResponse, seconds: float) -> list[Any]:
    found = []
    try:
        while True:
            found.append(await asyncio.wait_for(ws.receive_json(), seconds))
    except TimeoutError:
        return found


def test_every_public_stream_has_its_event() -> None:
    async def scene(client: Client) -> None:
        names = ("aggTrade", "trade", "bookTicker", "markPrice@1s", "depth5", "depth@100ms")
        async with client.streams(*(f"btcusdt@{name}" for name in names)) as ws:
            client.rehearsal.advance(client.rehearsal.clock.now_ns() + HOUR_NS)
            seen = {message["e"] for message in await read_all(ws, 0.3)}
            assert seen == {"aggTrade", "trade", "bookTicker", "markPriceUpdate", "depthUpdate"}

    run(scene)
