"""What is held and what may still be opened, by instrument: the ledger as limits look at it.

Nothing is set off. Held longs and shorts, and opening orders of both sides, stand apart, all in
quote currency; what is held counts at the last price, an order at the most that it may come to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from aitb_nautilus.market.instruments import venue_name
from aitb_nautilus.messages import Side
from aitb_nautilus.risk.book import Order
from aitb_nautilus.risk.ledger import Ledger

__all__ = [
    "EVERYTHING",
    "Holdings",
    "Looks",
    "Scope",
    "dearest",
]


class Scope:
    """Some of a trader's orders and positions.

    Parameters
    ----------
    venue, instrument_id
        Where; empty: everywhere.
    strategy
        Whose, as the config names it or with the tag that the engine adds; empty: everybody's.
    """

    __slots__ = ("_covered", "instrument_id", "strategy", "venue")

    def __init__(self, venue: str = "", strategy: str = "", instrument_id: str = "") -> None:
        self.venue = venue
        self.strategy = strategy
        self.instrument_id = instrument_id
        self._covered: dict[tuple[str, str], bool] = {}

    def covers(self, strategy_id: str, instrument_id: str) -> bool:
        """Return whether what a strategy does in an instrument belongs to it."""
        key = (strategy_id, instrument_id)
        covered = self._covered.get(key)
        if covered is None:
            covered = self._covered[key] = self._covers(strategy_id, instrument_id)
        return covered

    def _covers(self, strategy_id: str, instrument_id: str) -> bool:
        return (
            (not self.instrument_id or instrument_id == self.instrument_id)
            and (not self.venue or venue_name(instrument_id) == self.venue)
            and (
                not self.strategy or self.strategy in (strategy_id, strategy_id.rpartition("-")[0])
            )
        )


EVERYTHING = Scope()
_UNIT = 2.0**60
"""Totals are kept in whole numbers of so small a part that adding and taking away is exact: the
total of an instrument that changed a million times is that of its last state, not of all errors.
"""
type _Seen = tuple[float, float, float, float, float, float, float]
_NOTHING: _Seen = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Holdings:
    """What is held and pending in a scope; brought up to date with what changed since.

    Parameters
    ----------
    ledger
        The trader's.
    scope
        What counts.
    leave_out
        An open order that does not count, since it is about to be changed.
    whole
        Holdings of everything, which have looked at most instruments already.

    Attributes
    ----------
    pnl
        All profit in the scope since the start, minus fees, plus funding, at the last marks.
    equity
        Starting equity plus that. Only where the scope is everything: no part of a trader has an
        equity of its own.
    held
        Value of what is held, by side and instrument id; all values are positive.
    pending
        Value of open orders that may add to it, likewise.
    waiting
        Value of open orders that may add to it, by side.
    side
        Value of all that is held or pending, by side.
    net
        Value of what is held, longs minus shorts.
    signed
        The same by instrument id.
    filled
        What it would be by instrument id with every open order filled.
    gross
        Value of all that is held or pending, on both sides.
    revision
        That of the ledger which it shows.
    news
        Instruments that were looked at anew; who reads it may clear it.
    seen
        By instrument id: value of longs, shorts, open buy and sell orders; the profit; and what is
        held or pending on the side of longs, and on that of shorts, base currency.
    owners
        The only strategy that counts in an instrument, by its id; empty where there are several.
    """

    __slots__ = (
        "_buying",
        "_covers",
        "_everything",
        "_leave_out",
        "_ledger",
        "_long",
        "_pnl",
        "_selling",
        "_short",
        "_whole",
        "equity",
        "filled",
        "gross",
        "held",
        "net",
        "news",
        "owners",
        "pending",
        "pnl",
        "revision",
        "seen",
        "side",
        "signed",
        "waiting",
    )

    def __init__(
        self,
        ledger: Ledger,
        scope: Scope = EVERYTHING,
        leave_out: Order | None = None,
        whole: Holdings | None = None,
    ) -> None:
        self._ledger = ledger
        self._everything = scope is EVERYTHING
        self._covers = None if scope is EVERYTHING else scope.covers
        self._leave_out = leave_out
        self._whole = None if scope is EVERYTHING else whole
        self.seen: dict[str, _Seen] = {}
        self.owners: dict[str, str] = {}
        self._long = self._short = self._buying = self._selling = self._pnl = 0
        self.held: dict[Side, dict[str, float]] = {"BUY": {}, "SELL": {}}
        self.pending: dict[Side, dict[str, float]] = {"BUY": {}, "SELL": {}}
        self.waiting: dict[Side, float] = {"BUY": 0.0, "SELL": 0.0}
        self.side: dict[Side, float] = {"BUY": 0.0, "SELL": 0.0}
        self.signed: dict[str, float] = {}
        self.filled: dict[str, float] = {}
        self.equity = ledger.starting_equity if scope is EVERYTHING else math.nan
        self.pnl = self.net = self.gross = 0.0
        self.revision = 0
        self.news: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look again at every instrument of which the ledger has news."""
        ledger, known = self._ledger, self.revision
        if ledger.revision == known:
            return
        whole, before, moved = self._whole, self._pnl, False
        if whole is not None and whole.revision != ledger.revision:
            whole.refresh()
        for instrument_id, revision in reversed(ledger.revisions.items()):
            if revision <= known:
                break
            self.news.add(instrument_id)
            if self._look(instrument_id):
                moved = True
        self.revision = ledger.revision
        if moved:
            long, short, buying, selling = self._long, self._short, self._buying, self._selling
            waiting, side = self.waiting, self.side
            waiting["BUY"], waiting["SELL"] = buying / _UNIT, selling / _UNIT
            side["BUY"], side["SELL"] = (long + buying) / _UNIT, (short + selling) / _UNIT
            self.net = (long - short) / _UNIT
            self.gross = (long + short + buying + selling) / _UNIT
        if self._pnl != before:
            self.pnl = self._pnl / _UNIT
        if self._everything:
            self.equity = ledger.starting_equity + self.pnl

    def instruments(self) -> set[str]:
        """Return the ids of all instruments of which something is held or pending."""
        held, pending = self.held, self.pending
        return {*held["BUY"], *held["SELL"], *pending["BUY"], *pending["SELL"]}

    def one_sided(self, side: Side, instrument_ids: Iterable[str]) -> float:
        """Return the value of what is held or pending on one side of some instruments."""
        held, pending = self.held[side], self.pending[side]
        total = 0.0
        for name in instrument_ids:
            total += held.get(name, 0.0) + pending.get(name, 0.0)
        return total

    def of_instrument(self, instrument_id: str) -> float:
        """Return the value of what is held or pending on both sides of one instrument."""
        seen = self.seen.get(instrument_id, _NOTHING)
        return (seen[0] + seen[2]) + (seen[1] + seen[3])

    def one_sided_amount(self, side: Side, instrument_id: str) -> float:
        """Return what is held or pending on one side of one instrument, base currency."""
        return self.seen.get(instrument_id, _NOTHING)[5 if side == "BUY" else 6]

    def _look(self, instrument_id: str) -> bool:
        """Bring one instrument up to date; return whether more than its profit has changed."""
        mark = self._ledger.marks.get(instrument_id)
        if mark is None:
            return False  # Nothing was traded yet; an order without a price has no value.
        whole, covers = self._whole, self._covers
        if whole is None or covers is None or not (owner := whole.owners[instrument_id]):
            seen = self._add_up(instrument_id, mark)
        else:
            seen = whole.seen[instrument_id] if covers(owner, instrument_id) else _NOTHING
        before = self.seen.get(instrument_id)
        if seen == before:
            return False
        self.seen[instrument_id] = seen
        if before is None:
            before = _NOTHING
        long, short, buying, selling, pnl, _, _ = seen
        if pnl != before[4]:
            self._pnl += int(pnl * _UNIT) - int(before[4] * _UNIT)
            if seen[:4] == before[:4] and before is not _NOTHING:
                return False
        if long != before[0]:
            self._long += _change(self.held["BUY"], instrument_id, long, before[0])
        if short != before[1]:
            self._short += _change(self.held["SELL"], instrument_id, short, before[1])
        if buying != before[2]:
            self._buying += _change(self.pending["BUY"], instrument_id, buying, before[2])
        if selling != before[3]:
            self._selling += _change(self.pending["SELL"], instrument_id, selling, before[3])
        self.signed[instrument_id] = net = long - short
        self.filled[instrument_id] = net + buying - selling
        return True

    def _add_up(self, instrument_id: str, mark: float) -> _Seen:
        """Return what positions and open orders of one instrument come to."""
        covers, leave_out = self._covers, self._leave_out
        long = short = buying = selling = pnl = bought = sold = 0.0
        holders = self._ledger.holders(instrument_id)
        owner = next(iter(holders)) if len(holders) == 1 else ""
        for strategy_id, position in holders.items():
            if covers is not None and not covers(strategy_id, instrument_id):
                continue
            pnl += position.closed
            pnl += position.dust_amount * (mark - position.average_price)
            amount = position.amount
            if amount:
                value = amount * mark
                pnl += value - amount * position.average_price
                if value > 0:
                    long += value
                    bought += amount
                else:
                    short -= value
                    sold -= amount
        for order in self._ledger.open_orders(instrument_id):
            if order.reduce_only or order is leave_out:
                continue
            strategy_id = order.strategy_id
            if strategy_id != owner:
                owner = ""
            if covers is not None and not covers(strategy_id, instrument_id):
                continue
            side, amount = order.side, order.most_amount
            price = dearest(side, order.price, order.trigger_price, mark)
            if order.asked_prices:
                price = max(price, *(dearest(side, *asked, mark) for asked in order.asked_prices))
            if side == "BUY":
                buying += amount * price
                bought += amount
            else:
                selling += amount * price
                sold += amount
        self.owners[instrument_id] = owner
        return long, short, buying, selling, pnl, bought, sold


class Looks:
    """The holdings of every scope that is asked for, kept from one order to the next.

    Parameters
    ----------
    ledger
        The trader's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._whole: dict[Scope, Holdings] = {}
        self._without: dict[Scope, Holdings] = {}
        self._left_out: tuple[Order, int] | None = None

    @property
    def starting_equity(self) -> float:
        """Return the trader's equity before its first order."""
        return self._ledger.starting_equity

    def realized(self, scope: Scope) -> float:
        """Return the profit of all that was closed in a scope, minus fees, plus funding."""
        return sum(p.closed for key, p in self._ledger.positions.items() if scope.covers(*key))

    def at(self, scope: Scope, leave_out: Order | None) -> Holdings:
        """Return what is held and pending now, without one order."""
        if leave_out is None:
            found = self._whole.get(scope)
            if found is None:
                whole = None if scope is EVERYTHING else self.at(EVERYTHING, None)
                found = self._whole[scope] = Holdings(self._ledger, scope, None, whole)
            elif found.revision != self._ledger.revision:
                found.refresh()
            return found
        left_out = (leave_out, self._ledger.revision)
        if self._left_out != left_out:
            self._left_out = left_out
            self._without.clear()
        found = self._without.get(scope)
        if found is None:
            found = self._without[scope] = Holdings(self._ledger, scope, leave_out)
        return found


def _change(values: dict[str, float], instrument_id: str, value: float, before: float) -> int:
    """Keep a value, if it is one, and return by how many units it has grown."""
    if value:
        values[instrument_id] = value
    else:
        del values[instrument_id]
    return int(value * _UNIT) - int(before * _UNIT)


def dearest(side: Side, price: float | None, trigger_price: float | None, mark: float) -> float:
    """Return what one unit of an order is worth at most when it fills, quote currency."""
    if price is not None:
        if side == "BUY":
            return price
        mark = max(mark, price)
    return mark if trigger_price is None else max(mark, trigger_price)
