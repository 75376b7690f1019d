"""What goes wrong on demand.

A fault is armed once and then happens to the next requests, events or sockets that it fits, as many
times as it says. What happened is written down, so that a rehearsal can be told afterwards.
"""

from __future__ import annotations

from typing import Literal

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.settings import Settings

__all__ = ["AT_ONCE", "Fault", "FaultKind", "Faults"]

type FaultKind = Literal[
    "refuse",
    "slow",
    "late_answer",
    "unknown",
    "no_answer",
    "drop_event",
    "duplicate_event",
    "delay_event",
    "reorder_event",
    "silence",
    "disconnect",
    "restart",
    "skew",
    "end_listen_key",
]
AT_ONCE = ("disconnect", "restart", "skew", "end_listen_key")
"""Kinds that happen when they are told, and wait for nothing."""


class Fault(Settings, frozen=True):
    """One thing that goes wrong.

    Parameters
    ----------
    kind
        Requests: ``refuse`` answers with `code` and `status` and does nothing; ``slow`` waits
        `delay_ms` before it does what was asked; ``late_answer`` does it and waits before it
        answers; ``unknown`` does it and answers with `code` and `status` as if it had failed;
        ``no_answer`` does it and closes the connection instead of answering.
        Events of the user data stream: ``drop_event``, ``duplicate_event``, ``delay_event`` (by
        `delay_ms`), ``reorder_event`` (sent after the next one). Sockets: ``silence`` sends
        nothing for `delay_ms`, and what was to be sent is lost; ``disconnect`` breaks those that
        are open, at once. The exchange, at once: ``restart`` is away for `delay_ms` and keeps its
        state; ``skew`` puts its clock `skew_ms` ahead of this machine's; ``end_listen_key`` ends
        the user data stream as if nobody had kept it alive.
    match
        Part of what it fits: of ``METHOD /path`` for requests (``POST /fapi/v1/order``; over the
        WebSocket interface ``WS order.place``), of the event's name or execution for events
        (``ORDER_TRADE_UPDATE``, ``ORDER_TRADE_UPDATE TRADE``), of ``market``, ``user`` or ``api``
        for sockets. Empty fits all.
    times
        How often it happens, >= 1; what happens at once happens once.
    status, code, message
        HTTP status, Binance's code and words of ``refuse`` and ``unknown``. 418 and 429 carry
        ``Retry-After``.
    retry_after
        Seconds in ``Retry-After``.
    delay_ms
        How long something takes, ms, >= 0.
    skew_ms
        By how much the exchange's clock is ahead, ms; below 0 it is behind, 0 mends it.
    """

    kind: FaultKind
    match: str = ""
    times: int = 1
    status: int = 503
    code: int = -1001
    message: str = ""
    retry_after: int = 1
    delay_ms: int = 0
    skew_ms: int = 0

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times was {self.times}, must be at least 1")
        if self.delay_ms < 0:
            raise ValueError(f"delay_ms was {self.delay_ms}, must be at least 0")
        if self.kind in AT_ONCE and self.times != 1:
            raise ValueError(f"times was {self.times}, must be 1 for {self.kind}")
        if self.code >= 0:
            raise ValueError(f"code was {self.code}, must be below 0, as Binance's codes are")

    def refusal(self) -> VenueError:
        """Return the answer of a ``refuse``."""
        wait = self.retry_after if self.status in (418, 429) else None
        if not self.message:
            plain = VenueError.of(self.code, 0, 0) if self.code == -1015 else None
            words = plain.words if plain else _words(self.code)
            return VenueError(self.code, words, self.status, wait)
        return VenueError(self.code, self.message, self.status, wait)


def _words(code: int) -> str:
    try:
        return VenueError.of(code).words
    except KeyError:
        return "Rehearsed refusal."


class Faults:
    """The armed faults, and what they have done."""

    def __init__(self) -> None:
        self._armed: list[tuple[Fault, int]] = []
        self._silent_until: dict[str, int] = {}
        self.happened: list[tuple[int, str, str]] = []
        """Time in ms, kind, and what it happened to."""

    def arm(self, fault: Fault) -> None:
        """Let a fault happen from now on."""
        self._armed.append((fault, fault.times))

    def note(self, fault: Fault, now_ms: int, what: str) -> None:
        """Write down what has happened at once."""
        self.happened.append((now_ms, fault.kind, what))

    def clear(self) -> None:
        """Disarm all faults, and end what still lasts."""
        self._armed.clear()
        self._silent_until.clear()

    def armed(self) -> list[Fault]:
        """Return the faults that have not happened often enough yet."""
        return [fault for fault, _ in self._armed]

    def silences(self, socket: str, now_ms: int) -> bool:
        """Return whether sockets of a kind send nothing now."""
        if self._silent_until.get(socket, 0) > now_ms:
            return True
        fault = self.take(socket, now_ms, "silence") if self._armed else None
        if fault is None:
            return False
        self._silent_until[socket] = now_ms + fault.delay_ms
        return True

    def take(self, what: str, now_ms: int, *kinds: FaultKind) -> Fault | None:
        """Return the fault of these kinds that now happens to `what`, and count it."""
        for place, (fault, left) in enumerate(self._armed):
            if fault.kind in kinds and fault.match in what:
                if left == 1:
                    del self._armed[place]
                else:
                    self._armed[place] = (fault, left - 1)
                self.happened.append((now_ms, fault.kind, what))
                return fault
        return None
