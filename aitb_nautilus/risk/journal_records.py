"""What the journal says: one frozen struct a kind of record.

Every record has a time, and where it has them a strategy, an instrument and a client order id; what
else there is to say stands in its body, one of the structs here. Prices are float64 in quote
currency, quantities exact `Decimal` in base currency; a number that is not finite is written as
none. Times are int ns UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal, Self

from aitb_nautilus.messages import (
    CancelIntent,
    CloseIntent,
    Fill,
    Intent,
    ModifyIntent,
    OrderIntent,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    Side,
)
from aitb_nautilus.risk.journal_carried import Account, Carried
from aitb_nautilus.risk.journal_node_records import (
    Body,
    Closed,
    Found,
    Gap,
    Halted,
    Opened,
    Resumed,
    ScopeKind,
    Settled,
    TradingLevel,
    Verb,
)

__all__ = [
    "KINDS",
    "Acknowledged",
    "Action",
    "Answer",
    "Body",
    "Closed",
    "Decided",
    "Dusted",
    "Filled",
    "Found",
    "Gap",
    "Halted",
    "Intended",
    "Opened",
    "Resumed",
    "ScopeKind",
    "Sent",
    "Settled",
    "TradingLevel",
    "Verb",
]

type Number = float | None
"""None where it was not finite."""
Action = Literal["submit", "modify", "cancel"]
Answer = Literal[
    "accepted",
    "updated",
    "unchanged",
    "rejected",
    "denied",
    "cancelled",
    "expired",
    "unknown",
]
"""``unchanged``: a change or a cancel was refused. ``unknown``: the venue was asked after a crash,
and does not know the order."""
_ANSWER_OF: dict[OrderStatus, Answer] = {
    "ACCEPTED": "accepted",
    "REJECTED": "rejected",
    "DENIED": "denied",
    "CANCELED": "cancelled",
    "EXPIRED": "expired",
}


class Intended(Body, frozen=True):
    """A strategy, or a command, wishes something.

    Attributes
    ----------
    action
        What is wished of an order; a wish to close a position is ``close``, and a person's command
        is its verb.
    because
        What led to it, in one line, such as ``btc_up@3 0.71``.
    """

    kind: ClassVar[str] = "intent"
    action: Action | Literal["close"] | Verb
    side: Side | None = None
    order_kind: OrderKind | None = None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    reduce_only: bool = False
    post_only: bool = False
    purpose: str = ""
    because: str = ""

    @classmethod
    def of(cls, intent: Intent, because: str = "") -> Self:
        """Return an intent as the journal says it."""
        match intent:
            case OrderIntent():
                return cls(
                    action="submit",
                    side=intent.side,
                    order_kind=intent.kind,
                    quantity=intent.quantity,
                    price=intent.price,
                    trigger_price=intent.trigger_price,
                    reduce_only=intent.reduce_only,
                    post_only=intent.post_only,
                    purpose=intent.purpose,
                    because=because,
                )
            case ModifyIntent():
                return cls(
                    action="modify",
                    quantity=intent.quantity,
                    price=intent.price,
                    trigger_price=intent.trigger_price,
                    purpose=intent.purpose or "",
                    because=because,
                )
            case CloseIntent():
                return cls(action="close", purpose=intent.purpose, because=because)
            case CancelIntent():
                return cls(action="cancel", because=because)


class Decided(Body, frozen=True, kw_only=False):
    """The guard decided on a wish, and on what it looked at.

    Attributes
    ----------
    action
        What was decided on: a new order or a change of one.
    wanted, quantity
        What was wished, and what may be sent; 0 if it was refused.
    reducing
        Whether it passed because it only reduces.
    limit, line
        What shrank or refused it, and why.
    state
        Trading state at that moment.
    equity
        Of the desk, in the trader's currency.
    mark
        Last price of the instrument; None if none was seen.
    position
        Signed, of the strategy in the instrument.
    open_orders
        In all instruments.
    whole
        Whether the order could only pass as it was, or not at all.
    outside
        Whether it was refused for a reason that lies outside the limits.
    idle
        Whether it was allowed and changes nothing, so that nothing was sent.
    late_ns
        How far the node's clock was ahead of the record's time, which is that of the fact that was
        answered.
    quote
        The last one of the instrument: time, bid, ask, and what stands there; None if none was
        seen.
    references
        Instruments that are only looked at: id, time and close of the last bar.
    foretold
        Predictions that the limits had been told until then.
    heard
        Bars of all instruments that the node had heard since it began: with it, the journal and the
        bars of a run can be put into the one order in which they came.
    """

    kind: ClassVar[str] = "decision"
    outcome: Literal["allowed", "shrunk", "refused"]
    action: Action = "submit"
    wanted: Decimal | None = None
    quantity: Decimal = Decimal(0)
    reducing: bool = False
    limit: str = ""
    line: str = ""
    state: TradingLevel = "active"
    equity: float | None = None
    mark: float | None = None
    position: Decimal = Decimal(0)
    open_orders: int = 0
    whole: bool = False
    outside: bool = False
    idle: bool = False
    late_ns: int = 0
    quote: tuple[int, Number, Number, Number, Number] | None = None
    references: tuple[tuple[str, int, Number], ...] = ()
    foretold: int = 0
    heard: int = 0


class Sent(Body, frozen=True):
    """A command is about to leave for the venue, with these terms; None leaves one as it is."""

    kind: ClassVar[str] = "sent"
    action: Action
    side: Side | None = None
    order_kind: OrderKind | None = None
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    reduce_only: bool = False
    purpose: str = ""


class Acknowledged(Body, frozen=True):
    """The engine or the venue answered.

    Attributes
    ----------
    venue_order_id
        The venue's own name of the order, where it gave one.
    quantity, price, trigger_price
        New terms where they changed.
    reason
        In the venue's words.
    answers_change
        Whether it answers a change that was asked for, or that the venue made by itself.
    heard
        As in `Decided`.
    """

    kind: ClassVar[str] = "acknowledged"
    answer: Answer
    venue_order_id: str = ""
    quantity: Decimal | None = None
    price: float | None = None
    trigger_price: float | None = None
    reason: str = ""
    answers_change: bool = False
    heard: int = 0

    @classmethod
    def of(cls, update: OrderUpdate, venue_order_id: str = "", heard: int = 0) -> Self:
        """Return an update of an order, other than a fill, as the journal says it."""
        if update.status is not None:
            answer = _ANSWER_OF[update.status]
        else:
            answer = "unchanged" if update.quantity is None else "updated"
        return cls(
            answer=answer,
            venue_order_id=venue_order_id,
            quantity=update.quantity,
            price=update.price,
            trigger_price=update.trigger_price,
            reason=update.reason,
            answers_change=update.answers_change,
            heard=heard,
        )


class Filled(Body, frozen=True):
    """One fill.

    Attributes
    ----------
    fee
        In quote currency; positive is paid.
    leaves
        Quantity that is still to be filled, 0 if this was the last; None if that is not known.
    heard
        As in `Decided`.
    """

    kind: ClassVar[str] = "filled"
    trade_id: str
    side: Side
    price: float | None
    quantity: Decimal
    fee: float | None = 0.0
    liquidity: str = ""
    leaves: Decimal | None = None
    heard: int = 0
    base_fee: Decimal = Decimal(0)
    fee_elsewhere: bool = False

    @classmethod
    def of(cls, fill: Fill, leaves: Decimal | None = None, heard: int = 0) -> Self:
        """Return a fill as the journal says it."""
        return cls(
            trade_id=fill.trade_id,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            liquidity=fill.liquidity,
            leaves=leaves,
            heard=heard,
            base_fee=fill.base_fee,
            fee_elsewhere=fill.fee_elsewhere,
        )


class Dusted(Body, frozen=True):
    """What a strategy held of an instrument was given up: the venue takes no order for it.

    Attributes
    ----------
    quantity
        What could be sold of it before, base currency.
    heard
        As in `Decided`.
    """

    kind: ClassVar[str] = "dusted"
    quantity: Decimal
    why: str
    heard: int = 0


KINDS: dict[str, type[Body]] = {
    type_.kind: type_
    for type_ in (
        Opened,
        Intended,
        Decided,
        Sent,
        Acknowledged,
        Filled,
        Dusted,
        Halted,
        Resumed,
        Found,
        Settled,
        Gap,
        Carried,
        Account,
        Closed,
    )
}
"""Kind to the struct of its body."""
