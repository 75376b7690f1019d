"""Ctrl-C and SIGTERM end a run in order.

The engine swallows both while it runs. The node owns them instead: a handler notes the wish, every
callback and the loop over slices look at it, and the run folder is closed as interrupted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from aitb_nautilus.risk.capture import RunState

__all__ = ["INTERRUPTED", "stop_on_signals"]

INTERRUPTED = "interrupted by "


@contextmanager
def stop_on_signals(state: RunState) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a wish to stop while the block runs.

    Outside the main thread, where Python takes no signal handlers, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        state.stop(INTERRUPTED + signal.Signals(number).name)

    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
