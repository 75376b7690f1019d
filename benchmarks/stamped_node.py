"""``aitb`` with two stamps: when a bar came in from the engine, and when an order went out to it.

    AITB_STAMPS=FILE python benchmarks/stamped_node.py live CONFIG --run --live-orders ...

Two functions of the node are wrapped, which takes a microsecond; all else is the command line
itself, but for one thing: minutes pass in seconds, so that no clock can say when a bar is due, and
a node that keeps warm does so all the time. The stamps of CLOCK_MONOTONIC, ns, are written when it
ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from aitb_nautilus.cli import main
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.engine_port import EnginePort
from aitb_nautilus.risk.order_port import OrderTerms
from aitb_nautilus.run.bar_gate import BarGate
from aitb_nautilus.run.keep_warm import KeepWarm

stamps: list[tuple[str, str, int, bool]] = []
"""What happened, the instrument, when, and whether an order opens."""
canonical, submit = BarGate._canonical, EnginePort.submit
_AGAIN_NS = 50_000_000


def came(self: BarGate, bar: Any, name: str, *, is_open: bool) -> BarClosed:
    """Take a bar of the engine: the first thing that the node does with one."""
    stamps.append(("bar", name, time.perf_counter_ns(), False))
    return canonical(self, bar, name, is_open=is_open)


def submitted(self: EnginePort, terms: OrderTerms) -> None:
    """Send an order."""
    now = time.perf_counter_ns()
    stamps.append(("order", terms.instrument_id, now, not terms.reduce_only))
    submit(self, terms)


def waited(self: KeepWarm, now: int) -> None:
    """Look again in a moment whether the node is warm: no minute of its own clock says it."""
    self.clock.set_time_alert_ns(f"again-{now}", now + _AGAIN_NS, callback=self._begin)


def due(self: KeepWarm, _: int) -> bool:
    """Say that a bar is due."""
    return self._gate.is_warm


if __name__ == "__main__":
    KeepWarm._wait = waited  # type: ignore[method-assign]
    KeepWarm._is_due = due  # type: ignore[method-assign]
    BarGate._canonical = came  # type: ignore[method-assign]
    EnginePort.submit = submitted  # type: ignore[method-assign]
    code = main()
    Path(os.environ["AITB_STAMPS"]).write_text(json.dumps(stamps))
    sys.exit(code)
