"""What the guard says: its decision on a wish, and what it knows of an instrument."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from aitb_nautilus.risk.book import ZERO

__all__ = ["Decision", "LotRules"]


class LotRules(msgspec.Struct, frozen=True):
    """How an instrument rounds and what it accepts.

    Attributes
    ----------
    lot
        Step of quantities, base currency.
    min_quantity
        Smallest quantity of an order, base currency.
    min_notional
        Smallest value of an opening order, quote currency.
    long_only
        Whether only what is held can be sold, as on a spot market.
    """

    lot: Decimal
    min_quantity: Decimal = ZERO
    min_notional: float = 0.0
    long_only: bool = False


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the guard decided on one wish.

    Attributes
    ----------
    quantity
        Quantity that may be sent; 0 if the wish is refused.
    reducing
        Whether the order may only reduce the position; it is sent as reduce-only.
    limit
        Name of the limit that shrank or refused it, else empty.
    line
        Why, in one line; empty if it passed untouched.
    whole
        Whether it could only pass as it was, or not at all.
    outside
        Whether it was refused for a reason that lies outside the limits.
    """

    ts: int
    strategy_id: str
    instrument_id: str
    quantity: Decimal
    reducing: bool = False
    limit: str = ""
    line: str = ""
    whole: bool = False
    outside: bool = False

    @property
    def allowed(self) -> bool:
        """Return whether anything may be sent."""
        return self.quantity > 0
