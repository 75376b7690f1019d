"""The least that a client can do: hear that a bar closed, sign an order, send it.

    python benchmarks/bare_client.py HOST PORT SYMBOL ...

One thread, blocking sockets, no library. What a bar takes from the exchange's socket and back
through this client is what the machine, its network and the exchange's loop take of a node's way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import sys
import time

_CLOSED = re.compile(rb'"s":"([A-Z0-9]+)"[^{}]*\{[^{}]*"x":true')
_TEXT = 0x81
_MASKED, _SHORT, _LONG = 0x80, 126, 127


class Client:
    """One WebSocket."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        self._socket.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        self._left = b""
        while b"\r\n\r\n" not in self._left:
            self._left += self._socket.recv(65_536)
        self._left = self._left.partition(b"\r\n\r\n")[2]

    def send(self, text: str) -> None:
        """Send a message; the mask of zeros leaves it as it is."""
        data = text.encode()
        size = len(data)
        if size < _SHORT:
            head = bytes((_TEXT, _MASKED | size))
        else:
            head = bytes((_TEXT, _MASKED | _SHORT)) + struct.pack(">H", size)
        self._socket.sendall(head + bytes(4) + data)

    def receive(self) -> list[bytes]:
        """Wait for messages, and return all that have come."""
        self._left += self._socket.recv(1 << 20)
        found = []
        while len(self._left) >= 2:
            size, begin = self._left[1] & 0x7F, 2
            if size == _SHORT and len(self._left) >= 4:
                size, begin = int.from_bytes(self._left[2:4]), 4
            elif size == _LONG and len(self._left) >= 10:
                size, begin = int.from_bytes(self._left[2:10]), 10
            elif size >= _SHORT:
                break
            if len(self._left) < begin + size:
                break
            found.append(self._left[begin : begin + size])
            self._left = self._left[begin + size :]
        return found


def order(symbol: str, number: int) -> str:
    """Return a signed order that the exchange refuses: nothing is to come back of it."""
    params = {
        "apiKey": "rehearsal",
        "newClientOrderId": f"bare-{number}",
        "quantity": "0",
        "side": "BUY",
        "symbol": symbol,
        "timestamp": str(time.time_ns() // 1_000_000),
        "type": "MARKET",
    }
    payload = "&".join(f"{name}={value}" for name, value in params.items())
    signature = hmac.new(b"rehearsal", payload.encode(), hashlib.sha256).hexdigest()
    told = ",".join(f'"{name}":"{value}"' for name, value in params.items())
    return (
        f'{{"id":"{number}","method":"order.place","params":{{{told},"signature":"{signature}"}}}}'
    )


def main(host: str, port: int, symbols: list[str]) -> None:
    """Answer each closed bar with an order, until the exchange is gone."""
    market, orders = Client(host, port, "/ws"), Client(host, port, "/ws-fapi/v1")
    streams = [
        f'"{name.lower()}@{end}"' for name in symbols for end in ("kline_1m", "markPrice@1s")
    ]
    market.send(f'{{"method":"SUBSCRIBE","params":[{",".join(streams)}],"id":1}}')
    number = 0
    while True:
        for message in market.receive():
            if found := _CLOSED.search(message):
                number += 1
                orders.send(order(found[1].decode(), number))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
