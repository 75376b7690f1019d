"""The door between the engine and Redis: open while Redis answers, shut when it does not."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.backoff import NoBackoff
from redis.retry import Retry

from aitb_nautilus.run.cache_door import CacheDoor
from aitb_nautilus.run.redis_server import reach
from aitb_nautilus.run.redis_settings import RedisSettings
from tests.redis_lab import ABSENT, RedisServer, free_port


def at(door: CacheDoor) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    return redis.Redis(port=door.port, socket_timeout=10, decode_responses=True, retry=once)


def until(done: Callable[[], bool], limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_is_asked_reaches_redis_and_its_answer_comes_back(redis_server: RedisServer) -> None:
    door = CacheDoor(redis_server.url, 1.0)
    client = at(door)
    client.set("k", "x" * 300_000)
    assert client.get("k") == "x" * 300_000
    # Silence is no stalling.
    time.sleep(1.5)
    assert client.ping()
    assert door.news() == []
    door.shut()


def test_redis_that_stalls_shuts_the_door_until_it_answers(redis_server: RedisServer) -> None:
    door = CacheDoor(redis_server.url, 0.5)
    client = at(door)
    client.ping()
    redis_server.stall()
    began = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert time.monotonic() - began < 5
    ((level, line),) = door.news()
    assert level == "WARNING"
    assert "the engine's cache has lost its Redis (it stalls)" in line
    # Shut: the next ones need not wait.
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(redis.ConnectionError):
            at(door).ping()
    assert time.monotonic() - began < 5
    redis_server.go_on()
    until(lambda: any("Redis is back" in line for _, line in door.news()))
    assert at(door).ping()
    door.shut()


def test_door_that_is_shut_stays_shut(redis_server: RedisServer) -> None:
    door = CacheDoor(redis_server.url, 1.0)
    client = at(door)
    client.ping()
    door.shut(0.5)
    assert client.ping()

    def is_refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", door.port), 1).close()
        except OSError:
            return True
        return False

    until(is_refused)
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert door.news() == []


def test_who_comes_in_while_the_door_is_being_shut_is_sent_away(redis_server: RedisServer) -> None:
    door = CacheDoor(redis_server.url, 1.0)
    looks_away, go_on = threading.Event(), threading.Event()

    def look_away() -> None:
        looks_away.set()
        go_on.wait(20)

    # It finds both when it looks again: a guest, and that it is time.
    door.shut(0.2)
    door._loop.call_soon_threadsafe(look_away)
    assert looks_away.wait(20)
    with socket.create_connection(("127.0.0.1", door.port), 5) as guest:
        time.sleep(0.3)
        go_on.set()
        with suppress(ConnectionResetError):
            assert guest.recv(1) == b""
    assert door.news() == []


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate of this machine's own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "key.pem", folder / "certificate.pem"
    paths[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return paths


@pytest.mark.skipif(shutil.which("redis-server") is None, reason=ABSENT)
def test_redis_behind_tls_is_reached_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, signed = certificate(tmp_path)
    port = free_port()
    server = RedisServer(
        tmp_path / "tls", "--tls-port", str(port), "--tls-cert-file", str(signed),
        "--tls-key-file", str(key), "--tls-ca-cert-file", str(signed), "--tls-auth-clients", "no",
    )  # fmt: skip
    url = f"rediss://127.0.0.1:{port}"
    try:
        monkeypatch.setenv("SSL_CERT_FILE", str(signed))
        assert reach(RedisSettings(url=url), "desk.toml").ping()
        door = CacheDoor(url, 1.0)
        assert at(door).ping()
        door.shut()
    finally:
        server.kill()
