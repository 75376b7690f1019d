"""Whether the account and the book allow an order of good form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aitb_nautilus.rehearsal.account import Account
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.margin import asset_margin, symbol_margin
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import Order
from aitb_nautilus.rehearsal.symbols import MAX_ORDERS

__all__ = ["check_entry", "check_margin"]


def check_entry(
    order: Order,
    market: Market,
    account: Account,
    markets: Iterable[Market],
    open_orders: Sequence[Order],
) -> None:
    """Refuse a new order that would break a limit, or cannot trade as it must.

    Raises
    ------
    VenueError
        -2025 too many orders, -2022 nothing to reduce, -5022 post-only would take, -5021
        fill-or-kill would not fill, -2019 too little margin.
    """
    if sum(other.symbol == order.symbol for other in open_orders) >= MAX_ORDERS:
        raise VenueError.of(-2025)
    if order.reduce_only and account.allowance(order) == 0:
        raise VenueError.of(-2022)
    matcher = market.matcher
    if order.time_in_force == "GTX" and matcher.would_take(order):
        raise VenueError.of(-5022)
    if order.time_in_force == "FOK" and matcher.available(order) < order.remaining:
        raise VenueError.of(-5021)
    check_margin(order, market, account, markets, open_orders)


def check_margin(
    order: Order,
    market: Market,
    account: Account,
    markets: Iterable[Market],
    open_orders: Iterable[Order],
) -> None:
    """Refuse with -2019 unless what a new or changed order would bind in addition is free."""
    if order.reduce_only:
        return
    others = [other for other in open_orders if other.order_id != order.order_id]
    before = symbol_margin(market, account, others).initial
    after = symbol_margin(market, account, [*others, order]).initial
    free = asset_margin(market.rules.spec.quote, account, markets, others).available
    if after > before and after - before > free:
        raise VenueError.of(-2019)
