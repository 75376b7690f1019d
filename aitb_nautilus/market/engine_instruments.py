"""The engine's own instrument objects, made from our settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
)

from aitb_nautilus.market.instruments import InstrumentSettings

__all__ = ["engine_instrument"]

# The engine divides a position's value by the account's leverage and multiplies by these. With 1, a
# leverage of 5 allows five times the balance and no more; without it, margin would never run out.
# Half of the initial margin is what Binance publishes (maintMarginPercent 2.5 of 5).
FULL_MARGIN = "1"
HALF_MARGIN = "0.5"
_DECIMALS = 8
"""Of amounts of coins and money as spot venues say them (Binance: ``baseCommissionPrecision`` and
``quoteCommissionPrecision`` of ``GET /api/v3/exchangeInfo``)."""


def engine_instrument(spec: InstrumentSettings) -> CurrencyPair | CryptoPerpetual:
    """Return the engine's instrument.

    Its price and size increments are the tick and the lot with all their decimals, so that
    recorded prices and volumes of that many decimals are accepted. The engine's instruments carry
    no fees: those belong to the venue.
    """
    make = _coin if spec.kind == "spot" else Currency.from_str
    base, quote = make(spec.base), make(spec.quote)
    common: dict[str, Any] = {
        "instrument_id": InstrumentId.from_str(spec.id),
        "raw_symbol": Symbol(spec.raw_symbol),
        "base_currency": base,
        "quote_currency": quote,
        "price_precision": spec.price_precision,
        "size_precision": spec.size_precision,
        "price_increment": Price.from_str(spec.tick_size),
        "size_increment": Quantity.from_str(spec.lot_size),
        "min_quantity": _quantity(spec.min_quantity, spec.size_precision),
        "max_quantity": _quantity(spec.max_quantity, spec.size_precision),
        "min_notional": (
            None if spec.min_notional is None else Money(float(spec.min_notional), quote)
        ),
        "ts_event": 0,
        "ts_init": 0,
    }
    if spec.kind == "spot":
        return CurrencyPair(**common)
    return CryptoPerpetual(
        **common,
        settlement_currency=quote,
        is_inverse=False,
        margin_init=Decimal(spec.margin_init or FULL_MARGIN),
        margin_maint=Decimal(spec.margin_maint or HALF_MARGIN),
    )


def _coin(code: str) -> Currency:
    """Return a currency of which amounts keep eight decimals.

    The engine (2.0.0rc7) keeps six of XRP, ADA and XTZ and two of money such as EUR, and rounds
    every fee to that: what is held would drift away from what the venue holds.
    """
    known = Currency.from_str(code)
    if known.precision < _DECIMALS:
        wide = Currency(code, _DECIMALS, known.iso4217, known.name, known.currency_type)
        Currency.register(wide, overwrite=True)
        known = Currency.from_str(code)
    return known


def _quantity(text: str | None, precision: int) -> Quantity | None:
    return None if text is None else Quantity.from_decimal_dp(Decimal(text), precision)
