"""Limits that hold still after losses: of a day, in a row, in an instrument, by stops.

A trade is a strategy's position from the moment it leaves zero until it is back there; its profit
is after fees and funding.
"""

from __future__ import annotations

from collections import deque

from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.holdings import Holdings, Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import (
    DAY_NS,
    MINUTE_NS,
    PASS,
    ClosedTrade,
    Limit,
    Proposal,
    Verdict,
    utc,
)

__all__ = [
    "Cooldown",
    "DailyLoss",
    "DailyLossAmount",
    "LossCooldown",
    "LossStreak",
    "LowProfit",
    "StopGuard",
]


class _Day(Limit):
    """A limit of what a day (UTC) has lost.

    A bar that closes at midnight gives the first worth of the day that begins; if there is none,
    the last worth of the day before counts. Once reached, the loss counts until the day ends, even
    if prices come back.
    """

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum
        self._day = -1
        self._first = self._last = self._worst = 0.0

    def worth(self, holdings: Holdings) -> float:
        """Return what is compared with that of the day's beginning, quote currency."""
        raise NotImplementedError

    def lost(self, ts: int, worth: float) -> tuple[float, float]:
        """Return the largest loss of the day of `ts`, and the worth at its beginning."""
        if ts // DAY_NS <= self._day:
            first = self._first
            return max(self._worst, first - worth), first
        return max(self._last - worth, 0.0), self._last

    def hear_close(self, ts: int, looks: Looks) -> str:
        """Note the day's first worth and its largest loss."""
        worth = self.worth(looks.at(self.scope, None))
        day = ts // DAY_NS
        if day > self._day:
            first = self._last if self._day >= 0 and ts % DAY_NS else worth
            self._day, self._first, self._worst = day, first, 0.0
        self._worst = max(self._worst, self._first - worth)
        self._last = worth
        return ""


class DailyLoss(_Day):
    """Refuse orders once a day (UTC) has lost too large a part of equity, open positions included.

    Parameters
    ----------
    maximum
        As a fraction of the equity at the day's beginning.
    """

    name = "max_daily_loss_frac"

    def worth(self, holdings: Holdings) -> float:
        """Return the equity."""
        return holdings.equity

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if the day's loss has reached the limit."""
        if self._day < 0:
            return PASS
        lost, first = self.lost(proposal.ts, proposal.holdings(ledger).equity)
        if lost < self.maximum * first:
            return PASS
        part = lost / first if first > 0 else 1.0
        return Verdict(
            ZERO,
            f"the day has lost {part:.2%} of {first:,.2f}, and max_daily_loss_frac is "
            f"{self.maximum:.2%}; opens again at {utc((proposal.ts // DAY_NS + 1) * DAY_NS)}, or "
            f"raise {self.key}",
        )


class DailyLossAmount(_Day):
    """Refuse orders once what is in scope has lost too much in a day (UTC).

    Open positions are included. For a part of the trader, which has no equity of its own.
    """

    name = "max_daily_loss"

    def worth(self, holdings: Holdings) -> float:
        """Return the profit since the start."""
        return holdings.pnl

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if the day's loss has reached the limit."""
        if self._day < 0:
            return PASS
        lost, _ = self.lost(proposal.ts, proposal.holdings(ledger, self.scope).pnl)
        if lost < self.maximum:
            return PASS
        return Verdict(
            ZERO,
            f"the day has lost {lost:,.2f}, and max_daily_loss is {self.maximum:,.2f}; opens again "
            f"at {utc((proposal.ts // DAY_NS + 1) * DAY_NS)}, or raise {self.key}",
        )


class _Pause(Limit):
    """A limit that refuses all orders in its scope for a while."""

    def __init__(self, pause_minutes: float) -> None:
        self.pause_ns = round(pause_minutes * MINUTE_NS)
        self._until = 0
        self._why = ""

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order during the pause."""
        if proposal.ts >= self._until:
            return PASS
        return Verdict(
            ZERO, f"{self._why}; opens again at {utc(self._until)}, or change {self.key}"
        )

    def pause(self, ts: int, why: str) -> None:
        """Begin a pause."""
        self._until, self._why = ts + self.pause_ns, why


class LossStreak(_Pause):
    """Pause after so many losing trades in a row; one without a loss ends the row."""

    name = "loss_streak"

    def __init__(self, losses: int, pause_minutes: float) -> None:
        super().__init__(pause_minutes)
        self.losses = losses
        self._streak = 0

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Count a loss, and begin a pause at the last one of a row."""
        self._streak = self._streak + 1 if trade.pnl < 0 else 0
        if self._streak >= self.losses:
            self._streak = 0
            self.pause(
                trade.ts, f"{self.losses} trades in a row lost, as many as loss_streak bears"
            )


class StopGuard(_Pause):
    """Pause after so many losing stop exits in a window."""

    name = "stop_guard"

    def __init__(self, stops: int, window_minutes: float, pause_minutes: float) -> None:
        super().__init__(pause_minutes)
        self.window_ns = round(window_minutes * MINUTE_NS)
        self._stops: deque[int] = deque(maxlen=stops)

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Count a stop, and begin a pause at the last one that the window bears."""
        if not trade.by_stop or trade.pnl >= 0:
            return
        stops = self._stops
        stops.append(trade.ts)
        if len(stops) == stops.maxlen and trade.ts - stops[0] <= self.window_ns:
            self.pause(
                trade.ts,
                f"{len(stops)} stops lost within {self.window_ns / MINUTE_NS:g} minutes, as many "
                f"as stop_guard bears",
            )


class _InstrumentPause(Limit):
    """A limit that refuses all orders in one instrument for a while."""

    def __init__(self, pause_minutes: float) -> None:
        self.pause_ns = round(pause_minutes * MINUTE_NS)
        self._until: dict[str, tuple[int, str]] = {}

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order during the instrument's pause."""
        until, why = self._until.get(proposal.instrument_id, (0, ""))
        if proposal.ts >= until:
            return PASS
        return Verdict(ZERO, f"{why}; opens again at {utc(until)}, or change {self.key}")

    def pause(self, trade: ClosedTrade, why: str) -> None:
        """Begin a pause of the instrument that was traded."""
        self._until[trade.instrument_id] = (trade.ts + self.pause_ns, why)


class Cooldown(_InstrumentPause):
    """Leave an instrument alone for a while after any trade in it, won or lost."""

    name = "cooldown_minutes"

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Begin a pause."""
        self.pause(trade, f"a trade in {trade.instrument_id} was closed")


class LossCooldown(_InstrumentPause):
    """Leave an instrument alone for a while after a losing trade in it."""

    name = "loss_cooldown_minutes"

    def hear_exit(self, trade: ClosedTrade) -> None:
        """Begin a pause after a loss."""
        if trade.pnl < 0:
            self.pause(trade, f"the last trade in {trade.instrument_id} lost {-trade.pnl:,.2f}")


class LowProfit(_InstrumentPause):
    """Leave an instrument alone for a while if its last trades brought too little."""

    name = "low_profit"

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
        if len(last) < self.trades or trade.ts - last[0][0] > self.window_ns:
            return
        pnl = sum(p for _, p in last)
        if pnl < self.min_pnl:
            last.clear()
            self.pause(
                trade,
                f"the last {self.trades} trades in {trade.instrument_id} brought {pnl:,.2f}, "
                f"below low_profit.min_pnl {self.min_pnl:,.2f}",
            )
