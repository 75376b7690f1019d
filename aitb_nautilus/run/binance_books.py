"""Ask Binance's USD-M futures for all that an account holds: open orders, positions, balances.

What the engine's adapter has missed while its user stream was away it never learns; this asks the
venue itself. Only what reads is asked here.

References
----------
Binance, USDⓈ-M futures: Current All Open Orders, Current All Algo Open Orders, Position Information
V3, Futures Account Balance V3 (https://developers.binance.com/docs/derivatives/usds-margined-futures).
Together they weigh 90 of the 2,400 that an address may ask for in a minute.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder
from aitb_nautilus.run.binance_asker import (
    BinanceAsker,
    conditional_order,
    our_name_of,
    plain_order,
)
from aitb_nautilus.run.binance_rest import understood

__all__ = ["books_of"]


def books_of(asker: BinanceAsker, venue: str) -> VenueFacts:
    """Return what an account holds; it blocks, for seconds at most.

    Parameters
    ----------
    venue
        Its name, as in instrument ids.

    Raises
    ------
    AskError
        If there was no answer, or one that is not understood.
    """
    with understood():
        orders = [
            *(_plain(row, venue) for row in asker.get("/fapi/v1/openOrders") or ()),
            *(_conditional(row, venue) for row in asker.get("/fapi/v1/openAlgoOrders") or ()),
        ]
        held = {
            f"{row['symbol']}-PERP.{venue}": row
            for row in asker.get("/fapi/v3/positionRisk") or ()
            if Decimal(row["positionAmt"])
        }
        wallet = {
            row["asset"]: Decimal(row["balance"]) for row in asker.get("/fapi/v3/balance") or ()
        }
    return VenueFacts(
        venues=(venue,),
        orders=tuple(orders),
        positions={name: Decimal(row["positionAmt"]) for name, row in held.items()},
        entry_prices={name: float(row["entryPrice"]) for name, row in held.items()},
        balances=wallet,
    )


def _plain(row: dict[str, Any], venue: str) -> VenueOrder:
    name = our_name_of(row["clientOrderId"])
    return plain_order(row, name, f"{row['symbol']}-PERP.{venue}")


def _conditional(row: dict[str, Any], venue: str) -> VenueOrder:
    name = our_name_of(row["clientAlgoId"])
    return conditional_order(row, name, f"{row['symbol']}-PERP.{venue}")
