"""Who is asked for what at the venue's history: several instruments beside each other, at a pace.

Bars are told in one order over all instruments, so that the slowest history decides when a node is
warm. Asked one after the other, each page of each instrument would wait for all before it. No
engine here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from aitb_nautilus.run.bar_order import Hole

__all__ = ["Inquiries"]

_AT_ONCE: Final = 8
_PER_MINUTE: Final = 600
"""A page weighs 2 at Binance, which allows 2,400 a minute: half of it is left to the rest."""
_MINUTE_NS: Final = 60_000_000_000
_OVERDUE_NS: Final = 10_000_000_000
_AGAIN_NS: Final = 2_000_000_000
_OLD_NS: Final = 300_000_000_000
_SURE: Final = 3
"""A bar that the history lacks is asked for so often: the newest ones may come to it late."""


class _Asked(NamedTuple):
    hole: Hole
    at: int


class Inquiries:
    """Remember which bars the venue's history was asked for.

    Examples
    --------
    >>> inquiries = Inquiries()
    >>> inquiries.asked(Hole("A", 60, 120), now=200)
    >>> inquiries.may_ask("A", now=200), inquiries.may_ask("B", now=200)
    (False, True)
    >>> inquiries.answered("A")
    Hole(instrument_id='A', first=60, last=120)
    """

    def __init__(self) -> None:
        self._open: dict[str, _Asked] = {}
        self._silent_since: dict[str, int] = {}
        self._not_before: dict[str, int] = {}
        self._misses: Counter[Hole] = Counter()
        self._times: deque[int] = deque()
        self._at_once = _AT_ONCE

    def __len__(self) -> int:
        """How many are not answered yet."""
        return len(self._open)

    def may_ask(self, instrument_id: str, now: int) -> bool:
        """Return whether an instrument's history may be asked now, ns UTC."""
        while self._times and now - self._times[0] >= _MINUTE_NS:
            self._times.popleft()
        return (
            instrument_id not in self._open
            and now >= self._not_before.get(instrument_id, 0)
            and len(self._open) < self._at_once
            and len(self._times) < _PER_MINUTE
        )

    def asked(self, hole: Hole, now: int) -> None:
        """Note that bars are asked for."""
        self._open[hole.instrument_id] = _Asked(hole, now)
        self._silent_since.setdefault(hole.instrument_id, now)
        self._times.append(now)

    def answered(self, instrument_id: str | None) -> Hole | None:
        """Note an answer; return what was asked, or None if that was given up before.

        Parameters
        ----------
        instrument_id
            None for an answer without any bar, which does not say whose it is. If several are
            awaited, nobody knows; from then on one is asked after the other, until no bar is
            missing.
        """
        if instrument_id is None:
            if len(self._open) != 1:
                self._at_once = 1
                return None
            (instrument_id,) = self._open
        self._silent_since.pop(instrument_id, None)
        asked = self._open.pop(instrument_id, None)
        return None if asked is None else asked.hole

    def all_is_there(self) -> None:
        """Note that no bar is missing any more."""
        self._at_once = _AT_ONCE
        if not self._open:
            self._silent_since.clear()

    def give_up(self, now: int) -> Sequence[Hole]:
        """Return what was not answered in ten seconds, and may be asked again."""
        overdue = [one.hole for one in self._open.values() if now - one.at >= _OVERDUE_NS]
        for hole in overdue:
            del self._open[hole.instrument_id]
        return overdue

    def silence_ns(self, instrument_id: str, now: int) -> int:
        """Return for how long an instrument's history has not answered, ns."""
        return now - self._silent_since.get(instrument_id, now)

    def begin_silence(self) -> None:
        """Count how long nobody answers anew, once somebody was told."""
        self._silent_since.clear()

    def found(self, instrument_id: str) -> None:
        """Note that the history has what was asked for."""
        for hole in [one for one in self._misses if one.instrument_id == instrument_id]:
            del self._misses[hole]

    def lacks(self, hole: Hole, now: int, late_ns: int = 0) -> bool:
        """Note bars that the history lacks; return whether that is final.

        The newest bars are asked for again after a while, at the least until they are `late_ns`
        old by this machine's clock, unless they lie ahead of it.
        """
        self._misses[hole] += 1
        age_ns = now - hole.last
        if 0 <= age_ns < late_ns or (age_ns < _OLD_NS and self._misses[hole] < _SURE):
            self._not_before[hole.instrument_id] = now + _AGAIN_NS
            return False
        self.found(hole.instrument_id)
        return True
