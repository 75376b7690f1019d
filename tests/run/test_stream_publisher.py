"""Events on their way to Redis: in order, once each, and never waited for."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from aitb_nautilus.run.redis_server import client_of
from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.run.stream_events import StreamEvent, event_of
from aitb_nautilus.run.stream_publisher import StreamPublisher
from tests.redis_lab import RedisServer

KEY = "aitb:T-001:events"


def publisher(redis_server: RedisServer, run: str = "r", **values: Any) -> StreamPublisher:
    settings = RedisSettings(url=redis_server.url, **{"timeout_secs": 0.5, **values})
    one = StreamPublisher(partial(client_of, settings, "desk.toml"), KEY, run, settings)
    one.start()
    return one


def stream(redis_server: RedisServer) -> list[StreamEvent]:
    found: Any = redis_server.client().xrange(KEY)
    return [event_of(*entry) for entry in found]


def until(done: Callable[[], bool], limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def said(one: StreamPublisher) -> str:
    return "\n".join(line for _, line in one.news())


def test_events_stand_in_the_stream_in_the_order_in_which_they_were_put(
    redis_server: RedisServer,
) -> None:
    one = publisher(redis_server)
    for i in range(1_000):
        one.put("status", 7 + i, {"i": i})
    one.close(5)
    told = stream(redis_server)
    assert [e.number for e in told] == list(range(1, 1_001))
    assert [e.data["i"] for e in told] == list(range(1_000))
    assert (told[0].version, told[0].run, told[0].kind, told[0].ts) == ("1", "r", "status", 7)
    assert (one.published, one.lost, one.news()) == (1_000, 0, [])


def test_redis_that_is_killed_again_and_again_gets_each_event_once(
    redis_server: RedisServer,
) -> None:
    rng = random.Random(5)
    one = publisher(redis_server)
    count = 0
    for _ in range(6):
        end = time.monotonic() + rng.uniform(0.05, 0.4)
        while time.monotonic() < end:
            count += 1
            one.put("status", count, {})
            time.sleep(0.0005)
        redis_server.kill()
        for _ in range(50):
            count += 1
            one.put("status", count, {})
        redis_server.start()
    until(lambda: one.published == count)
    one.close(5)
    assert [e.number for e in stream(redis_server)] == list(range(1, count + 1))
    assert one.lost == 0


def test_events_that_find_the_queue_full_are_counted_said_and_named_in_the_stream(
    redis_server: RedisServer,
) -> None:
    one = publisher(redis_server, queue_size=100)
    redis_server.kill()
    one.put("status", 0, {})
    until(lambda: bool(one.away))
    # One is on its way; 100 fit beside it.
    for i in range(110):
        one.put("status", i, {"i": i})
    assert one.lost == 10
    redis_server.start()
    until(lambda: not one.away)
    until(lambda: one.published == 101)
    one.put("status", 0, {"after": True})
    one.close(5)
    told = stream(redis_server)
    *_, last, gap, after = told
    assert last.number == 101
    assert (gap.kind, gap.number) == ("lost", 112)
    assert gap.data == {
        "count": 10,
        "first": 102,
        "last": 111,
        "reason": "the queue of the publisher was full",
    }
    assert (after.number, after.data) == (113, {"after": True})
    news = said(one)
    assert "Redis is away" in news
    assert "1 events of this run not published by now" in news
    assert "Redis is back" in news
    assert "10 of 113 events were not published" in news


def test_putting_never_waits_for_a_redis_that_stalls(redis_server: RedisServer) -> None:
    one = publisher(redis_server)
    one.put("status", 0, {})
    until(lambda: one.published == 1)
    redis_server.stall()
    gc.collect()
    gc.disable()  # what other tests left is not put's own work
    slowest = 0.0

    def put_many() -> None:
        nonlocal slowest
        for _ in range(6_000):
            began = time.thread_time()
            one.put("status", 0, {"text": "x" * 500})
            slowest = max(slowest, time.thread_time() - began)

    try:
        put_many()
        until(lambda: "Redis is away" in said(one))
        put_many()
        # Nothing has left, so that each of them would still wait if it waited for Redis.
        assert one.published == 1
        began = time.monotonic()
        one.close(1)
        assert time.monotonic() - began < 3
    finally:
        gc.enable()
        redis_server.go_on()
    # Its own work alone: what else the machine does is not counted.
    assert slowest < 0.002
    assert one.lost > 1_000


def test_ids_rise_though_the_clock_was_put_back(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher(redis_server, "before")
    first.put("status", 0, {})
    first.close(5)
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 3_600 * 10**9)
    second = publisher(redis_server, "after")
    second.put("status", 0, {})
    second.put("status", 0, {})
    second.close(5)
    assert [(e.run, e.number) for e in stream(redis_server)] == [
        ("before", 1),
        ("after", 1),
        ("after", 2),
    ]
    assert second.lost == 0


def test_stream_keeps_about_as_many_events_as_it_shall(redis_server: RedisServer) -> None:
    one = publisher(redis_server, keep_events=1_000)
    for i in range(5_000):
        one.put("status", i, {})
    one.close(10)
    kept = stream(redis_server)
    assert 1_000 <= len(kept) < 1_500
    assert kept[-1].number == 5_000


def test_events_that_are_too_old_leave_the_stream(redis_server: RedisServer) -> None:
    client = redis_server.client()
    for i in range(500):
        client.xadd(KEY, {"v": "1"}, id=f"{1_000 + i}-0")
    one = publisher(redis_server, keep_hours=1.0)
    one.put("status", 0, {})
    one.close(5)
    assert len(stream(redis_server)) < 200
    assert stream(redis_server)[-1].run == "r"


def test_redis_that_forgot_what_it_had_taken_is_said(redis_server: RedisServer) -> None:
    one = publisher(redis_server)
    one.put("status", 0, {})
    until(lambda: one.published == 1)
    redis_server.client().flushall()
    redis_server.kill()
    redis_server.start()
    one.put("status", 0, {})
    one.close(5)
    assert [e.number for e in stream(redis_server)] == [2]
    assert "Redis has events no more that it had taken" in said(one)


def test_stream_that_is_none_is_said_and_the_node_goes_on(redis_server: RedisServer) -> None:
    redis_server.client().set(KEY, "a text")
    one = publisher(redis_server)
    one.put("status", 0, {})
    until(lambda: bool(one.away))
    assert "WRONGTYPE" in said(one)
    redis_server.client().delete(KEY)
    until(lambda: one.published == 1)
    one.close(5)


def test_defect_in_an_event_ends_the_publishing_alone_and_is_said(
    redis_server: RedisServer,
) -> None:
    one = publisher(redis_server)
    one.put("status", 0, {"no": object()})
    until(lambda: bool(one.away))
    one.put("status", 0, {})
    one.close(1)
    assert "nothing is published any more, by a defect" in said(one)
    assert one.lost == 2
