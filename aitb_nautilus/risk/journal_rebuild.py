"""What a trader held, from its journal alone: orders, positions and what each order is for.

A node that starts again on a journal knows by this what the node before it knew when it ended. The
records are taken one by one, so a journal can be looked at as of any record. Funding is no record,
and neither are prices: what was paid or received for it is missing, and an instrument's mark is
that of its first fill until the node hears a bar.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from aitb_nautilus.messages import Fill, OrderStatus, OrderUpdate
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.journal_carried import Account, Carried, begin_with
from aitb_nautilus.risk.journal_chain import Record
from aitb_nautilus.risk.journal_reader import Wanted, read
from aitb_nautilus.risk.journal_records import (
    Acknowledged,
    Answer,
    Decided,
    Dusted,
    Filled,
    Intended,
    Sent,
)
from aitb_nautilus.risk.ledger import Ledger

__all__ = ["Rebuilding", "rebuild", "unknown_update"]

_KINDS = tuple(
    type_.kind
    for type_ in (Carried, Account, Intended, Decided, Sent, Acknowledged, Filled, Dusted)
)
_STATUS_OF: dict[Answer, OrderStatus | None] = {
    "accepted": "ACCEPTED",
    "updated": None,
    "unchanged": None,
    "rejected": "REJECTED",
    "denied": "DENIED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
}


class Rebuilding:
    """A ledger that grows with the records of a journal.

    Parameters
    ----------
    ledger
        Of a trader that has done nothing yet.
    hear_fill
        Is told of each fill once the ledger holds it.
    hear_sent
        Is told of each opening order, and each change that opens more or moves a price, with the
        node's clock at that moment, ns UTC.

    Attributes
    ----------
    ledger
        As it was after the last record that was taken.
    """

    def __init__(
        self,
        ledger: Ledger,
        hear_fill: Callable[[Fill], None] = lambda _fill: None,
        hear_sent: Callable[[Order, int], None] = lambda _order, _ts: None,
    ) -> None:
        self.ledger = ledger
        self._hear_fill = hear_fill
        self._hear_sent = hear_sent
        self._exits: set[str] = set()
        self._purposes: dict[str, str] = {}
        self._late: dict[str, int] = {}
        self._reduces = False

    def take(self, record: Record) -> None:  # noqa: PLR0912 - one case a kind
        """Take the next record; kinds that say nothing of orders are passed over."""
        ledger, name = self.ledger, record.client_order_id
        left = self._left(record)
        match record.body:
            case Carried() | Account() as begun:
                begin_with(begun, ledger)
            case Intended(action="modify", purpose=purpose):
                self._purposes[name] = purpose
            case Decided(outcome="refused"):
                pass
            case Decided(action="modify", reducing=reducing, idle=idle):
                self._reduces = reducing
                self._rename(name, idle=idle)
            case Decided(action="submit", reducing=True) if name:
                self._exits.add(name)
            case Sent(action="submit") as sent:
                order = _order(record, sent, is_exit=name in self._exits)
                ledger.apply_order(order)
                if not order.is_exit:
                    self._hear_sent(order, left)
            case Sent(action="modify") as sent if name in ledger.orders:
                order = ledger.orders[name]
                if _opens(order, sent) and not self._reduces:
                    self._hear_sent(order, left)
                terms = sent.quantity, sent.price, sent.trigger_price, sent.purpose
                ledger.ask_change(order, *terms)
            case Acknowledged() as answer if name in ledger.orders:
                ledger.apply_update(_update(record, answer, ledger.orders[name]))
            case Filled() as filled:
                fill = _fill(record, filled)
                if ledger.apply_fill(fill):
                    self._hear_fill(fill)
            case Dusted(why=why):
                ledger.give_up(record.strategy_id, record.instrument_id, record.ts, why)

    def _left(self, record: Record) -> int:
        """Return the node's clock at a record, as far as the decision before it says."""
        if isinstance(record.body, Decided):
            self._late[record.client_order_id] = record.body.late_ns
        return record.ts + self._late.get(record.client_order_id, 0)

    def _rename(self, client_order_id: str, *, idle: bool) -> None:
        """Take a new purpose that nobody else is asked for."""
        purpose = self._purposes.pop(client_order_id, "")
        order = self.ledger.orders.get(client_order_id)
        if idle and purpose and order is not None:
            order.purpose = purpose


def rebuild(
    path: Path,
    ledger: Ledger,
    hear_fill: Callable[[Fill], None] = lambda _fill: None,
    hear_sent: Callable[[Order, int], None] = lambda _order, _ts: None,
) -> Ledger:
    """Fill a ledger with what its trader held after the last record of its journal.

    Parameters
    ----------
    path
        Of the journal, or the run folder that holds it.
    ledger
        Of a trader that has done nothing yet.
    hear_fill
        Is told of each fill once the ledger holds it: `Guard.hear_fill`, so that losing streaks
        and stops before the restart count.
    hear_sent
        Is told of each opening order or change, with the node's clock: `Hearing.sent_before`, so
        that the orders of this minute and this day count.

    Raises
    ------
    DataError
        If the file is not there, no journal, or one of another version.
    JournalError
        If it cannot be read.
    """
    rebuilding = Rebuilding(ledger, hear_fill, hear_sent)
    for record in read(path, Wanted(kinds=_KINDS)):
        rebuilding.take(record)
    return ledger


def unknown_update(order: Order, ts: int, reason: str = "") -> OrderUpdate:
    """Return what it means for an order that the venue does not know it.

    It cannot be filled any more: one that the venue took is gone, one that it did not take never
    was there. Of an exit nobody says that it was refused: a stop that ended is put back, and one
    that was refused closes the position.
    """
    never = order.status == "SENT" and not order.filled and not order.is_exit
    status: OrderStatus = "REJECTED" if never else "CANCELED"
    return OrderUpdate(order.client_order_id, order.instrument_id, ts, status, reason=reason)


def _order(record: Record, sent: Sent, *, is_exit: bool) -> Order:
    return Order(
        client_order_id=record.client_order_id,
        strategy_id=record.strategy_id,
        instrument_id=record.instrument_id,
        side=sent.side or "BUY",
        kind=sent.order_kind or "MARKET",
        quantity=sent.quantity or Decimal(0),
        price=sent.price,
        trigger_price=sent.trigger_price,
        reduce_only=sent.reduce_only,
        purpose=sent.purpose,
        ts_sent=record.ts,
        is_exit=is_exit,
    )


def _opens(order: Order, sent: Sent) -> bool:
    """Return whether a change was judged as an opening order is."""
    larger = sent.quantity is not None and sent.quantity > order.quantity
    moved = sent.price is not None or sent.trigger_price is not None
    return not order.reduce_only and (larger or moved)


def _update(record: Record, answer: Acknowledged, order: Order) -> OrderUpdate:
    if answer.answer == "unknown":
        return unknown_update(order, record.ts, answer.reason)
    return OrderUpdate(
        record.client_order_id,
        record.instrument_id,
        record.ts,
        _STATUS_OF[answer.answer],
        answer.quantity,
        answer.price,
        answer.trigger_price,
        answer.reason,
        answer.answers_change,
    )


def _fill(record: Record, filled: Filled) -> Fill:
    return Fill(
        record.strategy_id,
        record.instrument_id,
        record.client_order_id,
        filled.trade_id,
        record.ts,
        filled.side,
        filled.price or 0.0,
        filled.quantity,
        filled.fee or 0.0,
        filled.liquidity,
        filled.base_fee,
        filled.fee_elsewhere,
    )
