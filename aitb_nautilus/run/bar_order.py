"""Bars of several instruments, put into one order of time: each once, none missing.

A stream may bring a bar twice, late, out of order, or not at all. Nothing is decided on a bar
before all that closed earlier are there, of its own instrument and of every other. No engine here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aitb_nautilus.messages import BarClosed

__all__ = ["BarOrder", "Hole"]


class Hole(NamedTuple):
    """Bars of one instrument that should be there: closes of the first and of the last, ns UTC."""

    instrument_id: str
    first: int
    last: int


class BarOrder:
    """Take bars as they come, give them back as they closed.

    Parameters
    ----------
    interval_ns
        Length of the bars by instrument id; bars of one time are given in the order of this.
    last
        Close of the bar before the first one wanted, by instrument id, ns UTC.

    Examples
    --------
    >>> order = BarOrder({"A": 60}, {"A": 120})
    >>> order.take(BarClosed("A", 240, 1, 1, 1, 1, 0))
    ''
    >>> order.next(), order.hole(now=240, wait={"A": 10})
    (None, Hole(instrument_id='A', first=180, last=180))
    """

    def __init__(self, interval_ns: Mapping[str, int], last: Mapping[str, int]) -> None:
        self.interval_ns = dict(interval_ns)
        self.last = {name: last[name] for name in interval_ns}
        self._due = {name: last[name] + length for name, length in interval_ns.items()}
        self._told: dict[str, BarClosed] = {}
        self._pending: dict[str, dict[int, BarClosed]] = {name: {} for name in interval_ns}

    def take(self, bar: BarClosed) -> str:
        """Take a bar; return why it is not wanted, or nothing.

        One that was told already cannot be told again, whatever it says now.
        """
        name, ts = bar.instrument_id, bar.ts
        pending = self._pending[name]
        known = self._told.get(name) if ts == self.last[name] else pending.get(ts)
        if known is not None:
            return "came twice" if known == bar else "came again with other values"
        if ts <= self.last[name]:
            return "came late"
        pending[ts] = bar
        return ""

    def next(self, *, whole: bool = False) -> BarClosed | None:
        """Return the next bar in order and forget it; None while it is not there.

        Parameters
        ----------
        whole
            Whether to wait until every instrument that has a bar of that time has brought it.
        """
        earliest = min(self._due.values(), default=0)
        found: BarClosed | None = None
        for name, due in self._due.items():
            if due != earliest:
                continue
            bar = self._pending[name].get(due)
            if bar is None:
                if whole:
                    return None
            elif found is None:
                found = bar
                if not whole:
                    break
        if found is None:
            return None
        name = found.instrument_id
        del self._pending[name][found.ts]
        self._told[name] = found
        self._ends_at(name, found.ts)
        return found

    def holes(self, now: int, wait: Mapping[str, int]) -> Iterator[Hole]:
        """Yield of each instrument the first bars that should be there and are not.

        A bar should be there if a later one is, of whatever instrument, or if it closed more than
        the `wait` of its instrument, in ns, before `now`.
        """
        newest = max((ts for pending in self._pending.values() for ts in pending), default=0)
        for name, length in self.interval_ns.items():
            first = self.last[name] + length
            pending = self._pending[name]
            if first in pending:
                continue
            if pending:
                yield Hole(name, first, min(pending) - length)
                continue
            until = max(newest - 1, now - wait[name])
            if until >= first:
                yield Hole(name, first, until - until % length)

    def hole(self, now: int, wait: Mapping[str, int]) -> Hole | None:
        """Return the first of `holes`."""
        return next(self.holes(now, wait), None)

    def owes(self, ts: int) -> bool:
        """Return whether some bar is still to be told that closes until a time, ns UTC."""
        return min(self._due.values()) <= ts

    def skip(self, instrument_id: str, until: int) -> None:
        """Go on without the bars of an instrument up to a close, ns UTC."""
        self._ends_at(instrument_id, max(self.last[instrument_id], until))

    def _ends_at(self, name: str, ts: int) -> None:
        self.last[name], self._due[name] = ts, ts + self.interval_ns[name]

    @property
    def waiting(self) -> int:
        """Return how many bars are there and cannot be told yet."""
        return sum(map(len, self._pending.values()))
