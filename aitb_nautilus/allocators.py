"""By whom a node's memory is given out: by one that can give all of it back.

What a node needs for a moment, such as the tables of its run once a minute, grows with the run; it
must not stay.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["use_one_arena"]

_M_ARENA_MAX = -8


def use_one_arena() -> None:
    """Let Arrow and all threads take memory from the system's first arena.

    Must be called before Arrow is loaded and before threads begin. Arrow's own allocators keep what
    its largest table needed; glibc gives each thread an arena, and `malloc_trim` gives back no end
    of any but the first. What is set in the environment stays as it is.

    References
    ----------
    mallopt(3), M_ARENA_MAX.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
