"""What a node asks of its process: quick turns of threads, garbage on one thread, little memory.

An object of the engine that another thread drops raises there, or ends the process. Python looks
for cycles on whichever thread happens to allocate next, such as one that writes tables or answers
a command; so in a node nobody looks but the thread that owns the engine.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

__all__ = [
    "GarbageTurns",
    "garbage_by_turns",
    "give_back",
    "give_back_blocks",
    "small_pages",
    "switching",
]

_WHOLE_S = 60.0
_PR_SET_THP_DISABLE = 41
_LARGE, _KEPT_BLOCKS = 1_024, 7
"""Bytes of an array that numpy gives back at once, and how many of each smaller size it keeps."""


class GarbageTurns:
    """Look for garbage now and then, on the thread that calls.

    Attributes
    ----------
    found
        Objects that were taken away so far.
    """

    def __init__(self) -> None:
        self.found = 0
        self._whole_at = time.monotonic() + _WHOLE_S

    def take(self) -> None:
        """Take away what is young; once a minute all that there is."""
        now = time.monotonic()
        whole = now >= self._whole_at
        if whole:
            self._whole_at = now + _WHOLE_S
        self.found += gc.collect(2 if whole else 1)


@contextmanager
def garbage_by_turns() -> Iterator[None]:
    """Let no thread look for garbage by itself while the block runs; `GarbageTurns` does it.

    What is there when the block begins is not looked at in it: a node's libraries and models stay
    anyway, and looking at all of them takes tens of milliseconds.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@contextmanager
def small_pages() -> Iterator[None]:
    """Let Linux make no huge pages of the process's memory while the block runs.

    The allocators of the engine and of Arrow allow them. The kernel then turns two megabytes of
    which a little was touched once into two that are resident, now and then, for hours: memory
    that grows, and nothing has grown.

    References
    ----------
    prctl(2), PR_SET_THP_DISABLE.
    """
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_THP_DISABLE, 0, 0, 0, 0)


def give_back() -> None:
    """Give the system back what was needed for a moment, such as the tables of a run.

    Tables that are of the whole run grow with it. Of what was needed for them the system's
    allocator keeps nothing here; that Arrow uses it as well, and every thread the same part of it,
    is for `use_one_arena`. That of numpy is emptied first. Takes 0.3 ms, 2 ms at most, in which a
    thread that needs memory waits, and numpy's 4 ms, in which none does.

    References
    ----------
    malloc_trim(3).
    """
    _empty_numpy()
    give_back_blocks()


def give_back_blocks() -> None:
    """Give back what is free among the large blocks alone, such as a table that was written."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def _empty_numpy() -> None:
    """Take from numpy the small blocks that were freed.

    It keeps up to seven of each number of bytes below 1,024, and gives out none for another number.
    An array with a cell a minute is never as long again as the last time: a node of twenty
    instruments grew by 0.5 MB an hour. There is no call for it, but an array that is made longer
    takes its block along.

    References
    ----------
    NumPy, numpy/_core/src/multiarray/alloc.c: NBUCKETS, NCACHE.
    """
    for size in range(1, _LARGE):
        blocks = [np.empty(size, np.uint8) for _ in range(_KEPT_BLOCKS)]
        for block in blocks:
            block.resize(_LARGE, refcheck=False)


@contextmanager
def switching(milliseconds: float) -> Iterator[None]:
    """Let another Python thread have its turn sooner while the block runs.

    With Python's own 5 ms a quote waits for as long whenever another thread, such as the one that
    writes tables, computes: 3.3 ms in the median were measured, and 0.34 ms with 0.5 ms.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(milliseconds / 1e3)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
