"""The tap of the loopback: what it hears, and by which clock."""

from __future__ import annotations

import socket
import statistics
import struct
import time

import pytest

from benchmarks.loopback_tap import Tap, refused
from benchmarks.wire import streams

pytestmark = pytest.mark.skipif(bool(refused()), reason=refused() or "permitted")


def test_a_tap_hears_one_port_by_the_clock_of_processes() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        port = one.getsockname()[1]
        tap = Tap(port)
        time.sleep(0.05)  # the kernel begins to stamp a moment after it was asked
        times = []
        for server, words in ((two, b"not these"), (one, b"hello"), (one, b"again")):
            client = socket.create_connection(server.getsockname())
            with client, server.accept()[0] as accepted:
                before = time.perf_counter_ns()
                client.sendall(words)
                assert accepted.recv(20) == words
                times.append((before, time.perf_counter_ns()))
        sent, heard = streams(tap.close(), port)
    assert [bytes(stream.data) for stream in sent] == [b"hello", b"again"]
    assert [bytes(stream.data) for stream in heard] == [b"", b""]
    for stream, (before, after) in zip(sent, times[1:], strict=True):
        assert before < stream.time_of(0) < after


def test_stamps_are_those_that_tcp_itself_has_of_a_segment() -> None:
    timestamp_ns = 35  # SO_TIMESTAMPNS: what the kernel noted when the segment was delivered
    with socket.create_server(("127.0.0.1", 0)) as server:
        tap = Tap(server.getsockname()[1])
        ahead_ns = tap._ahead_ns  # of the kernel's clock, which both stamps are by
        time.sleep(0.05)
        client = socket.create_connection(server.getsockname())
        with client, server.accept()[0] as accepted:
            accepted.setsockopt(socket.SOL_SOCKET, timestamp_ns, 1)
            stamps = []
            for _ in range(10):
                client.sendall(b"segment")
                _, ((_, _, stamp),), _, _ = accepted.recvmsg(20, socket.CMSG_SPACE(16))
                seconds, nanos = struct.unpack("@ll", stamp)
                stamps.append(seconds * 1_000_000_000 + nanos)
        (stream,), _ = streams(tap.close(), server.getsockname()[1])
    late = [stream.time_of(7 * i) + ahead_ns - stamp for i, stamp in enumerate(stamps)]
    spread = [abs(one - statistics.median(late)) for one in late]
    # Always the same, unless a stamp was interrupted.
    assert sum(ns < 1_000 for ns in spread) >= 6, spread
    # A socket that asks for IP alone is stamped after TCP: microseconds late, each time.
    assert sum(ns <= 0 for ns in late) >= 6, late
