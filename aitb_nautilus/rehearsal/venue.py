"""The exchange itself, without sockets: markets, orders and account, driven by events and calls.

Given the same events, calls and clock it books the same fills, to the last number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.acceptance import check_entry, check_margin
from aitb_nautilus.rehearsal.account import Account, money
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.broadcast import Broadcast
from aitb_nautilus.rehearsal.candles import Candles
from aitb_nautilus.rehearsal.clock import MS, Clock
from aitb_nautilus.rehearsal.entry import (
    Request,
    check_limit,
    check_quantity,
    read_order,
    read_side,
)
from aitb_nautilus.rehearsal.feed import Event, FundingSettled
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.matching import Matcher
from aitb_nautilus.rehearsal.order_list import OrderList
from aitb_nautilus.rehearsal.orders import Fill, Order
from aitb_nautilus.rehearsal.symbols import Rules
from aitb_nautilus.rehearsal.user_events import account_update, order_trade_update, trade_lite

__all__ = ["Venue"]

_FIRST_ORDER_ID = 1_000_000


class Venue:
    """Markets, orders and one account.

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
        self.clock, self.hub, self.account = clock, hub, account
        self.markets: dict[str, Market] = {}
        self.orders = OrderList()
        self.fills: list[Fill] = []
        self.income: list[dict[str, Any]] = []
        self.on_user_event: Callable[[dict[str, Any]], None] = lambda _: None
        self.on_order_end: Callable[[Order], None] = lambda _: None
        self.on_event: Callable[[Event], None] = lambda _: None
        self._broadcasts: dict[str, Broadcast] = {}
        self._next_id = _FIRST_ORDER_ID

    def now_ms(self) -> int:
        """Return the exchange's time, ms."""
        return self.clock.now_ns() // MS

    def list_symbol(self, rules: Rules, candles: Candles) -> Market:
        """Open a symbol for trading."""
        market = Market(rules, Matcher(self), candles, self.clock)
        self.markets[rules.symbol] = market
        self._broadcasts[rules.symbol] = Broadcast(market, self.hub)
        return market

    def market(self, symbol: str | None) -> Market:
        """Return a symbol's market, or refuse with -1121."""
        if not symbol:
            raise VenueError.malformed("symbol")
        if symbol not in self.markets:
            raise VenueError.of(-1121)
        return self.markets[symbol]

    def next_id(self) -> int:
        """Return the next number of an order."""
        self._next_id += 1
        return self._next_id

    # what the market does

    def apply(self, event: Event) -> None:
        """Let an event of the market happen."""
        market = self.markets[event.symbol]
        if isinstance(event, FundingSettled):
            self._settle(market, event)
        closed = market.apply(event)
        self._broadcasts[event.symbol].tell(event, closed)
        self._expire_useless(market)
        self.expire_due()
        self.on_event(event)

    def expire_due(self) -> None:
        """End the orders whose time is over."""
        now = self.now_ms()
        for order in self.orders.open():
            if 0 < order.expires_ms <= now:
                self._withdraw(order, "EXPIRED")

    # what the client does

    def place(self, params: Mapping[str, str]) -> Order:
        """Take a new order.

        Raises
        ------
        VenueError
            If it is refused; then nothing has happened.
        """
        market = self.market(params.get("symbol"))
        number = self.next_id()
        return self.submit(read_order(params, market, f"x-{number}"), number)

    def submit(
        self,
        request: Request,
        number: int,
        *,
        origin: str | None = None,
        stop_price: int = 0,
        close_position: bool = False,
        placed: Callable[[Order], None] = lambda _: None,
    ) -> Order:
        """Take a request of good form; `placed` is called before it trades."""
        market = self.markets[request.symbol]
        now = self.now_ms()
        order = request.order(number, now, origin, stop_price, close_position=close_position)
        twin = self.orders.by_client(order.client_id)
        if twin is not None and twin.is_open:
            raise VenueError.of(-4116)
        check_entry(order, market, self.account, self.markets.values(), self.orders.open())
        self.orders.add(order)
        placed(order)
        self._tell(order, "NEW")
        market.matcher.enter(order)
        self._expire_useless(market)
        self._broadcasts[market.rules.symbol].tell_book(now)
        return order

    def cancel(self, params: Mapping[str, str]) -> Order:
        """Cancel an open order, or refuse with -2011."""
        try:
            order = self.find(params)
        except VenueError as e:
            raise (VenueError.of(-2011) if e.code == -2013 else e) from e
        if not order.is_open:
            raise VenueError.of(-2011)
        self._withdraw(order, "CANCELED")
        return order

    def cancel_all(self, symbol: str | None) -> int:
        """Cancel the open orders of a symbol; return how many there were."""
        mine = self.orders.open(self.market(symbol).rules.symbol)
        for order in mine:
            self._withdraw(order, "CANCELED")
        return len(mine)

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
        self._broadcasts[market.rules.symbol].tell_book(self.now_ms())
        return order

    def find(self, params: Mapping[str, str]) -> Order:
        """Return the order that a request names, or refuse with -2013."""
        symbol = self.market(params.get("symbol")).rules.symbol
        number, client_id = params.get("orderId"), params.get("origClientOrderId")
        if number is None and client_id is None:
            raise VenueError.malformed("origClientOrderId")
        if number is not None:
            found = self.orders.by_number(number)
        else:
            found = self.orders.by_client(client_id or "")
        if found is None or found.symbol != symbol:
            raise VenueError.of(-2013)
        return found

    # what the matcher books

    def allowance(self, order: Order) -> int:
        """Return the quantity units that a reduce-only order may still trade."""
        return self.account.allowance(order)

    def on_fill(self, order: Order, price: int, quantity: int, *, maker: bool) -> None:
        """Book a trade of one of the account's orders."""
        market = self.markets[order.symbol]
        rules, now = market.rules, self.now_ms()
        commission, realized = self.account.book_fill(
            rules, order.sign * quantity, price, maker=maker, ts_ms=now
        )
        order.filled += quantity
        order.filled_value += price * quantity
        order.status = "FILLED" if order.remaining == 0 else "PARTIALLY_FILLED"
        order.updated_ms = now
        fill = Fill(
            trade_id=market.next_trade_id(),
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            maker=maker,
            ts_ms=now,
            commission=money(commission),
            realized=money(realized),
        )
        self.fills.append(fill)
        self.on_user_event(trade_lite(rules, order, fill, now))
        self.on_user_event(account_update(self.account, market, "ORDER", Decimal(0), now))
        self._tell(order, "TRADE", fill)
        if order.remaining == 0:
            self._forget(order)

    def on_end(self, order: Order, status: str) -> None:
        """Book that an order ended without trading all of it."""
        order.status = status
        order.updated_ms = self.now_ms()
        self._tell(order, "CANCELED" if status == "CANCELED" else "EXPIRED")
        self._forget(order)

    def _withdraw(self, order: Order, status: str) -> None:
        market = self.markets[order.symbol]
        market.matcher.withdraw(order)
        self.on_end(order, status)
        self._broadcasts[market.rules.symbol].tell_book(self.now_ms())

    def _expire_useless(self, market: Market) -> None:
        """End the resting reduce-only orders that have nothing left to reduce."""
        for order in market.matcher.resting():
            if order.reduce_only and self.allowance(order) == 0:
                market.matcher.withdraw(order)
                self.on_end(order, "EXPIRED")

    def _forget(self, order: Order) -> None:
        self.orders.close(order)
        self.on_order_end(order)

    def _tell(self, order: Order, execution: str, fill: Fill | None = None) -> None:
        rules = self.markets[order.symbol].rules
        self.on_user_event(order_trade_update(rules, order, execution, self.now_ms(), fill))

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
