"""Whatever stands at a venue must be explained by the journal.

`unexplained` compares what a venue says with what the trader knows: orders that nobody here sent,
orders that we think open and the venue does not know, positions that are larger, smaller or on the
other side, balances that are off. It asks nobody and changes nothing. Each row says in one line
what was found, and names the answers of which a person may choose one:

- ``adopt``: the venue is right. The ledger follows; what is new is given to a strategy.
- ``cancel``: cancel the order at the venue.
- ``close``: close at the venue what is unexplained, with a reduce-only order.
- ``ignore``: leave it, as long as it stays exactly as it is.

It is meant for a moment at which nothing is on its way: when a node starts, after `recovery`, and
when a connection comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from aitb_nautilus.messages import OrderStatus
from aitb_nautilus.risk.book import ZERO, Order
from aitb_nautilus.risk.ledger import Ledger
from aitb_nautilus.risk.venue_facts import VenueFacts, VenueOrder

__all__ = ["Choice", "Explained", "Unexplained", "expected_balance", "spell_rows", "unexplained"]

Choice = Literal["adopt", "cancel", "close", "ignore"]
_SPELLED = 5
"""How many rows a halt's reason names; all of them stand in the table."""


class Unexplained(msgspec.Struct, frozen=True):
    """One thing at a venue that the journal does not explain.

    Attributes
    ----------
    key
        By which a person names it: ``order:ID``, ``position:INSTRUMENT``, ``balance:CURRENCY``.
    what
        In two words.
    instrument_id
        Empty of a balance.
    at_venue, in_journal
        What each says. A thing that changes at the venue is another one.
    line
        What was found, in one line.
    choices
        The answers that fit.
    needs_strategy
        Whether ``adopt`` must name the strategy that it shall belong to.
    """

    key: str
    what: Literal[
        "foreign order",
        "ended order",
        "changed order",
        "order gone",
        "position",
        "balance",
        "engine's cache",
    ]
    instrument_id: str
    at_venue: str
    in_journal: str
    line: str
    choices: tuple[Choice, ...]
    needs_strategy: bool = False


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What else explains things at a venue, beside the ledger.

    Attributes
    ----------
    pending
        Ids that are being asked for, or are held back here and not at the venue.
    sent
        Ids that the journal says were sent; an order of one of these that the ledger does not know
        left while the journal could not be written.
    ended
        What became of orders of the run before that the ledger does not hold any more, by id.
    lots
        Lot by instrument id, base currency: what a position is off by less than a lot is dust.
    balances
        What the trader expects to have, by currency code; the venue may hold others.
    balance_tolerance
        By how much a balance may be off, in its currency.
    """

    pending: Collection[str] = ()
    sent: Collection[str] = ()
    ended: Mapping[str, OrderStatus] = {}
    lots: Mapping[str, Decimal] = {}
    balances: Mapping[str, Decimal] = {}
    balance_tolerance: Decimal = ZERO


def unexplained(facts: VenueFacts, ledger: Ledger, explained: Explained) -> list[Unexplained]:
    """Return everything that nobody can explain: orders, then positions, then balances.

    Parameters
    ----------
    facts
        What the venues say.
    ledger
        What the trader knows, from its own events or rebuilt from its journal.
    explained
        What else explains things.
    """
    rows = [_look_at_order(order, ledger, explained) for order in facts.orders]
    rows += _gone(facts, ledger, explained)
    rows += _positions(facts, ledger, explained)
    rows += _balances(facts, explained)
    return [row for row in rows if row is not None]


def expected_balance(ledger: Ledger) -> Decimal:
    """Return the balance that a ledger comes to, without unrealized profit, to a millionth."""
    return Decimal(f"{ledger.balance():.6f}")


def spell_rows(rows: Sequence[Unexplained]) -> str:
    """Return in one sentence what was found; the reason of a halt."""
    more = len(rows) - _SPELLED
    lines = "; ".join(row.line for row in rows[:_SPELLED])
    things = "one thing" if len(rows) == 1 else f"{len(rows)} things"
    rest = f"; and {more} more" if more > 0 else ""
    return f"{things} at the venue that the journal does not explain: {lines}{rest}"


def _look_at_order(order: VenueOrder, ledger: Ledger, explained: Explained) -> Unexplained | None:
    name = order.client_order_id
    if name in explained.pending:
        return None
    ours = ledger.orders.get(name) if name else None
    key = f"order:{name or order.venue_order_id}"
    theirs = _spell(order)
    where = order.instrument_id
    ended = explained.ended.get(name) if ours is None else ours.status
    if ended is not None and (ours is None or not ours.is_open):
        line = f"order {name} is open at the venue ({theirs} {where}), for us it is {ended}"
        said = ended if ours is None else _spell(ours)
        return Unexplained(key, "ended order", where, theirs, said, line, ("cancel", "ignore"))
    if ours is None:
        known = "nobody here sent it"
        if name in explained.sent:
            known = "it was sent while the journal could not be written; whose it is, nobody knows"
        line = f"order {name or order.venue_order_id}, {theirs} {where}, is open: {known}"
        choices: tuple[Choice, ...] = ("cancel", "adopt", "ignore")
        if not name:
            choices = ("cancel", "ignore")  # It could not be told from another one later.
        return Unexplained(key, "foreign order", where, theirs, "-", line, choices, True)
    said = _spell(ours)
    if (ours.instrument_id, ours.side) != (where, order.side):
        line = f"order {name} is {theirs} {where} at the venue, we sent {said} {ours.instrument_id}"
        return Unexplained(key, "changed order", where, theirs, said, line, ("cancel", "ignore"))
    if not _differs(order, ours):
        return None
    line = f"order {name} of {where} is {theirs} at the venue, for us it is {said}"
    choices = ("adopt", "cancel", "ignore")
    if order.filled < ours.filled:
        choices = ("cancel", "ignore")  # What was filled here cannot be taken back.
    return Unexplained(key, "changed order", where, theirs, said, line, choices)


def _differs(order: VenueOrder, ours: Order) -> bool:
    if order.filled != ours.filled:
        return True
    if ours.changes:
        return False  # It may have either terms until the change is answered.
    pairs = ((order.price, ours.price), (order.trigger_price, ours.trigger_price))
    moved = any(None not in pair and pair[0] != pair[1] for pair in pairs)
    return moved or order.quantity != ours.quantity


def _gone(facts: VenueFacts, ledger: Ledger, explained: Explained) -> list[Unexplained]:
    """Return a row for each order that rests here and not there."""
    there = {order.client_order_id for order in facts.orders}
    rows = []
    for ours in ledger.every_open_order():
        name = ours.client_order_id
        on_its_way = ours.status == "SENT" or name in explained.pending
        if on_its_way or name in there or not facts.speaks_of(ours.instrument_id):
            continue
        said = _spell(ours)
        line = (
            f"order {name}, {said} {ours.instrument_id} of {ours.strategy_id}, rests for us, and "
        )
        line += "the venue does not know it"
        choices: tuple[Choice, ...] = ("adopt", "ignore")
        key = f"order:{name}"
        rows.append(Unexplained(key, "order gone", ours.instrument_id, "-", said, line, choices))
    return rows


def _positions(facts: VenueFacts, ledger: Ledger, explained: Explained) -> list[Unexplained]:
    """Return a row for each instrument of which more or less is held than we know.

    What an order of ours was filled beyond what we know stands in the order's own row.
    """
    expected: dict[str, Decimal] = {}
    for (_, instrument_id), position in ledger.positions.items():
        if position.held and facts.speaks_of(instrument_id):
            expected[instrument_id] = expected.get(instrument_id, ZERO) + position.held
    for order in facts.orders:
        ours = ledger.orders.get(order.client_order_id)
        if ours is not None and order.filled > ours.filled:
            missed = order.filled - ours.filled
            before = expected.get(order.instrument_id, ZERO)
            expected[order.instrument_id] = before + (missed if order.side == "BUY" else -missed)
    rows = []
    for instrument_id in dict.fromkeys([*expected, *facts.positions]):
        ours_held = expected.get(instrument_id, ZERO)
        held = facts.positions.get(instrument_id, ZERO)
        off = held - ours_held
        if not off or abs(off) < explained.lots.get(instrument_id, ZERO):
            continue
        line = f"{held} {instrument_id} is held at the venue, the journal explains {ours_held}"
        choices: tuple[Choice, ...] = ("adopt", "ignore")
        if held and (held > 0) == (off > 0):
            choices = ("close", "adopt", "ignore")
        key = f"position:{instrument_id}"
        rows.append(
            Unexplained(
                key, "position", instrument_id, str(held), str(ours_held), line, choices, True
            )
        )
    return rows


def _balances(facts: VenueFacts, explained: Explained) -> list[Unexplained]:
    rows = []
    for code, expected in explained.balances.items():
        held = facts.balances.get(code, ZERO)
        off = held - expected
        if abs(off) <= explained.balance_tolerance:
            continue
        line = (
            f"the balance is {held} {code}, the journal comes to {expected}: {off:+} {code}, and "
            f"{explained.balance_tolerance} may be off"
        )
        rows.append(
            Unexplained(
                f"balance:{code}",
                "balance",
                "",
                str(held),
                str(expected),
                line,
                ("adopt", "ignore"),
            )
        )
    return rows


def _spell(order: VenueOrder | Order) -> str:
    """Return what an order is: ``SELL 0.010 LIMIT at 31000, 0.004 filled``."""
    words = f"{order.side} {order.quantity} {order.kind}"
    if order.price is not None:
        words += f" at {order.price:.10g}"
    if order.trigger_price is not None:
        words += f" from {order.trigger_price:.10g}"
    if order.reduce_only:
        words += ", reduce-only"
    return f"{words}, {order.filled} filled" if order.filled else words
