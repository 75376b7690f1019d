"""The tap of the loopback: what it hears, and by which clock."""

from __future__ import annotations

import socket
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
