"""What a config may say of Redis, and what is refused before anything begins."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.redis_server import reach
from aitb_nautilus.run.redis_settings import RedisSettings
from aitb_nautilus.settings import decode, encode
from tests.redis_lab import RedisServer, free_port


def settings(**values: Any) -> RedisSettings:
    return decode(values, RedisSettings, "desk.toml", "redis")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": "http://127.0.0.1"}, "redis: url does not begin with redis://"),
        ({"url": "redis://"}, "redis: url names no host"),
        ({"url": "redis://h:99999999"}, "redis: url is no URL"),
        ({"url": "redis://h/words"}, "redis: url names a database that is no number"),
        ({"url": "redis://h?socket_timeout=9"}, "redis: url holds something after ?"),
        ({"url": "redis://:geheim@h"}, "redis: url holds a password"),
        ({"url": "redis://h/3", "cache": True}, "redis: url names another database than 0"),
        ({"url": "env:1"}, "redis: must be a reference"),
        ({"keep_events": 3}, "redis.keep_events"),
        ({"queue_size": 0}, "redis.queue_size"),
        ({"keep_hours": 0}, "redis.keep_hours"),
        ({"stream": True}, "did you mean 'streams'"),
    ],
)
def test_nonsense_is_refused_with_its_place(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_secret_stays_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_REDIS", "redis://:geheim@127.0.0.1:1")
    one = settings(url="env:DESK_REDIS")
    assert encode(one)["url"] == "env:DESK_REDIS"
    assert one.reveal_url().endswith("@127.0.0.1:1")


def refused(**values: Any) -> str:
    """Return the paragraph with which a Redis is refused."""
    with pytest.raises(ConfigError) as caught:
        reach(settings(timeout_secs=0.5, **values), "desk.toml")
    assert "geheim" not in str(caught.value)
    return str(caught.value)


def test_redis_that_answers_is_taken(redis_server: RedisServer) -> None:
    assert reach(settings(url=redis_server.url), "desk.toml").ping()


def test_redis_that_is_not_there_is_refused() -> None:
    port = free_port()
    said = refused(url=f"redis://127.0.0.1:{port}")
    assert f"desk.toml: redis at 127.0.0.1:{port}: cannot be reached" in said
    assert "must answer within 0.5 s" in said
    assert "take [redis] out of the config" in said


def test_redis_that_does_not_answer_is_refused_in_time(redis_server: RedisServer) -> None:
    redis_server.stall()
    try:
        assert "cannot be reached" in refused(url=redis_server.url)
    finally:
        redis_server.go_on()


def test_password_is_asked_for_and_taken(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del redis_server
    locked = RedisServer(tmp_path / "locked", "--requirepass", "geheim")
    try:
        assert "refused the password" in refused(url=locked.url)
        monkeypatch.setenv("DESK_REDIS", f"redis://:wrong@127.0.0.1:{locked.port}")
        said = refused(url="env:DESK_REDIS")
        assert "desk.toml: redis at env:DESK_REDIS: refused the password" in said
        monkeypatch.setenv("DESK_REDIS", f"redis://:geheim@127.0.0.1:{locked.port}")
        assert reach(settings(url="env:DESK_REDIS"), "desk.toml").ping()
        monkeypatch.setenv("DESK_REDIS", "http://:geheim@127.0.0.1")
        assert "what that holds does not begin with redis://" in refused(url="env:DESK_REDIS")
        monkeypatch.delenv("DESK_REDIS")
        assert "DESK_REDIS is not set" in refused(url="env:DESK_REDIS")
    finally:
        locked.kill()


def test_copy_of_another_redis_is_refused(tmp_path: Path, redis_server: RedisServer) -> None:
    copy = RedisServer(tmp_path / "copy", "--replicaof", f"127.0.0.1 {redis_server.port}")
    try:
        assert "is a slave, must be the one that takes writes" in refused(url=copy.url)
    finally:
        copy.kill()


@contextmanager
def old_server(version: str) -> Iterator[int]:
    """Answer every command as a Redis of that version would answer INFO."""
    text = f"redis_version:{version}\r\nrole:master\r\n"
    reply = f"${len(text)}\r\n{text}\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                while data := connection.recv(4096):
                    for _ in range(data.count(b"*")):
                        is_hello = b"CLIENT" in data
                        connection.sendall(b"+OK\r\n" if is_hello else reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def test_version_without_what_the_engine_needs_is_refused() -> None:
    with old_server("5.0.14") as port:
        said = refused(url=f"redis://127.0.0.1:{port}")
    assert "is Redis 5.0.14, must be 6.2 or newer" in said
