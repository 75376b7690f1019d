"""Orders, trades, conditional orders and positions, as the REST interface answers them.

References
----------
Binance, USDⓈ-M futures, Trade and Account REST endpoints: New Order, Query Order, Account Trade
List, New Algo Order, Position Information V2, Account Information V2, Futures Account Balance V2.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.account import Account, money
from aitb_nautilus.rehearsal.margin import asset_margin, symbol_margin
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import BUY, Fill, Order
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = [
    "account_report",
    "average_price",
    "balance_report",
    "order_report",
    "position_report",
    "trade_report",
]


def average_price(rules: Rules, order: Order) -> str:
    """Return the average price of what traded, with two decimals more than a price has."""
    digits = rules.spec.price_precision + 2
    if order.filled == 0:
        return f"{Decimal(0):.{digits}f}"
    return f"{rules.price(1) * order.filled_value / order.filled:.{digits}f}"


def order_report(rules: Rules, order: Order) -> dict[str, Any]:
    """Return an order as New, Query, Cancel and Modify Order answer it."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": rules.price_text(order.price or 0),
        "avgPrice": average_price(rules, order),
        "origQty": rules.size_text(order.quantity),
        "executedQty": rules.size_text(order.filled),
        "cumQty": rules.size_text(order.filled),
        "cumQuote": rules.value_text(order.filled_value),
        "timeInForce": order.time_in_force,
        "type": order.kind,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": rules.price_text(order.stop_price),
        "workingType": order.working_type,
        "priceProtect": False,
        "origType": order.origin,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": order.expires_ms,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def trade_report(rules: Rules, fill: Fill) -> dict[str, Any]:
    """Return a trade as Account Trade List gives it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": rules.price_text(fill.price),
        "qty": rules.size_text(fill.quantity),
        "realizedPnl": fill.realized,
        "quoteQty": rules.value_text(fill.price * fill.quantity),
        "commission": fill.commission,
        "commissionAsset": fill.commission_asset,
        "time": fill.ts_ms,
        "positionSide": "BOTH",
        "buyer": fill.side == BUY,
        "maker": fill.maker,
        "marginAsset": rules.spec.quote,
    }


def position_report(market: Market, account: Account) -> dict[str, Any]:
    """Return a position as Position Information V2 gives it."""
    rules = market.rules
    position = account.position(rules.symbol)
    mark = market.mark_price or 0
    digits = rules.spec.price_precision + 2
    return {
        "symbol": rules.symbol,
        "positionAmt": rules.size_text(position.amount),
        "entryPrice": f"{position.entry_price:.{digits}f}",
        "breakEvenPrice": f"{position.entry_price:.{digits}f}",
        "markPrice": money(rules.price(mark)),
        "unRealizedProfit": money(position.unrealized(rules, mark)),
        "liquidationPrice": "0",
        "leverage": str(account.leverage(rules.symbol)),
        "maxNotionalValue": "100000000",
        "marginType": "cross",
        "isolatedMargin": "0.00000000",
        "isAutoAddMargin": "false",
        "positionSide": "BOTH",
        "notional": money(rules.price(mark) * rules.size(position.amount)),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
    }


def balance_report(
    account: Account, markets: list[Market], orders: list[Order], now_ms: int
) -> list[dict[str, Any]]:
    """Return the wallet as Futures Account Balance V2 gives it."""
    rows = []
    for asset in account.wallet:
        sums = asset_margin(asset, account, markets, orders)
        rows.append(
            {
                "accountAlias": "rehearsal",
                "asset": asset,
                "balance": money(sums.wallet),
                "crossWalletBalance": money(sums.wallet),
                "crossUnPnl": money(sums.profit),
                "availableBalance": money(sums.available),
                "maxWithdrawAmount": money(min(sums.available, sums.wallet)),
                "marginAvailable": True,
                "updateTime": now_ms,
            }
        )
    return rows


def account_report(
    account: Account, markets: list[Market], orders: list[Order], now_ms: int
) -> dict[str, Any]:
    """Return everything as Account Information V2 gives it."""
    margins = {asset: asset_margin(asset, account, markets, orders) for asset in account.wallet}
    assets = [
        {
            "asset": asset,
            "walletBalance": money(sums.wallet),
            "unrealizedProfit": money(sums.profit),
            "marginBalance": money(sums.wallet + sums.profit),
            "maintMargin": money(sums.maintenance),
            "initialMargin": money(sums.initial),
            "positionInitialMargin": money(sums.position),
            "openOrderInitialMargin": money(sums.order),
            "crossWalletBalance": money(sums.wallet),
            "crossUnPnl": money(sums.profit),
            "availableBalance": money(sums.available),
            "maxWithdrawAmount": money(min(sums.available, sums.wallet)),
            "marginAvailable": True,
            "updateTime": now_ms,
        }
        for asset, sums in margins.items()
    ]
    totals = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "totalCrossUnPnl": "crossUnPnl",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **{
            total: money(sum((Decimal(str(row[name])) for row in assets), Decimal(0)))
            for total, name in totals.items()
        },
        "assets": assets,
        "positions": [_account_position(market, account, orders) for market in markets],
    }


def _account_position(market: Market, account: Account, orders: list[Order]) -> dict[str, Any]:
    rules = market.rules
    position = account.position(rules.symbol)
    sums = symbol_margin(market, account, orders)
    return {
        "symbol": rules.symbol,
        "initialMargin": money(sums.initial),
        "maintMargin": money(sums.maintenance),
        "unrealizedProfit": money(sums.profit),
        "positionInitialMargin": money(sums.position),
        "openOrderInitialMargin": money(sums.order),
        "leverage": str(account.leverage(rules.symbol)),
        "isolated": False,
        "entryPrice": str(position_report(market, account)["entryPrice"]),
        "maxNotional": "100000000",
        "bidNotional": "0",
        "askNotional": "0",
        "positionSide": "BOTH",
        "positionAmt": rules.size_text(position.amount),
        "updateTime": position.updated_ms,
    }
