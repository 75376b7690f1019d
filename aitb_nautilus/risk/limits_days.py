"""Limits of what a day (UTC) may lose: a part of all equity, or money of what is in scope."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.holdings import Holdings, Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import DAY_NS, PASS, Limit, Memory, Proposal, Verdict, utc

__all__ = ["DailyLoss", "DailyLossAmount", "DayMemory"]


class DayMemory(Memory, frozen=True):
    """What a day has lost; amounts in the trader's currency.

    Attributes
    ----------
    day
        In days since 1970; -1 before the first close.
    first, last
        Worth at its beginning, and at the last close.
    worst
        Its largest loss.
    worth, realized
        When this was written: all of the worth, and what of it is from closed trades.
    """

    day: int
    first: float
    last: float
    worst: Annotated[float, msgspec.Meta(ge=0)]
    worth: float
    realized: float


class _Day(Limit):
    """A limit of what a day (UTC) has lost.

    A bar that closes at midnight gives the first worth of the day that begins; if there is none,
    the last worth of the day before counts. A node that remembers no day begins with what it is
    worth at its start. Once reached, the loss counts until the day ends, even
    if prices come back.
    """

    memory = DayMemory

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum
        self._day = -1
        self._first = self._last = self._worst = self._before = 0.0

    def worth(self, holdings: Holdings) -> float:
        """Return what is compared with that of the day's beginning, quote currency."""
        raise NotImplementedError

    def save(self, looks: Looks) -> DayMemory:
        """Return the day's beginning, its largest loss, and the worth of this moment."""
        worth = self.worth(looks.at(self.scope, None))
        realized = self._before + looks.realized(self.scope)
        return DayMemory(self._day, self._first, self._last, self._worst, worth, realized)

    def restore(self, memory: DayMemory, looks: Looks) -> None:  # noqa: ARG002
        """Measure from the same beginning."""
        self._day, self._first = memory.day, memory.first
        self._last, self._worst = memory.last, memory.worst

    def lost(self, ts: int, worth: float) -> tuple[float, float]:
        """Return the largest loss of the day of `ts`, and the worth at its beginning."""
        if ts >= (self._day + 1) * DAY_NS:
            return max(self._last - worth, 0.0), self._last
        first, worst = self._first, self._worst
        lost = first - worth
        return (lost if lost > worst else worst), first

    def hear_start(self, ts: int, looks: Looks) -> None:
        """Begin the day of a node that remembers none: its first bar may close hours from now."""
        if self._day < 0:
            self._day, self._worst = ts // DAY_NS, 0.0
            self._first = self._last = self.worth(looks.at(self.scope, None))

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

    def move(self, factor: float) -> None:
        """Let money that came in be no gain: the part that was lost stays what it was."""
        self._first, self._last, self._worst = (
            value * factor for value in (self._first, self._last, self._worst)
        )

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if the day's loss has reached the limit."""
        if self._day < 0:
            return PASS
        whole = proposal.whole or proposal.holdings(ledger)
        lost, first = self.lost(proposal.ts, whole.equity)
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
        """Return the profit since the trader's first start, as far as it is remembered."""
        return self._before + holdings.pnl

    def restore(self, memory: DayMemory, looks: Looks) -> None:
        """Measure from the same beginning, whatever of the profit the ledger still knows.

        What was held and is not any more counts as closed at the last price.
        """
        super().restore(memory, looks)
        holdings = looks.at(self.scope, None)
        is_held = bool(holdings.held["BUY"] or holdings.held["SELL"])
        if is_held:
            self._before = memory.realized - looks.realized(self.scope)
        else:
            self._before = memory.worth - holdings.pnl

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if the day's loss has reached the limit."""
        if self._day < 0:
            return PASS
        worth = self._before + proposal.holdings(ledger, self.scope).pnl
        lost, _ = self.lost(proposal.ts, worth)
        if lost < self.maximum:
            return PASS
        return Verdict(
            ZERO,
            f"the day has lost {lost:,.2f}, and max_daily_loss is {self.maximum:,.2f}; opens again "
            f"at {utc((proposal.ts // DAY_NS + 1) * DAY_NS)}, or raise {self.key}",
        )
