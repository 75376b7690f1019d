"""Which instrument a file or a symbol column speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
import numpy as np

from aitb_nautilus.errors import ConfigError, UsageError
from aitb_nautilus.market.bars import BarFrame, FloatArray, Interval
from aitb_nautilus.market.instruments import (
    InstrumentKind,
    InstrumentSettings,
    find_symbol,
    instrument_block,
    plain_symbol,
)
from aitb_nautilus.settings import nearest
from catalog.decimals import FINEST_STEP, decimals_wanted

__all__ = ["Naming", "interval_of_name", "symbol_of_name", "unknown_instrument"]

# BTCUSDT-1m-2023-01.zip, BTCUSDT-1h-2023-01-15.csv; funding: BTCUSDT-fundingRate-2023-01.zip
_BINANCE = re.compile(
    r"(?P<symbol>[A-Z0-9]+)-(?P<what>\d+[smhd]|fundingRate)-\d{4}-\d{2}(-\d{2})?\."
)


class Naming(msgspec.Struct, frozen=True):
    """How symbols become instruments.

    Parameters
    ----------
    known
        Instruments by id: the package's table, the catalog's own, the config's.
    venue, kind
        Where symbols are looked up.
    ids
        Symbol to instrument id, where the user says so; under ``""`` the one for everything.
    """

    known: Mapping[str, InstrumentSettings]
    venue: str = "BINANCE"
    kind: InstrumentKind = "spot"
    ids: Mapping[str, str] = {}

    def instrument_id(self, symbol: str | None, where: str) -> str:
        """Return the id for a symbol, whether it is known or not.

        Raises
        ------
        UsageError
            If there is no symbol and the user named no instrument.
        """
        if "" in self.ids:
            return self.ids[""]
        if symbol is None:
            raise UsageError(
                where,
                "neither a column nor the file's name tells the instrument",
                todo="Name it: --instrument BTCUSDT.BINANCE",
            )
        if symbol in self.ids:
            return self.ids[symbol]
        if symbol in self.known:
            return symbol
        spec = find_symbol(symbol, self.venue, self.kind, self.known)
        if spec is not None:
            return spec.id
        ending = "-PERP" if self.kind == "perpetual" else ""
        return f"{plain_symbol(symbol)}{ending}.{self.venue}"


def symbol_of_name(name: str, naming: Naming) -> str | None:
    """Return the symbol in a file's name, or None if no part of it is a known symbol."""
    match = _BINANCE.match(name)
    if match:
        return match["symbol"]
    symbols = {
        part
        for part in re.split(r"[^A-Za-z0-9]+", name)
        if find_symbol(part, naming.venue, naming.kind, naming.known)
    }
    return symbols.pop() if len(symbols) == 1 else None


def interval_of_name(name: str) -> Interval | None:
    """Return the interval in the name of a Binance kline file, or None for another name."""
    match = _BINANCE.match(name)
    if match is None or match["what"] == "fundingRate":
        return None
    return Interval.parse(match["what"])


def unknown_instrument(
    unknown: Mapping[str, BarFrame], known: Mapping[str, InstrumentSettings], kind: InstrumentKind
) -> ConfigError:
    """Return the error for instruments that no table has, with the blocks that add them.

    Ticks and lots in the blocks are the decimals that the given bars have.
    """
    blocks = []
    for instrument_id, bars in unknown.items():
        prices = np.concatenate([bars.open, bars.high, bars.low, bars.close])
        blocks.append(
            instrument_block(
                instrument_id,
                kind=kind,
                tick_size=_step(prices),
                lot_size=_step(bars.volume),
            )
        )
    first = next(iter(unknown))
    names = ", ".join(unknown)
    close = nearest(first, list(known))
    return ConfigError(
        f"instrument {names}",
        "is not known" if len(unknown) == 1 else "are not known",
        f"did you mean {close!r}?" if close and len(unknown) == 1 else "",
        "Name a config with --config that has these lines; the steps are what the data show:\n"
        + "\n".join(blocks)
        + "\n(or say with --venue, --market or --instrument which known instrument it is)",
    )


def _step(values: FloatArray) -> str:
    decimals = decimals_wanted(values, FINEST_STEP)
    if decimals is None:
        # Sums and averages of floats have no step; eight decimals are the finest that venues use.
        decimals = 8
    return "1" if decimals == 0 else f"0.{'0' * (decimals - 1)}1"
