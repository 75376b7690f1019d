"""Bars and orders on the wire: what is found in segments, and which segment counts."""

from __future__ import annotations

import struct

import pytest

from benchmarks.loopback_tap import Packet
from benchmarks.wire import Seen, bars_and_orders, streams

PORT, CLIENT, OTHER = 8_080, 40_001, 40_002
SYN, ACK = 0x02, 0x10
BTC = b'{"e":"kline","s":"BTCUSDT","k":{"t":1,"s":"BTCUSDT","x":true}}'
ADA = b'{"e":"kline","s":"ADAUSDT","k":{"t":1,"s":"ADAUSDT","x":true}}'
OPEN = b'{"e":"kline","s":"ADAUSDT","k":{"t":1,"s":"ADAUSDT","x":false}}'
ORDER = b'{"id":"1","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY"}}'
CANCEL = b'{"id":"2","method":"order.cancel","params":{"symbol":"ADAUSDT"}}'
REQUEST = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
MASK = b"\x01\x02\x03\x04"


def packet(
    at: int, source: int, target: int, sequence: int, payload: bytes = b"", flags: int = ACK
) -> Packet:
    """Return a segment; its IP header has 4 bytes of options, that of TCP 12."""
    tcp = struct.pack(">HHIIBBHHH", source, target, sequence, 0, 8 << 4, flags, 0, 0, 0)
    rest = bytes(12) + payload
    size = 24 + len(tcp) + len(rest)
    ip = struct.pack(">BBHHHBBH4s4s4s", 0x46, 0, size, 0, 0, 64, 6, 0, bytes(4), bytes(4), bytes(4))
    return Packet(at, ip + tcp + rest)


def direction(source: int, target: int, first: int, *pieces: tuple[int, bytes]) -> list[Packet]:
    """Return the beginning of a direction, and pieces of what is sent at their times."""
    found, sequence = [packet(1, source, target, first, flags=SYN)], first + 1
    for at, payload in pieces:
        found.append(packet(at, source, target, sequence % 2**32, payload))
        sequence += len(payload)
    return found


def to_client(*pieces: tuple[int, bytes]) -> list[Packet]:
    return direction(PORT, CLIENT, 700, *pieces)


def to_server(*pieces: tuple[int, bytes]) -> list[Packet]:
    return direction(CLIENT, PORT, 900, *pieces)


def frame(text: bytes, mask: bytes = b"") -> bytes:
    """Return a WebSocket frame with the shortest length that fits."""
    bit = 0x80 if mask else 0
    if len(text) < 126:
        head = bytes((0x81, bit | len(text)))
    elif len(text) < 65_536:
        head = bytes((0x81, bit | 126)) + struct.pack(">H", len(text))
    else:
        head = bytes((0x81, bit | 127)) + struct.pack(">Q", len(text))
    hidden = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text)) if mask else text
    return head + mask + hidden


def test_a_packet_is_read_byte_by_byte() -> None:
    # 127.0.0.1:8080 to 127.0.0.1:40001: SYN with sequence 700, and then the bytes "hi" at 701
    addresses, ports = "0000 4000 4006 0000 7f000001 7f000001", "1f90 9c41"
    syn = f"4500 0028 {addresses} {ports} 000002bc 00000000 5002 ffff 00000000"
    two = f"4500 002a {addresses} {ports} 000002bd 00000000 5010 ffff 00000000 6869"
    begin, hello = bytes.fromhex(syn), bytes.fromhex(two)
    sent, (heard,) = streams([Packet(5, begin), Packet(7, hello + bytes(4))], PORT)
    assert sent == []
    assert bytes(heard.data) == b"hi"  # what follows the packet's own length is no part of it
    assert [heard.time_of(0), heard.time_of(1)] == [7, 7]


def test_a_bar_counts_from_its_first_segment_and_an_order_to_its_last() -> None:
    bar, order = frame(BTC), frame(ORDER, MASK)
    packets = [
        *to_client((10, ANSWER), (20, frame(OPEN) + bar[:9]), (30, bar[9:])),
        *to_server((5, REQUEST), (40, order[:50]), (50, order[50:-1]), (60, order[-1:])),
    ]
    assert bars_and_orders(packets, PORT) == ([Seen("BTCUSDT", 20, 30)], [Seen("BTCUSDT", 40, 60)])


def test_bars_of_one_segment_have_its_time_and_none_is_missed_behind_long_frames() -> None:
    long = frame(bytes(70_000))
    first, second = long[:40_000], long[40_000:] + frame(bytes(300)) + frame(BTC) + frame(ADA)
    packets = to_client((10, ANSWER), (20, first), (30, second))
    assert bars_and_orders(packets, PORT)[0] == [Seen("BTCUSDT", 30, 30), Seen("ADAUSDT", 30, 30)]


def test_only_new_orders_are_orders() -> None:
    frames = [frame(one, MASK) for one in (CANCEL, ORDER, CANCEL)]
    packets = to_server((5, REQUEST), *zip((10, 20, 30), frames, strict=True))
    assert bars_and_orders(packets, PORT) == ([], [Seen("BTCUSDT", 20, 20)])


def test_orders_by_requests_are_whole_with_their_body() -> None:
    body = b"symbol=ADAUSDT&side=BUY"
    by_query = b"POST /fapi/v1/order?side=BUY&symbol=BTCUSDT HTTP/1.1\r\nHost: x\r\n\r\n"
    by_body = b"POST /fapi/v1/order HTTP/1.1\r\nContent-Length: 23\r\n\r\n"
    stop = b"POST /fapi/v1/algoOrder?symbol=ETHUSDT HTTP/1.1\r\nHost: x\r\n\r\n"
    ask = b"GET /fapi/v1/order?symbol=ETHUSDT HTTP/1.1\r\nHost: x\r\n\r\n"
    first, rest = by_query[:20], by_query[20:] + ask + stop
    packets = to_server((10, first), (20, rest), (30, by_body), (40, body))
    assert bars_and_orders(packets, PORT)[1] == [Seen("BTCUSDT", 10, 20), Seen("ADAUSDT", 30, 40)]


def test_what_is_not_whole_is_not_there() -> None:
    packets = [
        *to_client((10, ANSWER), (20, frame(BTC)[:-1])),
        *to_server((5, REQUEST), (40, frame(ORDER, MASK)[:-1])),
    ]
    assert bars_and_orders(packets, PORT) == ([], [])


def test_bytes_that_come_again_count_once_and_sequences_begin_anew_at_two_to_the_32() -> None:
    first = 2**32 - 3
    packets = direction(CLIENT, PORT, first, (10, b"abc"), (20, b"def"))
    packets += [
        packet(30, CLIENT, PORT, first + 1, b"abc"),  # wholly known
        packet(40, CLIENT, PORT, 2, b"efgh"),  # numbers -2, -1, 0 are abc, then 1, 2, 3 are def
    ]
    (stream,), _ = streams(packets, PORT)
    assert bytes(stream.data) == b"abcdefgh"
    assert [stream.time_of(i) for i in range(8)] == [10, 10, 10, 20, 20, 20, 40, 40]


def test_missing_bytes_are_refused() -> None:
    packets = [*to_server((10, b"abc")), packet(20, CLIENT, PORT, 906, b"f")]
    with pytest.raises(ValueError, match="2 bytes of a connection are missing"):
        streams(packets, PORT)


def test_connections_are_kept_apart_and_those_that_began_before_are_left_out() -> None:
    packets = [
        *to_server((10, REQUEST)),
        *direction(OTHER, PORT, 900, (11, b"GET / HTTP/1.1\r\n\r\n")),
        packet(12, 40_003, PORT, 55, b"who knows"),
    ]
    sent, _ = streams(packets, PORT)
    assert [bytes(one.data) for one in sent] == [REQUEST, b"GET / HTTP/1.1\r\n\r\n"]
