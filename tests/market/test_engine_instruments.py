from __future__ import annotations

from decimal import Decimal

import pytest
from nautilus_trader.model import CryptoPerpetual, CurrencyPair, Money

from aitb_nautilus.market.engine_instruments import engine_instrument
from aitb_nautilus.market.instruments import InstrumentSettings, known_instruments


@pytest.mark.parametrize("spec", known_instruments().values(), ids=lambda spec: spec.id)
def test_engine_accepts_every_instrument_of_the_table(spec: InstrumentSettings) -> None:
    instrument = engine_instrument(spec)
    assert isinstance(instrument, CurrencyPair if spec.kind == "spot" else CryptoPerpetual)
    assert str(instrument.id) == spec.id
    assert instrument.price_precision == spec.price_precision
    assert instrument.size_precision == spec.size_precision
    assert instrument.price_increment.as_decimal() == spec.tick
    assert instrument.size_increment.as_decimal() == spec.lot


def test_perpetual_is_linear_and_asks_for_full_margin_before_leverage() -> None:
    instrument = engine_instrument(known_instruments()["BTCUSDT-PERP.BINANCE"])
    assert isinstance(instrument, CryptoPerpetual)
    assert not instrument.is_inverse
    assert str(instrument.settlement_currency) == "USDT"
    assert (instrument.margin_init, instrument.margin_maint) == (Decimal(1), Decimal("0.5"))


def test_bounds_and_margins_of_the_settings_reach_the_engine() -> None:
    instrument = engine_instrument(
        InstrumentSettings(
            id="NEWCOIN-PERP.BINANCE",
            kind="perpetual",
            base="NEWCOIN",
            quote="USDT",
            tick_size="0.010",
            lot_size="0.1",
            min_quantity="0.2",
            max_quantity="1000",
            min_notional="5.5",
            margin_init="0.05",
            margin_maint="0.025",
        )
    )
    assert isinstance(instrument, CryptoPerpetual)
    assert str(instrument.base_currency) == "NEWCOIN"
    assert (str(instrument.min_quantity), str(instrument.max_quantity)) == ("0.2", "1000.0")
    assert instrument.min_notional is not None
    assert instrument.min_notional.as_decimal() == Decimal("5.5")
    assert (instrument.margin_init, instrument.margin_maint) == (Decimal("0.05"), Decimal("0.025"))


@pytest.mark.parametrize("code", ["XRP", "ADA", "XTZ", "EUR", "BTC", "USDT"])
def test_fees_of_a_spot_market_keep_all_decimals_over_a_thousand_fills(code: str) -> None:
    is_base = code not in ("EUR", "USDT")
    base, quote = (code, "USDT") if is_base else ("BTC", code)
    spec = InstrumentSettings(
        id=f"{base}{quote}.BINANCE",
        kind="spot",
        base=base,
        quote=quote,
        tick_size="0.0001",
        lot_size="0.1",
    )
    instrument = engine_instrument(spec)
    currency = instrument.base_currency if is_base else instrument.quote_currency
    told = [Decimal(one) / 10**8 for one in range(1, 10**6, 997)]
    kept = [Money.from_str(f"{one:.8f} {code}").as_decimal() for one in told]
    assert kept == told
    assert (len(kept) > 1_000, currency.precision) == (True, 8)
