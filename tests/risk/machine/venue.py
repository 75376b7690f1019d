"""A venue of a few lines that holds the truth: what arrived, what was filled, what is held.

It knows nothing of our ledger. It takes commands some time after they were sent, answers some time
after that, refuses at random, fills in parts, and cuts what is reduce-only to what is held, as a
real one does. Positions are kept by strategy, as the engine keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Literal

import msgspec

from aitb_nautilus.messages import OrderKind, Side

__all__ = ["Command", "ModelVenue", "Pick", "Said", "Trade", "VenueOrder"]

type Pick = Callable[[int], int]
"""Chooses a number below another: a seeded source, or Hypothesis."""

ZERO = Decimal(0)
FEE = 0.0004
STOPS = ("STOP_MARKET", "STOP_LIMIT")
TOUCHES = ("MARKET_IF_TOUCHED",)

Word = Literal[
    "accepted",
    "rejected",
    "filled",
    "cancelled",
    "expired",
    "updated",
    "change refused",
    "cancel refused",
]
ENDS: dict[str, str] = {"rejected": "REJECTED", "cancelled": "CANCELED", "expired": "EXPIRED"}


class Said(msgspec.Struct, gc=False):
    """One thing that the venue says of one order."""

    word: Word
    order: VenueOrder
    ts: int
    trade: Trade | None = None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None


class Trade(msgspec.Struct, gc=False):
    """One fill at the venue, and whether the node has heard of it."""

    order: VenueOrder
    trade_id: str
    ts: int
    side: Side
    quantity: Decimal
    price: float
    fee: float
    heard: bool = False


class VenueOrder:
    """One order that left the node.

    Attributes
    ----------
    ending
        How it ended, in the product's words.
    state
        ``flying`` until the venue has it, then ``open``, then ``ended``; ``lost`` on the way.
    heard, known_quantity, known_prices, end_told
        What the node was told: filled quantity, quantity, prices, and that the order has ended.
    born_exit
        Whether it only reduced when it was sent, by what the node was told.
    journalled
        Whether the journal had it before it left.
    asks, most_asked, asked_prices
        Changes that were sent and not yet answered to the node: how many, and what they ask for.
    """

    __slots__ = (
        "asked_prices",
        "asks",
        "born_exit",
        "client_order_id",
        "end_told",
        "ending",
        "filled",
        "heard",
        "instrument_id",
        "journalled",
        "kind",
        "known_prices",
        "known_quantity",
        "known_ts",
        "most_asked",
        "price",
        "purpose",
        "quantity",
        "reduce_only",
        "side",
        "state",
        "strategy_id",
        "trigger_price",
    )

    def __init__(
        self,
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
    ) -> None:
        self.client_order_id = client_order_id
        self.strategy_id = strategy_id
        self.instrument_id = instrument_id
        self.side = side
        self.kind = kind
        self.quantity = self.known_quantity = quantity
        self.price = price
        self.trigger_price = trigger_price
        self.reduce_only = reduce_only
        self.purpose = purpose
        self.filled = self.heard = ZERO
        self.state = "flying"
        self.end_told = False
        self.ending = ""
        self.born_exit = False
        self.journalled = False
        self.asks = 0
        self.most_asked = ZERO
        self.known_ts = 0
        self.known_prices = (price, trigger_price)
        self.asked_prices: list[tuple[float | None, float | None]] = []

    @property
    def leaves(self) -> Decimal:
        """Return what the venue may still fill of it."""
        return ZERO if self.state in ("ended", "lost") else self.quantity - self.filled

    @property
    def may_come(self) -> Decimal:
        """Return what may still come to the node: open at the venue, on its way, or unheard.

        A fill that is heard after the end of its order is known to nobody before.
        """
        unheard = ZERO if self.end_told else self.filled - self.heard
        if self.state in ("ended", "lost"):
            return unheard
        most = max(self.quantity, self.most_asked) if self.asks else self.quantity
        return most - self.filled + unheard

    @property
    def known_leaves(self) -> Decimal:
        """Return what the node must think may still be filled."""
        if self.end_told:
            return ZERO
        most = max(self.known_quantity, self.most_asked) if self.asks else self.known_quantity
        return max(most - self.heard, ZERO)

    def ask(self, quantity: Decimal, price: float | None, trigger: float | None) -> None:
        """Note that a change has left the node."""
        self.asks += 1
        self.most_asked = max(self.most_asked, quantity)
        before = self.asked_prices[-1] if self.asked_prices else self.known_prices
        asked = (before[0] if price is None else price, before[1] if trigger is None else trigger)
        self.asked_prices.append(asked)

    def answer(self) -> None:
        """Note that the node was told what became of a change."""
        self.asks = max(self.asks - 1, 0)
        if not self.asks:
            self.most_asked = ZERO
            self.asked_prices.clear()

    def __repr__(self) -> str:
        terms = f"{self.side} {self.quantity} {self.instrument_id} {self.kind}"
        return f"<{self.client_order_id} {terms} {self.state} filled {self.filled}>"


class Command(msgspec.Struct, gc=False):
    """What is on its way to the venue."""

    action: Literal["submit", "modify", "cancel"]
    order: VenueOrder
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None


class ModelVenue:
    """The truth.

    Parameters
    ----------
    prices
        First price by instrument.
    lots
        Step of quantities by instrument.

    Attributes
    ----------
    orders
        All that ever left the node, by id.
    positions
        Signed quantity by strategy and instrument.
    flying
        Commands on their way here.
    outbox
        What was said and has not reached the node.
    said
        What has reached it.
    calm
        Whether it refuses nothing without a reason.
    up
        Whether node and venue hear each other.
    faults
        What must never happen here: an id that comes twice.
    """

    def __init__(self, prices: dict[str, float], lots: dict[str, Decimal]) -> None:
        self.prices = prices
        self.lots = lots
        self.calm = False
        self.now = 0
        self.orders: dict[str, VenueOrder] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.trades: list[Trade] = []
        self.flying: list[Command] = []
        self.lost: list[Command] = []
        self.outbox: list[Said] = []
        self.said: list[Said] = []
        self.up = True
        self.faults: list[str] = []

    def send(self, command: Command) -> None:
        """Take a command onto its way."""
        order = command.order
        if command.action == "submit":
            known = self.orders.get(order.client_order_id)
            if known is not None and (known.journalled or known.state != "lost"):
                self.faults.append(f"id {order.client_order_id} was sent twice")
            self.orders[order.client_order_id] = order
        self.flying.append(command)

    def lose(self) -> None:
        """Lose the first command on its way."""
        command = self.flying.pop(0)
        if command.action == "submit":
            command.order.state = "lost"
        self.lost.append(command)

    def arrive(self, pick: Pick) -> None:
        """Carry out the first command on its way."""
        command = self.flying.pop(0)
        order = command.order
        if command.action == "submit":
            self._take(order, pick)
        elif command.action == "cancel":
            if order.state != "open" or (not self.calm and not pick(20)):
                self._say("cancel refused", order)
            else:
                self._end("cancelled", order)
        else:
            self._change(command, pick)

    def move(self, instrument_id: str, price: float, pick: Pick) -> None:
        """Trade an instrument at a new price; fill what it reaches."""
        self.prices[instrument_id] = price
        for order in [o for o in self.orders.values() if o.instrument_id == instrument_id]:
            if order.state == "open" and self._reached(order, price):
                self._fill(order, pick)

    def resolve_lost(self) -> None:
        """Answer for commands that never came, as an engine does that asks for them."""
        for command in self.lost:
            order = command.order
            if command.action == "submit":
                order.state, order.ending = "ended", "REJECTED"
                self._say("rejected", order)
            elif command.action == "modify":
                self._say("change refused", order)
        self.lost.clear()

    def crash(self, pick: Pick) -> None:
        """Lose the node: commands arrive or not, and whatever is said from now on is lost."""
        while self.flying:
            if pick(3):
                self.arrive(pick)
            else:
                self.lose()
        self.lost.clear()
        self.outbox.clear()
        self.up = True

    def held(self, strategy_id: str, instrument_id: str) -> Decimal:
        """Return the signed quantity of a position."""
        return self.positions.get((strategy_id, instrument_id), ZERO)

    def resting(self, strategy_id: str, instrument_id: str) -> Iterator[VenueOrder]:
        """Yield the open orders of a strategy in an instrument."""
        for order in self.orders.values():
            if (
                order.state == "open"
                and order.strategy_id == strategy_id
                and order.instrument_id == instrument_id
            ):
                yield order

    def _take(self, order: VenueOrder, pick: Pick) -> None:
        order.state = "open"
        if (not self.calm and not pick(16)) or (order.reduce_only and not self._room(order)):
            self._end("rejected", order)
            return
        if order.kind in STOPS and self._reached(order, self.prices[order.instrument_id]):
            self._end("rejected", order)
            return
        self._say("accepted", order)
        if order.kind == "MARKET" or self._reached(order, self.prices[order.instrument_id]):
            self._fill(order, pick)

    def _change(self, command: Command, pick: Pick) -> None:
        order, quantity = command.order, command.quantity
        too_small = quantity is not None and quantity <= order.filled
        if order.state != "open" or too_small or (not self.calm and not pick(12)):
            self._say("change refused", order)
            return
        if quantity is not None:
            order.quantity = quantity
        if command.price is not None:
            order.price = command.price
        if command.trigger_price is not None:
            order.trigger_price = command.trigger_price
        self._say(
            "updated",
            order,
            quantity=order.quantity,
            price=order.price,
            trigger_price=order.trigger_price,
        )
        if self._reached(order, self.prices[order.instrument_id]):
            self._fill(order, pick)

    def _reached(self, order: VenueOrder, price: float) -> bool:
        """Return whether an order fills at a price."""
        buys = order.side == "BUY"
        if order.kind == "MARKET":
            return True
        if order.kind in (*STOPS, *TOUCHES):
            above = buys == (order.kind in STOPS)
            level = order.trigger_price or 0.0
            return price >= level if above else price <= level
        level = order.price or 0.0
        return price <= level if buys else price >= level

    def _room(self, order: VenueOrder) -> Decimal:
        """Return how much an order may still reduce."""
        held = self.held(order.strategy_id, order.instrument_id)
        return max(held if order.side == "SELL" else -held, ZERO)

    def _fill(self, order: VenueOrder, pick: Pick) -> None:
        """Fill an order, in parts; what is left rests until the price moves again."""
        parts = 1 + pick(3)
        for part in range(parts):
            leaves = order.quantity - order.filled
            if order.reduce_only:
                leaves = min(leaves, self._room(order))
                if not leaves:
                    self._end("expired", order)
                    return
            quantity = leaves
            if part < parts - 1 or not pick(4):
                lot = self.lots[order.instrument_id]
                lots = int(leaves / lot)
                quantity = lot * (1 + pick(lots)) if lots > 1 else leaves
            self._trade(order, quantity, pick)
            if order.filled >= order.quantity:
                order.state, order.ending = "ended", "FILLED"
                return

    def _trade(self, order: VenueOrder, quantity: Decimal, pick: Pick) -> None:
        price = self.prices[order.instrument_id]
        buys = order.side == "BUY"
        if order.kind != "LIMIT":
            price *= 1 + (1 if buys else -1) * pick(5) * 1e-4
        elif order.price is not None:
            price = min(price, order.price) if buys else max(price, order.price)
        order.filled += quantity
        key = (order.strategy_id, order.instrument_id)
        self.positions[key] = self.positions.get(key, ZERO) + (quantity if buys else -quantity)
        fee = price * float(quantity) * FEE
        id_ = f"T-{len(self.trades) + 1}"
        trade = Trade(order, id_, self.now, order.side, quantity, price, fee)
        self.trades.append(trade)
        self._say("filled", order, trade=trade)

    def _end(self, word: Word, order: VenueOrder) -> None:
        order.state, order.ending = "ended", ENDS[word]
        self._say(word, order)

    def _say(self, word: Word, order: VenueOrder, **terms: Any) -> None:
        self.outbox.append(Said(word, order, self.now, **terms))
