"""An order of the account, from its acceptance to its end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUY", "OPEN", "SELL", "Fill", "Order"]

BUY = "BUY"
SELL = "SELL"
OPEN = ("NEW", "PARTIALLY_FILLED")
"""The states of an order that can still fill."""


@dataclass
class Order:
    """One order; prices and quantities are whole units of the symbol.

    Parameters
    ----------
    order_id
        The exchange's number, counting up.
    client_id
        The client's own id.
    side
        ``BUY`` or ``SELL``.
    kind
        ``LIMIT`` or ``MARKET``: what rests or walks the book.
    quantity
        What was ordered, > 0.
    price
        Limit; None for a market order.
    time_in_force
        ``GTC``, ``IOC``, ``FOK``, ``GTX`` (post only) or ``GTD``.
    reduce_only
        Never opens or turns a position.
    created_ms, updated_ms
        Times of the exchange, ms.
    origin
        The type that the client sent: ``STOP_MARKET`` for a market order that a trigger placed.
    stop_price
        Trigger of the conditional order that placed this one, or 0.
    expires_ms
        Good till this time, ms, or 0.
    """

    order_id: int
    client_id: str
    symbol: str
    side: str
    kind: str
    quantity: int
    price: int | None
    time_in_force: str
    reduce_only: bool
    created_ms: int
    updated_ms: int
    origin: str
    stop_price: int = 0
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    expires_ms: int = 0
    filled: int = 0
    filled_value: int = 0
    """Sum of price units times quantity units."""
    status: str = "NEW"

    @property
    def remaining(self) -> int:
        """Quantity units that have not traded yet."""
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status in OPEN

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.side == BUY else -1


@dataclass(frozen=True)
class Fill:
    """A trade of one of the account's orders.

    Parameters
    ----------
    trade_id
        The exchange's number of the trade, counting up per symbol.
    price, quantity
        Whole units of the symbol.
    maker
        Whether the order was resting.
    ts_ms
        Time of the exchange, ms.
    commission, commission_asset
        What was paid, as text, and in what.
    realized
        What closing a position earned, quote currency as text.
    """

    trade_id: int
    order_id: int
    client_id: str
    symbol: str
    side: str
    price: int
    quantity: int
    maker: bool
    ts_ms: int
    commission: str
    commission_asset: str
    realized: str
