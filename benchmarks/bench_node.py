"""How long an order of a live node takes: a bar in at the socket, the order out at the socket.

A rehearsal exchange in a process of its own closes a bar. A live node, ``aitb live --run
--live-orders`` in another process, hears it through the engine's own adapter: 40 features, a
LightGBM of 200 trees, a threshold strategy, guard and journal, for twenty perpetuals. Its order
comes back to the exchange by a socket.

The time is taken twice, of the same orders:

- *At the sockets*, by the kernel: from the delivery of the first segment that holds some of the
  bar's message, to the node, until the delivery of the segment that completes the order, to the
  exchange. That is the client's: engine, node, its sockets, and the machine that wakes it. The
  limits are set against it. It takes a packet socket on the loopback (CAP_NET_RAW and
  CAP_NET_ADMIN); who may not open one is told so, and gets the limits against the other.
- *As the exchange's Python sees it*: from just before it writes the bar until its loop is told that
  there is something to read. That is longer by one system call, and by waking the exchange.

Both are shown, and beside them both of a client that has no engine, no model and no journal.

Bars close one instrument at a time, far enough apart for an order to be filled and written down,
and then all twenty at once, as they do: their messages then lie in few segments, mostly one, and
each order counts from the delivery of its own bar, so that the last waits for nineteen others.
Minutes are made to pass in seconds: the exchange's clock is stepped. In process means: from the
engine's call with the bar to our call with the order.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.children import call
from benchmarks.figures import figure, skip
from benchmarks.live_desk import INSTRUMENTS, make_market, write_config
from benchmarks.loopback_tap import refused
from benchmarks.stamped_lab import WARM_UP, Order, bare_orders, node_orders

TREES = 200
APART, TOGETHER, COLD, BARE = 40, 20, 20, 10
APART_MS, SLOW_MS = 60, 200
LIMIT_MS, LIMIT_99_MS, LIMIT_IN_PROCESS_MS = 1.0, 5.0, 0.3
SOCKETS = "bar in at the socket to order out at the socket"
SEEN = "as the exchange's Python sees it"


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


def show(name: str, values: Iterable[float], limit: float | None = None, note: str = "") -> None:
    """Print the median of durations in ms."""
    more = {"note": note} if note else {}
    more_limit = {} if limit is None else {"limit": limit}
    p50 = statistics.median(values)
    figure(f"{name}, p50", p50, unit="ms", better="lower", **more, **more_limit)


def show_apart(orders: Sequence[Order], bare: Sequence[Order]) -> None:
    """Print what one order takes where none waits for another."""
    there = [one for one in orders if one.ordered and one.left]
    opening = [one for one in there if one.opens]
    whole = [one.at_sockets for one in there]
    opens = [one.at_sockets for one in opening]
    counts = f"{len(there)} orders at {len(orders)} bars; of {len(opening)} that open: "
    show(SOCKETS, whole, LIMIT_MS, f"{counts}{statistics.median(opens):.2f} ms")
    figure(
        f"{SOCKETS}, p99",
        quantile(whole, 99),
        unit="ms",
        limit=LIMIT_99_MS,
        better="lower",
        note=f"longest {max(whole):.1f} ms; of those that open {quantile(opens, 99):.2f} ms",
    )
    seen = [one.seen for one in there]
    show(f"the same, {SEEN}", seen, note=f"p99 {quantile(seen, 99):.2f}, longest {max(seen):.1f}")
    for name, values in (
        ("a client that does nothing, socket to socket", [one.at_sockets for one in bare]),
        (f"a client that does nothing, {SEEN}", [one.seen for one in bare]),
    ):
        show(name, values, note=f"{len(values)} orders; p99 {quantile(values, 99):.2f} ms")
    inside = [one.inside for one in there]
    apart = statistics.median([one.inside for one in opening])
    note = f"p99 {quantile(inside, 99):.2f}; of those that open {apart:.2f}"
    show("in process, bar to order", inside, LIMIT_IN_PROCESS_MS, note)
    show_ways([one for one in there if one.arrived])


def show_ways(orders: Sequence[Order]) -> None:
    """Print what lies before and after the node's own part, where the kernel told."""
    if not orders:
        return
    ways = {
        "socket to node: network, engine": [one.came - one.delivered for one in orders],
        "node to socket: engine, network": [one.arrived - one.left for one in orders],
        "the exchange writes a bar": [one.delivered - one.closed for one in orders],
        "the exchange is woken for an order": [one.ordered - one.arrived for one in orders],
    }
    for name, values in ways.items():
        show(name, [ns / 1e6 for ns in values])


def show_together(orders: Sequence[Order]) -> None:
    """Print what orders take of twenty bars that close at one time."""
    rounds = [orders[i : i + len(INSTRUMENTS)] for i in range(0, len(orders), len(INSTRUMENTS))]
    there = [[one for one in each if one.ordered] for each in rounds]
    every = [one.at_sockets for each in there for one in each]
    note = f"{len(every) / len(rounds):.0f} orders a time on average, {len(rounds)} times"
    if segments := {one.delivered for each in there for one in each} - {0}:
        note += f"; their bars in {len(segments)} segments"
    show("twenty bars at once, an order", every, note=note)
    show("twenty bars at once, the last order", [max(o.at_sockets for o in one) for one in there])
    show(
        "twenty bars at once, in process, bar to order",
        [one.inside for one in orders if one.left],
        note="what was used a millisecond ago is still in the processor's caches",
    )


def show_beside(name: str, orders: Sequence[Order]) -> None:
    """Print what an order takes of a node with another config."""
    there = [one for one in orders if one.ordered and one.left]
    inside = statistics.median([one.inside for one in there])
    seen = statistics.median([one.seen for one in there])
    note = f"{len(there)} orders; in process {inside:.2f} ms; {SEEN} {seen:.2f} ms"
    show(name, [one.at_sockets for one in there], note=note)


def main() -> None:
    """Train once, then measure a node, a client that does nothing, and a node that waits."""
    tap = not (why := refused())
    if why:
        skip("at the sockets", f"{why}; what follows is {SEEN}, exchange included")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_ns = make_market(folder, WARM_UP + APART + TOGETHER + 10)
        soon = write_config(folder, "soon", on_disk="soon", trees=TREES)
        before = write_config(folder, "before", on_disk="before", trees=TREES)
        cold = write_config(folder, "cold", on_disk="soon", trees=TREES, keep_warm_ms=0)
        call(folder, "-m", "aitb_nautilus", "train", "soon.toml", "--json")
        bare = bare_orders(folder, soon, start_ns, bars=BARE, apart_ms=APART_MS, tap=tap)
        apart, together = node_orders(
            folder, soon, start_ns, apart=APART, together=TOGETHER, apart_ms=APART_MS, tap=tap
        )
        show_apart(apart, bare)
        show_together(together)
        left, _ = node_orders(
            folder, cold, start_ns, apart=COLD, together=1, apart_ms=APART_MS, tap=tap
        )
        show_beside("socket to socket with keep_warm_ms = 0", left)
        waiting, _ = node_orders(
            folder, before, start_ns, apart=5, together=1, apart_ms=SLOW_MS, tap=tap
        )
        took = f"the disk takes {disk_ms(folder):.1f} ms a time"
        show_beside(f'socket to socket with on_disk = "before" ({took})', waiting)


if __name__ == "__main__":
    main()
