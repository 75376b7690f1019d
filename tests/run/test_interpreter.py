"""Cycles are taken away on the thread that asks for it, and on no other."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aitb_nautilus.run.interpreter import GarbageTurns, garbage_by_turns, small_pages


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
