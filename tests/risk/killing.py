"""Let a child process write something, and kill it in the middle of that."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable

__all__ = ["told_by_killed"]

_BEGIN_S = 60.0
"""So long may a writer take to begin, on a machine that has much else to do."""


def told_by_killed(
    write: Callable[[int], None], after_s: float, *, has_begun: bool = False
) -> bytes:
    """Return what a writer told until it was killed.

    Parameters
    ----------
    write
        Writes for ever, and tells what it has written to the file descriptor that it is given.
    after_s
        Until SIGKILL.
    has_begun
        Whether the time runs from the first word that the writer tells; else from its start, so
        that it may be killed before it has told anything.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            write(writer)
        finally:
            os._exit(1)  # never on into the parent's own work
    os.close(writer)
    if has_begun:
        select.select([reader], [], [], _BEGIN_S)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as told:
        words = told.read()
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the writer ended by itself, with status {status}")
    return words
