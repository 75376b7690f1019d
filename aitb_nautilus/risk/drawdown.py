"""The drawdown ladder: smaller orders, then none, then everything is closed."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Annotated

import msgspec

from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.holdings import EVERYTHING, Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import DAY_NS, PASS, Limit, Memory, Proposal, Verdict

__all__ = ["DrawdownLadder", "LadderMemory"]


class LadderMemory(Memory, frozen=True):
    """What the ladder measures from.

    Attributes
    ----------
    peak
        In the trader's currency; 0 before the first close.
    highs
        Time, ns UTC, and equity of what may still be the peak; the highest one first.
    """

    peak: Annotated[float, msgspec.Meta(ge=0)]
    highs: tuple[tuple[int, float], ...]


class DrawdownLadder(Limit):
    """Open less, then nothing, the further equity lies below its peak; at last, close everything.

    The peak is the largest equity at a close of the run, or since a person last resumed the trader,
    or of the last days. The first two steps last as long as the drawdown does, the last one until a
    person lifts it.

    Parameters
    ----------
    shrink_frac, reduce_frac, halt_frac
        Where each step begins, as a fraction of the peak; None: there is no such step.
    shrink_factor
        What is left of an order in the first step.
    window_days
        How long a peak counts; None: for ever. A trader that holds nothing never comes nearer to an
        old peak, and would only reduce from then on.
    """

    name = "drawdown"
    shrinks = True
    memory = LadderMemory

    def __init__(
        self,
        shrink_frac: float | None,
        shrink_factor: float,
        reduce_frac: float | None,
        halt_frac: float | None,
        window_days: float | None = None,
    ) -> None:
        self.shrink_frac = shrink_frac
        self.shrink_factor = shrink_factor
        self.reduce_frac = reduce_frac
        self.halt_frac = halt_frac
        self.window_days = window_days
        self._window_ns = None if window_days is None else round(window_days * DAY_NS)
        self._peak = 0.0
        self._highs: deque[tuple[int, float]] = deque()
        self._factor = Decimal(repr(shrink_factor))
        steps = shrink_frac, reduce_frac, halt_frac
        self._first_step = min(step for step in steps if step is not None)

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink or refuse the order by the drawdown of this moment.

        A change of a resting order passes in the first step if it does not make it larger.
        """
        equity = (proposal.whole or proposal.holdings(ledger)).equity
        peak = self._peak or ledger.starting_equity
        drawdown = 1 - equity / peak
        if drawdown < self._first_step:
            return PASS
        step = self._closed_from
        if step is not None and drawdown >= step:
            return Verdict(
                ZERO,
                f"equity {equity:,.2f} lies {drawdown:.2%} below its peak {peak:,.2f}, and from "
                f"{step:.2%} on only exits pass; wait until it recovers or raise {self.key}",
            )
        if self.shrink_frac is None or drawdown < self.shrink_frac:
            return PASS
        resting = ZERO if proposal.replaces is None else proposal.replaces.leaves
        if proposal.quantity <= resting:
            return PASS
        return Verdict(
            max(proposal.quantity * self._factor, resting),
            f"equity {equity:,.2f} lies {drawdown:.2%} below its peak {peak:,.2f}, and from "
            f"{self.shrink_frac:.2%} on orders are {self.shrink_factor:g} of what is wished; wait "
            f"until it recovers or raise {self.key}",
        )

    def hear_close(self, ts: int, looks: Looks) -> str:
        """Note a new peak; say why to halt once the last step is reached."""
        equity = looks.at(EVERYTHING, None).equity
        if not self._peak:
            self._peak = looks.starting_equity
            self._highs.append((ts, self._peak))
        peak = self._peak = self._peak_with(ts, equity)
        if self.halt_frac is None or equity > peak * (1 - self.halt_frac):
            return ""
        return (
            f"equity {equity:,.2f} lies {1 - equity / peak:.2%} below its peak {peak:,.2f}, and "
            f"drawdown.halt_frac is {self.halt_frac:.2%}; everything is closed, and nothing opens "
            f"until a person resumes"
        )

    def hear_resume(self, ts: int, equity: float) -> None:
        """Begin anew from this equity: who resumes bears what was lost until now."""
        self._peak = equity
        self._highs.clear()
        self._highs.append((ts, equity))

    def _peak_with(self, ts: int, equity: float) -> float:
        """Return the peak once an equity has been seen.

        What lies below a later equity can never be the peak again, so that few are kept.
        """
        highs = self._highs
        if self._window_ns is None:
            if equity >= self._peak:
                highs.clear()
                highs.append((ts, equity))
            return max(self._peak, equity)
        while highs and highs[-1][1] <= equity:
            highs.pop()
        highs.append((ts, equity))
        while highs[0][0] <= ts - self._window_ns:
            highs.popleft()
        return highs[0][1]

    def save(self, looks: Looks) -> LadderMemory:  # noqa: ARG002
        """Return the peak, and what may be the peak once that is too old."""
        return LadderMemory(self._peak, tuple(self._highs))

    def restore(self, memory: LadderMemory, looks: Looks) -> None:  # noqa: ARG002
        """Measure from the same peak; another window counts from the next close on."""
        self._peak, self._highs = memory.peak, deque(memory.highs)

    def move(self, factor: float) -> None:
        """Let money that came in be no gain: the drawdown stays what it was."""
        self._peak *= factor
        self._highs = deque((ts, high * factor) for ts, high in self._highs)

    @property
    def _closed_from(self) -> float | None:
        """Return the drawdown from which on nothing opens."""
        return self.halt_frac if self.reduce_frac is None else self.reduce_frac
