"""What the desk owns and owes, built from its own events alone.

The `Ledger` is shared by all strategies of a trader; a `View` is one strategy's window on it.
Neither holds an engine object, so both serve the back-test, paper, live, and the replay of a
recorded day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from aitb_nautilus.messages import BarClosed, Fill, FundingRate, OrderKind, OrderUpdate
from aitb_nautilus.risk.book import Order, Position
from aitb_nautilus.risk.decision import LotRules
from aitb_nautilus.risk.dust import Dust, GivenUp

__all__ = ["Ledger"]

_NOBODY: Mapping[str, Position] = MappingProxyType({})
_TOLD_KEPT = 8
"""A venue that comes back repeats its last words; it does not repeat a day."""


class _Held(NamedTuple):
    positions: dict[tuple[str, str], Position]
    holders: dict[str, dict[str, Position]]
    orders: dict[str, Order]
    open: dict[str, dict[str, Order]]
    open_count: int


class Ledger:
    """All orders, positions and marks of one trader.

    Parameters
    ----------
    starting_equity
        In the trader's currency, > 0.
    lots
        Rounding rules by instrument id: they tell what of a holding is dust.

    Attributes
    ----------
    now
        Close of the last bar, ns UTC; 0 before the first.
    heard
        Bars that it was told of, of all instruments.
    marks
        Last price by instrument id, quote currency.
    fills
        All fills, in the order in which they happened.
    rejected
        Orders that engine or venue have not taken, in the order in which they said so.
    fees_elsewhere
        What the runs before have paid of fees with a third coin: a cost that the balance does not
        show.
    dust
        What could be sold after each fill, where not all of a holding always can.
    settled
        Funding rates whose time is over, in the order of their settlement.
    revision
        Grows whenever something changes.
    revisions
        The revision at which something of an instrument changed last, by instrument id; what
        changed last stands last.
    """

    def __init__(self, starting_equity: float, lots: Mapping[str, LotRules] | None = None) -> None:
        self.starting_equity = starting_equity
        self._lots = {} if lots is None else lots
        self.fees_elsewhere = 0.0
        self.dust = Dust()
        self.now = 0
        self.heard = 0
        self.marks: dict[str, float] = {}
        self.fills: list[Fill] = []
        self.orders: dict[str, Order] = {}
        self.rejected: list[Order] = []
        self.positions: dict[tuple[str, str], Position] = {}
        self.revision = 0
        self.revisions: dict[str, int] = {}
        self._holders: dict[str, dict[str, Position]] = {}
        self._open: dict[str, dict[str, Order]] = {}
        self._open_count = 0
        self.settled: list[FundingRate] = []
        self._funding: dict[str, FundingRate] = {}
        self._trades: set[tuple[str, str]] = set()
        self._hidden: _Held | None = None
        self._worth = (-1, 0.0), 0.0

    def hide(self) -> None:
        """Hold nothing and have no order until `show`; marks and fills are as they are."""
        held = _Held(self.positions, self._holders, self.orders, self._open, self._open_count)
        self.positions, self._holders, self.orders, self._open, self._open_count = {}, {}, {}, {}, 0
        self._hidden = held
        self._touch_held(held)

    def show(self) -> None:
        """Hold again what was hidden, and what has come since."""
        hidden, self._hidden = self._hidden, None
        if hidden is None:
            return
        since = [order for order in self.orders.values() if order.is_open]
        self.positions, self._holders, self.orders, self._open, self._open_count = hidden
        for order in since:
            self.apply_order(order)
        self._touch_held(hidden)

    def _touch_held(self, held: _Held) -> None:
        """Let whoever counts look anew at the instruments in which something was held."""
        for instrument_id in sorted(held.holders.keys() | held.open.keys()):
            self._touch(instrument_id)

    def apply_bar(self, bar: BarClosed) -> None:
        """Mark an instrument at the bar's close; settle funding that was due before it."""
        if self._funding:
            self.settle_funding(bar.ts)
        self.now = bar.ts
        self.heard += 1
        self.marks[bar.instrument_id] = bar.close
        self._touch(bar.instrument_id)

    def apply_order(self, order: Order) -> None:
        """Add an order that is about to be sent."""
        self.orders[order.client_order_id] = order
        orders = self._open.setdefault(order.instrument_id, {})
        self._open_count += order.client_order_id not in orders
        orders[order.client_order_id] = order
        self._touch(order.instrument_id)

    def apply_kind(
        self,
        client_order_id: str,
        kind: OrderKind,
        price: float | None,
        trigger_price: float | None,
    ) -> None:
        """Take the kind and the prices that an order has from now on."""
        order = self.orders[client_order_id]
        if order.kind != kind:
            order.kind, order.price, order.trigger_price = kind, price, trigger_price
            self._touch(order.instrument_id)

    def withdraw_order(self, client_order_id: str) -> None:
        """Take out an order that is not sent after all."""
        order = self.orders.pop(client_order_id)
        self._forget(order)
        self._touch(order.instrument_id)

    def ask_change(
        self,
        order: Order,
        quantity: Decimal | None,
        price: float | None = None,
        trigger_price: float | None = None,
        purpose: str = "",
    ) -> None:
        """Note a change of an order that is about to be sent; see `Order.ask_change`."""
        order.ask_change(quantity, price, trigger_price, purpose)
        self._touch(order.instrument_id)

    def is_news(self, update: OrderUpdate) -> bool:
        """Return whether an update is of one of our orders, and was not told before.

        An order ends once; terms are known by their time.
        """
        order = self.orders.get(update.client_order_id)
        if order is None or (update.status is not None and not order.is_open):
            return False
        return update.quantity is None or _terms(update) not in order.told

    def apply_update(self, update: OrderUpdate) -> None:
        """Change an order by what the engine or the venue said of it.

        Terms that are older than those that were told already change nothing.
        """
        order = self.orders.get(update.client_order_id)
        if order is None:
            return
        if update.quantity is not None:
            order.told = (*order.told[1 - _TOLD_KEPT :], _terms(update))
        if update.ts >= order.ts_terms:
            order.ts_terms = update.ts
            if update.quantity is not None:
                order.quantity = update.quantity
            if update.price is not None:
                order.price = update.price
            if update.trigger_price is not None:
                order.trigger_price = update.trigger_price
        if update.reason:
            order.reason = update.reason
        if update.answers_change:
            order.answer_change(is_made=update.quantity is not None)
        elif update.status is None and order.is_ending:
            order.ending = "refused"
        if order.is_open:
            # All of it may have been filled before the change that made it smaller is told.
            order.status = (update.status or order.status) if order.leaves > 0 else "FILLED"
            if order.status in ("REJECTED", "DENIED"):
                self.rejected.append(order)
            self._forget_if_ended(order)
        self._touch(order.instrument_id)

    def trades(self) -> Iterable[tuple[str, str]]:
        """Return the trades that were told, each with its order's id."""
        return self._trades

    def remember_trades(self, client_order_id: str, trade_ids: Iterable[str]) -> None:
        """Take trades of an order as told: what they filled is counted in it already."""
        self._trades.update((client_order_id, trade_id) for trade_id in trade_ids)

    def apply_fill(self, fill: Fill, dust: Decimal | None = None) -> bool:
        """Change order and position by a fill.

        A venue that is asked again, or that comes back after a while, tells of fills a second time.

        Parameters
        ----------
        dust
            What of all that is held is dust then, where that is known; None: the price tells.

        Returns
        -------
        bool
            False if the fill was told before; nothing is changed then.
        """
        if fill.key in self._trades:
            return False
        order = self.orders.get(fill.client_order_id)
        if order is not None:
            fill = order.shared(fill)
        self._trades.add(fill.key)
        if self._funding:
            self.settle_funding(fill.ts)
        self.fills.append(fill)
        if order is not None:
            order.filled += fill.quantity
            if order.filled >= order.quantity:
                order.status = "FILLED"
                self._forget_if_ended(order)
            elif order.status == "SENT":
                order.status = "ACCEPTED"
        position = self.position(fill.strategy_id, fill.instrument_id)
        sellable = self._sellable(fill.instrument_id)
        if sellable is None:
            position.apply(fill)
        else:
            position.apply(fill, sellable if dust is None else lambda held, _: held - dust)
            self.dust.note(fill, position.before, position.quantity)
        self.marks.setdefault(fill.instrument_id, fill.price)
        self._touch(fill.instrument_id)
        return True

    def give_up(self, strategy_id: str, instrument_id: str, ts: int, why: str = "") -> None:
        """Let all that a strategy holds of an instrument be dust: the venue takes no order for it.

        The next fill tells anew what can be sold.
        """
        position = self.position(strategy_id, instrument_id)
        rest = GivenUp(strategy_id, instrument_id, ts, position.quantity, why)
        position.give_up()
        self.dust.given_up.append(rest)
        self._touch(instrument_id)

    def apply_funding_rate(self, rate: FundingRate) -> None:
        """Remember a funding rate until it is settled; the one before it is settled by now."""
        before = self._funding.get(rate.instrument_id)
        if before is not None and before.ts_settle < rate.ts_settle:
            self._settle(before)
        self._funding[rate.instrument_id] = rate

    def settle_funding(self, now: int) -> None:
        """Pay or receive funding whose time lies before `now`, at the last mark."""
        for rate in [r for r in self._funding.values() if r.ts_settle < now]:
            self._settle(rate)
            del self._funding[rate.instrument_id]

    def position(self, strategy_id: str, instrument_id: str) -> Position:
        """Return a strategy's position; a new, flat one if it never traded the instrument."""
        key = (strategy_id, instrument_id)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position()
            self._holders.setdefault(instrument_id, {})[strategy_id] = position
        return position

    def holders(self, instrument_id: str) -> Mapping[str, Position]:
        """Return all positions in one instrument, flat ones among them, by strategy."""
        return self._holders.get(instrument_id, _NOBODY)

    def open_orders(self, instrument_id: str) -> Iterable[Order]:
        """Return the open orders in one instrument, of all strategies, oldest first."""
        orders = self._open.get(instrument_id)
        return orders.values() if orders else ()

    def every_open_order(self) -> Iterable[Order]:
        """Return the open orders in all instruments, of all strategies."""
        return chain.from_iterable(orders.values() for orders in self._open.values())

    def open_order_count(self) -> int:
        """Return how many orders are open in all instruments."""
        return self._open_count

    def begin_with(self, equity: float) -> None:
        """Let the account have begun with another equity; whoever counts with it looks anew."""
        self.starting_equity = equity
        self.revision += 1

    def settle_on(self, balance: float) -> None:
        """Let starting equity and all that was closed add up to what an account says it holds.

        What it has paid for coins that are held still counts as its own: see `balance`.
        """
        settled = sum(self._settled(k[1], p) for k, p in self.positions.items())
        self.begin_with(balance - self.fees_elsewhere - settled)

    def balance(self) -> float:
        """Return what the account comes to without what is held, in the trader's currency.

        A spot market is paid for what is held: that is no balance any more.
        """
        total = self.starting_equity + self.fees_elsewhere
        for (_, instrument_id), p in self.positions.items():
            total += self._settled(instrument_id, p)
        return total

    def equity(self) -> float:
        """Return starting equity plus all profit, minus fees, plus funding, at the last marks."""
        state = self.revision, self.starting_equity
        if self._worth[0] == state:
            return self._worth[1]  # Several ask on an order's way.
        total, marks = self.starting_equity, self.marks
        for (_, instrument_id), p in self.positions.items():
            total += p.realized - p.fees + p.funding  # `closed`, and `unrealized` below
            if p.average_price:
                total += (p.amount + p.dust_amount) * (marks[instrument_id] - p.average_price)
        self._worth = state, total
        return total

    def is_spot(self, instrument_id: str) -> bool:
        """Return whether an instrument is a coin: it can be held, fees and all, and not owed."""
        rules = self._lots.get(instrument_id)
        return rules is not None and rules.long_only

    def _settled(self, instrument_id: str, p: Position) -> float:
        """Return by how much a position has changed the balance so far."""
        settled = p.closed
        if p.fees_elsewhere:
            settled += p.fees_elsewhere
        if p.average_price and self._sellable(instrument_id):
            settled -= float(p.held) * p.average_price
        return settled

    def _sellable(self, instrument_id: str) -> Callable[[Decimal, float], Decimal] | None:
        """Return what tells dust from a position; None: there is no dust in the instrument."""
        return self._lots[instrument_id].sellable if self.is_spot(instrument_id) else None

    def _settle(self, rate: FundingRate) -> None:
        self.settled.append(rate)
        mark = self.marks.get(rate.instrument_id)
        for (_, instrument_id), position in self.positions.items():
            if instrument_id == rate.instrument_id and mark is not None:
                position.funding -= position.value(mark) * rate.rate
        self._touch(rate.instrument_id)

    def _touch(self, instrument_id: str) -> None:
        self.revision += 1
        self.revisions.pop(instrument_id, None)
        self.revisions[instrument_id] = self.revision

    def _forget_if_ended(self, order: Order) -> None:
        if not order.is_open:
            order.let_go()
            self._forget(order)

    def _forget(self, order: Order) -> None:
        gone = self._open[order.instrument_id].pop(order.client_order_id, None)
        self._open_count -= gone is not None


def _terms(update: OrderUpdate) -> tuple[int, Decimal | None, float | None, float | None]:
    """Return by what new terms are known again."""
    return update.ts, update.quantity, update.price, update.trigger_price
