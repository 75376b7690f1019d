"""The exchange of USDⓈ-M perpetuals: one account with positions, margin and funding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.acceptance import check_entry, check_margin
from aitb_nautilus.rehearsal.account import Account, money
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.clock import Clock
from aitb_nautilus.rehearsal.entry import (
    Request,
    check_limit,
    check_quantity,
    read_order,
    read_side,
)
from aitb_nautilus.rehearsal.feed import FundingSettled
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.messages import USD_M
from aitb_nautilus.rehearsal.orders import Fill, Order
from aitb_nautilus.rehearsal.reports import order_report, trade_report
from aitb_nautilus.rehearsal.user_events import account_update, order_trade_update, trade_lite
from aitb_nautilus.rehearsal.venue import Paid, Venue

__all__ = ["FuturesVenue"]


class FuturesVenue(Venue):
    """Markets of perpetuals, and one account.

    Parameters
    ----------
    clock
        The exchange's time.
    hub
        Where the public streams go.
    account
        The account that trades.
    """

    def __init__(self, clock: Clock, hub: Hub, account: Account) -> None:
        super().__init__(clock, hub, USD_M)
        self.account = account
        self.income: list[dict[str, Any]] = []

    def amend(self, params: Mapping[str, str]) -> Order:
        """Change price and quantity of an open limit order.

        References
        ----------
        Binance, USDⓈ-M futures, Modify Order: both values must be sent; a quantity that has
        traded already cancels the order, and so does a post-only order that would trade.
        """
        market = self.market(params.get("symbol"))
        order = self.find(params)
        if not order.is_open or order.kind != "LIMIT":
            raise VenueError.of(-2013)
        if read_side(params) != order.side:
            raise VenueError.of(-1117)
        quantity = check_quantity(market.rules, params.get("quantity"))
        price = check_limit(market, params.get("price"), order.side)
        if (price, quantity) == (order.price, order.quantity):
            raise VenueError.of(-5027)
        would_take = market.matcher.other_side(order).crosses(price)
        if quantity <= order.filled or (order.time_in_force == "GTX" and would_take):
            self._withdraw(order, "CANCELED")
            return order
        changed = replace(order, price=price, quantity=quantity)
        check_margin(changed, market, self.account, self.markets.values(), self.orders.open())
        order.updated_ms = self.now_ms()
        self._tell(replace(changed, updated_ms=order.updated_ms), "AMENDMENT")
        market.matcher.amend(order, price, quantity)
        self._expire_useless(market)
        self._publish_book(market)
        return order

    def allowance(self, order: Order) -> int:
        """Return the quantity units that a reduce-only order may still trade."""
        return self.account.allowance(order)

    def describe_order(self, order: Order) -> dict[str, Any]:
        """Return an order as the REST interface answers it."""
        return order_report(self.markets[order.symbol].rules, order)

    def describe_fill(self, fill: Fill) -> dict[str, Any]:
        """Return a trade as the REST interface answers it."""
        return trade_report(self.markets[fill.symbol].rules, fill)

    def positions(self) -> dict[str, str]:
        """Return the position of each symbol that was ever traded."""
        return {
            symbol: self.markets[symbol].rules.size_text(position.amount)
            for symbol, position in self.account.positions.items()
        }

    def wallet(self) -> dict[str, Decimal]:
        """Return what the wallet holds."""
        return self.account.wallet

    def _read(self, params: Mapping[str, str], market: Market, spare_id: str) -> Request:
        return read_order(params, market, spare_id)

    def _check(self, order: Order, market: Market) -> None:
        check_entry(order, market, self.account, self.markets.values(), self.orders.open())

    def _pay(self, order: Order, price: int, quantity: int, *, maker: bool) -> Paid:
        rules = self.markets[order.symbol].rules
        commission, realized = self.account.book_fill(
            rules, order.sign * quantity, price, maker=maker, ts_ms=self.now_ms()
        )
        return Paid(money(commission), rules.spec.quote, money(realized))

    def _tell(self, order: Order, execution: str, fill: Fill | None = None) -> None:
        market, now = self.markets[order.symbol], self.now_ms()
        if fill is not None:
            self.on_user_event(trade_lite(market.rules, order, fill, now))
            self.on_user_event(account_update(self.account, market, "ORDER", Decimal(0), now))
        self.on_user_event(order_trade_update(market.rules, order, execution, now, fill))

    def _settle(self, market: Market, event: FundingSettled) -> None:
        symbol = market.rules.symbol
        if market.mark_price is None or self.account.position(symbol).amount == 0:
            return
        earned = self.account.settle_funding(market.rules, Decimal(event.rate), market.mark_price)
        now = self.now_ms()
        self.income.append(
            {
                "symbol": symbol,
                "incomeType": "FUNDING_FEE",
                "income": money(earned),
                "asset": market.rules.spec.quote,
                "info": "FUNDING_FEE",
                "time": now,
                "tranId": self.next_id(),
                "tradeId": "",
            }
        )
        self.on_user_event(account_update(self.account, market, "FUNDING_FEE", earned, now))
