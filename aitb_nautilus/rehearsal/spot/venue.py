"""The spot exchange: one account with balances, and stops that wait as orders of the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from aitb_nautilus.rehearsal.account import money
from aitb_nautilus.rehearsal.answers import VenueError
from aitb_nautilus.rehearsal.clock import Clock
from aitb_nautilus.rehearsal.entry import Request
from aitb_nautilus.rehearsal.feed import Event, FundingSettled, Trade
from aitb_nautilus.rehearsal.hub import Hub
from aitb_nautilus.rehearsal.market import Market
from aitb_nautilus.rehearsal.orders import BUY, Fill, Order
from aitb_nautilus.rehearsal.spot.account import BNB, SpotAccount
from aitb_nautilus.rehearsal.spot.entry import STOPS, read_spot_order, rejected
from aitb_nautilus.rehearsal.spot.messages import SPOT
from aitb_nautilus.rehearsal.spot.reports import (
    account_position,
    execution_report,
    order_report,
    trade_report,
)
from aitb_nautilus.rehearsal.symbols import MAX_ALGO_ORDERS, MAX_ORDERS, Rules
from aitb_nautilus.rehearsal.venue import Paid, Venue

__all__ = ["SpotVenue"]


class SpotVenue(Venue):
    """Markets of pairs, and one account.

    Parameters
    ----------
    clock
        The exchange's time.
    hub
        Where the public streams go.
    account
        The account that trades.
    bnb_price
        Of BNB in quote currency, for fees that are paid with it where its pair is not traded here;
        None: it is not known.
    """

    def __init__(
        self, clock: Clock, hub: Hub, account: SpotAccount, bnb_price: Decimal | None = None
    ) -> None:
        super().__init__(clock, hub, SPOT)
        self.account = account
        self._bnb_price = bnb_price
        self._waiting: dict[int, Order] = {}
        self._woken: set[int] = set()
        self.on_event = self._wake
        self.on_order_end = self._ended

    def free(self, asset: str) -> Decimal:
        """Return what new orders may use of an asset."""
        return self.wallet().get(asset, Decimal(0)) - self.locked(asset)

    def locked(self, asset: str) -> Decimal:
        """Return what open orders bind of an asset."""
        return self.account.locked(asset, self._open_with_rules())

    def allowance(self, order: Order) -> int:
        """Return what a reduce-only order may trade; spot has none."""
        return order.remaining

    def is_waiting(self, order: Order) -> bool:
        """Return whether an order is a stop that has not woken."""
        return order.origin in STOPS and order.is_open and order.order_id not in self._woken

    def positions(self) -> dict[str, str]:
        """Return what is held of the base asset of each symbol."""
        return {
            symbol: str(self.wallet().get(market.rules.spec.base, Decimal(0)))
            for symbol, market in self.markets.items()
        }

    def bnb_price(self, quote: str) -> Decimal | None:
        """Return the last price of BNB, or the one that was given if the pair is not traded."""
        market = self.markets.get(f"{BNB}{quote}")
        if market is None:
            return self._bnb_price
        return None if market.last_price is None else market.rules.price(market.last_price)

    def wallet(self) -> dict[str, Decimal]:
        """Return what is held of each asset, locked or not."""
        return self.account.holds

    def describe_order(self, order: Order) -> dict[str, Any]:
        """Return an order as the REST interface answers it."""
        rules = self.markets[order.symbol].rules
        return order_report(rules, order, working=not self.is_waiting(order))

    def describe_fill(self, fill: Fill) -> dict[str, Any]:
        """Return a trade as the REST interface answers it."""
        return trade_report(self.markets[fill.symbol].rules, fill)

    def _read(self, params: Mapping[str, str], market: Market, spare_id: str) -> Request:
        return read_spot_order(params, market, spare_id)

    def _check(self, order: Order, market: Market) -> None:
        rules = market.rules
        mine = self.orders.open(order.symbol)
        if len(mine) >= MAX_ORDERS:
            raise VenueError(-1013, "Filter failure: MAX_NUM_ORDERS")
        if order.origin in STOPS:
            if sum(self.is_waiting(other) for other in mine) >= MAX_ALGO_ORDERS:
                raise VenueError(-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
            if market.last_price is not None and _reached(order, market.last_price):
                raise rejected("Stop price would trigger immediately.")
        elif order.time_in_force == "GTX" and market.matcher.would_take(order):
            raise rejected("Order would immediately match and take.")
        asset, needed = self._needed(order, market, rules)
        if needed > self.free(asset):
            raise rejected("Account has insufficient balance for requested action.")

    def _needed(self, order: Order, market: Market, rules: Rules) -> tuple[str, Decimal]:
        if order.side != BUY:
            return rules.spec.base, rules.size(order.quantity)
        price = order.price if order.price is not None else order.stop_price
        price = price or market.matcher.asks.best or market.last_price or 0
        return rules.spec.quote, rules.price(price) * rules.size(order.quantity)

    def _enter(self, order: Order, market: Market) -> None:
        if order.origin in STOPS:
            self._waiting[order.order_id] = order
        elif order.time_in_force == "FOK" and market.matcher.available(order) < order.remaining:
            self.on_end(order, "EXPIRED")
        else:
            super()._enter(order, market)

    def _take_out(self, order: Order, market: Market) -> None:
        if not self.is_waiting(order):
            super()._take_out(order, market)

    def _wake(self, event: Event) -> None:
        if not isinstance(event, Trade):
            return
        market = self.markets[event.symbol]
        for order in list(self._waiting.values()):
            if order.symbol == event.symbol and _reached(order, event.price):
                del self._waiting[order.order_id]
                self._woken.add(order.order_id)
                order.updated_ms = self.now_ms()
                self._tell(order, "NEW")
                super()._enter(order, market)
                self._publish_book(market)

    def _ended(self, order: Order) -> None:
        self._waiting.pop(order.order_id, None)
        self._woken.discard(order.order_id)

    def _pay(self, order: Order, price: int, quantity: int, *, maker: bool) -> Paid:
        rules = self.markets[order.symbol].rules
        commission, asset = self.account.book_fill(
            rules, order.side, price, quantity, maker=maker, bnb=self.bnb_price(rules.spec.quote)
        )
        return Paid(money(commission), asset, "0")

    def _tell(self, order: Order, execution: str, fill: Fill | None = None) -> None:
        rules, now = self.markets[order.symbol].rules, self.now_ms()
        working = not self.is_waiting(order)
        number = self.next_id()
        self.on_user_event(
            execution_report(rules, order, execution, now, fill, number=number, working=working)
        )
        assets = dict.fromkeys((rules.spec.base, rules.spec.quote))
        if fill is not None:
            assets[fill.commission_asset] = None
        balances = [(asset, self.free(asset), self.locked(asset)) for asset in assets]
        self.on_user_event(account_position(balances, now))

    def _settle(self, market: Market, event: FundingSettled) -> None:
        """Pay no funding: spot has none."""

    def _open_with_rules(self) -> Iterator[tuple[Rules, Order]]:
        for order in self.orders.open():
            if order.is_open:  # One that has just ended binds nothing of what is told with its end.
                yield self.markets[order.symbol].rules, order


def _reached(order: Order, price: int) -> bool:
    rises = (order.side == BUY) == order.origin.startswith("STOP_LOSS")
    return price >= order.stop_price if rises else price <= order.stop_price
