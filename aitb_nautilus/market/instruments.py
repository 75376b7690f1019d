"""Instruments: what can be traded, and in which steps.

The table of common instruments is `instruments.toml` beside this file. A config adds others, or
changes one, with an ``[[instruments]]`` block of the same keys.

A step's digits say more than its value: ``tick_size = "0.10"`` means that orders move in steps of
0.1, and that prices are kept with two decimals, because finer ones were recorded before the venue
widened its tick. The same holds for ``lot_size`` and recorded volumes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.settings import Settings, decode

__all__ = [
    "InstrumentKind",
    "InstrumentSettings",
    "config_instruments",
    "find_instrument",
    "find_symbol",
    "instrument_block",
    "known_instruments",
    "likely_instrument",
    "named_instruments",
    "plain_symbol",
    "venue_name",
]

type InstrumentKind = Literal["spot", "perpetual"]

MAX_PRECISION = 16
_ALIKE = 0.9
"""One letter more or less in six is that near; another coin of three letters is not."""
_DECIMAL = re.compile(r"\d+(\.\d+)?")
_ID = re.compile(r"[^\s.]+(\.[^\s.]+)*\.[A-Z0-9_]+")


class InstrumentSettings(Settings, frozen=True):
    """One instrument: a spot pair, or a linear perpetual settled in its quote currency.

    Parameters
    ----------
    id
        Symbol, dot, venue, as the engine names it: ``BTCUSDT.BINANCE``, ``BTCUSDT-PERP.BINANCE``.
    kind
        ``"spot"`` or ``"perpetual"``.
    base, quote
        Currency codes: what is bought, and what it is paid in.
    tick_size
        Step of order prices in quote currency, as text. Its decimals are the decimals that prices
        are kept with: ``"0.10"`` keeps two and steps by 0.1.
    lot_size
        Step of order quantities in base currency, as text, in the same way.
    symbol
        The venue's own name in files and on the wire; by default the id without venue and
        without ``-PERP``.
    min_quantity, max_quantity
        Bounds of one order in base currency, as text.
    min_notional
        Smallest value of one order in quote currency, as text.
    margin_init, margin_maint
        Fraction of a position's value, divided by the account's leverage, that a margin account
        must hold to open and to keep it, as text; by default 1 and 0.5. Only for perpetuals.
    """

    id: str
    kind: InstrumentKind
    base: str
    quote: str
    tick_size: str
    lot_size: str
    symbol: str | None = None
    min_quantity: str | None = None
    max_quantity: str | None = None
    min_notional: str | None = None
    margin_init: str | None = None
    margin_maint: str | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"id was {self.id!r}, must be symbol, dot, venue in capitals, "
                "such as BTCUSDT.BINANCE"
            )
        for name in ("tick_size", "lot_size"):
            text = getattr(self, name)
            self._check_decimal(name, text)
            if Decimal(text) == 0:
                raise ValueError(f"{name} was {text!r}, must be above 0")
            if _decimals(text) > MAX_PRECISION:
                raise ValueError(f"{name} was {text!r}, must have at most {MAX_PRECISION} decimals")
        for name in _BOUNDS:
            text = getattr(self, name)
            if text is not None:
                self._check_decimal(name, text)
        if self.kind == "spot" and (self.margin_init or self.margin_maint):
            raise ValueError("margin_init and margin_maint belong to perpetuals, not to spot")

    @staticmethod
    def _check_decimal(name: str, text: str) -> None:
        if not _DECIMAL.fullmatch(text):
            raise ValueError(f"{name} was {text!r}, must be a plain decimal text such as '0.01'")

    @property
    def venue(self) -> str:
        """The part of the id after the last dot."""
        return venue_name(self.id)

    @property
    def raw_symbol(self) -> str:
        """The venue's own name of the instrument."""
        return self.symbol or self.id.rpartition(".")[0].removesuffix("-PERP")

    @property
    def price_precision(self) -> int:
        """Decimals that prices are kept with."""
        return _decimals(self.tick_size)

    @property
    def size_precision(self) -> int:
        """Decimals that quantities and volumes are kept with."""
        return _decimals(self.lot_size)

    @property
    def tick(self) -> Decimal:
        """Step of order prices in quote currency."""
        return Decimal(self.tick_size)

    @property
    def lot(self) -> Decimal:
        """Step of order quantities in base currency."""
        return Decimal(self.lot_size)


_BOUNDS = ("min_quantity", "max_quantity", "min_notional", "margin_init", "margin_maint")


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


class _Table(Settings, frozen=True):
    """The layout of `instruments.toml`."""

    instruments: list[InstrumentSettings]


def venue_name(instrument_id: str) -> str:
    """Return the venue of an instrument's id: the part after its last dot.

    >>> venue_name("BTCUSDT-PERP.BINANCE")
    'BINANCE'
    """
    return instrument_id.rpartition(".")[2]


def known_instruments(extra: Iterable[InstrumentSettings] = ()) -> dict[str, InstrumentSettings]:
    """Return the instruments of the package's table, and `extra` over them, by id."""
    return {**_packaged(), **{spec.id: spec for spec in extra}}


def find_instrument(
    instrument_id: str, extra: Sequence[InstrumentSettings] = ()
) -> InstrumentSettings:
    """Return one instrument.

    Raises
    ------
    ConfigError
        If neither the package's table nor `extra` has it. Names the nearest known id, and the
        block that a config needs to add it.
    """
    known = known_instruments(extra)
    if instrument_id in known:
        return known[instrument_id]
    there = [one for one in known if venue_name(one) == venue_name(instrument_id)]
    close = likely_instrument(instrument_id, [spec.id for spec in extra], there or known)
    raise ConfigError(
        f"instrument {instrument_id}",
        "is not known",
        f"did you mean {close!r}?" if close else "must be in the table or in the config",
        f"To add it, put this into the config:\n{instrument_block(instrument_id)}"
        "with the venue's own steps and currencies",
    )


def likely_instrument(misspelt: str, *groups: Iterable[str]) -> str | None:
    """Return the instrument that somebody may have meant, or None if none is close.

    Venue and mark of the kind are left aside, since they are much of an id and alike in all.

    Parameters
    ----------
    groups
        Ids; the first group that has one like it is the one that counts.

    Examples
    --------
    >>> likely_instrument("BTCUSD-PERP.BINANCE", ["BTCUSDT-PERP.BINANCE", "LTCUSDT-PERP.BINANCE"])
    'BTCUSDT-PERP.BINANCE'
    >>> likely_instrument("BTCUSD-PERP.BINANCE", ["LTCUSDT-PERP.BINANCE"])
    """
    symbol = _bare(misspelt)
    for group in groups:
        alike = {one: SequenceMatcher(None, symbol, _bare(one)).ratio() for one in group}
        close = [one for one, ratio in alike.items() if ratio >= _ALIKE]
        if close:
            whole = {one: SequenceMatcher(None, misspelt, one).ratio() for one in close}
            venue = venue_name(misspelt)
            return max(close, key=lambda one: (alike[one], venue_name(one) == venue, whole[one]))
    return None


def named_instruments(data: Any, known: Container[str]) -> list[str]:
    """Return the known instruments that plain data name anywhere, a config's say, each once."""
    if isinstance(data, str):
        return [data] if data in known else []
    inner = data.values() if isinstance(data, Mapping) else data
    if not isinstance(inner, Iterable):
        return []
    return list(dict.fromkeys(name for one in inner for name in named_instruments(one, known)))


def find_symbol(
    symbol: str,
    venue: str,
    kind: InstrumentKind,
    known: Mapping[str, InstrumentSettings],
) -> InstrumentSettings | None:
    """Return the instrument that a venue's file calls `symbol`, or None.

    Case and the marks ``-``, ``_``, ``/`` and ``:`` do not matter: ``btc-usdt`` is ``BTCUSDT``.
    """
    plain = plain_symbol(symbol)
    for spec in known.values():
        if (
            spec.venue == venue
            and spec.kind == kind
            and plain in (plain_symbol(spec.raw_symbol), plain_symbol(spec.base + spec.quote))
        ):
            return spec
    return None


def _bare(instrument_id: str) -> str:
    symbol = instrument_id.rpartition(".")[0] or instrument_id
    return plain_symbol(re.sub(r"-(PERP|LINEAR|SWAP|SPOT)$", "", symbol))


def plain_symbol(symbol: str) -> str:
    """Return a symbol in capitals without the marks between its parts."""
    return re.sub(r"[-_/:]", "", symbol).upper()


def instrument_block(
    instrument_id: str,
    *,
    kind: InstrumentKind | None = None,
    tick_size: str = "0.01",
    lot_size: str = "0.001",
) -> str:
    """Return the ``[[instruments]]`` block that adds an instrument to a config.

    Currencies are guessed from the symbol; ticks and lots are those given.
    """
    symbol = instrument_id.rpartition(".")[0]
    guessed_kind: InstrumentKind = kind or (
        "perpetual" if re.search(r"-(PERP|LINEAR|SWAP)$", symbol) else "spot"
    )
    base, quote = _split_symbol(re.sub(r"-(PERP|LINEAR|SWAP|SPOT)$", "", symbol))
    return (
        "[[instruments]]\n"
        f'id = "{instrument_id}"\n'
        f'kind = "{guessed_kind}"\n'
        f'base = "{base}"\n'
        f'quote = "{quote}"\n'
        f'tick_size = "{tick_size}"\n'
        f'lot_size = "{lot_size}"\n'
    )


_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB")


def _split_symbol(symbol: str) -> tuple[str, str]:
    parts = re.split(r"[-_/:]", symbol.upper())
    if len(parts) == 2 and all(parts):
        return parts[0], parts[1]
    plain = plain_symbol(symbol)
    for quote in _QUOTES:
        if plain.endswith(quote) and plain != quote:
            return plain.removesuffix(quote), quote
    return plain, "USDT"


def config_instruments(path: Path) -> Sequence[InstrumentSettings]:
    """Return the ``[[instruments]]`` of a config file, whatever else stands in it.

    Raises
    ------
    ConfigError
        If the file is not there, is no TOML, or a block is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(str(path), f"cannot be read ({e})", "must be a config in TOML") from e
    instruments: Sequence[InstrumentSettings] = decode(
        data.get("instruments", []), list[InstrumentSettings], f"{path}: instruments"
    )
    return instruments


@cache
def _packaged() -> dict[str, InstrumentSettings]:
    source = resources.files("aitb_nautilus.market").joinpath("instruments.toml")
    data = tomllib.loads(source.read_text(encoding="utf-8"))
    table = decode(data, _Table, "instruments.toml of the package")
    return {spec.id: spec for spec in table.instruments}
