"""Commands on their way from foreign threads to the engine's own, and answers on their way back.

The threads that talk to people put a `Waiting` into the queue, and wait for its answer; the engine
takes it out when it likes. Neither touches what belongs to the other.
"""

from __future__ import annotations

import queue
import threading
import time

from aitb_nautilus.run.command_messages import Answer, Command

__all__ = ["CommandQueue", "Waiting"]

_MOST = 64
"""Commands that may wait; a node that obeys none any more must not collect them."""
_GRACE_S = 1.0
"""How much longer than it promised the engine may take."""


class Waiting:
    """A command that waits for its answer.

    Parameters
    ----------
    command
        What is wanted.
    who
        User and machine.
    """

    def __init__(self, command: Command, who: str) -> None:
        self.command = command
        self.who = who
        self.due = time.monotonic() + command.timeout_s
        self._mutex = threading.Lock()
        self._answered = threading.Event()
        self._answer: Answer | None = None
        self._begun = False
        self._given_up = False

    @property
    def is_due(self) -> bool:
        """Return whether it has waited as long as it wanted."""
        return time.monotonic() >= self.due

    def begin(self) -> bool:
        """Say that the engine begins to obey; False if nobody wants it any more.

        What makes trading safer is wanted whether somebody waits for it or not.
        """
        with self._mutex:
            self._begun = not self._given_up or self.command.verb in ("halt", "flatten")
            return self._begun

    def answer(self, answer: Answer) -> None:
        """Give the answer; the engine does, once."""
        self._answer = answer
        self._answered.set()

    def wait(self) -> Answer | None:
        """Wait for the answer as long as the command says; None if the engine did not begin."""
        self._answered.wait(max(self.due - time.monotonic(), 0) + _GRACE_S)
        with self._mutex:
            if self._answer is not None or not self._begun:
                self._given_up = True
                return self._answer
        # It is being obeyed in this very moment.
        self._answered.wait(_GRACE_S)
        return self._answer


class CommandQueue:
    """Take commands from any thread, and give them to the engine's."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Waiting] = queue.Queue(_MOST)

    def ask(self, command: Command, who: str) -> Answer:
        """Give a command to the engine, and wait for the answer."""
        waiting = Waiting(command, who)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            return _stuck(f"obeys none of the {_MOST} commands that wait already")
        answer = waiting.wait()
        if answer is not None:
            return answer
        later = ""
        if command.verb in ("halt", "flatten"):
            later = "; it will, should it come to itself"
        return _stuck(f"has not obeyed within {command.timeout_s:g} s{later}")

    def take(self) -> Waiting | None:
        """Return the next command that is still wanted, or None."""
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return None
            if waiting.begin():
                return waiting


def _stuck(found: str) -> Answer:
    return Answer(
        done=False,
        said=f"the node {found}",
        todo="If it must not trade on, end its process, and cancel at the venue what rests there",
        exit_code=1,
        obeyed=False,
    )
