"""The events of the user data stream, as Binance writes them.

References
----------
Binance, USDⓈ-M futures, User Data Streams
(https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams): Order
Update, Balance and Position Update, Algo Order Update, Trade Lite, Account Configuration Update,
User Data Stream Expired.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.account import Account, money
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import Fill, Order
from aitb_nautilus.rehearsal.reports import average_price
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = [
    "account_update",
    "leverage_update",
    "listen_key_expired",
    "order_trade_update",
    "trade_lite",
]


def order_trade_update(
    rules: Rules, order: Order, execution: str, now_ms: int, fill: Fill | None = None
) -> dict[str, Any]:
    """Return an order's change; `execution` is NEW, TRADE, CANCELED, EXPIRED or AMENDMENT."""
    price, size = rules.price_text, rules.size_text
    body: dict[str, Any] = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.kind,
        "f": order.time_in_force,
        "q": size(order.quantity),
        "p": price(order.price or 0),
        "ap": average_price(rules, order),
        "sp": price(order.stop_price),
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": size(fill.quantity if fill else 0),
        "z": size(order.filled),
        "L": price(fill.price if fill else 0),
        "n": fill.commission if fill else "0",
        "N": rules.spec.quote,
        "T": order.updated_ms,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.origin,
        "ps": "BOTH",
        "cp": order.close_position,
        "rp": fill.realized if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": order.expires_ms,
        "er": "0",
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": order.updated_ms, "o": body}


def trade_lite(rules: Rules, order: Order, fill: Fill, now_ms: int) -> dict[str, Any]:
    """Return the short form of a trade."""
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": fill.ts_ms,
        "s": order.symbol,
        "q": rules.size_text(order.quantity),
        "p": rules.price_text(order.price or 0),
        "m": fill.maker,
        "c": order.client_id,
        "S": order.side,
        "L": rules.price_text(fill.price),
        "l": rules.size_text(fill.quantity),
        "t": fill.trade_id,
        "i": order.order_id,
    }


def account_update(
    account: Account, market: Market, reason: str, change: Decimal, now_ms: int
) -> dict[str, Any]:
    """Return what a trade (``ORDER``) or a settlement (``FUNDING_FEE``) left in the account.

    `change` is what came into the wallet beside profit and commission. A settlement names no
    position, since all are crossed.
    """
    rules = market.rules
    position = account.position(rules.symbol)
    wallet = money(account.wallet[rules.spec.quote])
    digits = rules.spec.price_precision + 2
    body: dict[str, Any] = {
        "m": reason,
        "B": [{"a": rules.spec.quote, "wb": wallet, "cw": wallet, "bc": money(change)}],
        "P": []
        if reason == "FUNDING_FEE"
        else [
            {
                "s": rules.symbol,
                "pa": rules.size_text(position.amount),
                "ep": f"{position.entry_price:.{digits}f}",
                "bep": f"{position.entry_price:.{digits}f}",
                "cr": money(position.realized),
                "up": money(position.unrealized(rules, market.mark_price)),
                "mt": "cross",
                "iw": "0",
                "ps": "BOTH",
            }
        ],
    }
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": body}


def leverage_update(symbol: str, leverage: int, now_ms: int) -> dict[str, Any]:
    """Return a change of leverage."""
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": now_ms,
        "T": now_ms,
        "ac": {"s": symbol, "l": leverage},
    }


def listen_key_expired(listen_key: str, now_ms: int) -> dict[str, Any]:
    """Return the last event of a stream."""
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}
