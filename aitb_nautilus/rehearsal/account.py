"""The account's money: wallet, one position per symbol, fees, margin and funding.

One-way mode, cross margin, one settlement currency per symbol. Nobody is liquidated.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["MAINTENANCE_FRAC", "Account", "Position", "money"]

_CENT = Decimal("0.00000001")
MAINTENANCE_FRAC = Decimal("0.005")
"""Maintenance margin as a fraction of a position's value; Binance's smallest is 0.4 %, for BTC."""


def money(value: Decimal) -> str:
    """Return an amount with Binance's eight decimals."""
    return f"{_rounded(value):.8f}"


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_CENT, rounding=ROUND_HALF_EVEN) + 0


@dataclass
class Position:
    """A netted position; `amount` is in quantity units, below 0 for a short."""

    amount: int = 0
    entry_price: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    """Earned since the start, before fees."""
    updated_ms: int = 0

    def unrealized(self, rules: Rules, mark: int | None) -> Decimal:
        """Return what closing at a price in price units would earn, before fees."""
        if self.amount == 0 or mark is None:
            return Decimal(0)
        return (rules.price(mark) - self.entry_price) * rules.size(self.amount)


class Account:
    """The one account of the exchange.

    Parameters
    ----------
    balances
        What the wallet holds at the start, by asset.
    leverage
        Leverage of every symbol at the start.
    """

    def __init__(self, balances: dict[str, Decimal], leverage: int) -> None:
        self.wallet = dict(balances)
        self.positions: dict[str, Position] = {}
        self._leverage = leverage
        self._leverages: dict[str, int] = {}

    def position(self, symbol: str) -> Position:
        """Return the position of a symbol, which may be flat."""
        return self.positions.setdefault(symbol, Position())

    def allowance(self, order: Order) -> int:
        """Return the quantity units that an order may trade without opening a position."""
        return max(0, -order.sign * self.position(order.symbol).amount)

    def leverage(self, symbol: str) -> int:
        """Return the leverage of a symbol."""
        return self._leverages.get(symbol, self._leverage)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Change the leverage of a symbol."""
        self._leverages[symbol] = leverage

    def book_fill(
        self, rules: Rules, signed: int, price: int, *, maker: bool, ts_ms: int
    ) -> tuple[Decimal, Decimal]:
        """Book a trade; return commission and realised profit in quote currency.

        Parameters
        ----------
        signed
            Quantity units, below 0 for a sale.
        price
            Price units.

        References
        ----------
        Binance, USDⓈ-M futures: the commission is the value times the rate, and the profit of what
        a trade closes is measured against the average entry price.
        """
        position = self.position(rules.symbol)
        paid = rules.price(price)
        value = paid * rules.size(abs(signed))
        commission = _rounded(value * (rules.maker_fee if maker else rules.taker_fee))
        closing = 0
        if position.amount * signed < 0:
            closing = min(abs(signed), abs(position.amount))
        sign = 1 if position.amount > 0 else -1
        realized = _rounded((paid - position.entry_price) * sign * rules.size(closing))
        opening = abs(signed) - closing
        before = abs(position.amount) - closing
        if opening > 0:
            whole = before + opening
            position.entry_price = (position.entry_price * before + paid * opening) / whole
        position.amount += signed
        if position.amount == 0:
            position.entry_price = Decimal(0)
        position.realized += realized
        position.updated_ms = ts_ms
        self.pay(rules.spec.quote, realized - commission)
        return commission, realized

    def pay(self, asset: str, amount: Decimal) -> None:
        """Add to the wallet; below 0 takes from it."""
        self.wallet[asset] = _rounded(self.wallet.get(asset, Decimal(0)) + amount)

    def settle_funding(self, rules: Rules, rate: Decimal, mark: int) -> Decimal:
        """Book a funding settlement; return what was earned, below 0 if paid.

        References
        ----------
        Binance, Introduction to Funding Rates: amount = position value at mark price x rate; longs
        pay shorts while the rate is above 0.
        """
        amount = self.position(rules.symbol).amount
        earned = _rounded(-rate * rules.price(mark) * rules.size(amount))
        self.pay(rules.spec.quote, earned)
        return earned
