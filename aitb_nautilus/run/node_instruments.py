"""What a venue says of an instrument must be what the config counts with."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import InstrumentId

from aitb_nautilus.errors import ConfigError
from aitb_nautilus.run.preparation import Preparation

__all__ = ["check_instruments"]


def check_instruments(run: Preparation, cache: Any) -> None:
    """Compare the instruments of a node with those of its venues, once it is connected.

    Parameters
    ----------
    cache
        The engine's.

    Raises
    ------
    ConfigError
        If the venue does not offer one, or with another step of prices or sizes, or counts it in
        contracts that are not one unit of the base coin, or in another currency.
    """
    for spec in run.instruments.values():
        _check(run, cache, spec.id)


def _check(run: Preparation, cache: Any, instrument_id: str) -> None:
    theirs = cache.instrument(InstrumentId.from_str(instrument_id))
    ours = run.context.instruments[instrument_id]
    if theirs is None:
        raise ConfigError(
            f"instrument {instrument_id}",
            "is not offered by the venue",
            "must be an instrument that the venue trades",
        )
    for what in ("price_increment", "size_increment"):
        mine, its = getattr(ours, what).as_decimal(), getattr(theirs, what).as_decimal()
        if mine != its:
            raise ConfigError(
                f"instrument {instrument_id}: {what}",
                f"is {mine.normalize():f} in the config, and {its.normalize():f} at the venue",
                "must be equal: the venue would refuse orders, or prices would be rounded",
                "Write the venue's value into the [[instruments]] block",
            )
    contract = theirs.multiplier.as_decimal()
    if contract != 1 or theirs.is_inverse:
        kind = (
            "inverse contracts" if theirs.is_inverse else f"contracts of {contract.normalize():f}"
        )
        raise ConfigError(
            f"instrument {instrument_id}",
            f"is traded by the venue in {kind}",
            "must be traded in units of its base coin: sizes, limits and profit are counted so",
            "Trade the venue's spot market, or the perpetual of a venue that counts in coins",
        )
    if theirs.quote_currency != ours.quote_currency:
        raise ConfigError(
            f"instrument {instrument_id}: quote",
            f"is {ours.quote_currency} in the config, and {theirs.quote_currency} at the venue",
            "must be equal: prices and profit are counted in it",
            "Write the venue's value into the [[instruments]] block",
        )
