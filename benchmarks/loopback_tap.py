"""What is delivered on the machine's loopback, and when: stamps of the kernel, of nobody's Python.

A packet socket on ``lo`` takes a copy of each segment from or to one port, with the time at which
the kernel put it into the queue of the receiving side: before any process was woken, and before
TCP handed it to a socket, which takes it some microseconds more. Nobody reads the socket while
something is measured, so that no thread wakes beside it; what has come waits in a buffer.

The kernel stamps by CLOCK_REALTIME, our processes by CLOCK_MONOTONIC. The two run at one rate, and
differ by a constant unless the clock is set; that constant is taken at the beginning and at the
end, and if it is not the same the measurement is refused.

It needs CAP_NET_RAW, and CAP_NET_ADMIN for a buffer that is large enough: root has both.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from typing import NamedTuple

__all__ = ["Packet", "Tap", "refused"]

_ATTACH_FILTER, _RECEIVE_BUFFER_FORCE, _TIMESTAMP_NS = 26, 33, 35
"""SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS, which Python does not name."""
_SOL_PACKET, _STATISTICS, _IGNORE_OUTGOING = 263, 6, 23
_EVERY_PROTOCOL = 0x0003
"""A socket that asks for IP alone is served, and stamped, after TCP has woken the receiver."""
_BUFFER_BYTES = 512 << 20
_LONGEST = 1 << 18
_TIMESPEC, _COUNTS = struct.Struct("@ll"), struct.Struct("@II")
_INSTRUCTION = struct.Struct("@HBBI")
_MOST_DRIFT_NS = 5_000


class Packet(NamedTuple):
    """An IP packet.

    Attributes
    ----------
    at
        When it was delivered, CLOCK_MONOTONIC in ns.
    data
        From the IP header on.
    """

    at: int
    data: bytes


class Tap:
    """The segments of one TCP port on the loopback, from now on.

    Raises
    ------
    PermissionError
        If this process may not open packet sockets, or not with so large a buffer.
    """

    def __init__(self, port: int) -> None:
        self._ahead_ns = _realtime_ahead_ns()
        # Protocol 0 hears nothing: it begins with `bind`, once the filter is there.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._set_up(port)
        except OSError:
            self._socket.close()
            raise

    def _set_up(self, port: int) -> None:
        program = _only(port)
        code = ctypes.create_string_buffer(program)
        count = len(program) // _INSTRUCTION.size
        one = self._socket
        one.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", count, ctypes.addressof(code))
        )
        one.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _BUFFER_BYTES)
        one.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
        one.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)  # each packet of lo passes twice
        one.setblocking(False)
        one.bind(("lo", _EVERY_PROTOCOL))

    def close(self) -> list[Packet]:
        """Hear no more, and return all that was heard, oldest first.

        Raises
        ------
        SystemExit
            If the kernel had to leave something out, or if the clock was set meanwhile.
        """
        with self._socket as one:
            found = []
            while (packet := self._take()) is not None:
                found.append(packet)
            _, lost = _COUNTS.unpack(one.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size))
        drift = _realtime_ahead_ns() - self._ahead_ns
        if lost:
            raise SystemExit(f"the loopback's tap: {lost} packets found no room in its buffer")
        if abs(drift) > _MOST_DRIFT_NS:
            raise SystemExit(f"the loopback's tap: the clock was set by {drift} ns meanwhile")
        return found

    def _take(self) -> Packet | None:
        try:
            data, extra, _, _ = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return None
        (stamp,) = (value for _, kind, value in extra if kind == _TIMESTAMP_NS)
        seconds, nanos = _TIMESPEC.unpack(stamp)
        return Packet(seconds * 1_000_000_000 + nanos - self._ahead_ns, data)


def refused() -> str:
    """Return why nobody may tap the loopback here; empty: one may."""
    if not hasattr(socket, "AF_PACKET"):
        return "this system has no packet sockets"
    try:
        Tap(1).close()
    except PermissionError:
        return "a packet socket on lo needs CAP_NET_RAW and CAP_NET_ADMIN (root has both)"
    return ""


def _only(port: int) -> bytes:
    """Return a filter, in the classic language of BPF, for TCP over IPv4 from or to a port."""
    program = (
        (0x30, 0, 0, 0),
        (0x54, 0, 0, 0xF0),  # the version, in the upper half of byte 0
        (0x15, 0, 8, 0x40),
        (0x30, 0, 0, 9),  # the protocol, at byte 9
        (0x15, 0, 6, socket.IPPROTO_TCP),
        (0xB1, 0, 0, 0),  # x: length of the IP header
        (0x48, 0, 0, 0),  # port of the sender, at x
        (0x15, 2, 0, port),
        (0x48, 0, 0, 2),  # port of the receiver, at x + 2
        (0x15, 0, 1, port),
        (0x06, 0, 0, _LONGEST),
        (0x06, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*one) for one in program)


def _realtime_ahead_ns() -> int:
    """Return what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, from the closest of some looks."""
    looks = []
    for _ in range(50):
        before, now, after = time.perf_counter_ns(), time.time_ns(), time.perf_counter_ns()
        looks.append((after - before, now - (before + after) // 2))
    return min(looks)[1]
