"""What the engine says in the middle of a call is answered once the call has returned.

An order that the engine emulates itself is cancelled and changed within the very call that asks for
it, and the engine holds the strategy until that returns: whatever it is asked then, even the time,
it answers with an error. So the fact is taken at once, and its answer waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["PortCalls"]


class PortCalls:
    """Hold one strategy's answers while a call of it is carried out; a block is such a call.

    Answers are given in the order in which their facts came, each one whole before the next begins.

    Examples
    --------
    >>> calls, said = PortCalls(), []
    >>> with calls:
    ...     calls.answer(lambda: said.append("the answer"))
    ...     said.append("the call")
    >>> said
    ['the call', 'the answer']
    """

    __slots__ = ("_depth", "_is_answering", "_waiting")

    def __init__(self) -> None:
        self._depth = 0
        self._is_answering = False
        self._waiting: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        """Begin a call."""
        self._depth += 1

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """End a call, and give the answers that waited; after an error the next fact does that."""
        self._depth -= 1
        if error is None and self._waiting:
            self._give()

    def answer(self, answer: Callable[[], None]) -> None:
        """Give an answer now, or after the call in whose middle its fact came."""
        if not (self._depth or self._waiting or self._is_answering):
            answer()
            return
        self._waiting.append(answer)
        self._give()

    def _give(self) -> None:
        if self._depth or self._is_answering:
            return
        self._is_answering = True
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:
            self._is_answering = False
