"""A spot symbol as ``GET /api/v3/exchangeInfo`` lists it.

References
----------
Binance, Spot, REST API, Exchange information, and Filters.
"""

from __future__ import annotations

from typing import Any

from aitb_nautilus.rehearsal.average import AVERAGE_MINS
from aitb_nautilus.rehearsal.symbols import MAX_ALGO_ORDERS, MAX_ORDERS, Rules

__all__ = ["listing"]

_MAX_PRICE_TICKS = 100_000_000
_MAX_NOTIONAL = "9000000.00000000"


def listing(rules: Rules) -> dict[str, Any]:
    """Return the symbol with its filters."""
    spec = rules.spec
    return {
        "symbol": rules.symbol,
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def _filters(rules: Rules) -> list[dict[str, Any]]:
    steps = {
        "minQty": rules.size_text(rules.min_quantity),
        "maxQty": rules.size_text(rules.max_quantity),
        "stepSize": rules.size_text(rules.lot),
    }
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": rules.price_text(rules.tick),
            "maxPrice": rules.price_text(_MAX_PRICE_TICKS * rules.tick),
            "tickSize": rules.price_text(rules.tick),
        },
        {"filterType": "LOT_SIZE", **steps},
        {"filterType": "MARKET_LOT_SIZE", **steps},
        {
            "filterType": "NOTIONAL",
            "minNotional": f"{rules.min_notional:.8f}",
            "applyMinToMarket": True,
            "maxNotional": _MAX_NOTIONAL,
            "applyMaxToMarket": False,
            "avgPriceMins": AVERAGE_MINS,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_ORDERS},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_ALGO_ORDERS},
    ]
