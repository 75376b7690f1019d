"""Compare the bars of a recording with those of its run folder, or of the catalog."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from aitb_nautilus.market.times import iso
from aitb_nautilus.messages import BarClosed
from aitb_nautilus.risk.replay_compare import Findings
from aitb_nautilus.risk.tape import Entry
from aitb_nautilus.risk.tape_recorder import GAP
from aitb_nautilus.run.recorded_run import RecordedRun

__all__ = ["BarCheck"]


class BarCheck:
    """Compare bar by bar, each instrument by itself: in which order several came no table tells.

    Parameters
    ----------
    recorded
        The run.
    findings
        Is told of what is equal and what differs.
    """

    def __init__(self, recorded: RecordedRun, findings: Findings) -> None:
        self._findings = findings
        has_bars = (recorded.run.path / "bars.parquet").exists()
        is_there = has_bars or recorded.run.record.mode == "backtest"
        self._bars: Iterator[BarClosed] = recorded.bars_by_time() if is_there else iter(())
        self._due: dict[str, deque[BarClosed]] = {
            name: deque() for name in recorded.run.record.instruments
        }
        self._is_complete = recorded.run.record.status == "complete"

    def __call__(self, bar: BarClosed, is_past: bool) -> None:
        """Compare a bar that the recording has."""
        about = bar.instrument_id
        was = self._next_of(about)
        if was is None and (not self._is_complete or is_past):
            return  # A run that was killed had not written its tables.
        if was == bar:
            self._due[about].popleft()
            self._findings.counts["data"] += 1
            return
        if was is None or was.ts != bar.ts:
            text = "" if was is None else f"{about} {iso(was.ts)}"
            now = f"{about} {iso(bar.ts)}"
            self._findings.differ("data", bar.ts, "bar", about=about, recorded=text, replayed=now)
            return
        for name in ("open", "high", "low", "close", "volume"):
            a, b = getattr(was, name), getattr(bar, name)
            if a != b:
                self._findings.differ(
                    "data", bar.ts, name, about=about, recorded=repr(a), replayed=repr(b)
                )

    def find_cause(self, rest: Iterable[Entry], *, is_whole: bool) -> None:
        """Note a bar that the recording lacks, or has too often: what differed may follow from it.

        Parameters
        ----------
        rest
            Of the recording, from where the replay ended.
        is_whole
            Whether that was the end of the run.
        """
        found = self._findings.divergence
        if self._findings.is_over or (found is not None and found.layer == "data"):
            return
        coming: dict[str, int] = {}
        for entry in rest:
            if entry.kind == GAP:
                return
            is_whole = is_whole or entry.kind == "ended"
            if entry.kind in ("past", "bar"):
                coming.setdefault(*entry.what[:2])
        if not is_whole:
            return
        for about in self._due:
            due, comes = self._next_of(about), coming.get(about)
            if due is None and not self._is_complete:
                continue  # It had not written its tables.
            was = None if due is None else due.ts
            if was != comes:
                ts = min(one for one in (was, comes) if one is not None)
                values = {
                    "recorded": f"{about} {iso(was)}" if was is not None else "",
                    "replayed": f"{about} {iso(comes)}" if comes == ts else "",
                }
                self._findings.differ_before("data", ts, "bar", about=about, **values)
                return

    def _next_of(self, instrument_id: str) -> BarClosed | None:
        """Return the next bar of an instrument, and keep those of others that come before it."""
        due = self._due.setdefault(instrument_id, deque())
        while not due:
            bar = next(self._bars, None)
            if bar is None:
                return None
            self._due.setdefault(bar.instrument_id, deque()).append(bar)
        return due[0]
