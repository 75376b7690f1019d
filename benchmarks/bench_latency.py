"""What the measuring of latency adds to what it measures, in processor time.

One value into a histogram, and all that is noted of an order on its way from the bar to its fill.
Of several rounds the quickest counts: what a busy machine adds to the others is no cost of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from aitb_nautilus.histogram import Histogram
from aitb_nautilus.latency import Latencies
from benchmarks.figures import figure

ROUNDS = 15
CALLS = 20_000
BTC = "BTCUSDT-PERP.BINANCE"


def cost_us(work: Callable[[int], None]) -> float:
    """Return what a call costs at best, microseconds of processor time."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(CALLS):
            work(number)
        best = min(best, time.process_time() - began)
    return best / CALLS * 1e6


def main() -> None:
    """Measure both."""
    one, latencies = Histogram(), Latencies()

    def order(number: int) -> None:
        name = str(number)
        latencies.bar_came(BTC, 80_000_000)
        latencies.decided(BTC)
        latencies.spent("guard", 9_000)
        latencies.allowed(name, BTC, at_once=True)
        latencies.left(name)
        latencies.accepted(name)
        latencies.filled(name)

    record = cost_us(lambda number: one.record(number * 997))
    figure("latency: a value into a histogram", record, unit="us", limit=1.0, better="lower")
    whole = cost_us(order)
    figure(
        "latency: all that is noted of one order",
        whole,
        unit="us",
        limit=20.0,
        better="lower",
        note="7 notes, 7 values",
    )


if __name__ == "__main__":
    main()
