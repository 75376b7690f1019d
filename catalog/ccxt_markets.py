"""The markets of an exchange, as ccxt tells them, and the instruments that they are to us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE

from aitb_nautilus.errors import DataError
from aitb_nautilus.market.instruments import (
    InstrumentKind,
    InstrumentSettings,
    find_symbol,
    instrument_block,
)
from aitb_nautilus.settings import nearest

__all__ = ["find_market", "market_instrument", "venue_of_exchange"]

# Several exchanges of ccxt are doors to one venue.
_VENUES = {
    "binancecoinm": "BINANCE",
    "binanceus": "BINANCE_US",
    "binanceusdm": "BINANCE",
    "coinbaseadvanced": "COINBASE",
    "coinbaseexchange": "COINBASE",
    "krakenfutures": "KRAKEN",
    "myokx": "OKX",
    "okxus": "OKX",
}
# How the engine's adapters write the symbols of a venue; elsewhere BTCUSDT and BTCUSDT-PERP.
_SYMBOL_STYLES: dict[str, dict[InstrumentKind, str]] = {
    "BYBIT": {"spot": "{id}-SPOT", "perpetual": "{id}-LINEAR"},
    "OKX": {"spot": "{id}", "perpetual": "{id}"},
    "KRAKEN": {"spot": "{base}/{quote}", "perpetual": "{base}{quote}-PERP"},
    "COINBASE": {"spot": "{id}", "perpetual": "{id}"},
}
_USUAL_STYLE: dict[InstrumentKind, str] = {
    "spot": "{base}{quote}",
    "perpetual": "{base}{quote}-PERP",
}


def venue_of_exchange(name: str) -> str:
    """Return the venue in instrument ids: ``binanceusdm`` of ccxt is ``BINANCE``."""
    return _VENUES.get(name, name.upper())


def find_market(api: Any, symbol: str) -> Mapping[str, Any]:
    """Return ccxt's description of a market.

    Parameters
    ----------
    api
        An exchange of ccxt whose markets are loaded.
    symbol
        ``BTC/USDT``, ``BTC/USDT:USDT``, or the exchange's own name such as ``BTCUSDT``.

    Raises
    ------
    DataError
        For an unknown symbol, with the nearest; and for markets that are neither spot nor
        linear perpetuals.
    """
    found = api.markets.get(symbol)
    if found is None:
        # One name may stand for the spot pair and for the perpetual; spot is what is meant.
        same = api.markets_by_id.get(symbol, [])
        found = next((m for m in same if m.get("spot")), same[0] if same else None)
    if found is None:
        close = _nearest_symbols(symbol, api.symbols)
        raise DataError(
            f"exchange {api.id}: symbol {symbol!r}",
            f"is not among its {len(api.symbols):,} markets",
            f"did you mean {' or '.join(close)}?" if close else "",
        )
    if not (found.get("spot") or (found.get("swap") and found.get("linear"))):
        raise DataError(
            f"exchange {api.id}: symbol {found['symbol']!r}",
            f"is a market of the kind {found.get('type')}",
            "must be spot or a perpetual that is settled in its quote currency",
        )
    market: Mapping[str, Any] = found
    return market


def market_instrument(
    api: Any, market: Mapping[str, Any], known: Mapping[str, InstrumentSettings]
) -> InstrumentSettings:
    """Return the instrument of a market: from `known`, else from the exchange's own figures.

    Parameters
    ----------
    api
        The exchange.
    market
        From `find_market`.
    known
        Instrument id to instrument: the package's table and what the catalog holds.

    Raises
    ------
    DataError
        If the exchange does not tell tick and lot size.
    """
    venue = venue_of_exchange(api.id)
    kind: InstrumentKind = "spot" if market.get("spot") else "perpetual"
    base, quote, own = str(market["base"]), str(market["quote"]), str(market["id"])
    for name in (own, base + quote):
        spec = find_symbol(name, venue, kind, known)
        if spec is not None and (spec.base, spec.quote) == (base, quote):
            return spec
    style = _SYMBOL_STYLES.get(venue, _USUAL_STYLE)[kind]
    id_ = f"{style.format(id=own, base=base, quote=quote)}.{venue}"
    if id_ in known:
        return known[id_]
    try:
        return InstrumentSettings(
            id=id_,
            kind=kind,
            base=base,
            quote=quote,
            symbol=own,
            tick_size=_step(api, market, "price"),
            lot_size=_step(api, market, "amount"),
        )
    except ValueError as e:
        raise DataError(
            f"exchange {api.id}: symbol {market['symbol']!r}",
            str(e),
            todo="Name a config with --config that has these lines, with the right steps:\n"
            + instrument_block(id_, kind=kind),
        ) from e


def _step(api: Any, market: Mapping[str, Any], what: str) -> str:
    """Return a tick or lot size as plain decimal text."""
    value = (market.get("precision") or {}).get(what)
    mode = api.precisionMode
    if value is None or mode not in (TICK_SIZE, DECIMAL_PLACES):
        raise ValueError(f"the exchange does not tell the step of its {what}")
    step = Decimal(str(value)) if mode == TICK_SIZE else Decimal(1).scaleb(-int(value))
    return f"{step.normalize():f}"


def _nearest_symbols(symbol: str, symbols: Iterable[str]) -> list[str]:
    """Return the markets whose letters are most like those asked for, at most three."""
    plain = {"".join(filter(str.isalnum, s)).upper(): s for s in symbols}
    left, found = dict(plain), list[str]()
    while left and len(found) < 3:
        close = nearest("".join(filter(str.isalnum, symbol)).upper(), list(left))
        if close is None:
            break
        found.append(left.pop(close))
    return found
