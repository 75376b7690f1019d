"""In which coin a venue took its fee, and what that was worth.

A perpetual's fee comes out of the account's money. A spot market takes it from what is received: of
a buy less is held than was bought. And a venue may let fees be paid with a coin of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.model import CurrencyPair

from aitb_nautilus.risk.book import ZERO

__all__ = ["Fee", "coin_price", "fee_of", "unknown_fee"]


class Fee(NamedTuple):
    """What one fill cost.

    Attributes
    ----------
    value
        In quote currency; positive is paid.
    base, elsewhere
        `Fill.base_fee` and `Fill.fee_elsewhere`.
    unknown
        The coin in which it was paid, if nobody knows what that is worth; `value` is 0 then.
    """

    value: float
    base: Decimal = ZERO
    elsewhere: bool = False
    unknown: str = ""


def fee_of(
    amount: Decimal, coin: str, price: float, instrument: Any, worth: float | None = None
) -> Fee:
    """Return the fee of a fill.

    Parameters
    ----------
    amount, coin
        As the venue says it.
    price
        Of the fill, quote currency.
    instrument
        The engine's.
    worth
        Price of the coin in quote currency, where it is a third one; None: not known.

    Examples
    --------
    >>> from aitb_nautilus.market.engine_instruments import engine_instrument
    >>> from aitb_nautilus.market.instruments import find_instrument
    >>> pair = engine_instrument(find_instrument("BTCUSDT.BINANCE"))
    >>> fee_of(Decimal("0.00001"), "BTC", 60_000.0, pair)
    Fee(value=0.6, base=Decimal('0.00001'), elsewhere=False, unknown='')
    >>> fee_of(Decimal("0.001"), "BNB", 60_000.0, pair, worth=600.0).value
    0.6
    """
    if not amount or coin == instrument.quote_currency.code:
        return Fee(float(amount))
    if isinstance(instrument, CurrencyPair) and coin == instrument.base_currency.code:
        return Fee(float(amount * Decimal(repr(price))), amount)
    if worth is None:
        return Fee(0.0, elsewhere=True, unknown=coin)
    return Fee(float(amount) * worth, elsewhere=True)


def coin_price(
    coin: str,
    quote: str,
    instruments: Mapping[str, Any],
    marks: Mapping[str, float],
    told: Mapping[tuple[str, str], float],
) -> float | None:
    """Return the last price of a coin, if one of the run's instruments says it, or a venue did.

    Parameters
    ----------
    coin, quote
        What is priced, and in what.
    instruments
        The engine's, by id.
    marks
        Last price by instrument id.
    told
        What venues have said of other coins, by coin and quote currency.
    """
    for instrument_id, instrument in instruments.items():
        base = instrument.base_currency
        if base is not None and (base.code, instrument.quote_currency.code) == (coin, quote):
            mark = marks.get(instrument_id)
            if mark is not None:
                return mark
    return told.get((coin, quote))


def unknown_fee(trade_id: object, paid: object, coin: str, quote: str) -> str:
    """Return why trading halts at a fee whose value nobody knows.

    Parameters
    ----------
    paid
        Amount and coin, as they are to be read.
    """
    return (
        f"the fee of trade {trade_id} is {paid}, not in {quote}, and the run knows no price of "
        f"{coin}: profit, equity and limits would be counted wrongly; let the venue take fees in "
        f"{quote}, or trade {coin} as well"
    )
