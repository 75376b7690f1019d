"""Bars and orders as they lie on the wire between an exchange and its clients.

TCP segments become the bytes of each direction, those become WebSocket frames and HTTP requests,
and in these a closed bar is found on its way to a client, and an order on its way to the exchange.
A bar has come with the first segment that holds some of its message, an order with the
one that completes it: whatever lies between the two is the client's.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.loopback_tap import Packet

__all__ = ["Seen", "Stream", "bars_and_orders", "streams"]

_BAR = re.compile(rb'"s":"([A-Z0-9]+)"[^{}]*\{[^{}]*"x":true')
_SOCKET_ORDER = re.compile(rb'"symbol":"([A-Z0-9]+)"')
_REST_ORDER = re.compile(rb"POST /fapi/v1/order[? ].*?\bsymbol=([A-Z0-9]+)", re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_SYN = 0x02
_MASKED, _SHORT = 0x80, 126
_SEQUENCES = 1 << 32


class Seen(NamedTuple):
    """A message on the wire, CLOCK_MONOTONIC in ns.

    Attributes
    ----------
    symbol
        Of the venue.
    begun
        The first segment that holds some of it was delivered.
    whole
        The segment that completes it was delivered.
    """

    symbol: str
    begun: int
    whole: int


class Stream:
    """The bytes of one direction of a connection, and when each of them was delivered."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.data = bytearray()
        self._ends: list[int] = []
        self._times: list[int] = []

    def add(self, sequence: int, payload: bytes, at: int) -> None:
        """Take the bytes of a segment; those that came before are not counted again.

        Raises
        ------
        ValueError
            If bytes are missing before it.
        """
        ahead = (sequence - self._next + _SEQUENCES // 2) % _SEQUENCES - _SEQUENCES // 2
        if ahead > 0:
            raise ValueError(f"{ahead} bytes of a connection are missing")
        if new := payload[-ahead:] if ahead else payload:
            self.data += new
            self._next = (self._next + len(new)) % _SEQUENCES
            self._ends.append(len(self.data))
            self._times.append(at)

    def time_of(self, offset: int) -> int:
        """Return when the byte at an offset was delivered."""
        return self._times[bisect_right(self._ends, offset)]


def streams(packets: Iterable[Packet], port: int) -> tuple[list[Stream], list[Stream]]:
    """Return what the clients of a port sent, and what they heard, a stream for each connection.

    Parameters
    ----------
    packets
        In the order of their delivery; connections whose beginning they do not hold are left out.
    """
    found: dict[tuple[int, int], Stream] = {}
    sent: list[Stream] = []
    heard: list[Stream] = []
    for at, data in packets:
        head, size = (data[0] & 0x0F) * 4, int.from_bytes(data[2:4])
        source, target, sequence = struct.unpack_from(">HHI", data, head)
        begin, flags = head + (data[head + 12] >> 4) * 4, data[head + 13]
        if flags & _SYN:  # the beginning is itself one number of the sequence
            one = found[source, target] = Stream((sequence + 1) % _SEQUENCES)
            (sent if target == port else heard).append(one)
        elif size > begin and (stream := found.get((source, target))) is not None:
            stream.add(sequence, data[begin:size], at)
    return sent, heard


def bars_and_orders(packets: Iterable[Packet], port: int) -> tuple[list[Seen], list[Seen]]:
    """Return closed bars on their way to clients, and orders on their way back, oldest first."""
    sent, heard = streams(packets, port)
    bars = [one for stream in heard for one in _bars(stream)]
    orders = [one for stream in sent for one in _orders(stream)]
    return sorted(bars, key=_when), sorted(orders, key=_when)


def _when(one: Seen) -> int:
    return one.begun


def _bars(stream: Stream) -> Iterator[Seen]:
    data = bytes(stream.data)
    if not data.startswith(b"HTTP/1.1 101 "):
        return  # answers to requests
    for begin, end, text in _frames(data, data.index(_HEAD_END) + len(_HEAD_END)):
        if found := _BAR.search(text):
            yield _seen(stream, found, begin, end)


def _orders(stream: Stream) -> Iterator[Seen]:
    data = bytes(stream.data)
    begin = 0
    while (end := data.find(_HEAD_END, begin)) >= 0:
        end += len(_HEAD_END)
        head = data[begin:end]
        if _UPGRADE.search(head):
            for first, last, text in _frames(data, end):
                if b'"order.place"' in text and (found := _SOCKET_ORDER.search(text)):
                    yield _seen(stream, found, first, last)
            return
        if body := _LENGTH.search(head):
            end += int(body[1])
        if end <= len(data) and (found := _REST_ORDER.match(data[begin:end])):
            yield _seen(stream, found, begin, end)
        begin = end


def _seen(stream: Stream, found: re.Match[bytes], begin: int, end: int) -> Seen:
    return Seen(found[1].decode(), stream.time_of(begin), stream.time_of(end - 1))


def _frames(data: bytes, begin: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each whole WebSocket frame begins and ends, and its text without the mask."""
    while begin + 2 <= len(data):
        masked, size, text = data[begin + 1] & _MASKED, data[begin + 1] & 0x7F, begin + 2
        if size >= _SHORT:
            wide = 2 if size == _SHORT else 8
            size, text = int.from_bytes(data[text : text + wide]), text + wide
        mask, text = (data[text : text + 4], text + 4) if masked else (b"", text)
        end = text + size
        if end > len(data):
            return
        yield begin, end, _unmasked(data[text:end], mask)
        begin = end


def _unmasked(text: bytes, mask: Sequence[int]) -> bytes:
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(text)) if mask else text
