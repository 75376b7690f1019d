"""What a model of 50 ms, beside the loop of a paper node, costs the quotes that flow meanwhile.

The same node runs in turns with and without it, each time in a process of its own, against one
rehearsal: eight instruments, 250 quotes and eight questions to the model a second, so that it
computes four tenths of the time. The delay of a quote is counted from when the adapter has it until
a strategy is told. The figure is the median of the differences between the 99th percentiles of two
turns that follow each other. No order is sent in these turns: the write to the disk before an order
leaves is no matter of the model. In the last turn 24 instruments ask for more than it can answer,
and all are traded.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from benchmarks.children import home
from benchmarks.figures import figure
from tests.run.slow_model import SPOTS, slow_lab

ROUNDS = 5
TURN_S = 20.0
SKIP_S = 3.0
OVERLOAD_S = 15.0


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(home(folder))
        with slow_lab(folder, seconds=1_200) as lab:
            figure("slow model: one answer", lab.took_ms, unit="ms")
            alone, beside = [], []
            for _ in range(ROUNDS):
                for slow, found in ((False, alone), (True, beside)):
                    heard = lab.listen(TURN_S, 8, slow=slow, trades=0, deadline_ms=900.0)
                    found.append(heard.p99(SKIP_S))
            differences = [
                with_it - without for without, with_it in zip(alone, beside, strict=True)
            ]
            figure("quote to callback, p99, without a model", statistics.median(alone), unit="ms")
            figure(
                "quote to callback, p99, with a slow model", statistics.median(beside), unit="ms"
            )
            figure(
                "what a slow model adds to p99 of quote to callback",
                statistics.median(differences),
                unit="ms",
                limit=1.0,
                better="lower",
            )
            many = lab.listen(
                OVERLOAD_S, len(SPOTS), slow=True, trades=len(SPOTS), deadline_ms=5_000.0
            )
            figure("overloaded slow model: orders", many.orders, unit="")
            figure(
                "overloaded slow model: orders on an expired prediction",
                many.expired,
                unit="",
                limit=0,
                better="lower",
            )


if __name__ == "__main__":
    main()
