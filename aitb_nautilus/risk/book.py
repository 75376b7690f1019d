"""One order and one position, as our own events describe them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from aitb_nautilus.messages import Fill, OrderKind, OrderStatus, Side

__all__ = ["ZERO", "Ending", "Order", "Position"]

ZERO = Decimal(0)

Ending = Literal["", "asked", "asked by exits", "refused"]
"""Whether somebody has asked for an order's end, and what became of that."""

_ENDED: frozenset[OrderStatus] = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED"})


class Order:
    """One of our orders as the venue's answers describe it.

    Quantities are `Decimal` in base currency, prices float64 in quote currency, times int ns UTC.

    Attributes
    ----------
    changes
        Changes that were sent and not yet answered.
    asked
        Largest quantity that one of these asks for; 0 if there is none.
    asked_prices
        Limit and trigger prices that these ask for, the first one first.
    asked_purposes
        What the order is for once each of these is made, the first one first; empty: as before.
    ts_terms
        When the venue had the latest terms that it told.
    told
        The last changes of terms that it told.
    is_exit
        Whether it passed the guard because it only reduces.
    ending
        Whether a cancel of it was sent. It is forgotten with the order, or once the venue refuses;
        never by time, since an order whose cancel nobody has answered may rest or not.
    """

    __slots__ = (
        "_amount",
        "_terms",
        "asked",
        "asked_prices",
        "asked_purposes",
        "changes",
        "client_order_id",
        "ending",
        "filled",
        "instrument_id",
        "is_exit",
        "kind",
        "price",
        "purpose",
        "quantity",
        "reason",
        "reduce_only",
        "side",
        "status",
        "strategy_id",
        "told",
        "trigger_price",
        "ts_sent",
        "ts_terms",
    )

    def __init__(
        self,
        *,
        client_order_id: str,
        strategy_id: str,
        instrument_id: str,
        side: Side,
        kind: OrderKind,
        quantity: Decimal,
        price: float | None,
        trigger_price: float | None,
        reduce_only: bool,
        purpose: str,
        ts_sent: int,
        is_exit: bool = False,
    ) -> None:
        self.client_order_id = client_order_id
        self.strategy_id = strategy_id
        self.instrument_id = instrument_id
        self.side = side
        self.kind = kind
        self.quantity = quantity
        self.price = price
        self.trigger_price = trigger_price
        self.reduce_only = reduce_only
        self.purpose = purpose
        self.ts_sent = ts_sent
        self.is_exit = is_exit
        self.filled = ZERO
        self._terms: tuple[Decimal, Decimal, Decimal] | None = None
        self._amount = 0.0
        self.ts_terms = 0
        self.told: tuple[object, ...] = ()
        self.changes = 0
        self.asked = ZERO
        self.asked_prices: tuple[tuple[float | None, float | None], ...] = ()
        self.asked_purposes: tuple[str, ...] = ()
        self.status: OrderStatus = "SENT"
        self.reason = ""
        self.ending: Ending = ""

    @property
    def is_ending(self) -> bool:
        """Return whether a cancel of it was sent that nobody has refused."""
        return self.ending in ("asked", "asked by exits")

    @property
    def is_open(self) -> bool:
        """Return whether the order can still be filled."""
        return self.status not in _ENDED

    @property
    def is_stop(self) -> bool:
        """Return whether the order waits for a price that moves against its position."""
        return self.kind in ("STOP_MARKET", "STOP_LIMIT", "TRAILING_STOP_MARKET")

    @property
    def leaves(self) -> Decimal:
        """Return the quantity that is still to be filled."""
        return self.quantity - self.filled

    @property
    def most_leaves(self) -> Decimal:
        """Return the largest quantity that may still be filled, unanswered changes included."""
        return max(self.quantity, self.asked) - self.filled

    @property
    def most_amount(self) -> float:
        """Return the same as float64; kept, since the limits ask for it at every order."""
        terms = (self.quantity, self.asked, self.filled)
        if terms != self._terms:
            self._terms, self._amount = terms, float(self.most_leaves)
        return self._amount

    def ask_end(self, *, by_exits: bool = False) -> None:
        """Note that a cancel is sent; who asked first stays."""
        if not self.is_ending:
            self.ending = "asked by exits" if by_exits else "asked"

    def let_go(self) -> None:
        """Keep nothing that only an open order needs: a node remembers each as long as it runs."""
        self._terms, self._amount = None, 0.0
        if _is_same(self.filled, self.quantity):
            self.filled = self.quantity

    def shared(self, fill: Fill) -> Fill:
        """Return a fill of the order that has the order's own id, and its quantity if it is all.

        Each event brings both anew, and a node remembers every fill as long as it runs.
        """
        own = self.quantity if _is_same(fill.quantity, self.quantity) else fill.quantity
        return replace(fill, client_order_id=self.client_order_id, quantity=own)

    def ask_change(
        self,
        quantity: Decimal | None,
        price: float | None = None,
        trigger_price: float | None = None,
        purpose: str = "",
    ) -> None:
        """Note a change that is about to be sent; None, and no purpose, leave a term as it is."""
        self.changes += 1
        self.asked_purposes = (*self.asked_purposes, purpose)
        self.asked = max(self.asked, self.quantity if quantity is None else quantity)
        before = self.asked_prices[-1] if self.asked_prices else (self.price, self.trigger_price)
        asked = (
            before[0] if price is None else price,
            before[1] if trigger_price is None else trigger_price,
        )
        if asked != before:
            self.asked_prices = (*self.asked_prices, asked)

    def answer_change(self, *, is_made: bool) -> None:
        """Note that the first change that is unanswered was made, or refused."""
        if is_made and self.asked_purposes:
            self.purpose = self.asked_purposes[0] or self.purpose
        self.asked_purposes = self.asked_purposes[1:]
        self.changes = max(self.changes - 1, 0)
        if not self.changes:
            self.asked = ZERO
            self.asked_prices = ()


class Position:
    """One strategy's net position in one instrument.

    Attributes
    ----------
    quantity
        Signed, in base currency: positive is long.
    amount
        The same as float64.
    before
        What `quantity` was before the last fill.
    dust
        What is held beside it, and is too little to be sold; spot markets leave such rests.
    dust_amount
        The same as float64.
    average_price
        Of all that is held, in quote currency; 0 when nothing is.
    realized
        Profit of closed quantity, before fees and funding, in quote currency.
    fees, funding
        Paid since the start; funding is positive when received.
    fees_elsewhere
        What of the fees was paid with a third coin.
    funding_before
        The funding of the trades before the one that is open.
    funding_carried
        What the trade that the run took over had been paid before it.
    ts_opened
        When the position last left zero, or 0.
    """

    __slots__ = (
        "amount",
        "average_price",
        "before",
        "dust",
        "dust_amount",
        "fees",
        "fees_elsewhere",
        "funding",
        "funding_before",
        "funding_carried",
        "quantity",
        "realized",
        "ts_opened",
    )

    def __init__(self) -> None:
        self.quantity = ZERO
        self.amount = 0.0
        self.before = ZERO
        self.dust = ZERO
        self.dust_amount = 0.0
        self.average_price = 0.0
        self.realized = 0.0
        self.fees = 0.0
        self.fees_elsewhere = 0.0
        self.funding = 0.0
        self.funding_before = self.funding_carried = 0.0
        self.ts_opened = 0

    @property
    def held(self) -> Decimal:
        """Return all that is held, dust among it; signed, in base currency."""
        return self.quantity + self.dust

    @property
    def closed(self) -> float:
        """Return what all that was closed has earned, in quote currency."""
        return self.realized - self.fees + self.funding

    @property
    def trade_funding(self) -> float:
        """Return what the open trade was paid for funding, in all runs; 0 if there is none."""
        return self.funding - self.funding_before if self.quantity else 0.0

    def carry_funding(self, amount: float) -> None:
        """Let the open trade have been paid so much in the runs before."""
        self.funding_carried, self.funding_before = amount, -amount

    def apply(
        self, fill: Fill, sellable: Callable[[Decimal, float], Decimal] | None = None
    ) -> None:
        """Change the position by one fill.

        Parameters
        ----------
        sellable
            Returns what of a holding can be sold at a price; None: all of it.
        """
        change = fill.change
        before, after = self.held, self.held + change
        if before == 0:
            self.average_price = fill.price
        elif (before > 0) == (change > 0):
            held, added = float(abs(before)), float(abs(change))
            self.average_price = (self.average_price * held + fill.price * added) / (held + added)
        else:
            closed = float(min(abs(before), abs(change)))
            direction = 1.0 if before > 0 else -1.0
            self.realized += direction * closed * (fill.price - self.average_price)
            if after == 0:
                self.average_price = 0.0
            elif (after > 0) != (before > 0):
                self.average_price = fill.price
        self.before = self.quantity
        self.quantity = after if sellable is None else sellable(after, fill.price)
        self.dust = after - self.quantity
        self.amount, self.dust_amount = float(self.quantity), float(self.dust)
        if not self.quantity:
            self.ts_opened = 0
        elif not self.before or (self.quantity > 0) != (self.before > 0):
            self.ts_opened, self.funding_before = fill.ts, self.funding
        self.fees += fill.fee
        if fill.fee_elsewhere:
            self.fees_elsewhere += fill.fee

    def give_up(self) -> None:
        """Let all that is held be dust."""
        self.dust, self.dust_amount = self.held, float(self.held)
        self.quantity, self.amount, self.ts_opened = ZERO, 0.0, 0

    def value(self, price: float) -> float:
        """Return the signed value of the position at a price, in quote currency."""
        return self.amount * price

    def unrealized(self, price: float) -> float:
        """Return the profit of all that is held at a price, in quote currency."""
        return (self.amount + self.dust_amount) * (price - self.average_price)


def _is_same(one: Decimal, other: Decimal) -> bool:
    """Return whether two numbers are equal and written with as many digits."""
    return one.compare_total(other) == 0
