"""Inference off the loop: one thread with a session of its own; rows in, answers out."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from queue import Empty, Full, Queue
from threading import Thread

from aitb_nautilus.errors import RunError
from aitb_nautilus.features.engine import Row
from aitb_nautilus.models.bundle import Bundle, open_session
from aitb_nautilus.models.runtime import Answer, ModelSession

__all__ = ["InferenceWorker"]

_GIVES_WAY = 10
"""Niceness of the thread: a loop that has a quote in hand comes before a model that computes."""

type _Rows[K] = Queue[tuple[K, Row] | None]
type _Answers[K] = deque[tuple[K, Answer | Exception]]


class InferenceWorker[K]:
    """Answer rows in a thread of its own.

    The thread sees rows and nothing else; whoever submits them collects the answers in its own
    time.

    Parameters
    ----------
    bundle
        Of the model; the thread has a session of its own.
    queue_size
        How many rows may wait, >= 1.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot run the model, or it answers otherwise than where it was published.
    """

    def __init__(self, bundle: Bundle, queue_size: int) -> None:
        self._rows: _Rows[K] = Queue(queue_size)
        self._answers: _Answers[K] = deque()
        self._forgotten: set[K] = set()
        name = bundle.manifest.reference
        self._thread = Thread(
            target=_work,
            args=(open_session(bundle), self._rows, self._answers, self._forgotten),
            name=f"inference {name}",
            daemon=True,
        )
        self._name = name
        self._closed = False
        self._thread.start()

    def submit(self, key: K, row: Row) -> bool:
        """Let a row be answered; return False if too many are waiting: it will not be.

        Parameters
        ----------
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
        try:
            self._rows.put_nowait((key, row))
        except Full:
            return False
        return True

    def drain(self) -> list[tuple[K, Answer | Exception]]:
        """Return what has been answered since the last time, in the order of the rows.

        An exception stands in the place of the answer that it prevented.
        """
        found = []
        while self._answers:  # only the thread adds, and only this takes
            key, answer = self._answers.popleft()
            self._forgotten.discard(key)
            found.append((key, answer))
        return found

    def forget(self, key: K) -> None:
        """Leave a row out that nobody waits for any more, unless it is being answered.

        Without that a model that was too slow for a while would answer old rows for ever, and none
        in time.
        """
        self._forgotten.add(key)

    def close(self) -> None:
        """End the thread; rows that still wait are not answered. What it did answer can be drained.

        Returns once the thread has ended: at most one inference later.
        """
        if self._closed:
            return
        self._closed = True
        try:
            while True:
                self._rows.get_nowait()
        except Empty:
            self._rows.put_nowait(None)  # only the owner adds rows, so there is room
        self._thread.join()


def _work[K](
    session: ModelSession, rows: _Rows[K], answers: _Answers[K], forgotten: set[K]
) -> None:
    if sys.platform == "linux":  # elsewhere it is the whole process that is nice
        thread = threading.get_native_id()
        niceness = min(os.getpriority(os.PRIO_PROCESS, thread) + _GIVES_WAY, 19)
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
    while (given := rows.get()) is not None:
        key, row = given
        if key in forgotten:
            forgotten.discard(key)
            continue
        try:
            answers.append((key, session.predict_row(row)))
        except Exception as e:  # raised again by whoever drains
            answers.append((key, e))
