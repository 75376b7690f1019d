"""What one strategy may see of the ledger."""

from __future__ import annotations

from decimal import Decimal

from aitb_nautilus.risk.book import ZERO, Order, Position
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["View"]


class View:
    """What one strategy may see: its own orders and positions, the marks, the desk's equity.

    Parameters
    ----------
    ledger
        The trader's ledger.
    strategy_id
        The strategy that looks.
    """

    __slots__ = ("_ledger", "strategy_id")

    def __init__(self, ledger: Ledger, strategy_id: str) -> None:
        self._ledger = ledger
        self.strategy_id = strategy_id

    def position(self, instrument_id: str) -> Position:
        """Return this strategy's position in an instrument."""
        return self._ledger.position(self.strategy_id, instrument_id)

    def quantity(self, instrument_id: str) -> Decimal:
        """Return this strategy's signed quantity in an instrument, base currency."""
        position = self._ledger.positions.get((self.strategy_id, instrument_id))
        return position.quantity if position is not None else ZERO

    def order(self, client_order_id: str) -> Order | None:
        """Return one of this strategy's orders, open or ended."""
        order = self._ledger.orders.get(client_order_id)
        return order if order is not None and order.strategy_id == self.strategy_id else None

    def open_orders(self, instrument_id: str) -> list[Order]:
        """Return this strategy's open orders in an instrument, oldest first."""
        return [
            o for o in self._ledger.open_orders(instrument_id) if o.strategy_id == self.strategy_id
        ]

    def mark(self, instrument_id: str) -> float | None:
        """Return the last close, quote currency, or None before the first bar."""
        return self._ledger.marks.get(instrument_id)

    def equity(self) -> float:
        """Return the desk's equity at the last marks, in the trader's currency."""
        return self._ledger.equity()
