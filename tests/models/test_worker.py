from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np
import pytest

from aitb_nautilus.errors import ModelError, RunError
from aitb_nautilus.models.bundle import Bundle, open_session
from aitb_nautilus.models.deadlines import Outcome, TimedWorkers
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import Answer
from aitb_nautilus.models.trust import Keyring
from aitb_nautilus.models.worker import InferenceWorker
from tests.model_lab import FEATURES, put, rows

BAD = np.full(len(FEATURES), np.nan, np.float32)
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    root = tmp_path_factory.mktemp("lab")
    registry = Registry(root / "models", Keyring(root / "keys"))
    for name, bias in (("a", 0.1), ("b", 0.2)):
        put(registry, name, bias)
    return [registry.read("a"), registry.read("b")]


def wait_for(worker: InferenceWorker[int], count: int) -> list[tuple[int, Answer | Exception]]:
    """Return so many answers."""
    found: list[tuple[int, Answer | Exception]] = []
    end = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end:
        found += worker.drain()
        time.sleep(0.001)
    assert len(found) == count
    return found


def threads() -> int:
    return sum(thread.name.startswith("inference ") for thread in threading.enumerate())


def test_answers_are_those_of_a_session_in_the_order_of_the_rows(bundles: list[Bundle]) -> None:
    session = open_session(bundles[0])
    worker = InferenceWorker[int](bundles[0], 64)
    given = rows(50)
    assert all(worker.submit(i, row) for i, row in enumerate(given))
    assert wait_for(worker, 50) == [(i, session.predict_row(row)) for i, row in enumerate(given)]
    assert worker.drain() == []
    worker.close()


def test_row_beyond_the_queue_is_refused_and_the_others_are_answered(
    bundles: list[Bundle],
) -> None:
    worker = InferenceWorker[int](bundles[0], 4)
    given = rows(5000)
    taken = [i for i, row in enumerate(given) if worker.submit(i, row)]
    assert 4 <= len(taken) < 5000
    assert [key for key, _ in wait_for(worker, len(taken))] == taken
    worker.close()


def test_row_that_nobody_waits_for_is_left_out_and_nothing_is_remembered_of_it(
    bundles: list[Bundle],
) -> None:
    worker = InferenceWorker[int](bundles[0], 8)
    worker.forget(1)
    for key, row in enumerate(rows(3)):
        worker.submit(key, row)
    assert [key for key, _ in wait_for(worker, 2)] == [0, 2]
    assert worker._forgotten == set()
    worker.submit(3, rows(1)[0])
    end = time.monotonic() + PATIENCE_S
    while not worker._answers and time.monotonic() < end:
        time.sleep(0.001)
    worker.forget(3)  # too late: it is answered
    assert [key for key, _ in worker.drain()] == [3]
    assert worker._forgotten == set()
    worker.close()


def test_error_comes_back_in_the_place_of_its_answer_and_the_worker_goes_on(
    bundles: list[Bundle],
) -> None:
    worker = InferenceWorker[int](bundles[0], 8)
    good = rows(1)[0]
    for key, row in enumerate((good, BAD, good)):
        assert worker.submit(key, row)
    first, second, third = (answer for _, answer in wait_for(worker, 3))
    assert first == third == open_session(bundles[0]).predict_row(good)
    assert isinstance(second, ModelError)
    assert "was given nan in column 0" in str(second)
    worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only processes are nice")
def test_thread_gives_way_to_the_one_that_asks(bundles: list[Bundle]) -> None:
    worker = InferenceWorker[int](bundles[0], 8)
    worker.submit(1, rows(1)[0])
    wait_for(worker, 1)
    own, theirs = (os.getpriority(os.PRIO_PROCESS, it) for it in (0, worker._thread.native_id or 0))
    assert theirs == min(own + 10, 19)
    worker.close()


def test_closed_worker_has_no_thread_and_takes_no_row(bundles: list[Bundle]) -> None:
    before = threads()
    worker = InferenceWorker[int](bundles[0], 2)
    assert threads() == before + 1
    for key, row in enumerate(rows(100)):
        worker.submit(key, row)
    worker.close()
    worker.close()
    assert threads() == before
    with pytest.raises(RunError, match=r"inference a@1: was given a row, has been closed"):
        worker.submit(1, rows(1)[0])


def collect(workers: TimedWorkers[str], now: int, count: int) -> list[Outcome[str]]:
    """Return so many outcomes, all collected at one time of the engine."""
    found: list[Outcome[str]] = []
    end = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end:
        found += workers.collect(now)
        time.sleep(0.001)
    assert len(found) == count
    return found


def test_each_model_answers_its_own_rows(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    row = rows(1)[0]
    assert workers.ask(0, "to a", row, 1000)
    assert workers.ask(1, "to b", row, 1010)
    assert (len(workers), workers.first_deadline) == (2, 1100)
    found = {one.key: one.answer for one in collect(workers, 1099, 2)}
    assert found == {
        "to a": open_session(bundles[0]).predict_row(row),
        "to b": open_session(bundles[1]).predict_row(row),
    }
    assert (len(workers), workers.first_deadline) == (0, None)
    workers.close()


def test_answer_after_its_deadline_is_given_up_once_and_never_told(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    row = rows(1)[0]
    workers.ask(0, "early", row, 1000)
    workers.ask(0, "late", row, 1050)
    # Whether the first answer is there by now or not: it is not told any more.
    found = {one.key: one.answer for one in collect(workers, 1101, 2)}
    assert found == {"early": None, "late": open_session(bundles[0]).predict_row(row)}
    assert workers.collect(2000) == []
    workers.close()


def test_model_asked_too_much_refuses_a_row(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[int](bundles, 2, 100)
    given = rows(3000)
    asked = [workers.ask(0, i, row, 0) for i, row in enumerate(given)]
    assert not all(asked)
    assert len(workers) == sum(asked)
    workers.close()
    assert len(workers) == 0


def test_error_of_a_worker_is_raised_where_answers_are_collected(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    workers.ask(1, "bad", BAD, 0)
    with pytest.raises(ModelError, match="was given nan"):
        collect(workers, 50, 1)
    workers.close()


def test_error_that_was_not_collected_is_raised_at_the_close(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    workers.ask(1, "bad", BAD, 0)
    time.sleep(0.2)
    with pytest.raises(ModelError, match="was given nan"):
        workers.close()
