"""The exchange itself, without sockets: markets, orders and account, driven by events and calls.

Given the same events, calls and clock it books the same fills, to the last number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.broadcast import Broadcast, Dialect
from aitb_nautilus.rehearsal.candles import Candles
from aitb_nautilus.rehearsal.clock import MS, Clock
from aitb_nautilus.rehearsal.entry import Request
from aitb_nautilus.rehearsal.feed import Event, FundingSettled
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.matching import Matcher
from aitb_nautilus.rehearsal.order_list import OrderList
from aitb_nautilus.rehearsal.orders import Fill, Order
from aitb_nautilus.rehearsal.symbols import Rules

__all__ = ["Paid", "Venue"]

_FIRST_ORDER_ID = 1_000_000


class Paid(NamedTuple):
    """What a trade cost and earned, as texts of amounts."""

    commission: str
    asset: str
    realized: str


class Venue(ABC):
    """Markets, orders and one account.

    Parameters
    ----------
    clock
        The exchange's time.
    hub
        Where the public streams go.
    dialect
        How the streams are written.
    """

    def __init__(self, clock: Clock, hub: Hub, dialect: Dialect) -> None:
        self.clock, self.hub, self._dialect = clock, hub, dialect
        self.markets: dict[str, Market] = {}
        self.orders = OrderList()
        self.fills: list[Fill] = []
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
        self._broadcasts[rules.symbol] = Broadcast(market, self.hub, self._dialect)
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
        return self.submit(self._read(params, market, f"x-{number}"), number)

    def submit(
        self,
        request: Request,
        number: int,
        placed: Callable[[Order], None] = lambda _: None,
    ) -> Order:
        """Take a request of good form; `placed` is called before it trades."""
        market = self.markets[request.symbol]
        order = request.order(number, self.now_ms())
        twin = self.orders.by_client(order.client_id)
        if twin is not None and twin.is_open:
            raise VenueError.of(-4116)
        self._check(order, market)
        self.orders.add(order)
        placed(order)
        self._tell(order, "NEW")
        self._enter(order, market)
        self._expire_useless(market)
        self._publish_book(market)
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

    @abstractmethod
    def allowance(self, order: Order) -> int:
        """Return the quantity units that a reduce-only order may still trade."""

    def on_fill(self, order: Order, price: int, quantity: int, *, maker: bool) -> None:
        """Book a trade of one of the account's orders."""
        market, now = self.markets[order.symbol], self.now_ms()
        number = market.next_trade_id()
        paid = self._pay(order, price, quantity, maker=maker)
        order.filled += quantity
        order.filled_value += price * quantity
        order.status = "FILLED" if order.remaining == 0 else "PARTIALLY_FILLED"
        order.updated_ms = now
        fill = Fill(
            trade_id=number,
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            maker=maker,
            ts_ms=now,
            commission=paid.commission,
            commission_asset=paid.asset,
            realized=paid.realized,
        )
        self.fills.append(fill)
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
        self._take_out(order, market)
        self.on_end(order, status)
        self._publish_book(market)

    def _expire_useless(self, market: Market) -> None:
        """End the resting reduce-only orders that have nothing left to reduce."""
        for order in market.matcher.resting():
            if order.reduce_only and self.allowance(order) == 0:
                market.matcher.withdraw(order)
                self.on_end(order, "EXPIRED")

    def _enter(self, order: Order, market: Market) -> None:
        market.matcher.enter(order)

    def _take_out(self, order: Order, market: Market) -> None:
        market.matcher.withdraw(order)

    def _publish_book(self, market: Market) -> None:
        self._broadcasts[market.rules.symbol].tell_book(self.now_ms())

    def _forget(self, order: Order) -> None:
        self.orders.close(order)
        self.on_order_end(order)

    # what a product decides

    @abstractmethod
    def _read(self, params: Mapping[str, str], market: Market, spare_id: str) -> Request:
        """Return a new order whose form is good."""

    @abstractmethod
    def _check(self, order: Order, market: Market) -> None:
        """Refuse an order that the account or the book does not allow."""

    @abstractmethod
    def _pay(self, order: Order, price: int, quantity: int, *, maker: bool) -> Paid:
        """Book a trade in the account, before the order knows of it."""

    @abstractmethod
    def _tell(self, order: Order, execution: str, fill: Fill | None = None) -> None:
        """Tell the user data stream what has happened to an order."""

    @abstractmethod
    def _settle(self, market: Market, event: FundingSettled) -> None:
        """Pay funding."""

    @abstractmethod
    def describe_order(self, order: Order) -> dict[str, Any]:
        """Return an order as the REST interface answers it."""

    @abstractmethod
    def describe_fill(self, fill: Fill) -> dict[str, Any]:
        """Return a trade as the REST interface answers it."""

    @abstractmethod
    def positions(self) -> dict[str, str]:
        """Return what is held of each symbol, as text."""

    @abstractmethod
    def wallet(self) -> dict[str, Decimal]:
        """Return what is held of each asset."""
