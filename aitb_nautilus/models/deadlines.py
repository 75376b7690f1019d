"""Several workers whose answers must come in time: who was asked, what came, what came too late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aitb_nautilus.features.engine import Row
from aitb_nautilus.models.bundle import Bundle
from aitb_nautilus.models.runtime import Answer, ModelSession
from aitb_nautilus.models.worker import InferenceWorker

__all__ = ["Outcome", "RecalledWorkers", "TimedWorkers"]


class Outcome[K](NamedTuple):
    """What became of a row; no answer: it was late, or a newer row overtook it."""

    key: K
    answer: Answer | None


type Note = Callable[[str, Any], Any]
"""Told by name what happened in the threads; where they are missing, returns what had happened."""


class TimedWorkers[K]:
    """Ask one worker a model, and give up what is not answered in time, or overtaken.

    A row that still waits when the next one of its instrument comes is overtaken: the newer one is
    answered in its place, and it is given up at the next look.

    The time is the caller's, so that a simulated clock decides in the same way.

    Parameters
    ----------
    bundles
        Of the models.
    queue_size
        How many rows may wait for each, every one of another instrument, >= 1.
    allowed_ns
        How long an answer may take, >= 1.
    note
        Told ``full`` for a row that found no room, and ``collected`` with the numbers of rows, each
        with whether it was late.

    Raises
    ------
    ModelError
        As `InferenceWorker`.
    """

    def __init__(
        self,
        bundles: Sequence[Bundle],
        queue_size: int,
        allowed_ns: int,
        note: Note = lambda _, what: what,
    ) -> None:
        self.allowed_ns = allowed_ns
        self._note = note
        self._workers = [InferenceWorker[int](bundle, queue_size) for bundle in bundles]
        self._asked: dict[int, tuple[K, int, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many rows are outstanding."""
        return len(self._asked)

    @property
    def first_deadline(self) -> int | None:
        """The earliest deadline of an outstanding row, ns UTC."""
        return next((asked[1] for asked in self._asked.values()), None)

    def ask(self, model: int, instrument_id: str, key: K, row: Row, now: int) -> bool:
        """Let a model answer a row; return False if too many are waiting for it.

        Parameters
        ----------
        model
            Place among the bundles.
        instrument_id
            Whose row it is.
        key
            Comes back with the answer.
        row
            (n_features,) float32; the worker's from now on.
        now
            ns UTC, not before that of the last call.
        """
        self._count += 1
        if self._note("full", not self._workers[model].submit(instrument_id, self._count, row)):
            return False
        self._asked[self._count] = key, now + self.allowed_ns, model
        return True

    def collect(self, now: int) -> list[Outcome[K]]:
        """Return what was answered by now, what should have been, and what was overtaken.

        Raises
        ------
        Exception
            What a worker raised.
        """
        outcomes, told = [], []
        for number, answer in self._drain():
            key, deadline, _ = self._asked.get(number, (None, 0, 0))
            if key is not None and (answer is None or now <= deadline):
                del self._asked[number]
                outcomes.append(Outcome(key, answer))
                told.append((number, answer is None))
        for number, (key, deadline, model) in tuple(self._asked.items()):
            if now < deadline:
                break  # all have as long, so the rest was asked later
            del self._asked[number]
            self._workers[model].forget(number)
            outcomes.append(Outcome(key, None))
            told.append((number, True))
        self._note("collected", told)
        return outcomes

    def close(self) -> None:
        """End the threads; what is not answered by now is forgotten.

        Raises
        ------
        Exception
            What a worker raised since the last `collect`.
        """
        for worker in self._workers:
            worker.close()
        self._asked.clear()
        self._drain()

    def _drain(self) -> list[tuple[int, Answer | None]]:
        answers = []
        for worker in self._workers:
            for number, answer in worker.drain():
                if isinstance(answer, Exception):
                    raise answer
                answers.append((number, answer))
        return answers


class RecalledWorkers[K]:
    """Answer as `TimedWorkers` did, without threads: which rows came in time is recalled.

    Parameters
    ----------
    sessions
        One a model.
    allowed_ns
        As it was.
    recall
        Returns what the workers noted at this point, or nothing.
    """

    def __init__(self, sessions: Sequence[ModelSession], allowed_ns: int, recall: Note) -> None:
        self.allowed_ns = allowed_ns
        self._sessions = sessions
        self._recall = recall
        self._asked: dict[int, tuple[K, int, int, Row]] = {}
        self._count = 0

    @property
    def first_deadline(self) -> int | None:
        """The earliest deadline of an outstanding row, ns UTC."""
        return next((asked[1] for asked in self._asked.values()), None)

    def ask(self, model: int, instrument_id: str, key: K, row: Row, now: int) -> bool:
        """Keep a row until it is recalled; return False if there was no room for it."""
        del instrument_id  # what was overtaken is recalled as well
        self._count += 1
        if self._recall("full", False):
            return False
        self._asked[self._count] = key, now + self.allowed_ns, model, row.copy()
        return True

    def collect(self, now: int) -> list[Outcome[K]]:
        """Return the rows that were answered or late at this point, with the model's answers."""
        del now
        outcomes = []
        for number, is_late in self._recall("collected", []) or ():
            if number in self._asked:
                key, _, model, row = self._asked.pop(number)
                answer = None if is_late else self._sessions[model].predict_row(row)
                outcomes.append(Outcome(key, answer))
        return outcomes

    def close(self) -> None:
        """Forget what is not answered."""
        self._asked.clear()
