"""How instruments round, as the guard wants to know it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.run.config import VenueSettings

__all__ = ["lot_rules"]

_DEARER_FRAC: Final = 0.003
"""By so much a price may move, or the book be apart, until an order at the market has filled."""


def lot_rules(
    specs: Iterable[InstrumentSettings], venues: Iterable[VenueSettings]
) -> dict[str, LotRules]:
    """Return the rounding rules of instruments by id.

    Parameters
    ----------
    venues
        With the fees that a buy costs.
    """
    costs = {one.name: (one.taker_fee_bps + one.slippage_bps) / 1e4 for one in venues}
    return {
        spec.id: LotRules(
            spec.lot,
            Decimal(spec.min_quantity or 0),
            float(spec.min_notional or 0),
            long_only=spec.kind == "spot",
            cost_frac=costs.get(spec.venue, 0.0) + _DEARER_FRAC,
        )
        for spec in specs
    }
