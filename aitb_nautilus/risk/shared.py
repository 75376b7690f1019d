"""Whether several strategies have something in one instrument: a venue does not tell them apart."""

from __future__ import annotations

from aitb_nautilus.risk.ledger import Ledger

__all__ = ["is_shared"]


def is_shared(ledger: Ledger, strategy_id: str, instrument_id: str) -> bool:
    """Return whether another strategy holds an instrument as well, or is about to.

    What one of them closes that it does not hold any more is then taken from another one.
    """
    holders = [who for who, one in ledger.holders(instrument_id).items() if one.quantity]
    opening = [one.strategy_id for one in ledger.open_orders(instrument_id) if not one.is_exit]
    return any(who != strategy_id for who in (*holders, *opening))
