"""Inference off the loop: one thread with a session of its own; rows in, answers out.

Of each instrument one row waits at most: a newer one takes its place. A model that is slower than
bars come would otherwise answer one old row after the other, each as late as it may be.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from threading import Condition, Thread

from aitb_nautilus.errors import RunError
from aitb_nautilus.features.engine import Row
from aitb_nautilus.models.bundle import Bundle, open_session
from aitb_nautilus.models.runtime import Answer, ModelSession

__all__ = ["InferenceWorker"]

_GIVES_WAY = 10
"""Niceness of the thread: a loop that has a quote in hand comes before a model that computes."""

type _Answers[K] = deque[tuple[K, Answer | Exception | None]]


class _Waiting[K]:
    """The rows that wait for a thread, in the order in which their instruments began to wait."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: dict[str, tuple[K, Row]] = {}
        self._changed = Condition()
        self._is_closed = False

    def put(self, instrument_id: str, key: K, row: Row) -> tuple[bool, tuple[K, ...]]:
        """Let a row wait; return whether there was room, and the row whose place it took.

        It keeps the place: at the end, a model that is asked for too much would answer the same
        instruments each time, and the others never.
        """
        with self._changed:
            before = self._rows.get(instrument_id)
            if before is None and len(self._rows) >= self._size:
                return False, ()
            self._rows[instrument_id] = key, row
            self._changed.notify()
        return True, () if before is None else (before[0],)

    def take(self) -> tuple[K, Row] | None:
        """Wait for a row and return it; nothing once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._rows or self._is_closed)
            return None if self._is_closed else self._rows.pop(next(iter(self._rows)))

    def drop(self, key: K) -> None:
        """Leave a row out, if it still waits."""
        with self._changed:
            for instrument_id, (waiting, _) in self._rows.items():
                if waiting == key:
                    del self._rows[instrument_id]
                    break

    def close(self) -> None:
        """Give out no row any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()


class InferenceWorker[K]:
    """Answer rows in a thread of its own.

    The thread sees rows and nothing else; whoever submits them collects the answers in its own
    time.

    Parameters
    ----------
    bundle
        Of the model; the thread has a session of its own.
    queue_size
        How many rows may wait, each of another instrument, >= 1.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run the model, or it answers otherwise than where it was published.
    """

    def __init__(self, bundle: Bundle, queue_size: int) -> None:
        self._rows = _Waiting[K](queue_size)
        self._answers: _Answers[K] = deque()
        name = bundle.manifest.reference
        self._thread = Thread(
            target=_work,
            args=(open_session(bundle), self._rows, self._answers),
            name=f"inference {name}",
            daemon=True,
        )
        self._name = name
        self._closed = False
        self._thread.start()

    def submit(self, instrument_id: str, key: K, row: Row) -> bool:
        """Let a row be answered; return False if too many are waiting: it will not be.

        An older row of the instrument that still waits is not answered any more.

        Parameters
        ----------
        instrument_id
            Whose row it is.
        key
            Comes back with the answer.
        row
            (n_features,) float32; the thread's from now on.

        Raises
        ------
        RunError
            If the worker has been closed.
        """
        if self._closed:
            raise RunError(f"inference {self._name}", "was given a row", "has been closed before")
        has_room, overtaken = self._rows.put(instrument_id, key, row)
        self._answers.extend((old, None) for old in overtaken)
        return has_room

    def drain(self) -> list[tuple[K, Answer | Exception | None]]:
        """Return what has been answered since the last time; each instrument's in its rows' order.

        An exception stands in the place of the answer that it prevented, and nothing in that of a
        row that a newer one overtook.
        """
        found = []
        while self._answers:  # only this takes
            found.append(self._answers.popleft())
        return found

    def forget(self, key: K) -> None:
        """Leave a row out that nobody waits for any more, unless it is being answered."""
        self._rows.drop(key)

    def close(self) -> None:
        """End the thread; rows that still wait are not answered. What it did answer can be drained.

        Returns once the thread has ended: at most one inference later.
        """
        if self._closed:
            return
        self._closed = True
        self._rows.close()
        self._thread.join()


def _work[K](session: ModelSession, rows: _Waiting[K], answers: _Answers[K]) -> None:
    if sys.platform == "linux":  # elsewhere it is the whole process that is nice
        thread = threading.get_native_id()
        niceness = min(os.getpriority(os.PRIO_PROCESS, thread) + _GIVES_WAY, 19)
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
    while (given := rows.take()) is not None:
        key, row = given
        try:
            answers.append((key, session.predict_row(row)))
        except Exception as e:  # raised again by whoever drains
            answers.append((key, e))
