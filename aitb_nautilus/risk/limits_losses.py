"""Limits that hold still after losses: in a row, in an instrument, by stops.

A trade is a strategy's position from the moment it leaves zero until it is back there; its profit
is after fees and funding.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any

import msgspec

from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.holdings import Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import (
    MINUTE_NS,
    PASS,
    ClosedTrade,
    Limit,
    Memory,
    Proposal,
    Verdict,
    utc,
)

__all__ = [
    "Cooldown",
    "InstrumentMemory",
    "LossCooldown",
    "LossStreak",
    "LowProfit",
    "LowProfitMemory",
    "PauseMemory",
    "StopGuard",
    "StopMemory",
    "StreakMemory",
]

type _Time = Annotated[int, msgspec.Meta(ge=0)]


class PauseMemory(Memory, frozen=True):
    """Since when a pause counts, ns UTC (0: there was none), and why."""

    began: _Time
    why: str


class StreakMemory(PauseMemory, frozen=True):
    """The same, with how many trades in a row have lost, and when the last of them was closed."""

    streak: Annotated[int, msgspec.Meta(ge=0)]
    last: _Time


class StopMemory(PauseMemory, frozen=True):
    """The same, with the times of the last stops that lost, ns UTC, the oldest first."""

    stops: tuple[_Time, ...]


class InstrumentMemory(Memory, frozen=True):
    """The same by instrument id."""

    pauses: dict[str, tuple[_Time, str]]


class LowProfitMemory(InstrumentMemory, frozen=True):
    """The same, with time, ns UTC, and profit of each instrument's last trades."""

    trades: dict[str, tuple[tuple[_Time, float], ...]]


class _Pause(Limit):
    """A limit that refuses all orders in its scope for a while."""

    def __init__(self, pause_minutes: float) -> None:
        self.pause_ns = round(pause_minutes * MINUTE_NS)
        self._began = 0
        self._why = ""

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order during the pause."""
        if not self._why or proposal.ts >= (until := self._began + self.pause_ns):
            return PASS
        return Verdict(ZERO, f"{self._why}; opens again at {utc(until)}, or change {self.key}")

    def pause(self, ts: int, why: str) -> None:
        """Begin a pause."""
        self._began, self._why = ts, why


class LossStreak(_Pause):
    """Pause after so many losing trades in a row; one without a loss ends the row."""

    name = "loss_streak"
    memory = StreakMemory

    def __init__(self, losses: int, pause_minutes: float) -> None:
        super().__init__(pause_minutes)
        self.losses = losses
        self._streak = self._last = 0

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Count a loss, and begin a pause at the last one of a row."""
        self._streak = self._streak + 1 if trade.pnl < 0 else 0
        self._last = trade.ts
        self._judge()

    def save(self, looks: Looks) -> StreakMemory:  # noqa: ARG002
        """Return the row as it stands."""
        return StreakMemory(self._began, self._why, self._streak, self._last)

    def restore(self, memory: StreakMemory, looks: Looks) -> None:  # noqa: ARG002
        """Go on with the row, which may be too long by now."""
        self._began, self._why = memory.began, memory.why
        self._streak, self._last = memory.streak, memory.last
        self._judge()

    def _judge(self) -> None:
        if self._streak >= self.losses:
            self._streak = 0
            self.pause(
                self._last, f"{self.losses} trades in a row lost, as many as loss_streak bears"
            )


class StopGuard(_Pause):
    """Pause after so many losing stop exits in a window."""

    name = "stop_guard"
    memory = StopMemory

    def __init__(self, stops: int, window_minutes: float, pause_minutes: float) -> None:
        super().__init__(pause_minutes)
        self.stops = stops
        self.window_ns = round(window_minutes * MINUTE_NS)
        self._stops: deque[int] = deque(maxlen=stops)

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Count a stop, and begin a pause at the last one that the window bears."""
        if not trade.by_stop or trade.pnl >= 0:
            return
        self._stops.append(trade.ts)
        self._judge()

    def save(self, looks: Looks) -> StopMemory:  # noqa: ARG002
        """Return the last stops."""
        return StopMemory(self._began, self._why, tuple(self._stops))

    def restore(self, memory: StopMemory, looks: Looks) -> None:  # noqa: ARG002
        """Go on with the last stops, which may be too many by now."""
        self._began, self._why = memory.began, memory.why
        self._stops.clear()
        self._stops.extend(memory.stops)
        self._judge()

    def _judge(self) -> None:
        stops = self._stops
        if len(stops) == stops.maxlen and stops[-1] - stops[0] <= self.window_ns:
            self.pause(
                stops[-1],
                f"{len(stops)} stops lost within {self.window_ns / MINUTE_NS:g} minutes, as many "
                f"as stop_guard bears",
            )


class _InstrumentPause(Limit):
    """A limit that refuses all orders in one instrument for a while."""

    memory: type[Memory] = InstrumentMemory

    def __init__(self, pause_minutes: float) -> None:
        self.pause_ns = round(pause_minutes * MINUTE_NS)
        self._paused: dict[str, tuple[int, str]] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order during the instrument's pause."""
        paused = self._paused.get(proposal.instrument_id)
        if paused is None or proposal.ts >= (until := paused[0] + self.pause_ns):
            return PASS
        why = paused[1]
        return Verdict(ZERO, f"{why}; opens again at {utc(until)}, or change {self.key}")

    def pause(self, instrument_id: str, ts: int, why: str) -> None:
        """Begin a pause of an instrument."""
        self._paused[instrument_id] = (ts, why)

    def save(self, looks: Looks) -> Memory:  # noqa: ARG002
        """Return since when each instrument is left alone."""
        return InstrumentMemory(dict(self._paused))

    def restore(self, memory: InstrumentMemory, looks: Looks) -> None:  # noqa: ARG002
        """Leave them alone on; for as long as it is now, counted from when each pause began."""
        self._paused = dict(memory.pauses)


class Cooldown(_InstrumentPause):
    """Leave an instrument alone for a while after any trade in it, won or lost."""

    name = "cooldown_minutes"

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Begin a pause."""
        name = trade.instrument_id
        self.pause(name, trade.ts, f"a trade in {name} was closed")


class LossCooldown(_InstrumentPause):
    """Leave an instrument alone for a while after a losing trade in it."""

    name = "loss_cooldown_minutes"

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Begin a pause after a loss."""
        name = trade.instrument_id
        if trade.pnl < 0:
            self.pause(name, trade.ts, f"the last trade in {name} lost {-trade.pnl:,.2f}")


class LowProfit(_InstrumentPause):
    """Leave an instrument alone for a while if its last trades brought too little."""

    name = "low_profit"
    memory = LowProfitMemory

    def __init__(
        self, trades: int, min_pnl: float, window_minutes: float, pause_minutes: float
    ) -> None:
        super().__init__(pause_minutes)
        self.trades = trades
        self.min_pnl = min_pnl
        self.window_ns = round(window_minutes * MINUTE_NS)
        self._last: dict[str, deque[tuple[int, float]]] = {}

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Add up the last trades; after a pause they are counted anew."""
        last = self._last.get(trade.instrument_id)
        if last is None:
            last = self._last[trade.instrument_id] = deque(maxlen=self.trades)
        last.append((trade.ts, trade.pnl))
        self._judge(trade.instrument_id, last)

    def save(self, looks: Looks) -> LowProfitMemory:  # noqa: ARG002
        """Return the pauses, and the last trades."""
        trades = {name: tuple(last) for name, last in self._last.items()}
        return LowProfitMemory(dict(self._paused), trades)

    def restore(self, memory: Any, looks: Looks) -> None:
        """Go on with the last trades, which may bring too little by now."""
        super().restore(memory, looks)
        self._last = {name: deque(last, self.trades) for name, last in memory.trades.items()}
        for name, last in self._last.items():
            self._judge(name, last)

    def _judge(self, instrument_id: str, last: deque[tuple[int, float]]) -> None:
        if len(last) < self.trades or last[-1][0] - last[0][0] > self.window_ns:
            return
        pnl = sum(p for _, p in last)
        if pnl < self.min_pnl:
            ts = last[-1][0]
            last.clear()
            self.pause(
                instrument_id,
                ts,
                f"the last {self.trades} trades in {instrument_id} brought {pnl:,.2f}, "
                f"below low_profit.min_pnl {self.min_pnl:,.2f}",
            )
