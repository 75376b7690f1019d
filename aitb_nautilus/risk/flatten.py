"""How a strategy is brought to zero: its opening orders are cancelled, its positions closed."""

from __future__ import annotations

from aitb_nautilus.messages import CancelIntent, CloseIntent, Intent
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["flatten_intents"]


def flatten_intents(ledger: Ledger, strategy_id: str) -> list[Intent]:
    """Return what is still to be done until a strategy holds nothing.

    May be asked again at any time: a position that an exit at the market is closing already is left
    to it. Stops and targets stay until the position is gone.
    """
    intents: list[Intent] = []
    for (owner, instrument_id), position in ledger.positions.items():
        if owner != strategy_id:
            continue
        orders = [o for o in ledger.open_orders(instrument_id) if o.strategy_id == strategy_id]
        intents += [
            CancelIntent(client_order_id=o.client_order_id) for o in orders if not o.is_exit
        ]
        leaving = any(o.is_exit and o.kind == "MARKET" for o in orders)
        if position.quantity and not leaving:
            intents.append(CloseIntent(instrument_id=instrument_id, purpose="exit:flatten"))
    return intents
