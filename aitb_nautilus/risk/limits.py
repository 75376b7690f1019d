"""Limits that an opening order must pass, one small class each.

A limit looks at a `Proposal` and answers with a `Verdict`: pass, shrink, or refuse, in one line
that says what it saw, what it allows, and what would lift it. Orders that only reduce risk are
never shown to a limit.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Annotated, Protocol

import msgspec

from aitb_nautilus.messages import Side
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.settings import Settings

__all__ = [
    "Limit",
    "MaxOpenOrders",
    "MaxOrderNotional",
    "MaxOrderRate",
    "MaxPositionNotional",
    "PriceBand",
    "Proposal",
    "RiskSettings",
    "Verdict",
    "build_limits",
]

_MINUTE_NS = 60_000_000_000
_ROUNDING = 1e-12
"""A price right on the edge of the band lies in it, whatever float64 makes of the quotient."""

Notional = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
PositiveInt = Annotated[int, msgspec.Meta(gt=0)]


class RiskSettings(Settings, frozen=True):
    """Section ``[risk]``: limits that every opening order of every strategy must pass.

    Attributes
    ----------
    max_order_notional
        Largest value of one order, in the trader's currency. A larger order is shrunk.
    max_position_notional
        Largest value, on one side of one instrument, of all strategies' positions and open orders
        together. An order that would pass it is shrunk to what is left. Nothing is set off: an exit
        may close at any time what stands against it, so a position is turned around by closing it
        and opening the other side.
    max_open_orders
        Open orders in all instruments together; exits count, but are never refused.
    max_orders_per_minute
        Opening orders, and changes of such, in any 60 seconds.
    price_band_frac
        Farthest that a limit or trigger price may lie from the last price, as a fraction of it.
    """

    max_order_notional: Notional
    max_position_notional: Notional
    max_open_orders: PositiveInt = 100
    max_orders_per_minute: PositiveInt = 120
    price_band_frac: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """An opening order as the limits see it.

    Attributes
    ----------
    quantity
        What may still be filled, base currency, > 0.
    price
        What one unit is worth at most when it fills: the limit price of a buy order, else the
        highest of limit, trigger and last price.
    quoted_price
        Limit or trigger price of the order, the one farther from the last price; None for a market
        order.
    mark
        Last price of the instrument.
    replaces
        The resting order that would be changed into this one, or None.
    """

    strategy_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: float
    quoted_price: float | None
    mark: float
    ts: int
    replaces: Order | None = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a limit answers.

    Attributes
    ----------
    allowed
        Quantity that may be sent; 0 refuses the order.
    line
        What it saw, what it allows, what would lift it; empty if the order passes untouched.
    """

    allowed: Decimal
    line: str = ""


class Limit(Protocol):
    """One rule for opening orders."""

    name: str

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Return how much of the proposal may be sent. Changes nothing."""
        ...

    def sent(self, proposal: Proposal) -> None:
        """Take note that the proposal was sent."""
        ...


class MaxOrderNotional:
    """Cap the value of one order."""

    name = "max_order_notional"

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Shrink the order to the cap."""
        filled = proposal.replaces.filled if proposal.replaces is not None else ZERO
        price, maximum = Decimal(repr(proposal.price)), Decimal(repr(self.maximum))
        notional = (filled + proposal.quantity) * price
        if notional <= maximum:
            return Verdict(proposal.quantity)
        return Verdict(
            max(maximum / price - filled, ZERO),
            f"order of {notional:,.2f} is above max_order_notional {self.maximum:,.2f}; "
            f"raise risk.max_order_notional to allow it",
        )

    def sent(self, proposal: Proposal) -> None:
        """Keep no state."""


class MaxPositionNotional:
    """Cap the value on one side of an instrument: positions of all strategies and open orders.

    Orders that are reduce-only cannot add to it. What strategies hold on the other side is not set
    off, since it may be closed before the order fills.
    """

    name = "max_position_notional"

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Shrink the order to what the cap leaves."""
        sign = 1 if proposal.side == "BUY" else -1
        held = sum(
            (
                max(sign * position.quantity, ZERO)
                for (_, instrument_id), position in ledger.positions.items()
                if instrument_id == proposal.instrument_id
            ),
            ZERO,
        )
        pending = sum(
            (
                order.most_leaves
                for order in ledger.open_orders(proposal.instrument_id)
                if order.side == proposal.side
                and not order.reduce_only
                and order is not proposal.replaces
            ),
            ZERO,
        )
        price, maximum = Decimal(repr(proposal.price)), Decimal(repr(self.maximum))
        after = (held + pending + proposal.quantity) * price
        if after <= maximum:
            return Verdict(proposal.quantity)
        return Verdict(
            max(maximum / price - held - pending, ZERO),
            f"position would be {after:,.2f}, above max_position_notional {self.maximum:,.2f}; "
            f"reduce the position or raise risk.max_position_notional",
        )

    def sent(self, proposal: Proposal) -> None:
        """Keep no state."""


class MaxOpenOrders:
    """Cap the number of open orders."""

    name = "max_open_orders"

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:
        """Refuse the order if as many are open; a changed order is open already."""
        count = ledger.open_order_count()
        if count < self.maximum or proposal.replaces is not None:
            return Verdict(proposal.quantity)
        return Verdict(
            Decimal(0),
            f"{count} orders are open and max_open_orders is {self.maximum}; "
            f"wait until one has ended or raise risk.max_open_orders",
        )

    def sent(self, proposal: Proposal) -> None:
        """Keep no state."""


class MaxOrderRate:
    """Cap the opening orders in any 60 seconds."""

    name = "max_orders_per_minute"

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._sent: deque[int] = deque(maxlen=maximum)

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse the order if the window is full."""
        if len(self._sent) < self.maximum or proposal.ts - self._sent[0] >= _MINUTE_NS:
            return Verdict(proposal.quantity)
        wait = (_MINUTE_NS - (proposal.ts - self._sent[0])) / 1e9
        return Verdict(
            Decimal(0),
            f"{self.maximum} opening orders were sent in the last minute, as many as "
            f"max_orders_per_minute allows; the next may be sent in {wait:.1f} s",
        )

    def sent(self, proposal: Proposal) -> None:
        """Note the time of an order that was sent."""
        self._sent.append(proposal.ts)


class PriceBand:
    """Cap the distance of a limit or trigger price from the last price."""

    name = "price_band_frac"

    def __init__(self, band_frac: float) -> None:
        self.band_frac = band_frac

    def check(self, proposal: Proposal, ledger: Ledger) -> Verdict:  # noqa: ARG002
        """Refuse an order whose price lies outside the band."""
        quoted = proposal.quoted_price
        if quoted is None:
            return Verdict(proposal.quantity)
        distance = abs(quoted / proposal.mark - 1)
        if distance <= self.band_frac + _ROUNDING:
            return Verdict(proposal.quantity)
        return Verdict(
            Decimal(0),
            f"price {quoted:g} lies {distance:.2%} from the last price {proposal.mark:g}, beyond "
            f"price_band_frac {self.band_frac:.2%}; quote nearer or raise risk.price_band_frac",
        )

    def sent(self, proposal: Proposal) -> None:
        """Keep no state."""


def build_limits(settings: RiskSettings) -> list[Limit]:
    """Return the limits of a ``[risk]`` section; refusing ones first, shrinking ones last."""
    return [
        MaxOpenOrders(settings.max_open_orders),
        MaxOrderRate(settings.max_orders_per_minute),
        PriceBand(settings.price_band_frac),
        MaxOrderNotional(settings.max_order_notional),
        MaxPositionNotional(settings.max_position_notional),
    ]
