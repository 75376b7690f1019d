"""What the exchange knows of one symbol: its steps, bounds and fees, in whole units.

Inside the exchange prices and quantities are whole numbers, counted in the last decimal that the
symbol is written with. So every sum is exact, and every text that leaves has Binance's decimals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.rehearsal.answers import VenueError

__all__ = ["MAX_ALGO_ORDERS", "MAX_ORDERS", "Rules"]

_FAR = 4_133_404_800_000
"""Delivery time of a perpetual in Binance's answers, ms."""
_MAX_PRICE_TICKS = 100_000_000
_MAX_QUANTITY_LOTS = 100_000_000
MAX_ORDERS, MAX_ALGO_ORDERS = 200, 10
"""Most open orders and most waiting conditional orders of a symbol."""
_MAX_DIGITS = 20
"""Digits before the decimal point after which a number is taken for nonsense."""
_KEPT_TEXTS = 20_000


@dataclass(frozen=True)
class Rules:
    """The trading rules of one symbol.

    Parameters
    ----------
    spec
        The instrument, from the package's table or a config.
    maker_fee, taker_fee
        Fraction of a fill's value.

    References
    ----------
    Binance, USDⓈ-M futures, Common Definition: symbol filters PRICE_FILTER, LOT_SIZE,
    MARKET_LOT_SIZE, MIN_NOTIONAL, MAX_NUM_ORDERS, PERCENT_PRICE.
    """

    spec: InstrumentSettings
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")

    @cached_property
    def symbol(self) -> str:
        """The venue's name: ``BTCUSDT``."""
        return self.spec.raw_symbol

    @cached_property
    def price_unit(self) -> Decimal:
        """What one price unit is in quote currency."""
        return Decimal(1).scaleb(-self.spec.price_precision)

    @cached_property
    def size_unit(self) -> Decimal:
        """What one quantity unit is in base currency."""
        return Decimal(1).scaleb(-self.spec.size_precision)

    @cached_property
    def price_digits(self) -> int:
        """Decimals of a price."""
        return self.spec.price_precision

    @cached_property
    def size_digits(self) -> int:
        """Decimals of a quantity."""
        return self.spec.size_precision

    @cached_property
    def tick(self) -> int:
        """Step of order prices in price units."""
        return int(self.spec.tick / self.price_unit)

    @cached_property
    def lot(self) -> int:
        """Step of order quantities in quantity units."""
        return int(self.spec.lot / self.size_unit)

    @cached_property
    def min_quantity(self) -> int:
        """Smallest order in quantity units."""
        return int(Decimal(self.spec.min_quantity or self.spec.lot_size) / self.size_unit)

    @cached_property
    def max_quantity(self) -> int:
        """Largest order in quantity units."""
        if self.spec.max_quantity is not None:
            return int(Decimal(self.spec.max_quantity) / self.size_unit)
        return _MAX_QUANTITY_LOTS * self.lot

    @cached_property
    def min_notional(self) -> Decimal:
        """Smallest value of an order in quote currency."""
        return Decimal(self.spec.min_notional or "5")

    @cached_property
    def price_text(self) -> Callable[[int], str]:
        """Return a price in price units as Binance writes it."""
        return _Texts(self.price_digits).__getitem__

    @cached_property
    def size_text(self) -> Callable[[int], str]:
        """Return a quantity in quantity units as Binance writes it."""
        return _Texts(self.size_digits).__getitem__

    def value_text(self, units: int) -> str:
        """Return price units times quantity units as an amount of quote currency."""
        return _text(units, self.price_digits + self.size_digits)

    def price(self, units: int) -> Decimal:
        """Return a price in quote currency."""
        return units * self.price_unit

    def size(self, units: int) -> Decimal:
        """Return a quantity in base currency."""
        return units * self.size_unit

    def price_units(self, text: str, name: str = "price") -> int:
        """Return the price units of a text.

        Raises
        ------
        VenueError
            -1111 if it has more decimals than the symbol, -1102 if it is no number.
        """
        return _units(text, self.price_digits, name)

    def size_units(self, text: str, name: str = "quantity") -> int:
        """Return the quantity units of a text.

        Raises
        ------
        VenueError
            -1111 if it has more decimals than the symbol, -1102 if it is no number.
        """
        return _units(text, self.size_digits, name)

    def nearest_price(self, value: float) -> int:
        """Return the price units nearest to a double from a file of this symbol."""
        return round(value * float(10**self.price_digits))

    def nearest_size(self, value: float) -> int:
        """Return the quantity units nearest to a double from a file of this symbol."""
        return round(value * float(10**self.size_digits))

    def listing(self) -> dict[str, Any]:
        """Return the symbol as ``GET /fapi/v1/exchangeInfo`` lists it.

        References
        ----------
        Binance, USDⓈ-M futures, Exchange Information.
        """
        spec = self.spec
        return {
            "symbol": self.symbol,
            "pair": self.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": _FAR,
            "onboardDate": 1_569_398_400_000,
            "status": "TRADING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": spec.base,
            "quoteAsset": spec.quote,
            "marginAsset": spec.quote,
            "pricePrecision": spec.price_precision,
            "quantityPrecision": spec.size_precision,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "settlePlan": 0,
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "filters": self._filters(),
            "orderTypes": [
                "LIMIT",
                "MARKET",
                "STOP",
                "STOP_MARKET",
                "TAKE_PROFIT",
                "TAKE_PROFIT_MARKET",
                "TRAILING_STOP_MARKET",
            ],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }

    def _filters(self) -> list[dict[str, Any]]:
        lot_size = {
            "stepSize": self.size_text(self.lot),
            "maxQty": self.size_text(self.max_quantity),
            "minQty": self.size_text(self.min_quantity),
        }
        return [
            {
                "filterType": "PRICE_FILTER",
                "tickSize": self.price_text(self.tick),
                "maxPrice": self.price_text(_MAX_PRICE_TICKS * self.tick),
                "minPrice": self.price_text(self.tick),
            },
            {"filterType": "LOT_SIZE", **lot_size},
            {"filterType": "MARKET_LOT_SIZE", **lot_size},
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_ALGO_ORDERS},
            {"filterType": "MIN_NOTIONAL", "notional": str(self.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ]


class _Texts(dict[int, str]):
    """Numbers with a fixed count of decimals; the same ones are written again and again."""

    def __init__(self, decimals: int) -> None:
        self._decimals = decimals

    def __missing__(self, units: int) -> str:
        if len(self) >= _KEPT_TEXTS:
            self.clear()
        text = self[units] = _text(units, self._decimals)
        return text


def _text(units: int, decimals: int) -> str:
    if decimals == 0:
        return str(units)
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).zfill(decimals + 1)
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def _units(text: str, decimals: int, name: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation as e:
        raise VenueError.malformed(name) from e
    if not value.is_finite() or value.adjusted() > _MAX_DIGITS:
        raise VenueError.malformed(name)
    scaled = value.scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise VenueError.of(-1111)
    return int(scaled)
