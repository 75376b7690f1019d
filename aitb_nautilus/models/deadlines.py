"""Several workers whose answers must come in time: who was asked, what came, what came too late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aitb_nautilus.features.engine import Row
from aitb_nautilus.models.bundle import Bundle
from aitb_nautilus.models.runtime import Answer
from aitb_nautilus.models.worker import InferenceWorker

__all__ = ["Outcome", "TimedWorkers"]


class Outcome[K](NamedTuple):
    """What became of a row; no answer: it was late."""

    key: K
    answer: Answer | None


class TimedWorkers[K]:
    """Ask one worker a model, and give up what is not answered in time.

    The time is the caller's, so that a simulated clock decides in the same way.

    Parameters
    ----------
    bundles
        Of the models.
    queue_size
        How many rows may wait for each, >= 1.
    allowed_ns
        How long an answer may take, >= 1.

    Raises
    ------
    ModelError
        As `InferenceWorker`.
    """

    def __init__(self, bundles: Sequence[Bundle], queue_size: int, allowed_ns: int) -> None:
        self.allowed_ns = allowed_ns
        self._workers = [InferenceWorker[int](bundle, queue_size) for bundle in bundles]
        self._asked: dict[int, tuple[K, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many rows are outstanding."""
        return len(self._asked)

    @property
    def first_deadline(self) -> int | None:
        """The earliest deadline of an outstanding row, ns UTC."""
        return next((deadline for _, deadline in self._asked.values()), None)

    def ask(self, model: int, key: K, row: Row, now: int) -> bool:
        """Let a model answer a row; return False if too many are waiting for it.

        Parameters
        ----------
        model
            Place among the bundles.
        key
            Comes back with the answer.
        row
            (n_features,) float32; the worker's from now on.
        now
            ns UTC, not before that of the last call.
        """
        self._count += 1
        if not self._workers[model].submit(self._count, row):
            return False
        self._asked[self._count] = key, now + self.allowed_ns
        return True

    def collect(self, now: int) -> list[Outcome[K]]:
        """Return what was answered by now, and what should have been.

        Raises
        ------
        Exception
            What a worker raised.
        """
        outcomes = []
        for number, answer in self._drain():
            key, deadline = self._asked.get(number, (None, 0))
            if key is not None and now <= deadline:
                del self._asked[number]
                outcomes.append(Outcome(key, answer))
        for number, (key, deadline) in tuple(self._asked.items()):
            if now < deadline:
                break  # all have as long, so the rest was asked later
            del self._asked[number]
            outcomes.append(Outcome(key, None))
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

    def _drain(self) -> list[tuple[int, Answer]]:
        answers = []
        for worker in self._workers:
            for number, answer in worker.drain():
                if isinstance(answer, Exception):
                    raise answer
                answers.append((number, answer))
        return answers
