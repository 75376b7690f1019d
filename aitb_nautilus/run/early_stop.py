"""Ctrl-C and SIGTERM from the run folder's first file on, also while the engine connects.

The warden takes signals once the engine's loop runs. Before that the engine knows of no wish to
stop, and holds the main thread, where Python's handlers run, until the venues have answered or
their time is over. A thread then waits beside it, and ends the process when it has waited long
enough: nothing was sent yet, so nothing is lost.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["EarlyStop"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class EarlyStop:
    """Note a wish to stop while the block runs, until somebody else takes signals.

    Outside the main thread, where Python takes no signal handlers, nothing is noted.

    Parameters
    ----------
    wait_s
        So long after a signal the engine may still connect.

    Attributes
    ----------
    asked
        Name of the first signal; empty: there was none.
    """

    def __init__(self, wait_s: float) -> None:
        self.asked = ""
        self._wait_s = wait_s
        self._before: dict[signal.Signals, Any] = {}
        self._watched_by = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for number, previous in self._before.items():
            signal.signal(number, previous)

    @contextmanager
    def watching(self, give_up: Callable[[str], None]) -> Iterator[None]:
        """Give a run up that connects for too long after a signal, or at the second one.

        Parameters
        ----------
        give_up
            Told the signal's name, on a thread of its own; the process ends afterwards.
        """
        if not self._before:
            yield
            return
        ours, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        self._watched_by = told
        thread = threading.Thread(target=self._watch, args=(ours, give_up), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.connected()
            thread.join()
            for end in (ours, told):
                os.close(end)

    def connected(self) -> None:
        """Say that the engine has connected: from now on it listens to the warden."""
        if self._watched_by >= 0:
            signal.set_wakeup_fd(-1)
            os.write(self._watched_by, b"\0")
            self._watched_by = -1

    def _note(self, number: int, _: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number).name

    def _watch(self, told: int, give_up: Callable[[str], None]) -> None:
        why, until = "", 0.0
        while True:
            left = max(0.0, until - time.monotonic()) if why else None
            heard = os.read(told, 1)[0] if select.select([told], [], [], left)[0] else -1
            if heard == 0:
                return
            if heard >= 0 and heard not in _SIGNALS:
                continue
            if why:  # The time is over, or it is the second one.
                try:
                    give_up(why)
                except BaseException:
                    traceback.print_exc()  # nobody else would: the process ends here
                finally:
                    os._exit(1)
            why, until = signal.Signals(heard).name, time.monotonic() + self._wait_s
