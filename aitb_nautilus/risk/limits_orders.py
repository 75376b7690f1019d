"""Limits of single orders and of how many there are: value, count, rate, turnover, price."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Annotated

import msgspec

from aitb_nautilus.messages import Fill
from aitb_nautilus.risk.book import ZERO
from aitb_nautilus.risk.holdings import EVERYTHING, Looks
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.limit_rule import (
    DAY_NS,
    MINUTE_NS,
    NEARLY,
    PASS,
    ROUNDING,
    Limit,
    Memory,
    Proposal,
    Verdict,
    quantity_of,
    utc,
)

__all__ = [
    "CountMemory",
    "MaxOpenOrders",
    "MaxOrderNotional",
    "MaxOrderRate",
    "MaxOrdersPerDay",
    "MaxTurnover",
    "PriceBand",
    "RateMemory",
    "TurnoverMemory",
]


class RateMemory(Memory, frozen=True):
    """When the last opening orders were sent, ns UTC, the oldest first."""

    sent: tuple[int, ...]


class CountMemory(Memory, frozen=True):
    """How many opening orders were sent on a day, in days since 1970."""

    day: int
    count: Annotated[int, msgspec.Meta(ge=0)]


class TurnoverMemory(Memory, frozen=True):
    """What was traded on a day, in days since 1970; quote currency."""

    day: int
    traded: Annotated[float, msgspec.Meta(ge=0)]


class MaxOrderNotional(Limit):
    """Cap the value of one order, with what was filled of it already."""

    name = "max_order_notional"
    shrinks = True

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Shrink the order to the cap."""
        if proposal.replaces is None and proposal.value < self.maximum * NEARLY:
            return PASS
        filled = proposal.replaces.filled if proposal.replaces is not None else ZERO
        price, maximum = Decimal(repr(proposal.price)), Decimal(repr(self.maximum))
        notional = (filled + proposal.quantity) * price
        if notional <= maximum:
            return PASS
        return Verdict(
            max(maximum / price - filled, ZERO),
            f"order of {notional:,.2f} is above max_order_notional {self.maximum:,.2f}; "
            f"raise {self.key} to allow it",
        )


class MaxOpenOrders(Limit):
    """Cap the number of open orders."""

    name = "max_open_orders"

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if as many are open; a changed one is open already."""
        count = ledger.open_order_count()
        if proposal.replaces is not None or count < self.maximum:
            return PASS
        if self.scope is not EVERYTHING:
            covers = self.scope.covers
            count = sum(
                covers(order.strategy_id, instrument_id)
                for instrument_id in ledger.marks
                for order in ledger.open_orders(instrument_id)
            )
            if count < self.maximum:
                return PASS
        return Verdict(
            ZERO,
            f"{count} orders are open and max_open_orders is {self.maximum}; "
            f"wait until one has ended or raise {self.key}",
        )


class MaxOrderRate(Limit):
    """Cap the opening orders in any 60 seconds of the node's clock.

    Not of the facts that they answer: one strategy may answer an older fact than another, at the
    same moment.
    """

    name = "max_orders_per_minute"
    counts = True
    memory = RateMemory

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._sent: deque[int] = deque(maxlen=maximum)

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if as many were sent in the last 60 seconds."""
        if len(self._sent) < self.maximum or proposal.clock - self._sent[0] >= MINUTE_NS:
            return PASS
        wait = (MINUTE_NS - (proposal.clock - self._sent[0])) / 1e9
        return Verdict(
            ZERO,
            f"{self.maximum} opening orders were sent in the last minute, as many as "
            f"max_orders_per_minute allows; the next may be sent in {wait:.1f} s, or raise "
            f"{self.key}",
        )

    def sent(self, proposal: Proposal) -> None:
        """Note the time of an order that was sent, and forget those of a minute ago."""
        sent, ts = self._sent, proposal.clock
        if sent and sent[-1] > ts:
            ts = sent[-1]
        sent.append(ts)
        while sent[0] <= ts - MINUTE_NS:
            sent.popleft()

    def save(self, looks: Looks) -> RateMemory:  # noqa: ARG002
        """Return when the last orders were sent."""
        return RateMemory(tuple(self._sent))

    def restore(self, memory: RateMemory, looks: Looks) -> None:  # noqa: ARG002
        """Count them on; more than the limit that held then were not sent in any minute."""
        self._sent.clear()
        self._sent.extend(memory.sent)


class MaxOrdersPerDay(Limit):
    """Cap the opening orders of a day (UTC) of the node's clock."""

    name = "max_orders_per_day"
    counts = True
    memory = CountMemory

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._day = -1
        self._count = 0

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if as many were sent today."""
        if self._count < self.maximum:
            return PASS
        ends = (self._day + 1) * DAY_NS
        if proposal.clock >= ends:
            return PASS
        return Verdict(
            ZERO,
            f"{self._count} opening orders were sent today and max_orders_per_day is "
            f"{self.maximum}; the next may be sent at {utc(ends)}, or raise "
            f"{self.key}",
        )

    def sent(self, proposal: Proposal) -> None:
        """Count an order that was sent."""
        day = proposal.clock // DAY_NS
        if day > self._day:
            self._day, self._count = day, 0
        self._count += 1

    def save(self, looks: Looks) -> CountMemory:  # noqa: ARG002
        """Return the count of the day."""
        return CountMemory(self._day, self._count)

    def restore(self, memory: CountMemory, looks: Looks) -> None:  # noqa: ARG002
        """Count on."""
        self._day, self._count = memory.day, memory.count


class MaxTurnover(Limit):
    """Cap the value that is traded in a day (UTC).

    All fills count, exits among them, and open orders that may still open something. What comes
    late from the day before counts for the day that has begun.
    """

    name = "max_turnover_per_day"
    shrinks = True
    memory = TurnoverMemory

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum
        self._day = -1
        self._traded = 0.0

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what is left of the day's turnover."""
        waiting = proposal.holdings(ledger, self.scope).waiting
        open_value = waiting["BUY"] + waiting["SELL"]
        if self._traded + open_value + proposal.value < self.maximum * NEARLY:
            return PASS  # Even if all of it was traded today.
        day = max(proposal.ts // DAY_NS, self._day)
        traded = self._traded if day == self._day else 0.0
        used = traded + waiting["BUY"] + waiting["SELL"]
        after = used + proposal.value
        if after <= self.maximum * (1 + ROUNDING):
            return PASS
        return Verdict(
            quantity_of(self.maximum - used, proposal.price),
            f"the day's turnover would be {after:,.2f}, above max_turnover_per_day "
            f"{self.maximum:,.2f}; wait until {utc((day + 1) * DAY_NS)} or raise {self.key}",
        )

    def hear_fill(self, fill: Fill) -> None:
        """Count the value of a fill."""
        day = fill.ts // DAY_NS
        if day > self._day:
            self._day, self._traded = day, 0.0
        self._traded += float(fill.quantity) * fill.price

    def save(self, looks: Looks) -> TurnoverMemory:  # noqa: ARG002
        """Return what was traded on the day."""
        return TurnoverMemory(self._day, self._traded)

    def restore(self, memory: TurnoverMemory, looks: Looks) -> None:  # noqa: ARG002
        """Add to it."""
        self._day, self._traded = memory.day, memory.traded


class PriceBand(Limit):
    """Cap the distance of a limit or trigger price from the last price."""

    name = "price_band_frac"

    def __init__(self, band_frac: float) -> None:
        self.band_frac = band_frac

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse an order whose price lies outside the band."""
        quoted = proposal.quoted_price
        if quoted is None:
            return PASS
        distance = abs(quoted / proposal.mark - 1)
        if distance <= self.band_frac + ROUNDING:
            return PASS
        return Verdict(
            ZERO,
            f"price {quoted:g} lies {distance:.2%} from the last price {proposal.mark:g}, beyond "
            f"price_band_frac {self.band_frac:.2%}; quote nearer or raise {self.key}",
        )
