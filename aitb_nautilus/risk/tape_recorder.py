"""Write down what passes the tape: taken on the hot path, written by a thread of its own.

Between the two stands a queue of bounded length. A node never waits for it: what finds it full is
not recorded, which is counted, said at once, and stands in the recording as a gap. A back-test,
which brings bars far faster than a disk may take them, waits.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aitb_nautilus.risk.tape_file import block_of

__all__ = ["GAP", "TapeRecorder"]

GAP = "gap"
_BLOCK = 8_192
_PAUSE_S = 0.02

type _Plain = tuple[str, int, int, str, tuple[Any, ...]]
"""The fields of an `Entry`; to name them would cost more than to take them, a dozen times an order.
"""


class TapeRecorder:
    """Record entries in a file.

    Parameters
    ----------
    path
        Where; the file must not be there yet.
    clock
        When something came, ns UTC.
    queue_size
        How many entries may wait to be written.
    flush_s
        How long an entry may wait, seconds: so much may be lost if the process is killed.
    waits
        Whether `put` waits while the queue is full.
    tell
        Told in a line of entries that are lost, in the thread that put them, once for each gap.

    Attributes
    ----------
    lost
        Entries that were not recorded.
    written
        Entries that were.

    Raises
    ------
    OSError
        If the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], int],
        *,
        queue_size: int,
        flush_s: float,
        waits: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._queue: deque[_Plain] = deque()
        self._size = queue_size
        self._flush_s = flush_s
        self._waits = waits
        self._tell = tell
        self._missing = 0
        self._failure = ""
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self.lost = 0
        self.written = 0
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()

    def put(self, kind: str, depth: int, who: str, what: tuple[Any, ...]) -> None:
        """Take one entry."""
        queue = self._queue
        if len(queue) >= self._size:
            if not self._waits:
                self._lose("the queue of the recording was full")
                return
            while len(queue) >= self._size:
                self._wake.set()
                time.sleep(0.001)
        if self._missing or self._failure:
            if self._failure:
                self._lose(self._failure)
                return
            queue.append((GAP, 0, self._clock(), "", (self._missing,)))
            self._missing = 0
        queue.append((kind, depth, self._clock(), who, what))

    def close(self) -> None:
        """Write what waits, and end."""
        if self._missing and not self._failure:
            self._queue.append((GAP, 0, self._clock(), "", (self._missing,)))
            self._missing = 0
        self._closing.set()
        self._wake.set()
        self._thread.join()
        os.close(self._file)

    def _lose(self, why: str) -> None:
        self.lost += 1
        self._missing += 1
        if self._missing == 1:
            self._tell(f"{why}: this run cannot be replayed beyond this moment")

    # In the thread

    def _write_all(self) -> None:
        waited = 0.0
        while True:
            is_closing = self._closing.is_set()
            if is_closing or len(self._queue) >= _BLOCK or waited >= self._flush_s:
                waited = 0.0
                while self._queue and not self._failure:
                    self._write_block()
            if is_closing:
                return
            self._wake.wait(min(_PAUSE_S, self._flush_s))
            self._wake.clear()
            waited += min(_PAUSE_S, self._flush_s)

    def _write_block(self) -> None:
        count = min(len(self._queue), _BLOCK)
        entries = [self._queue.popleft() for _ in range(count)]
        block = block_of(entries, first=self.written == 0)
        try:
            while block:
                block = block[os.write(self._file, block) :]
            self.written += count
        except OSError as e:
            # A torn block ends what can be read: whatever came after it would be of no use.
            self._failure = f"{self._path} could not be written ({e.strerror})"
            self.lost += count + len(self._queue)
            self._queue.clear()
