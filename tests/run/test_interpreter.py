"""Cycles are taken away on the thread that asks for it, and on no other."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from aitb_nautilus.run.interpreter import (
    GarbageTurns,
    garbage_by_turns,
    give_back,
    small_pages,
)


class Owned:
    """Something in a cycle that notes on which thread it was let go."""

    dropped: list[int]

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Owned.dropped.append(threading.get_ident())


@pytest.fixture
def dropped() -> Iterator[list[int]]:
    gc.collect()
    Owned.dropped = []
    was_enabled, threshold = gc.isenabled(), gc.get_threshold()
    gc.enable()
    gc.set_threshold(100, 2, 2)
    try:
        yield Owned.dropped
    finally:
        gc.set_threshold(*threshold)
        if not was_enabled:
            gc.disable()


def allocate_elsewhere() -> None:
    thread = threading.Thread(target=lambda: [[object()] for _ in range(5_000)])
    thread.start()
    thread.join()


def test_another_thread_would_take_it_away(dropped: list[int]) -> None:
    Owned()
    allocate_elsewhere()
    assert dropped
    assert dropped[0] != threading.get_ident()


def test_only_the_thread_that_takes_turns_lets_it_go(dropped: list[int]) -> None:
    turns = GarbageTurns()
    with garbage_by_turns():
        Owned()
        allocate_elsewhere()
        assert dropped == []
        turns.take()
        assert dropped == [threading.get_ident()]
        assert turns.found >= 1
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_all_generations_have_their_turn_once_a_minute(
    dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with garbage_by_turns():
        turns = GarbageTurns()
        old = Owned()
        gc.collect(1)
        gc.collect(1)
        del old  # by now in the oldest generation, which young turns leave alone
        turns.take()
        assert dropped == []
        later = time.monotonic() + 61
        monkeypatch.setattr("aitb_nautilus.run.interpreter.time.monotonic", lambda: later)
        turns.take()
        assert len(dropped) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such pages")
def test_memory_is_in_small_pages_while_a_node_runs() -> None:
    def allows_huge_pages() -> bool:
        return "THP_enabled:\t1" in Path("/proc/self/status").read_text()

    before = allows_huge_pages()
    with small_pages():
        assert not allows_huge_pages()
    assert allows_huge_pages() == before


def private_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (kb,) = (line.split()[1] for line in lines if line.startswith("Private_Dirty"))
    return int(kb) / 1e3


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_what_was_needed_for_a_moment_is_given_back() -> None:
    pool, numbers = pa.system_memory_pool(), [1.0] * 4_000
    tables = [pa.array(numbers, memory_pool=pool) for _ in range(1_000)]
    full = private_mb()
    last = tables[-1]  # lies behind them, so that nothing is given back by itself
    tables.clear()
    before = private_mb()
    give_back()
    assert full - before < 16
    assert full - private_mb() > 24
    assert len(last) == 4_000


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in (*"0123456", "used", "free", "end"))


def given_out() -> int:
    """Return the bytes that glibc has given out in its first arena."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    return int(libc.mallinfo2().used)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc")
def test_arrays_of_a_new_length_each_time_leave_nothing_in_numpy() -> None:
    give_back()
    before = given_out()
    for length in range(1, 1_024):
        made = [np.ones(length, np.uint8) for _ in range(10)]
        made.clear()
    kept = given_out() - before
    give_back()
    assert kept > 3_000_000
    assert given_out() - before < 300_000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="asks glibc")
@pytest.mark.parametrize(("setting", "is_one"), [({}, True), ({"MALLOC_ARENA_MAX": "3"}, False)])
def test_threads_of_a_node_share_one_arena(setting: dict[str, str], is_one: bool) -> None:
    code = """
import ctypes, os, threading
from aitb_nautilus.allocators import use_one_arena
use_one_arena()
assert os.environ["ARROW_DEFAULT_MEMORY_POOL"] == "system"
blocks = []
threads = [threading.Thread(target=lambda: blocks.append(bytearray(5_000))) for _ in range(3)]
for one in threads: one.start()
for one in threads: one.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.count("<heap nr=") == 1) == is_one
