from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from aitb_nautilus.errors import ModelError, RunError
from aitb_nautilus.features.engine import Row
from aitb_nautilus.models.bundle import Bundle, open_session
from aitb_nautilus.models.deadlines import Outcome, TimedWorkers
from aitb_nautilus.models.registry import Registry
from aitb_nautilus.models.runtime import Answer, ModelSession
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


def wait_for(
    worker: InferenceWorker[int], count: int
) -> list[tuple[int, Answer | Exception | None]]:
    """Return so many answers."""
    found: list[tuple[int, Answer | Exception | None]] = []
    end = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end:
        found += worker.drain()
        time.sleep(0.001)
    assert len(found) == count
    return found


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold a worker's thread in its answers; the events tell that one was begun, and let it go."""
    begun, go_on, predict = threading.Event(), threading.Event(), ModelSession.predict_row

    def wait_and_predict(self: ModelSession, row: Row) -> Answer:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert go_on.wait(PATIENCE_S)
        return predict(self, row)

    monkeypatch.setattr(ModelSession, "predict_row", wait_and_predict)
    yield begun, go_on
    go_on.set()


def threads() -> int:
    return sum(thread.name.startswith("inference ") for thread in threading.enumerate())


def test_answers_are_those_of_a_session_in_the_order_of_the_rows(bundles: list[Bundle]) -> None:
    session = open_session(bundles[0])
    worker = InferenceWorker[int](bundles[0], 64)
    given = rows(50)
    assert all(worker.submit(str(i), i, row) for i, row in enumerate(given))
    assert wait_for(worker, 50) == [(i, session.predict_row(row)) for i, row in enumerate(given)]
    assert worker.drain() == []
    worker.close()


def test_row_beyond_the_queue_is_refused_and_the_others_are_answered(
    bundles: list[Bundle],
) -> None:
    worker = InferenceWorker[int](bundles[0], 4)
    given = rows(5000)
    taken = [i for i, row in enumerate(given) if worker.submit(str(i), i, row)]
    assert 4 <= len(taken) < 5000
    assert [key for key, _ in wait_for(worker, len(taken))] == taken
    worker.close()


def test_row_that_nobody_waits_for_is_left_out_unless_it_is_being_answered(
    bundles: list[Bundle], held: tuple[threading.Event, threading.Event]
) -> None:
    worker = InferenceWorker[int](bundles[0], 2)
    begun, go_on = held
    first, *others = rows(4)
    worker.submit("a", 0, first)
    assert begun.wait(PATIENCE_S)
    assert [worker.submit(str(i), i, row) for i, row in enumerate(others, 1)] == [True, True, False]
    for key in (0, 1, 5):
        worker.forget(key)
    assert worker.submit("3", 3, others[2])  # its place is free
    go_on.set()
    assert [key for key, _ in wait_for(worker, 3)] == [0, 2, 3]
    worker.close()


def test_newer_row_takes_the_place_of_one_of_its_instrument_that_still_waits(
    bundles: list[Bundle], held: tuple[threading.Event, threading.Event]
) -> None:
    workers = TimedWorkers[str](bundles[:1], 2, 100)
    begun, go_on = held
    given = rows(7)
    asked = ["a1", "b1", "c1", "a2", "b2", "c2", "b3"]
    for now, (key, row) in enumerate(zip(asked, given, strict=True)):
        # Two wait, b and c; there is no room for a third, and a newer one needs none.
        assert workers.ask(0, key[0], key, row, now) == (key != "a2")
        assert begun.wait(PATIENCE_S)
    assert workers.collect(7) == [Outcome("b1", None), Outcome("c1", None), Outcome("b2", None)]
    assert workers.first_deadline == 100
    go_on.set()
    session = open_session(bundles[0])
    answers = dict(zip(asked, map(session.predict_row, given), strict=True))
    assert collect(workers, 8, 3) == [Outcome(key, answers[key]) for key in ("a1", "b3", "c2")]
    workers.close()


def test_overtaken_row_is_given_up_once_though_its_deadline_passes(
    bundles: list[Bundle], held: tuple[threading.Event, threading.Event]
) -> None:
    notes = list[tuple[str, object]]()
    workers = TimedWorkers[str](
        bundles, 8, 100, lambda kind, what: (notes.append((kind, what)), what)[1]
    )
    row = rows(1)[0]
    workers.ask(0, "a", "in hand", row, 1000)
    assert held[0].wait(PATIENCE_S)
    workers.ask(0, "a", "old", row, 1010)
    workers.ask(0, "a", "new", row, 1020)
    assert workers.collect(1115) == [Outcome("old", None), Outcome("in hand", None)]
    assert workers.collect(1130) == [Outcome("new", None)]
    assert [what for kind, what in notes if kind == "collected"] == [
        [(2, True), (1, True)],
        [(3, True)],
    ]
    held[1].set()
    workers.close()


def test_error_comes_back_in_the_place_of_its_answer_and_the_worker_goes_on(
    bundles: list[Bundle],
) -> None:
    worker = InferenceWorker[int](bundles[0], 8)
    good = rows(1)[0]
    for key, row in enumerate((good, BAD, good)):
        assert worker.submit(str(key), key, row)
    first, second, third = (answer for _, answer in wait_for(worker, 3))
    assert first == third == open_session(bundles[0]).predict_row(good)
    assert isinstance(second, ModelError)
    assert "was given nan in column 0" in str(second)
    worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only processes are nice")
def test_thread_gives_way_to_the_one_that_asks(bundles: list[Bundle]) -> None:
    worker = InferenceWorker[int](bundles[0], 8)
    worker.submit("a", 1, rows(1)[0])
    wait_for(worker, 1)
    own, theirs = (os.getpriority(os.PRIO_PROCESS, it) for it in (0, worker._thread.native_id or 0))
    assert theirs == min(own + 10, 19)
    worker.close()


def test_closed_worker_has_no_thread_and_takes_no_row(bundles: list[Bundle]) -> None:
    before = threads()
    worker = InferenceWorker[int](bundles[0], 2)
    assert threads() == before + 1
    for key, row in enumerate(rows(100)):
        worker.submit(str(key), key, row)
    worker.close()
    worker.close()
    assert threads() == before
    with pytest.raises(RunError, match=r"inference a@1: was given a row, has been closed"):
        worker.submit("a", 1, rows(1)[0])


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
    assert workers.ask(0, "BTC", "to a", row, 1000)
    assert workers.ask(1, "BTC", "to b", row, 1010)
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
    workers.ask(0, "BTC", "early", row, 1000)
    workers.ask(0, "ETH", "late", row, 1050)
    # Whether the first answer is there by now or not: it is not told any more.
    found = {one.key: one.answer for one in collect(workers, 1101, 2)}
    assert found == {"early": None, "late": open_session(bundles[0]).predict_row(row)}
    assert workers.collect(2000) == []
    workers.close()


def test_model_asked_too_much_refuses_a_row(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[int](bundles, 2, 100)
    given = rows(3000)
    asked = [workers.ask(0, str(i), i, row, 0) for i, row in enumerate(given)]
    assert not all(asked)
    assert len(workers) == sum(asked)
    workers.close()
    assert len(workers) == 0


def test_error_of_a_worker_is_raised_where_answers_are_collected(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    workers.ask(1, "BTC", "bad", BAD, 0)
    with pytest.raises(ModelError, match="was given nan"):
        collect(workers, 50, 1)
    workers.close()


def test_error_that_was_not_collected_is_raised_at_the_close(bundles: list[Bundle]) -> None:
    workers = TimedWorkers[str](bundles, 8, 100)
    workers.ask(1, "BTC", "bad", BAD, 0)
    time.sleep(0.2)
    with pytest.raises(ModelError, match="was given nan"):
        workers.close()
