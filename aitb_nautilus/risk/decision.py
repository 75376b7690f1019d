"""What the guard says: its decision on a wish, and what it knows of an instrument."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

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
    cost_frac
        What a buy may cost beyond the price at which it is judged, as a fraction of that: its fee,
        and what the price may be dearer. Asked on a spot market alone.
    """

    lot: Decimal
    min_quantity: Decimal = ZERO
    min_notional: float = 0.0
    long_only: bool = False
    cost_frac: float = 0.0

    def is_too_small(self, quantity: Decimal, price: float) -> bool:
        """Return whether a venue takes no order for so little, at a price in quote currency."""
        return quantity < self.min_quantity or float(quantity) * price < self.min_notional

    def too_small(self, quantity: Decimal, price: float) -> str:
        """Return why so little cannot be opened, at a price in quote currency; empty if it can.

        What is bought on a spot market must be sold again by an order of that size, less the fee,
        and at a lower price: half of it must be enough for the venue.
        """
        part = quantity / 2 if self.long_only else quantity
        if not self.is_too_small(part, price):
            return ""
        twice = "; a spot market must take half of it as well, or it could not be sold again"
        return (
            f"{quantity} at {price:g} is too small, the venue takes {self.min_quantity} and "
            f"{self.min_notional:g} in value{twice if self.long_only else ''}"
        )

    def sellable(self, held: Decimal, price: float) -> Decimal:
        """Return what of a holding can be sold: whole lots, and nothing if that is too small.

        Only a spot market leaves anything else; what is held there is a coin and no contract.
        """
        if not self.long_only:
            return held
        whole = (held / self.lot).to_integral_value(ROUND_DOWN) * self.lot
        return ZERO if whole <= 0 or self.is_too_small(whole, price) else whole


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
