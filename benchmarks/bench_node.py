"""How long an order of a live node takes: a bar in at the socket, the order out at the socket.

A rehearsal exchange in a process of its own closes a bar, and takes a stamp as it hands the message
to its socket. A live node, ``aitb live --run --live-orders`` in another process, hears it through
the engine's own adapter: 40 features, a LightGBM of 200 trees, a threshold strategy, guard and
journal, for twenty perpetuals. Its order comes back to the exchange by a socket, and the second
stamp is taken at the first byte. Both are of one clock, in one process.

So the figure holds: the two ways through the machine's network, the engine, all that the node does,
and the exchange's loop on its way to the socket and from it. What network and loop take is measured
beside it, with a client that has no engine, no model and no journal, on the same exchange.

Bars close one instrument at a time, far enough apart for an order to be filled and written down,
and then all twenty at once, as they do. Minutes are made to pass in seconds: the exchange's clock
is stepped. In process means: from the engine's call with the bar to our call with the order.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.children import call, home
from benchmarks.figures import figure
from benchmarks.live_desk import INSTRUMENTS, make_market, write_config

HERE = Path(__file__).resolve().parent
TREES = 200
WARM_UP, APART, TOGETHER, COLD = 8, 40, 20, 20
APART_MS, SLOW_MS = 60, 200
LIMIT_MS, LIMIT_99_MS, LIMIT_IN_PROCESS_MS = 1.0, 5.0, 0.3
_START_S = 60.0
_FROM_S, _UNTIL_S = 5.0, 30.0
"""Seconds of a minute at which a node starts: its own clock closes no bar before ours does."""


class Order(NamedTuple):
    """A bar and the order that it led to, CLOCK_MONOTONIC in ns; what was not stamped is 0.

    Attributes
    ----------
    symbol
        Of the venue.
    closed
        The bar's message was handed to the exchange's socket.
    came
        The engine handed the bar to the node.
    left
        The node handed the order to the engine.
    ordered
        The exchange read the first byte of the order; 0: none came while it waited.
    opens
        Whether the order opened a position.
    """

    symbol: str
    closed: int
    came: int
    left: int
    ordered: int
    opens: bool


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


def node_orders(
    folder: Path, config: Path, start_ns: int, *, apart: int, together: int, apart_ms: float
) -> tuple[list[Order], list[Order]]:
    """Return the orders of a node, of bars that closed apart and of those that closed together."""
    with exchange_of(folder, config, start_ns) as exchange:
        node = Node(folder, config, exchange.url)
        try:
            exchange.ask("heard")
            exchange.ask("apart", WARM_UP, apart_ms)
            first = exchange.ask("apart", apart, apart_ms)
            second = exchange.ask("together", together)
        finally:
            stamps = node.close()
    return matched(first, stamps), matched(second, stamps)


def matched(rows: Sequence[tuple[str, int, int]], stamps: Sequence[Sequence[Any]]) -> list[Order]:
    """Put the stamps of exchange and node side by side."""
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
        found.append(Order(symbol, closed, came_at, left, ordered, opens))
    return found


def bare_orders(folder: Path, config: Path, start_ns: int, bars: int) -> list[float]:
    """Return what a client takes that does nothing, ms."""
    with exchange_of(folder, config, start_ns) as exchange:
        port = exchange.url.rpartition(":")[2]
        symbols = [name.partition("-")[0] for name in INSTRUMENTS]
        words = [sys.executable, str(HERE / "bare_client.py"), "127.0.0.1", port, *symbols]
        client = subprocess.Popen(words, env=environment(folder))
        try:
            exchange.ask("heard")
            rows = exchange.ask("apart", bars, APART_MS)
        finally:
            client.kill()
            client.wait()
    return [(ordered - closed) / 1e6 for _, closed, ordered in rows if ordered]


def disk_ms(folder: Path) -> float:
    """Return how long the disk takes to keep a few bytes, median."""
    times = []
    handle = os.open(folder / "disk", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(50):
        os.write(handle, bytes(4_096))
        begin = time.perf_counter()
        os.fdatasync(handle)
        times.append((time.perf_counter() - begin) * 1e3)
    os.close(handle)
    return statistics.median(times)


def quantile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def show_apart(orders: Sequence[Order], bare: Sequence[float]) -> None:
    """Print what one order takes where none waits for another."""
    there = [one for one in orders if one.ordered and one.left]
    whole = [(one.ordered - one.closed) / 1e6 for one in there]
    inside = [(one.left - one.came) / 1e6 for one in there]
    ways = {
        "in": [(one.came - one.closed) / 1e6 for one in there],
        "out": [(one.ordered - one.left) / 1e6 for one in there],
    }
    opening = [ms for ms, one in zip(whole, there, strict=True) if one.opens]
    note = f"{len(there)} orders at {len(orders)} bars; of {len(opening)} that open: "
    rest = {"unit": "ms", "better": "lower"}
    name = "bar in at the socket to order out at the socket"
    figure(
        f"{name}, p50",
        statistics.median(whole),
        limit=LIMIT_MS,
        note=f"{note}{statistics.median(opening):.2f} ms",
        **rest,
    )
    figure(
        f"{name}, p99",
        quantile(whole, 99),
        limit=LIMIT_99_MS,
        note=f"longest {max(whole):.1f} ms; of those that open {quantile(opening, 99):.2f} ms",
        **rest,
    )
    bare_ms = statistics.median(bare)
    figure(
        "the same over that of a client that does nothing, p50",
        statistics.median(whole) / bare_ms,
        unit="x",
        better="lower",
        note=f"network and exchange alone: {bare_ms:.2f} ms, p99 {quantile(bare, 99):.2f} ms",
    )
    opens = [ms for ms, one in zip(inside, there, strict=True) if one.opens]
    figure(
        "in process, bar to order, p50",
        statistics.median(inside),
        limit=LIMIT_IN_PROCESS_MS,
        note=f"p99 {quantile(inside, 99):.2f}; of those that open {statistics.median(opens):.2f}",
        **rest,
    )
    for way, words in (("in", "socket to node"), ("out", "node to socket")):
        figure(f"{words}: engine, network, exchange, p50", statistics.median(ways[way]), **rest)


def show_together(orders: Sequence[Order]) -> None:
    """Print what orders take of twenty bars that close at one time."""
    rounds = [orders[i : i + len(INSTRUMENTS)] for i in range(0, len(orders), len(INSTRUMENTS))]
    there = [[(o.ordered - o.closed) / 1e6 for o in one if o.ordered] for one in rounds]
    rest = {"unit": "ms", "better": "lower"}
    every = [ms for one in there for ms in one]
    mean = len(every) / len(rounds)
    note = f"{mean:.0f} orders a time on average, {len(rounds)} times"
    figure("twenty bars at once, an order, p50", statistics.median(every), note=note, **rest)
    last = statistics.median([max(one) for one in there])
    figure("twenty bars at once, the last order, p50", last, **rest)
    inside = [(o.left - o.came) / 1e6 for o in orders if o.left]
    figure(
        "twenty bars at once, in process, bar to order, p50",
        statistics.median(inside),
        note="what was used a millisecond ago is still in the processor's caches",
        **rest,
    )


def show_cold(orders: Sequence[Order]) -> None:
    """Print what an order takes of a node that does not keep warm."""
    there = [one for one in orders if one.ordered and one.left]
    whole = statistics.median([(one.ordered - one.closed) / 1e6 for one in there])
    inside = statistics.median([(one.left - one.came) / 1e6 for one in there])
    figure(
        "the same with keep_warm_ms = 0, p50",
        whole,
        unit="ms",
        better="lower",
        note=f"{len(there)} orders; in process {inside:.2f} ms",
    )


def main() -> None:
    """Train once, then measure a node, a client that does nothing, and a node that waits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_ns = make_market(folder, WARM_UP + APART + TOGETHER + 10)
        soon = write_config(folder, "soon", on_disk="soon", trees=TREES)
        before = write_config(folder, "before", on_disk="before", trees=TREES)
        cold = write_config(folder, "cold", on_disk="soon", trees=TREES, keep_warm_ms=0)
        call(folder, "-m", "aitb_nautilus", "train", "soon.toml", "--json")
        bare = bare_orders(folder, soon, start_ns, 10)
        apart, together = node_orders(
            folder, soon, start_ns, apart=APART, together=TOGETHER, apart_ms=APART_MS
        )
        show_apart(apart, bare)
        show_together(together)
        left, _ = node_orders(folder, cold, start_ns, apart=COLD, together=1, apart_ms=APART_MS)
        show_cold(left)
        waiting, _ = node_orders(folder, before, start_ns, apart=5, together=1, apart_ms=SLOW_MS)
        ms = [(one.ordered - one.closed) / 1e6 for one in waiting if one.ordered]
        figure(
            'the same with on_disk = "before", p50',
            statistics.median(ms),
            unit="ms",
            better="lower",
            note=f"{len(ms)} orders; the disk takes {disk_ms(folder):.1f} ms a time",
        )


if __name__ == "__main__":
    main()
