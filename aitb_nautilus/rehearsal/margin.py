"""What of an asset is bound by positions and orders, and what is free for more.

References
----------
Binance, USDⓈ-M futures: initial margin = value / leverage; the orders of a symbol bind what its
position would need at most if either all buys or all sells traded, beyond what it needs now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aitb_nautilus.rehearsal.account import MAINTENANCE_FRAC, Account
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import BUY, Order

__all__ = ["Margin", "asset_margin", "symbol_margin"]


@dataclass(frozen=True)
class Margin:
    """Amounts in quote currency.

    Parameters
    ----------
    wallet
        What the wallet holds.
    profit
        What closing all positions at their mark price would earn.
    position, order
        Initial margin that positions and open orders bind.
    maintenance
        What positions need to stay open.
    """

    wallet: Decimal = Decimal(0)
    profit: Decimal = Decimal(0)
    position: Decimal = Decimal(0)
    order: Decimal = Decimal(0)
    maintenance: Decimal = Decimal(0)

    @property
    def initial(self) -> Decimal:
        """What is bound."""
        return self.position + self.order

    @property
    def available(self) -> Decimal:
        """What new orders may bind, >= 0."""
        return max(self.wallet + self.profit - self.initial, Decimal(0))


def symbol_margin(market: Market, account: Account, orders: Iterable[Order]) -> Margin:
    """Return what one symbol binds; `orders` are those that are open, of any symbol.

    Orders that only reduce bind nothing; a market order counts at the mark price.
    """
    rules, symbol = market.rules, market.rules.symbol
    position, leverage = account.position(symbol), account.leverage(symbol)
    mark = market.mark_price or 0
    value = rules.price(mark) * rules.size(position.amount)
    sides = {True: Decimal(0), False: Decimal(0)}
    for order in orders:
        if order.symbol == symbol and not order.reduce_only:
            price = order.price if order.price is not None else mark
            sides[order.side == BUY] += rules.price(price) * rules.size(order.remaining)
    most = max(abs(value), abs(value + sides[True]), abs(value - sides[False]))
    return Margin(
        profit=position.unrealized(rules, market.mark_price),
        position=abs(value) / leverage,
        order=(most - abs(value)) / leverage,
        maintenance=abs(value) * MAINTENANCE_FRAC,
    )


def asset_margin(
    asset: str, account: Account, markets: Iterable[Market], orders: Sequence[Order]
) -> Margin:
    """Return what all symbols that are settled in an asset bind of it."""
    parts = [
        symbol_margin(market, account, orders)
        for market in markets
        if market.rules.spec.quote == asset
    ]
    return Margin(
        wallet=account.wallet.get(asset, Decimal(0)),
        profit=sum((part.profit for part in parts), Decimal(0)),
        position=sum((part.position for part in parts), Decimal(0)),
        order=sum((part.order for part in parts), Decimal(0)),
        maintenance=sum((part.maintenance for part in parts), Decimal(0)),
    )
