"""The account's money on spot: what is held of each asset, and what open orders lock of it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

from aitb_nautilus.rehearsal.orders import BUY, Order
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["BNB", "SpotAccount"]

BNB = "BNB"
_WITH_BNB = Decimal("0.75")
_UNIT = Decimal("0.00000001")


class SpotAccount:
    """The one account of the exchange.

    Parameters
    ----------
    balances
        What it holds at the start, by asset.
    pays_with_bnb
        Whether fees are paid with BNB as long as it holds enough.
    """

    def __init__(self, balances: dict[str, Decimal], *, pays_with_bnb: bool = False) -> None:
        self.holds = dict(balances)
        self._pays_with_bnb = pays_with_bnb

    def locked(self, asset: str, orders: Iterable[tuple[Rules, Order]]) -> Decimal:
        """Return what open orders bind of an asset: quote for buys, base for sales."""
        total = Decimal(0)
        for rules, order in orders:
            if order.side != BUY and rules.spec.base == asset:
                total += rules.size(order.remaining)
            elif order.side == BUY and rules.spec.quote == asset:
                price = order.price if order.price is not None else order.stop_price
                total += rules.price(price) * rules.size(order.remaining)
        return total

    def book_fill(
        self,
        rules: Rules,
        side: str,
        price: int,
        quantity: int,
        *,
        maker: bool,
        bnb: Decimal | None = None,
    ) -> tuple[Decimal, str]:
        """Book a trade; return commission and the asset it was paid in.

        Parameters
        ----------
        bnb
            Price of BNB in the pair's quote currency; None: it is not known.

        References
        ----------
        Binance, Spot, Commission FAQ: the fee is taken from what is received, or is paid with BNB
        at a discount of a quarter while the account holds enough of it.
        """
        size, value = rules.size(quantity), rules.price(price) * rules.size(quantity)
        fee = rules.maker_fee if maker else rules.taker_fee
        base, quote = rules.spec.base, rules.spec.quote
        received, asset = (size, base) if side == BUY else (value, quote)
        commission = (received * fee).quantize(_UNIT, rounding=ROUND_HALF_EVEN)
        if self._pays_with_bnb and bnb:
            paid = (value * fee * _WITH_BNB / bnb).quantize(_UNIT, rounding=ROUND_HALF_EVEN)
            if paid <= self.holds.get(BNB, Decimal(0)):
                commission, asset = paid, BNB
        self._add(base, size if side == BUY else -size)
        self._add(quote, -value if side == BUY else value)
        self._add(asset, -commission)
        return commission, asset

    def _add(self, asset: str, amount: Decimal) -> None:
        self.holds[asset] = self.holds.get(asset, Decimal(0)) + amount
