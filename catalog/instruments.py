"""Instruments that the catalog learnt from an exchange, because the package's table lacks them.

They stand in ``instruments.toml`` of the catalog, as the same ``[[instruments]]`` blocks that a
config takes. A config's own block of the same id comes first.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import numpy as np

from aitb_nautilus.errors import DataError
from aitb_nautilus.files import whole_file
from aitb_nautilus.market.bars import BarFrame
from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.settings import Settings, decode, encode
from catalog.decimals import decimals_wanted
from catalog.staging import exclusive

__all__ = ["catalog_instruments", "remember_instrument", "widened"]

# No venue has finer steps; more decimals are the noise of somebody's floats.
_MOST_DECIMALS = 12
_NAME = "instruments.toml"
_HEAD = "# Learnt from exchanges by: aitb data download. A config's own block comes first.\n"


class _File(Settings, frozen=True):
    """The layout of the file."""

    instruments: tuple[InstrumentSettings, ...] = ()


def catalog_instruments(catalog: Path) -> list[InstrumentSettings]:
    """Return the instruments that the catalog learnt, sorted by id.

    Raises
    ------
    DataError
        If the file is no TOML.
    ConfigError
        If a block in it is wrong.
    """
    path = catalog / _NAME
    if not path.exists():
        return []
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise DataError(str(path), f"is no TOML ({e})", todo="Mend it, or remove it") from e
    return list(decode(data, _File, str(path)).instruments)


def remember_instrument(catalog: Path, instrument: InstrumentSettings) -> None:
    """Write one instrument into the catalog's file, in place of an older description."""
    with exclusive(catalog):
        known = {spec.id: spec for spec in catalog_instruments(catalog)}
        if known.get(instrument.id) == instrument:
            return
        known[instrument.id] = instrument
        blocks = [_block(known[id_]) for id_ in sorted(known)]
        with whole_file(catalog / _NAME) as file:
            file.write_text("\n".join([_HEAD, *blocks]), "utf-8")


def widened(instrument: InstrumentSettings, bars: BarFrame) -> InstrumentSettings:
    """Return the instrument with as many decimals as the bars need; steps keep their value.

    An exchange tells today's tick, older prices may be finer: a tick of 0.1 becomes 0.10.
    """
    prices = np.concatenate([bars.open, bars.high, bars.low, bars.close])
    return msgspec.structs.replace(
        instrument,
        tick_size=_padded(instrument.tick_size, decimals_wanted(prices, _MOST_DECIMALS)),
        lot_size=_padded(instrument.lot_size, decimals_wanted(bars.volume, _MOST_DECIMALS)),
    )


def _padded(step: str, decimals: int | None) -> str:
    whole, _, fraction = step.partition(".")
    if decimals is None or decimals <= len(fraction):
        return step
    return f"{whole}.{fraction.ljust(decimals, '0')}"


def _block(instrument: InstrumentSettings) -> str:
    lines = ["[[instruments]]"]
    for key, value in encode(instrument).items():
        if value is not None:
            # A JSON text is a TOML basic string.
            lines.append(f"{key} = {msgspec.json.encode(value).decode()}")
    return "\n".join(lines) + "\n"
