"""What a venue says of one account: orders, fills, positions and balances as plain structs.

Whoever asks the venue fills them in; recovery and firewall only read them. Quantities are `Decimal`
in base currency, prices float64 in quote currency, times int ns UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import OrderKind, OrderStatus, Side

__all__ = ["VenueFacts", "VenueFill", "VenueOrder"]


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue has it.

    Attributes
    ----------
    client_order_id
        The name that its sender gave it; empty if there is none.
    venue_order_id
        The venue's own name.
    status
        ``ACCEPTED`` while it may be filled, in part or whole; else how it ended.
    filled
        Quantity that was filled.
    average_price
        Of what was filled; None if the venue does not say.
    ts
        When it changed last; 0 if the venue does not say.
    """

    client_order_id: str
    venue_order_id: str
    instrument_id: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    status: OrderStatus = "ACCEPTED"
    filled: Decimal = Decimal(0)
    price: float | None = None
    trigger_price: float | None = None
    average_price: float | None = None
    reduce_only: bool = False
    ts: int = 0

    @property
    def is_open(self) -> bool:
        """Return whether it may still be filled."""
        return self.status in ("SENT", "ACCEPTED")

    @property
    def leaves(self) -> Decimal:
        """Return the quantity that is still to be filled."""
        return self.quantity - self.filled


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of an order as the venue has it.

    Attributes
    ----------
    fee
        In quote currency; positive is paid.
    liquidity
        ``"MAKER"`` or ``"TAKER"``; empty if the venue does not say.
    base_fee, fee_elsewhere
        As of a `Fill`.
    unknown_fee
        Why its fee is not known and `fee` is 0; empty if it is.
    """

    trade_id: str
    price: float
    quantity: Decimal
    ts: int
    fee: float = 0.0
    liquidity: str = ""
    base_fee: Decimal = Decimal(0)
    fee_elsewhere: bool = False
    unknown_fee: str = ""


class VenueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that an account holds at a moment.

    Attributes
    ----------
    venues
        Of which venues these are; of others they say nothing.
    orders
        Open orders.
    positions
        Signed quantity by instrument id; what is absent is flat. On a spot market, what of the base
        currency the trader counts as a position.
    entry_prices
        Average price of a position by instrument id, where the venue says it.
    balances
        Total by currency code, what is locked by orders included, without unrealized profit.
    """

    venues: tuple[str, ...]
    orders: tuple[VenueOrder, ...] = ()
    positions: Mapping[str, Decimal] = {}
    entry_prices: Mapping[str, float] = {}
    balances: Mapping[str, Decimal] = {}

    def speaks_of(self, instrument_id: str) -> bool:
        """Return whether an instrument is traded on one of the venues."""
        return venue_name(instrument_id) in self.venues
