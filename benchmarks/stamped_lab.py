"""Bars and their orders, stamped: an exchange and a client of it, in processes of their own.

A bar and its order are stamped at six places, all by CLOCK_MONOTONIC: where the exchange's Python
writes the bar, where the kernel delivers it, where the engine hands it to the node, where the
node hands the order to the engine, where the kernel delivers that, and where the exchange's Python
reads it. What lies between the kernel's two stamps is the client's; the rest is the exchange's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.children import home
from benchmarks.live_desk import INSTRUMENTS
from benchmarks.loopback_tap import Tap
from benchmarks.wire import Seen, bars_and_orders

__all__ = ["Order", "bare_orders", "matched", "node_orders"]

HERE = Path(__file__).resolve().parent
WARM_UP = 8
_START_S = 60.0
_FROM_S, _UNTIL_S = 5.0, 30.0
"""Seconds of a minute at which a node starts: its own clock closes no bar before ours does."""

type Wire = tuple[Sequence[Seen], Sequence[Seen]]
"""Bars and orders as they were delivered."""


class Order(NamedTuple):
    """A bar and the order that it led to, CLOCK_MONOTONIC in ns; what was not stamped is 0.

    Attributes
    ----------
    symbol
        Of the venue.
    closed
        The bar's message is about to be handed to the exchange's socket.
    delivered
        The kernel delivered the first segment that holds some of that message.
    came
        The engine handed the bar to the node.
    left
        The node handed the order to the engine.
    arrived
        The kernel delivered the segment that completes the order's message.
    ordered
        The exchange's Python was told that there is something to read; 0: nothing came while it
        waited.
    opens
        Whether the order opened a position.
    """

    symbol: str
    closed: int
    delivered: int
    came: int
    left: int
    arrived: int
    ordered: int
    opens: bool

    @property
    def at_sockets(self) -> float:
        """From socket to socket, ms: as delivered, or, where nobody may see that, as `seen`."""
        return (self.arrived - self.delivered) / 1e6 if self.arrived else self.seen

    @property
    def seen(self) -> float:
        """From the exchange's Python to the exchange's Python, ms."""
        return (self.ordered - self.closed) / 1e6

    @property
    def inside(self) -> float:
        """From the engine's call with the bar to our call with the order, ms."""
        return (self.left - self.came) / 1e6


class Exchange:
    """The exchange of a benchmark, in a process of its own."""

    def __init__(self, folder: Path, config: Path, start_ns: int) -> None:
        words = [sys.executable, str(HERE / "stamped_exchange.py"), config.name, str(start_ns)]
        self._child = subprocess.Popen(
            words,
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        address = self._read()
        self.url = str(address["base_url_http"])

    def ask(self, *words: object) -> Any:
        """Let it play, and return what it measured."""
        assert self._child.stdin is not None
        self._child.stdin.write(" ".join(map(str, words)) + "\n")
        self._child.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"the exchange left with {self._child.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        with self._child:
            assert self._child.stdin is not None
            self._child.stdin.close()


class Node:
    """A live node that takes stamps, in a process of its own."""

    def __init__(self, folder: Path, config: Path, url: str) -> None:
        self._stamps = folder / f"stamps-{config.stem}.json"
        words = ["live", config.name, "--run", "--live-orders", "--rehearsal", url, "--json"]
        self._child = subprocess.Popen(
            [sys.executable, str(HERE / "stamped_node.py"), *words],
            cwd=folder,
            env=environment(folder) | {"AITB_STAMPS": str(self._stamps)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_for("recovered in")

    def _read(self) -> None:
        assert self._child.stderr is not None
        self._lines.extend(self._child.stderr)

    def _wait_for(self, text: str) -> None:
        until = time.monotonic() + _START_S
        while not any(text in line for line in self._lines):
            if self._child.poll() is not None or time.monotonic() > until:
                self._child.kill()
                raise SystemExit(f"the node did not start:\n{''.join(self._lines)}")
            time.sleep(0.05)

    def close(self) -> list[list[Any]]:
        """Stop it, and return its stamps."""
        self._child.terminate()
        with self._child:
            assert self._child.stdout is not None
            self._child.stdout.read()
            self._reader.join()
        if self._child.returncode:
            raise SystemExit(f"the node left badly:\n{''.join(self._lines[-20:])}")
        found: list[list[Any]] = json.loads(self._stamps.read_bytes())
        return found


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a child."""
    return os.environ | home(folder) | {"PYTHONPATH": str(HERE.parent)}


@contextmanager
def exchange_of(folder: Path, config: Path, start_ns: int) -> Iterator[Exchange]:
    """Give an exchange while the block runs, begun early enough in a minute."""
    second = time.time() % 60
    if not _FROM_S <= second < _UNTIL_S:
        time.sleep((_FROM_S - second) % 60)
    exchange = Exchange(folder, config, start_ns)
    try:
        yield exchange
    finally:
        exchange.close()


@contextmanager
def tapped(url: str, found: list[Wire], *, tap: bool) -> Iterator[None]:
    """Hear what is delivered to and from an exchange while the block runs, if `tap`."""
    port = int(url.rpartition(":")[2])
    if not tap:
        yield
        return
    one = Tap(port)
    try:
        yield
    finally:
        packets = one.close()
    found.append(bars_and_orders(packets, port))


def node_orders(
    folder: Path,
    config: Path,
    start_ns: int,
    *,
    apart: int,
    together: int,
    apart_ms: float,
    tap: bool,
) -> tuple[list[Order], list[Order]]:
    """Return the orders of a node, of bars that closed apart and of those that closed together."""
    wires: list[Wire] = []
    with (
        exchange_of(folder, config, start_ns) as exchange,
        tapped(exchange.url, wires, tap=tap),
    ):
        node = Node(folder, config, exchange.url)
        try:
            exchange.ask("heard")
            exchange.ask("apart", WARM_UP, apart_ms)
            first = exchange.ask("apart", apart, apart_ms)
            second = exchange.ask("together", together)
        finally:
            stamps = node.close()
    wire = wires[0] if wires else None
    return matched(first, stamps, wire), matched(second, stamps, wire)


def bare_orders(
    folder: Path, config: Path, start_ns: int, *, bars: int, apart_ms: float, tap: bool
) -> list[Order]:
    """Return the orders of a client that does nothing."""
    wires: list[Wire] = []
    with exchange_of(folder, config, start_ns) as exchange:
        port = exchange.url.rpartition(":")[2]
        symbols = [name.partition("-")[0] for name in INSTRUMENTS]
        words = [sys.executable, str(HERE / "bare_client.py"), "127.0.0.1", port, *symbols]
        with tapped(exchange.url, wires, tap=tap):
            client = subprocess.Popen(words, env=environment(folder))
            try:
                exchange.ask("heard")
                rows = exchange.ask("apart", bars, apart_ms)
            finally:
                client.kill()
                client.wait()
    return [one for one in matched(rows, (), wires[0] if wires else None) if one.ordered]


def matched(
    rows: Sequence[tuple[str, int, int]], stamps: Sequence[Sequence[Any]], wire: Wire | None
) -> list[Order]:
    """Put the stamps of the exchange, of the node and of the kernel side by side.

    Raises
    ------
    SystemExit
        If the kernel did not deliver what the exchange wrote and read, or at no time between.
    """
    bars: dict[str, list[tuple[int, int, bool]]] = {}
    came: dict[str, int] = {}
    for kind, instrument_id, at, *more in stamps:
        if kind == "bar":
            came[instrument_id] = at
        elif kind == "order" and instrument_id in came:
            symbol = instrument_id.partition("-")[0]
            bars.setdefault(symbol, []).append((came.pop(instrument_id), at, bool(more[0])))
    found = []
    for symbol, closed, ordered in rows:
        fits = [one for one in bars.get(symbol, ()) if closed <= one[0] <= ordered]
        came_at, left, opens = fits[0] if fits else (0, 0, False)
        delivered, arrived = 0, 0
        if wire is not None and ordered:
            delivered, arrived = delivery(wire, symbol, closed, ordered)
            if fits and not delivered < came_at < left < arrived:
                raise SystemExit(
                    f"{symbol}: delivered at {delivered} ns and {arrived}, which is not around "
                    f"what the node had from {came_at} to {left}"
                )
        found.append(Order(symbol, closed, delivered, came_at, left, arrived, ordered, opens))
    return found


def delivery(wire: Wire, symbol: str, closed: int, ordered: int) -> tuple[int, int]:
    """Return when a bar was delivered, and when the first order of its instrument after it."""
    bars, orders = wire
    bar = next((b for b in bars if b.symbol == symbol and closed <= b.begun <= ordered), None)
    if bar is None:
        raise SystemExit(f"{symbol}: no bar was delivered after {closed} ns and before {ordered}")
    for order in orders:
        if order.symbol == symbol and bar.begun <= order.begun and order.whole <= ordered:
            return bar.begun, order.whole
    raise SystemExit(f"{symbol}: no order was delivered after {bar.begun} ns and before {ordered}")
