"""Cycles are taken away on the thread that asks for it, and on no other."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

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
