"""How instruments round, as the guard wants to know it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from aitb_nautilus.market.instruments import InstrumentSettings
from aitb_nautilus.risk.decision import LotRules

__all__ = ["lot_rules"]


def lot_rules(specs: Iterable[InstrumentSettings]) -> dict[str, LotRules]:
    """Return the rounding rules of instruments by id."""
    return {
        spec.id: LotRules(
            spec.lot,
            Decimal(spec.min_quantity or 0),
            float(spec.min_notional or 0),
            long_only=spec.kind == "spot",
        )
        for spec in specs
    }
